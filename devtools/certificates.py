"""Certificates for servers on this machine and for their clients, signed by an authority of the test's own."""

from __future__ import annotations

from pathlib import Path

import trustme


class Authority:
    """Signs certificates.

    Attributes:
        certificate: its own, in PEM format: what the other side has to trust.
    """

    def __init__(self, name: str = "test authority") -> None:
        self._authority = trustme.CA(organization_name=name)
        self.certificate = self._authority.cert_pem.bytes().decode()

    def issue(self, name: str) -> tuple[str, str]:
        """A certificate for a host or a client, and its key, both in PEM format."""
        issued = self._authority.issue_cert(name, common_name=name)
        return issued.cert_chain_pems[0].bytes().decode(), issued.private_key_pem.bytes().decode()

    def issue_to_server(self, folder: Path) -> None:
        """`server.pem` and `server.key` for localhost."""
        certificate, key = self.issue("localhost")
        (folder / "server.pem").write_text(certificate)
        (folder / "server.key").write_text(key)
