"""Receivers of messages for tests: an HTTP server, a mail server, and a clock to turn."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from drd.errors import SecretUnavailable
from drd.model.message import ChannelSpec, Message
from drd.model.plan import SecretRef
from tests.servers.child import free_ports

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def message(title: str = "orders-api: backup failing", **more: Any) -> Message:
    values: dict[str, Any] = {
        "event": "firing",
        "plan": "orders-api",
        "severity": "critical",
        "title": title,
        "text": "pg_dump cannot connect\ndrd run show 4f2a",
        "at": NOON,
    }
    return Message(**{**values, **more})


class HandClock:
    """A clock that only moves when it is turned."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at
        self._seconds = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self._seconds

    def turn(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self._seconds += seconds


def secrets_of(**values: str) -> Callable[[SecretRef], str]:
    """A resolver of `{env: NAME}` that knows these."""

    def resolve(ref: SecretRef) -> str:
        if ref.value not in values:
            raise SecretUnavailable(f"secret {ref.describe()} is not set")
        return values[str(ref.value)]

    return resolve


def channel(name: str = "hook", kind: str = "webhook", **more: Any) -> ChannelSpec:
    return ChannelSpec(name, kind, None, **more)


# --- HTTP ---------------------------------------------------------------------------------------


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What an HTTP server got. `answer` decides what it says: status, headers, body."""

    port: int = 0
    scheme: str = "http"
    got: list[Received] = field(default_factory=list)
    answer: Callable[[Received], tuple[int, dict[str, str], bytes]] = lambda _: (200, {}, b"ok")

    def url(self, path: str = "/hooks/s3cr3t-path") -> str:
        return f"{self.scheme}://localhost:{self.port}{path}"

    def always(self, status: int, body: bytes = b"", **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = lambda _: (status, named, body)


@contextmanager
def http_receiver(certificate: Path | None = None) -> Iterator[Receiver]:
    """A real HTTP server on loopback, with TLS when a certificate is given."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            received = Received(self.path, dict(self.headers.items()), body)
            receiver.got.append(received)
            status, headers, said = receiver.answer(received)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client may go away
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        receiver.scheme = "https"
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# --- mail ---------------------------------------------------------------------------------------


@dataclass
class Post:
    """What a mail server took. `refuse` are addresses that it does not know."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    readers: list[list[str]] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    refuse: set[str] = field(default_factory=set)
    says: str = "250 OK"

    async def handle_RCPT(self, _s: Any, _n: Any, envelope: Envelope, address: str, _o: Any) -> str:  # noqa: N802
        if address in self.refuse:
            return "550 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _s: Any, _n: Any, envelope: Envelope) -> str:  # noqa: N802
        if self.says.startswith("2"):
            parsed = message_from_bytes(bytes(envelope.content or b""), policy=default)
            assert isinstance(parsed, EmailMessage)
            self.mails.append(parsed)
            self.readers.append(list(envelope.rcpt_tos))
        return self.says


@contextmanager
def mail_server(
    *,
    certificate: Path | None = None,
    tls: str = "none",
    password: str | None = None,
) -> Iterator[Post]:
    """A real SMTP server on loopback; `tls` is none, starttls or tls. With a password and
    starttls, who does not log in may not send."""
    post = Post(port=free_ports(1)[0])
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

    def authenticator(_s: Any, _n: Any, _e: Any, _m: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        user, given = data.login.decode(), data.password.decode()
        post.logins.append((user, given))
        return AuthResult(success=given == password, handled=False)

    controller = Controller(
        post,
        hostname="127.0.0.1",
        port=post.port,
        ssl_context=context if tls == "tls" else None,
        tls_context=context if tls == "starttls" else None,
        require_starttls=tls == "starttls",
        authenticator=authenticator,
        auth_required=password is not None and tls == "starttls",
        auth_require_tls=tls == "starttls",
    )
    controller.start()
    try:
        yield post
    finally:
        controller.stop()


def make_plain_authority(directory: Path) -> tuple[Path, Path]:
    """An authority as people make them, without a key usage, and a certificate of it."""
    new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    sign = ["openssl", "x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key"]
    (directory / "names").write_text("subjectAltName=DNS:localhost\n")
    for argv in (
        [*new, "-x509", "-days", "2", "-subj", "/CN=ours", "-keyout", "ca.key", "-out", "ca.pem"],
        [*new, "-subj", "/CN=localhost", "-keyout", "leaf.pem", "-out", "leaf.csr"],
        [*sign, "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "leaf.crt"],
    ):
        subprocess.run(argv, check=True, capture_output=True, cwd=directory)
    leaf = directory / "leaf.pem"
    leaf.write_text(leaf.read_text() + (directory / "leaf.crt").read_text())
    return directory / "ca.pem", leaf


def make_certificate(directory: Path) -> Path:
    """Key and certificate for localhost in one file, which also is the authority that signed it."""
    path = directory / "localhost.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    argv += ["-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext"]
    argv += ["subjectAltName=DNS:localhost", "-keyout", str(path), "-out", str(directory / "c.pem")]
    subprocess.run(argv, check=True, capture_output=True)
    path.write_text(path.read_text() + (directory / "c.pem").read_text())
    return path


# --- PGP --------------------------------------------------------------------------------------


@contextmanager
def gnupg() -> Iterator[Callable[..., str]]:
    """gpg with a home of its own: what it says to some words."""
    home = tempfile.mkdtemp(prefix="gpg")  # a short path: gpg makes sockets in it

    def gpg(*words: str, **more: Any) -> str:
        argv = ["gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", "", *words]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60, **more)
        return done.stdout

    try:
        yield gpg
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
        shutil.rmtree(home, ignore_errors=True)


def pgp_key(gpg: Callable[..., str]) -> str:
    gpg("--quick-gen-key", "it@acme.example", "future-default")
    return gpg("--armor", "--export", "it@acme.example").strip()
