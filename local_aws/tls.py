"""Certificates for the local endpoints, created for each run and verified by every client."""

import json
import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """PEM files of one run."""

    authority: Path
    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Return a client context that trusts only the authority of this run."""
        return ssl.create_default_context(cafile=str(self.authority))

    def trust(self) -> dict[str, str]:
        """Return the variables that make Python, the AWS SDKs, and Node.js trust the authority."""
        authority = str(self.authority)
        return {
            "AWS_CA_BUNDLE": authority,
            "NODE_EXTRA_CA_CERTS": authority,
            "SSL_CERT_FILE": authority,
        }

    def as_json(self, path: Path) -> Path:
        """Write certificate and key in the format of kinesis-mock."""
        server = {"cert": self.certificate.read_text(), "key": self.key.read_text()}
        path.touch(mode=0o600)
        path.write_text(json.dumps({"server": server}))
        return path


def issue(folder: Path) -> Certificates:
    """Create an authority and a server certificate for the loopback names in `folder`."""
    folder.mkdir(mode=0o700, parents=True)
    issued = Certificates(folder / "authority.pem", folder / "server.pem", folder / "server.key")
    authority = trustme.CA(organization_name="local AWS")
    server = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(str(issued.authority))
    for pem in server.cert_chain_pems:
        pem.write_to_path(str(issued.certificate), append=True)
    server.private_key_pem.write_to_path(str(issued.key))
    return issued
