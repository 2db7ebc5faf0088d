"""A time stamp authority (RFC 3161) on loopback: `openssl ts -reply` behind HTTP."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

_CONFIG = """
extensions = stamps
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:TRUE
[stamps]
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[tsa]
default_tsa = here
[here]
serial = {0}/serial
signer_cert = {0}/tsa.pem
signer_key = {0}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
accuracy = secs:1
"""


class Authority:
    """The authority with its certificates in `directory`. `queries` are what it was asked; while
    `status` is not 200 it answers with that."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ca = directory / "ca.pem"
        self.queries: list[bytes] = []
        self.status = 200
        self.url = ""
        directory.mkdir()
        (directory / "config").write_text(_CONFIG.format(directory))
        (directory / "serial").write_text("01\n")
        made = (
            "ecparam -name prime256v1 -genkey -noout -out ca.key",
            "ecparam -name prime256v1 -genkey -noout -out tsa.key",
            "req -x509 -new -key ca.key -subj /CN=ca -config config -extensions ca -out ca.pem",
            "req -new -key tsa.key -subj /CN=tsa -config config -out tsa.csr",
            "x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -extfile config -out tsa.pem",
        )
        for words in made:
            self._openssl(words)

    def _openssl(self, words: str) -> None:
        run = ["openssl", *words.split()]
        subprocess.run(run, cwd=self.directory, check=True, capture_output=True)

    def stamp(self, query: bytes) -> bytes:
        self.queries.append(query)
        (self.directory / "query").write_bytes(query)
        self._openssl("ts -reply -config config -queryfile query -out answer")
        return (self.directory / "answer").read_bytes()


@contextmanager
def serving(directory: Path) -> Iterator[Authority]:
    """Serve until the end of the block."""
    authority = Authority(directory)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(authority.status)
            self.end_headers()
            self.wfile.write(authority.stamp(query) if authority.status == 200 else b"down")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    authority.url = f"http://127.0.0.1:{server.server_port}/tsr"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield authority
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
