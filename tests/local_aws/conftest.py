"""Fixtures: the local AWS, started and bootstrapped once for each kind.

Each worker of pytest has its own.
"""

from collections.abc import Generator, Iterator
from datetime import timedelta

import pytest

from local_aws import Cdk, LocalAws
from tests.local_aws.deployment import Deployment
from tests.local_aws.template import Written, write


@pytest.fixture(scope="session")
def local_aws() -> Iterator[LocalAws]:
    """A local AWS whose streams take some seconds to change, without IAM enforcement."""
    with LocalAws(updating=timedelta(seconds=3)) as aws:
        Cdk(aws).bootstrap()
        yield aws


@pytest.fixture(scope="session")
def local_aws_iam() -> Iterator[LocalAws]:
    """A local AWS that enforces IAM, whose streams change immediately."""
    with LocalAws(iam=True) as aws:
        Cdk(aws).bootstrap()
        yield aws


@pytest.fixture
def deployment(local_aws: LocalAws) -> Iterator[Deployment]:
    """A stack, not deployed yet."""
    deployment = Deployment(local_aws)
    yield deployment
    deployment.destroy()


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The output of `make template`: the template of the function, and its code."""
    return write(tmp_path_factory.mktemp("template"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the last lines of the emulators' logs to the report of a failed test."""
    report = yield
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, LocalAws):
                report.sections.append((f"logs of {name}", value.log_tails()))
    return report
