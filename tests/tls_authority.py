"""A certificate authority made on the spot, for servers that a test runs."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path


class Authority:
    """Makes its own root certificate in `folder`, and signs server certificates with it. Needs `openssl`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.certificate = folder / "root.pem"
        self._key = folder / "root.key"
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"),
            *("-keyout", self._key, "-out", self.certificate, "-subj", "/CN=Test Authority"),
            *("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"),
        )

    @property
    def pem(self) -> str:
        """The root certificate."""
        return self.certificate.read_text()

    def server(self, name: str) -> ssl.SSLContext:
        """A server's TLS context whose certificate holds `name` (`IP:127.0.0.1`, `DNS:example.test`)."""
        key, request, certificate = (self._folder / f"server.{end}" for end in ("key", "csr", "pem"))
        extensions = self._folder / "server.ext"
        extensions.write_text(f"subjectAltName={name}\n")
        _openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=server"),
            *("-keyout", key, "-out", request),
        )
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-days", "2"),
            *("-CAcreateserial", "-extfile", extensions, "-out", certificate),
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
