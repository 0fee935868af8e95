"""The provider as a CloudFormation template, for users without a CDK app in Python."""
