"""The provider as a CloudFormation template, for those who have no Python CDK app."""
