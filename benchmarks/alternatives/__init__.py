"""The alternatives as CDK stacks and Lambda functions."""
