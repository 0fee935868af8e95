"""ministack: an emulator of CloudFormation, Lambda, IAM, KMS, S3, and other services."""

from collections.abc import Mapping
from pathlib import Path

from local_aws import folders, loopback
from local_aws.process import Service
from local_aws.tls import Certificates

_BRIDGED = Path(__file__).with_name("ministack_bridged.py")


def start(
    port: int,
    *,
    certificates: Certificates,
    region: str,
    account: str,
    iam: bool,
    environment: Mapping[str, str],
    folder: Path,
) -> Service:
    """Start ministack on `port`; functions inherit its environment, including `environment`.

    It has its own virtual environment, because functions run under the same Python and can import
    everything that is installed there.
    """
    temporary = folder / "tmp" / "ministack"
    # Started through hypercorn: its own command would also bind port 443. -P: the folder of the
    # script contains another module named ministack.
    command = [
        *(str(folders.EMULATOR_PYTHON), "-P", str(_BRIDGED), "ministack.app:app"),
        *("--config", "python:ministack.core.hypercorn_conf"),
        *("--bind", f"{loopback.HOST}:{port}"),
        *("--workers", "0", "--keep-alive", "75", "--graceful-timeout", "0"),
    ]
    return Service(
        "ministack",
        command,
        environment=folders.base_environment(temporary)
        | certificates.trust()
        | {
            "AUTH": "true" if iam else "false",
            "AWS_SECRET_ACCESS_KEY": "test",
            "BIND_HOST": loopback.HOST,
            # No daemon listens here, so that ministack does not remove the user's containers.
            "DOCKER_HOST": f"unix://{temporary / 'no-docker.sock'}",
            "GATEWAY_PORT": str(port),
            "IOT_MTLS_ENABLED": "0",
            # Lambda retries a failed asynchronous event after one minute, then two (Developer
            # Guide, "How Lambda handles errors and retries with asynchronous invocation").
            "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "60",
            "LAMBDA_ASYNC_RETRY_MAX_SECONDS": "120",
            "LAMBDA_EXECUTOR": "local",
            "MINISTACK_ACCOUNT_ID": account,
            "MINISTACK_HOST": loopback.HOST,
            "MINISTACK_REGION": region,
            "MINISTACK_SSL_CERT": str(certificates.certificate),
            "MINISTACK_SSL_KEY": str(certificates.key),
            "S3_DATA_DIR": str(temporary / "s3"),
            "SFTP_ENABLED": "0",
            "STATE_DIR": str(temporary / "state"),
            "USE_SSL": "1",
        }
        | dict(environment),
        folder=temporary,
        log=folder / "ministack.log",
    )
