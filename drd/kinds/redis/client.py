"""Ask a server: its protocol (RESP2) over TCP, TLS or a Unix socket, with bounded answers."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, TypeAlias

from drd import http, secrets
from drd.errors import DeadlineExceeded, SourceError, SourceUnreachable
from drd.exhaustion import system_reason
from drd.kinds.closed_sockets import who_may
from drd.kinds.redis.address import Address, address_of
from drd.kinds.redis.settings import ServerSettings
from drd.masking import masked
from drd.model.text import escaped
from drd.model.units import format_duration
from drd.process import (
    Container,
    Relay,
    check_cancelled,
    container_of,
    image_of,
    relay,
)

Reply: TypeAlias = "bytes | int | list[Reply] | None"

_OPENED = "set `unixsocketperm 770` in the configuration of the server, and restart the server"

CONNECT_S = 5.0
ANSWER_S = 30.0
_MOST = 16 << 20
"""The longest answer, in bytes."""
_MOST_ITEMS = 100_000
_MOST_PARTS = 1_000_000
"""How many parts an answer may have in all lists: an empty list takes four bytes of the answer, and
sixteen times as many in memory."""
_DEEPEST = 8
_LINE = 64 << 10
_SHOWN = 300
_POLL_S = 1.0


class ServerRefused(SourceError):
    """The server answered with an error: `said` are its words, `reason` the first of them."""

    def __init__(self, said: str, hint: str = "") -> None:
        super().__init__(said, hint=hint)
        self.said = said
        self.reason = said.partition(" ")[0]


class Login(NamedTuple):
    """Who asks, and with which certificates."""

    address: Address
    user: str = ""
    password: str = ""
    ca_cert: str | None = None
    client_cert: tuple[str, str] | None = None
    inside: Container | None = None
    """The container in which the address is valid."""

    @property
    def relayed(self) -> Relay | None:
        """Return the program that passes on the connection to a server in a container."""
        if self.inside is None:
            return None
        return relay(self.inside, self.address.socket or self.address.host, self.address.port)


def login_of(settings: ServerSettings, inside: Container | None = None) -> Login:
    """Resolve the secrets of a component; `inside` is its container, if that is pinned. Raises
    SecretUnavailable."""
    password = secrets.resolve(settings.password) if settings.password is not None else ""
    cert, key = settings.client_cert, settings.client_key
    return Login(
        address_of(settings.url),
        settings.user or "",
        password,
        settings.ca_cert,
        (cert, key) if cert is not None and key is not None else None,
        inside or container_of(settings),
    )


class Client:
    """One connection. Every method raises SourceUnreachable if it breaks, and ServerRefused for an
    error that the server reports."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._socket = opened(login)
        self._waiting = bytearray()
        self._read = self._parts = 0
        try:
            if login.password:
                self._log_in()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        with suppress(OSError):
            self._socket.close()

    def ask(self, *words: str | bytes, timeout_s: float = ANSWER_S) -> Reply:
        """Send one command and return its answer. Raises DeadlineExceeded."""
        parts = [w if isinstance(w, bytes) else w.encode("utf-8", "surrogateescape") for w in words]
        sent = b"".join([b"*%d\r\n" % len(parts), *(b"$%d\r\n%b\r\n" % (len(p), p) for p in parts)])
        limit = time.monotonic() + timeout_s
        self._read = self._parts = 0
        try:
            self._socket.settimeout(timeout_s)
            self._socket.sendall(sent)
            return self._answer(limit, timeout_s, 0)
        except TimeoutError as error:
            raise self._too_slow(timeout_s) from error
        except OSError as error:
            raise self._lost(system_reason(error)) from error

    def text(self, *words: str, timeout_s: float = ANSWER_S) -> str:
        """Ask for an answer that is one text."""
        answer = self.ask(*words, timeout_s=timeout_s)
        if not isinstance(answer, bytes):
            raise self._strange(f"the answer to {words[0]} is not text")
        return answer.decode("utf-8", "surrogateescape")

    def works_in(self, place: os.stat_result) -> bool:
        """Return whether the process at the other end of a Unix socket certainly works in this
        directory; False also if drd cannot find out."""
        if self._socket.family != socket.AF_UNIX:
            return False
        size = struct.calcsize("3i")
        credentials = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        with suppress(OSError):
            return os.path.samestat(
                Path(f"/proc/{struct.unpack('3i', credentials)[0]}/cwd").stat(), place
            )
        return False

    def _log_in(self) -> None:
        login = self._login
        words = ["AUTH", *([login.user] if login.user else []), login.password]
        try:
            self.ask(*words)
        except ServerRefused as error:
            raise SourceError(
                f"{login.address.named} refused the login: {error.message}",
                hint="check `user` and `password` of this component, and ACL LIST of the server.",
            ) from error

    def _answer(self, limit: float, timeout_s: float, depth: int) -> Reply:
        line = self._line(limit, timeout_s)
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b"-":
            said = masked(escaped(rest.decode("utf-8", "replace"))[:_SHOWN])
            raise ServerRefused(said, hint=_hint(said))
        try:
            number = int(rest)
        except ValueError:
            raise self._strange(f"an answer begins with {line[:20]!a}") from None
        if kind == b":":
            return number
        if kind not in (b"$", b"*"):
            raise self._strange(f"an answer begins with {line[:20]!a}")
        if number < 0:
            return None
        if kind == b"$":
            return self._bytes(number, limit, timeout_s)
        self._parts += number
        if number > _MOST_ITEMS or self._parts > _MOST_PARTS or depth > _DEEPEST:
            raise self._strange("an answer has too many parts")
        return [self._answer(limit, timeout_s, depth + 1) for _ in range(number)]

    def _line(self, limit: float, timeout_s: float) -> bytes:
        while (end := self._waiting.find(b"\r\n")) < 0:
            if len(self._waiting) > _LINE:
                raise self._strange("a line of an answer is too long")
            self._receive(limit, timeout_s)
        line = bytes(self._waiting[:end])
        del self._waiting[: end + 2]
        return line

    def _bytes(self, size: int, limit: float, timeout_s: float) -> bytes:
        if self._read + size > _MOST:
            raise self._strange(f"an answer is longer than {_MOST:,} bytes")
        while len(self._waiting) < size + 2:
            self._receive(limit, timeout_s)
        data = bytes(self._waiting[:size])
        del self._waiting[: size + 2]
        return data

    def _receive(self, limit: float, timeout_s: float) -> None:
        """Wait for more; a cancel ends the waiting."""
        while True:
            check_cancelled()
            left = limit - time.monotonic()
            if left <= 0:
                raise self._too_slow(timeout_s)
            self._socket.settimeout(min(left, _POLL_S))
            try:
                data = self._socket.recv(1 << 18)
            except TimeoutError:
                continue
            break
        if not data:
            raise self._lost("the server closed the connection")
        self._read += len(data)
        if self._read > 2 * _MOST:
            raise self._strange(f"an answer is longer than {_MOST:,} bytes")
        self._waiting += data

    def _too_slow(self, timeout_s: float) -> DeadlineExceeded:
        where = self._login.address.named
        return DeadlineExceeded(
            f"{where} did not answer within {format_duration(timeout_s)}",
            hint="check the load of the server; SLOWLOG GET shows slow commands.",
        )

    def _lost(self, why: str) -> SourceUnreachable:
        through = self._login.relayed
        if self._login.inside is not None and through is not None:
            image_of(self._login.inside)  # says so if the container does not run
            return SourceUnreachable(
                f"cannot use {self._login.address.named} in the {self._login.inside}: "
                f"{through.said or why}",
                hint="check that the server runs in the container, and that `url` is right as seen "
                "from inside.",
            )
        return SourceUnreachable(
            f"the connection to {self._login.address.named} was lost: {why}",
            hint="check that the server runs, and its log.",
        )

    def _strange(self, what: str) -> SourceError:
        return SourceError(
            f"{self._login.address.named} does not answer as a Redis or Valkey server does: {what}",
            hint="check `url` of this component: host, port, and rediss: for TLS.",
        )


@contextmanager
def connected(settings: ServerSettings, inside: Container | None = None) -> Iterator[Client]:
    """Connect to the server that the settings of a component name, and log in. Raises
    SourceUnreachable, SecretUnavailable."""
    with Client(login_of(settings, inside)) as client:
        yield client


def opened(login: Login) -> socket.socket:
    """Connect to a server; with TLS, its certificate has to be for the host in `url`. Raises
    SourceUnreachable."""
    address, through = login.address, login.relayed
    try:
        if address.socket or through is not None:
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            made.settimeout(CONNECT_S)
            try:
                made.connect(address.socket if through is None else f"\0{through.name}")
            except BaseException:
                made.close()
                raise
            return made
        plain = socket.create_connection((address.host, address.port), timeout=CONNECT_S)
        if not address.tls:
            return plain
        try:
            return _context(login).wrap_socket(plain, server_hostname=address.host)
        except BaseException:
            plain.close()
            raise
    except ssl.SSLError as error:
        raise SourceUnreachable(
            f"no TLS connection to {address.named}: {escaped(str(error))[:_SHOWN]}",
            hint="check the certificate of the server, and `ca_cert` of this component.",
        ) from error
    except (OSError, ValueError) as error:
        reason = system_reason(error) if isinstance(error, OSError) else str(error)
        hint = (
            "check that the server runs and accepts connections there (`bind`, `port`, "
            "`unixsocket` and `unixsocketperm` of its configuration)."
        )
        if isinstance(error, PermissionError) and address.socket:
            hint = who_may(Path(address.socket), _OPENED)
        raise SourceUnreachable(
            f"cannot connect to {address.named}: {reason}", hint=hint
        ) from error


def _context(login: Login) -> ssl.SSLContext:
    context = http.verifying(login.ca_cert)
    if login.client_cert is not None:
        context.load_cert_chain(*login.client_cert)
    return context


def _hint(said: str) -> str:
    if said.startswith("NOAUTH"):
        return "add `password` (and `user`) to this component."
    if said.startswith("NOPERM"):
        return "give the user these rights: docs/redis.md has the command ACL SETUSER."
    if said.startswith("DENIED"):
        return "set a password on the server, or connect by its Unix socket."
    return "see the log of the server."


def as_words(command: Sequence[str]) -> str:
    """Return a command for messages."""
    return escaped(" ".join(command))[:_SHOWN]
