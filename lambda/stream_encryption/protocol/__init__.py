"""CloudFormation's side: the request, crhelper, the answer."""
