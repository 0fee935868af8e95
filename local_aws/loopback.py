"""Free ports on the loopback interface, and health checks."""

import secrets
import socket
import urllib.error
import urllib.request
from contextlib import ExitStack, suppress

from local_aws.tls import Certificates

HOST = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Return different free ports, below those that outgoing connections take at any time."""
    ports: list[int] = []
    with ExitStack() as bound:
        while len(ports) < count:
            port = 20_000 + secrets.randbelow(12_000)
            with suppress(OSError):
                bound.enter_context(socket.socket()).bind((HOST, port))
                ports.append(port)
    return ports


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
