"""One HTTP exchange with a deadline for all of it: certificates are verified, redirects are not
followed, and only a bounded part of the answer is read.

It uses http.client: importing urllib3 would take 160 million instructions of each start, and
urllib3 leaves most of this to its caller: a deadline for the whole, the proxies of the environment,
hiding logins, and messages for people.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from urllib.parse import SplitResult, unquote, urlsplit

import drd
from drd.exhaustion import system_reason
from drd.masking import mask_login
from drd.model.units import format_duration

_AT_ONCE = 1 << 16
_LOOPBACK = re.compile(r"localhost|127\.[0-9.]+|::1")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with any status. `body` may be only its beginning; `is_late` says that the deadline
    was over before its end.
    """

    host: str
    status: int
    reason: str
    headers: Message
    body: bytes
    is_late: bool


class NoAnswer(Exception):
    """There is no answer: the reason, without parts of the address that could be secret. Callers
    make their own error of it."""

    def __init__(self, message: str, *, hint: str = "", permanent: bool = False) -> None:
        super().__init__(message)
        self.message, self.hint, self.permanent = message, hint, permanent


def parts_of(url: str) -> SplitResult | None:
    """Return the parts of an http or https URL; None for anything else."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    fits = parts.scheme in ("http", "https") and parts.hostname and url.isprintable()
    return parts if fits else None


def exchange(
    parts: SplitResult,
    method: str,
    body: bytes | None,
    *,
    headers: Mapping[str, str],
    deadline_s: float,
    most: int,
    trust: Callable[[], ssl.SSLContext],
    loopback_directly: bool = False,
) -> Answer:
    """Send `body` and read at most `most` bytes of the answer. `trust` gives what certificates are
    verified by. An address of this host is asked without a proxy if `loopback_directly` is set.

    Raises NoAnswer if there is none within `deadline_s`, which limits the whole request: a server
    that sends a byte every second is cut off as well."""
    host = parts.hostname or ""
    proxy = None if loopback_directly and _LOOPBACK.fullmatch(host) else _proxy(parts)
    context = trust() if parts.scheme == "https" else None
    connection, target, own = _connection(parts, proxy, deadline_s, context)
    sent = {"User-Agent": f"drd/{drd.__version__}", **own, **headers}
    held: list[socket.socket | None] = [None]
    try:
        with cut_off(deadline_s, lambda: connection.sock or held[0]) as late:
            connection.request(method, target, body, sent)
            # The connection forgets its socket where the server closes it after the answer.
            held[0] = connection.sock
            response = connection.getresponse()
            read = _beginning(response, most)
            return Answer(host, response.status, response.reason, response.headers, read, late())
    except (OSError, http.client.HTTPException, ValueError) as error:
        if late() or isinstance(error, TimeoutError):
            raise NoAnswer(
                f"{host} did not answer within {format_duration(deadline_s)}",
                hint="check that the server is running, or raise `timeout`.",
            ) from None
        raise _explained(host, _at(parts, proxy), error) from None
    finally:
        connection.close()


def _beginning(response: http.client.HTTPResponse, most: int) -> bytes:
    """Return at most `most` bytes of the body. `read` of an answer in chunks takes a negative size
    of one for `everything until the connection ends`.
    """
    if not response.chunked:
        return response.read(most)
    read = bytearray()
    while len(read) < most and (part := response.read1(min(most - len(read), _AT_ONCE))):
        read += part
    return bytes(read[:most])


@contextmanager
def cut_off(
    deadline_s: float, open_socket: Callable[[], socket.socket | None]
) -> Iterator[Callable[[], bool]]:
    """Close a socket when the deadline is over, even while the body waits for it. The body gets a
    function that says whether this has happened."""
    over, done = threading.Event(), threading.Event()

    def watch() -> None:
        if done.wait(deadline_s):
            return
        over.set()
        # Repeatedly: while it connects there is no socket yet, and TLS replaces it.
        while True:
            socket_now = open_socket()
            if socket_now is not None:
                with suppress(OSError):
                    # Not SSLSocket's own method, which would take its TLS apart while it is being
                    # read.
                    socket.socket.shutdown(socket_now, socket.SHUT_RDWR)
            if done.wait(0.1):
                return

    threading.Thread(target=watch, name="drd-deadline", daemon=True).start()
    try:
        yield over.is_set
    finally:
        done.set()


def tls_context(ca_cert: str | None, *, beside_system: bool = False) -> ssl.SSLContext:
    """Verifies certificates and names, against the system's authorities, your own one, or both."""
    try:
        return verifying(ca_cert, beside_system=beside_system)
    except (OSError, ssl.SSLError) as error:
        why = system_reason(error)
        if isinstance(error, ssl.SSLError):
            why = "it is not a PEM certificate"
        raise NoAnswer(
            f"cannot use `ca_cert` {ca_cert}: {why}",
            hint="set `ca_cert` to the PEM file of the certificate authority.",
            permanent=True,
        ) from None


def verifying(ca_cert: str | None, *, beside_system: bool = False) -> ssl.SSLContext:
    """Return the context of `tls_context`. Raises OSError and SSLError for the file `ca_cert`."""
    context = ssl.create_default_context(cafile=None if beside_system else ca_cert)
    if beside_system and ca_cert is not None:
        context.load_verify_locations(ca_cert)
    if ca_cert is not None:
        # Python 3.13 refuses authorities without extensions that private ones often lack, and that
        # the clients of restic and of Redis do not need. Chain and name are still verified.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def explain_tls(host: str, error: ssl.SSLError) -> NoAnswer:
    if isinstance(error, ssl.SSLCertVerificationError):
        return NoAnswer(
            f"the certificate of {host} is not trusted: {error.verify_message}",
            hint="if you use your own certificate authority, name its PEM file in `ca_cert`.",
        )
    return NoAnswer(
        f"cannot establish TLS with {host}: {error.reason or error}",
        hint="check the port: the server must speak TLS on this port.",
    )


def _connection(
    parts: SplitResult,
    proxy: SplitResult | None,
    timeout_s: float,
    context: ssl.SSLContext | None,
) -> tuple[http.client.HTTPConnection, str, dict[str, str]]:
    """Direct, or through the proxy; the request line's target, and the headers of logins."""
    host, port = parts.hostname or "", parts.port
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    own = _login("Authorization", parts)
    if proxy is None:
        return _direct(host, port, timeout_s, context), target, own
    via = proxy.hostname or "", proxy.port or 3128
    to_proxy = _login("Proxy-Authorization", proxy)
    connection = _direct(*via, timeout_s, context)
    if context is None:
        whole = f"http://{parts.netloc.rpartition('@')[2]}{target}"
        return connection, whole, {**own, **to_proxy}
    connection.set_tunnel(host, port, to_proxy)
    return connection, target, own


def _direct(
    host: str, port: int | None, timeout_s: float, context: ssl.SSLContext | None
) -> http.client.HTTPConnection:
    if context is None:
        return http.client.HTTPConnection(host, port, timeout=timeout_s)
    return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)


def _proxy(parts: SplitResult) -> SplitResult | None:
    """The proxy of the environment, unless NO_PROXY names the host."""
    address = urllib.request.getproxies().get(parts.scheme)
    if not address or urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return urlsplit(address if "://" in address else f"http://{address}")


def _login(header: str, parts: SplitResult) -> dict[str, str]:
    """Return the header for the user and password of an address; both are masked from now on."""
    if parts.username is None:
        return {}
    user, password = unquote(parts.username), unquote(parts.password or "")
    return {header: f"Basic {mask_login(f'{user}:{password}', password)}"}


def _at(parts: SplitResult, proxy: SplitResult | None) -> str:
    """Return the host and port of an address, and the proxy that leads there, for people."""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    via = f", through the proxy {proxy.hostname}" if proxy is not None else ""
    return f"{parts.hostname}, port {port}{via}"


def _explained(host: str, at: str, error: Exception) -> NoAnswer:
    if isinstance(error, ssl.SSLError):
        return explain_tls(host, error)
    if isinstance(error, socket.gaierror):
        return NoAnswer(
            f"host {host} does not exist, or its name cannot be resolved now",
            hint="check the address, and DNS on this host.",
        )
    if isinstance(error, http.client.InvalidURL):  # its text would contain the address
        return NoAnswer(
            f"the address of a request to {host} has characters that are not allowed in an "
            "address, for example a line break or a space",
            hint="correct the address. If the server sent this address, for example as the "
            "next page, correct the server.",
        )
    if isinstance(error, http.client.HTTPException):
        return NoAnswer(
            f"{host} does not speak HTTP: {type(error).__name__}",
            hint="check the host and port of the address.",
        )
    if isinstance(error, ValueError):
        # Its text would contain the secret.
        return NoAnswer(
            f"the address on {host}, or its token, has characters that HTTP does not allow",
            hint="check that the secret is one line without spaces.",
            permanent=True,
        )
    why = (getattr(error, "strerror", None) or "").lower() or str(error)
    return NoAnswer(f"cannot reach {at}: {why}", hint=f"check that a server is running at {at}.")
