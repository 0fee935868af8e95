"""CloudFormation's side: request, response, and continuation."""
