"""Ports on the loopback interface and the requests that tell whether they answer."""

import socket
import urllib.error
import urllib.request
from contextlib import ExitStack

from local_aws.tls import Certificates

HOST = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; all are held until the last is found, so they differ."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]


def answers(url: str, certificates: Certificates) -> bool:
    """Whether `url` answers 200 under a certificate of this run: no other run can pass for it."""
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=certificates.context()),
        urllib.request.ProxyHandler({}),
    )
    try:
        with opener.open(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False
