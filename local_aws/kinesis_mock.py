"""kinesis-mock: a Kinesis emulator whose streams pass through UPDATING."""

from datetime import timedelta
from pathlib import Path

from local_aws import folders
from local_aws.process import Service
from local_aws.tls import Certificates

_PRELOAD = Path(__file__).with_name("loopback.js")
_MAIN = folders.NODE_MODULES / "kinesis-local" / "main.js"


def start(
    port: int,
    plain_port: int,
    *,
    certificates: Certificates,
    region: str,
    account: str,
    updating: timedelta,
    folder: Path,
) -> Service:
    """Start kinesis-mock with TLS on `port`; each change of encryption takes `updating`."""
    temporary = folder / "tmp" / "kinesis-mock"
    duration = f"{round(updating / timedelta(milliseconds=1))}ms"
    return Service(
        "kinesis-mock",
        [str(folders.NODE), "--require", str(_PRELOAD), str(_MAIN)],
        environment=folders.base_environment(temporary)
        | {
            "AWS_ACCOUNT_ID": account,
            "AWS_REGION": region,
            "KINESIS_MOCK_CERT_PATH": str(certificates.as_json(temporary / "server.json")),
            "KINESIS_MOCK_PLAIN_PORT": str(plain_port),
            "KINESIS_MOCK_TLS_PORT": str(port),
            # This release shifts its settings by one: the second applies to Start, the third to
            # Stop. The first is for a release that fixes this.
            "START_STREAM_ENCRYPTION_DURATION": duration,
            "STOP_STREAM_ENCRYPTION_DURATION": duration,
            "DEREGISTER_STREAM_CONSUMER_DURATION": duration,
        },
        folder=temporary,
        log=folder / "kinesis-mock.log",
    )
