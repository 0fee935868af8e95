"""Free ports on the loopback interface, and health checks."""

import socket
import urllib.error
import urllib.request
from contextlib import ExitStack

from local_aws.tls import Certificates

HOST = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Return different free ports: all are bound until the last one is found."""
    with ExitStack() as bound:
        sockets = [bound.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]


def is_healthy(url: str, certificates: Certificates) -> bool:
    """Whether `url` returns 200 with a certificate of this run, not of another one."""
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=certificates.context()),
        urllib.request.ProxyHandler({}),
    )
    try:
        with opener.open(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False
