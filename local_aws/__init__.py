"""A local AWS for this project: emulators started, trusted, used by the CDK CLI, and stopped."""

from local_aws.cdk import Cdk, CdkError, Deployment
from local_aws.environment import LocalAws

__all__ = ["Cdk", "CdkError", "Deployment", "LocalAws"]
