"""A proxy that speaks TLS with a certificate of its own."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

from tests.servers.proxy import Proxy


class TlsProxy(Proxy):
    """Speaks TLS to the client and hands on what it says in the clear."""

    def __init__(self, target_host: str, target_port: int, certificate: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        super().__init__(target_host, target_port)

    def _accept(self) -> None:
        # Handshakes happen in accept(): a client that breaks one off must not end the proxy.
        self._listener = self._context.wrap_socket(
            self._listener, server_side=True, do_handshake_on_connect=False
        )
        super()._accept()


def self_signed(directory: Path) -> Path:
    """Key and certificate for loopback in one file; `ca.pem` beside it is the CA that signed it."""
    path = directory / "server.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path,
         "-out", directory / "ca.pem"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    path.write_text(path.read_text() + (directory / "ca.pem").read_text())
    return path
