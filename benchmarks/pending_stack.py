"""CloudFormation's view of a resource that is being created, which the emulator does not give.

It shows a resource only once that is complete, and ours would take its absence for a sign that the
request is outdated.
"""

from __future__ import annotations

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from local_aws.loopback import HOST
from local_aws.tls import Certificates

_ANSWER = b"""<DescribeStackResourceResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">
<DescribeStackResourceResult><StackResourceDetail>
<ResourceStatus>CREATE_IN_PROGRESS</ResourceStatus>
</StackResourceDetail></DescribeStackResourceResult>
</DescribeStackResourceResponse>"""


class PendingStack:
    """Answers each call with a resource that is CREATE_IN_PROGRESS."""

    def __init__(self, certificates: Certificates) -> None:
        self._server = ThreadingHTTPServer((HOST, 0), _Handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificates.certificate, certificates.key)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"https://{HOST}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    timeout = 10

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(_ANSWER)))
        self.end_headers()
        self.wfile.write(_ANSWER)

    def log_message(self, format: str, *args: object) -> None: ...
