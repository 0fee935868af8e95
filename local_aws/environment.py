"""The local AWS as a whole."""

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

# An access key that is not an account id stands for the account's root.
_CREDENTIAL = "test"
_KINESIS_OWNED_KEY = "alias/aws/kinesis"
_NOT_SHOWN = Path(__file__).with_name("not_shown")


class LocalAws:
    """An AWS on this machine's loopback interface, up for as long as the `with` block lasts.

    Two kinds, because no emulator has both: by default Kinesis takes `updating` for each change of
    encryption but nobody's rights are checked; with `iam` rights are checked, and Kinesis changes
    encryption in an instant.
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
        self._running = ExitStack()
        # A profile that is named in the environment but not known here would fail the session.
        unnamed = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
        self._session = boto3.session.Session(
            aws_access_key_id=_CREDENTIAL,
            aws_secret_access_key=_CREDENTIAL,
            region_name=self.region,
            botocore_session=unnamed,
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
        """Stop everything; the logs stay."""
        self._running.close()
        shutil.rmtree(self.folder / "tmp", ignore_errors=True)

    def wait(self) -> None:
        """Block until one of the services ends, which none does by itself."""
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)

    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to take this for AWS."""
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
                # What `make accept` must not believe of this AWS.
                "ACCEPT_NOT_SHOWN": str(_NOT_SHOWN / ("iam.json" if self.iam else "default.json")),
            }
        )

    def process_environment(self) -> dict[str, str]:
        """The whole environment for a tool such as the CDK CLI: nothing of the user's is in it."""
        base = folders.base_environment(self.folder / "tmp" / "tools", path=[folders.VENV_BIN])
        return base | self.environment()

    def client(self, service: str) -> Any:
        """A boto3 client for `service`, whatever AWS settings this process has."""
        if service not in self._clients:
            self._clients[service] = self._session.client(
                service,
                endpoint_url=self._endpoint_of(service),
                verify=str(self.certificates.authority),
                config=Config(proxies={}),
            )
        return self._clients[service]

    def log_tails(self) -> str:
        """The ends of all logs, to be shown when something went wrong."""
        return "\n".join(service.log_tail() for service in self.services)

    def _endpoint_of(self, service: str) -> str:
        return self.kinesis_endpoint_url if service == "kinesis" else self.endpoint_url

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
            kinesis_mock.wait(mock, self.kinesis_endpoint_url, self.certificates)
        ministack.wait(emulator, self.endpoint_url, self.certificates)
        self._seed()

    def _run(self, service: Service) -> Service:
        self.services.append(self._running.enter_context(service))
        return service

    def _seed(self) -> None:
        """Add the key that AWS has in every account and the emulator lacks."""
        kms = self.client("kms")
        key = kms.create_key(Description="Default key that protects Kinesis data streams")
        kms.create_alias(AliasName=_KINESIS_OWNED_KEY, TargetKeyId=key["KeyMetadata"]["KeyId"])
