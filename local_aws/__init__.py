"""A local AWS for this project: starts and stops the emulators and runs the CDK CLI on them."""

from local_aws.cdk import Cdk, CdkError
from local_aws.environment import LocalAws

__all__ = ["Cdk", "CdkError", "LocalAws"]
