"""`make accept`: checks on an AWS account what this project assumes about AWS."""
