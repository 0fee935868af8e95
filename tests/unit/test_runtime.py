"""The real environment: system clock, network, AWS clients without retries."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from stream_encryption.encryption.failure import Failure
from stream_encryption.handler import Handler
from stream_encryption.runtime import Runtime, aws_client
from tests.unit.stubs import printed_by


class Endpoint(HTTPServer):
    """Returns one status to every PUT, and records requests; a proxy that rejects."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Responder)
        self.status = 200
        self.sent: list[tuple[str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/response?X-Amz-Signature=not-to-be-logged"


class Responder(BaseHTTPRequestHandler):
    server: Endpoint

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.sent.append((self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_CONNECT(self) -> None:
        self.server.sent.append((self.path, {}, b""))
        self.send_error(403)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test output clean."""


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("before", [None, "false"])
def test_crhelper_creates_no_clients_and_the_environment_is_unchanged(
    monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    def refuse(service: str, **_: object) -> None:
        raise AssertionError(f"a client of {service} was made")

    monkeypatch.setattr("boto3.client", refuse)
    monkeypatch.delenv("AWS_SAM_LOCAL", raising=False)
    if before is not None:
        monkeypatch.setenv("AWS_SAM_LOCAL", before)
    with pytest.raises(Failure, match="INVALID_EVENT: The custom resource event is malformed"):
        Handler(Runtime())({}, SimpleNamespace(get_remaining_time_in_millis=lambda: 1000))
    assert os.environ.get("AWS_SAM_LOCAL") == before


def test_clock_returns_the_time_and_sleeps() -> None:
    clock = Runtime().clock
    began = time.time()
    assert clock.now() == pytest.approx(began, abs=1)
    clock.sleep(0.02)
    assert time.time() - began >= 0.02


def test_response_is_put_as_the_presigned_url_requires(endpoint: Endpoint) -> None:
    assert Runtime().put(endpoint.url, b'{"Status":"SUCCESS"}', 5) == 200
    path, headers, body = endpoint.sent[0]
    assert path == "/response?X-Amz-Signature=not-to-be-logged"
    assert body == b'{"Status":"SUCCESS"}'
    assert headers.get("content-type", "") == "", "the signature covers no content type"


@pytest.mark.parametrize("status", [301, 403, 503])
def test_any_status_is_returned_and_nothing_is_sent_twice(endpoint: Endpoint, status: int) -> None:
    endpoint.status = status
    assert Runtime().put(endpoint.url, b"{}", 5) == status
    assert len(endpoint.sent) == 1


def test_refused_connection_is_an_os_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/response"
    with pytest.raises(OSError, match="refused"):
        Runtime().put(url, b"{}", 5)


def test_slow_response_times_out() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/response"
        began = time.monotonic()
        with pytest.raises(OSError, match="timed out"):
            Runtime().put(url, b"{}", 0.05)
    assert time.monotonic() - began < 2


def test_response_uses_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, endpoint: Endpoint
) -> None:
    """A function in a VPC without a route to Amazon S3 may have one."""
    for name in ("no_proxy", "NO_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{endpoint.server_port}")
    # The environment is read once, by the first request of a process.
    monkeypatch.setattr("urllib.request._opener", None)
    with pytest.raises(OSError, match="Tunnel connection failed: 403"):
        Runtime().put("https://response.example/?X-Amz-Signature=not-to-be-logged", b"{}", 5)
    assert endpoint.sent == [("response.example:443", {}, b"")]


def test_random_number_is_within_its_bounds() -> None:
    assert 2 <= Runtime().uniform(2, 3) <= 3


def test_timer_fires_later_and_can_be_canceled() -> None:
    fired, canceled = threading.Event(), threading.Event()
    first, second = Runtime().timer(60, canceled.set), Runtime().timer(0.02, fired.set)
    first.start()
    first.cancel()
    second.start()
    assert fired.wait(5)
    first.join(5)
    assert not first.is_alive()
    assert not canceled.is_set()


def test_client_is_created_once_and_does_not_retry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    client = Runtime().client("kinesis")
    config = client.meta.config
    assert client is Runtime().client("kinesis")
    assert config.retries["total_max_attempts"] == 1
    assert (config.connect_timeout, config.read_timeout) == (2, 5)
    aws_client.cache_clear()


@pytest.mark.parametrize(("region", "clients"), [({"AWS_DEFAULT_REGION": "eu-west-1"}, 1), ({}, 0)])
def test_client_is_created_while_lambda_gives_a_whole_vcpu(
    region: dict[str, str], clients: int
) -> None:
    """At the import, which must succeed without a Region too."""
    code = (
        "from stream_encryption import handler, runtime\n"
        "print(runtime.aws_client.cache_info().currsize)"
    )
    assert printed_by(code, **region) == f"{clients}\n"
