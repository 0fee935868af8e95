"""The emulators, combined into one AWS."""

import os
import shutil
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import boto3
import botocore.session
from botocore.config import Config

from local_aws import folders, kinesis_mock, loopback, ministack, tls
from local_aws.process import Service

# ministack treats an access key that is not an account ID as that of the root user.
_CREDENTIAL = "test"
_START_SECONDS = 60.0
_AWS_MANAGED_KEY = "alias/aws/kinesis"
_NOT_SHOWN = Path(__file__).with_name("not_shown")


class LocalAws:
    """An AWS on the loopback interface, available within its `with` block.

    There are two modes, because no emulator supports both: by default, each change of encryption
    takes `updating` and permissions are not checked; with `iam`, permissions are checked and
    encryption changes immediately.
    """

    account = "000000000000"
    region = "eu-central-1"

    def __init__(self, *, iam: bool = False, updating: timedelta = timedelta(seconds=3)) -> None:
        self.iam = iam
        self.updating = updating
        self.folder = folders.new_run()
        self.certificates = tls.issue(self.folder / "tls")
        gateway, kinesis, self._kinesis_plain = loopback.free_ports(3)
        self._ports = (gateway, kinesis)
        self.endpoint_url = f"https://{loopback.HOST}:{gateway}"
        self.kinesis_endpoint_url = (
            self.endpoint_url if iam else f"https://{loopback.HOST}:{kinesis}"
        )
        self.services: list[Service] = []
        self._exit_stack = ExitStack()
        # Without this, a session fails if AWS_PROFILE names a profile that does not exist here.
        no_profile = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
        self._session = boto3.session.Session(
            aws_access_key_id=_CREDENTIAL,
            aws_secret_access_key=_CREDENTIAL,
            region_name=self.region,
            botocore_session=no_profile,
        )
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop all services; their logs remain."""
        self._exit_stack.close()
        shutil.rmtree(self.folder / "tmp", ignore_errors=True)

    def wait(self) -> None:
        """Block until a service ends, which only happens if it fails."""
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)

    def environment(self) -> dict[str, str]:
        """Return the variables that make a process use this AWS."""
        return (
            self.certificates.trust()
            | self._endpoints()
            | {
                "AWS_ACCESS_KEY_ID": _CREDENTIAL,
                "AWS_SECRET_ACCESS_KEY": _CREDENTIAL,
                "AWS_REGION": self.region,
                "AWS_DEFAULT_REGION": self.region,
                "AWS_EC2_METADATA_DISABLED": "true",
                "CDK_DISABLE_CLI_TELEMETRY": "true",
                # Rows of `make accept` that this AWS cannot show.
                "ACCEPT_NOT_SHOWN": str(_NOT_SHOWN / ("iam.json" if self.iam else "default.json")),
            }
        )

    def process_environment(self) -> dict[str, str]:
        """Return the complete environment of a tool such as the CDK CLI, isolated from the user."""
        base = folders.base_environment(self.folder / "tmp" / "tools", path=[folders.VENV_BIN])
        return base | self.environment()

    def client(self, service: str) -> Any:
        """Return a boto3 client, independent of the AWS settings of this process."""
        if service not in self._clients:
            kinesis = service == "kinesis"
            self._clients[service] = self._session.client(
                service,
                endpoint_url=self.kinesis_endpoint_url if kinesis else self.endpoint_url,
                verify=str(self.certificates.authority),
                config=Config(proxies={}),
            )
        return self._clients[service]

    def log_tails(self) -> str:
        """Return the ends of all logs."""
        return "\n".join(service.log_tail() for service in self.services)

    def _endpoints(self) -> dict[str, str]:
        endpoints = {"AWS_ENDPOINT_URL": self.endpoint_url}
        if not self.iam:
            endpoints["AWS_ENDPOINT_URL_KINESIS"] = self.kinesis_endpoint_url
        return endpoints

    def _start(self) -> None:
        gateway, kinesis = self._ports
        emulator = self._run(
            ministack.start(
                gateway,
                certificates=self.certificates,
                region=self.region,
                account=self.account,
                iam=self.iam,
                environment=self._endpoints(),
                folder=self.folder,
            )
        )
        if not self.iam:
            mock = self._run(
                kinesis_mock.start(
                    kinesis,
                    self._kinesis_plain,
                    certificates=self.certificates,
                    region=self.region,
                    account=self.account,
                    updating=self.updating,
                    folder=self.folder,
                )
            )
            self._wait(mock, f"{self.kinesis_endpoint_url}/healthcheck")
        self._wait(emulator, f"{self.endpoint_url}/_ministack/ready")
        self._create_aws_managed_key()

    def _run(self, service: Service) -> Service:
        self.services.append(self._exit_stack.enter_context(service))
        return service

    def _wait(self, service: Service, health: str) -> None:
        service.wait_until(
            lambda: loopback.is_healthy(health, self.certificates), seconds=_START_SECONDS
        )

    def _create_aws_managed_key(self) -> None:
        kms = self.client("kms")
        key = kms.create_key(Description="Default key that protects Kinesis data streams")
        kms.create_alias(AliasName=_AWS_MANAGED_KEY, TargetKeyId=key["KeyMetadata"]["KeyId"])
