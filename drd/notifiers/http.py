"""One HTTP POST with a deadline: certificates are verified, redirects are not followed.

The addresses are secrets: messages name the host and never the path, which is often a key."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, unquote, urlsplit

import drd
from drd.errors import NotifyError
from drd.masking import mask_login, masked

_LONGEST_ANSWER = 64 << 10
_LONGEST_WAIT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer. `said` is the first line of its text, without secrets."""

    host: str
    status: int
    said: str
    retry_after_s: float | None = None
    location: str = ""


def post(
    url: str,
    body: bytes,
    *,
    headers: Mapping[str, str],
    deadline_s: float,
    ca_cert: str | None = None,
) -> Answer:
    """Send `body` and read the answer, whatever its status.

    Raises NotifyError if there is none within `deadline_s`, which limits the whole request: a
    server that sends a byte every second is cut off as well."""
    parts = _parts(url)
    host = parts.hostname or ""
    connection, target = _connection(parts, deadline_s, _context(parts.scheme, ca_cert))
    sent = {"User-Agent": f"drd/{drd.__version__}", **_login("Authorization", parts), **headers}
    try:
        with cut_off(deadline_s, lambda: connection.sock) as late:
            connection.request("POST", target, body, sent)
            response = connection.getresponse()
            return _answer(host, response, response.read(_LONGEST_ANSWER), parts)
    except (OSError, http.client.HTTPException, ValueError) as error:
        if late() or isinstance(error, TimeoutError):
            raise NotifyError(
                f"{host} did not answer within {deadline_s:g} s",
                hint="check that it is running, or raise `timeout`.",
            ) from None
        raise _explained(host, error) from None
    finally:
        connection.close()


def judge(answer: Answer) -> str:
    """The host that accepted it; raises NotifyError if the status is not a success."""
    status, host = answer.status, answer.host
    said = f": {answer.said}" if answer.said else ""
    if 200 <= status < 300:
        return f"{host} answered {status}"
    if 300 <= status < 400:
        where = f" to {answer.location}" if answer.location else ""
        raise NotifyError(
            f"{host} answered {status}, a redirect{where}, which drd does not follow",
            hint="replace the old address by the new one.",
            permanent=True,
        )
    fault = f"{host} answered {status}{said}"
    if status in (401, 403, 404, 410):
        hint = "check that the address, or its token, is still right."
        raise NotifyError(fault, hint=hint, permanent=True)
    raise NotifyError(
        fault,
        permanent=400 <= status < 500 and status not in (408, 425, 429),
        retry_after_s=answer.retry_after_s,
    )


@contextmanager
def cut_off(
    deadline_s: float, open_socket: Callable[[], socket.socket | None]
) -> Iterator[Callable[[], bool]]:
    """Close a socket when the deadline is over, whatever the body waits for. The body gets an event
    that says whether that happened."""
    over, done = threading.Event(), threading.Event()

    def watch() -> None:
        if done.wait(deadline_s):
            return
        over.set()
        # Repeatedly: while it connects there is no socket yet, and TLS replaces it.
        while True:
            found = open_socket()
            if found is not None:
                with suppress(OSError):
                    # Not SSLSocket's own method, which would take its TLS apart while it is being
                    # read.
                    socket.socket.shutdown(found, socket.SHUT_RDWR)
            if done.wait(0.1):
                return

    threading.Thread(target=watch, name="drd-deadline", daemon=True).start()
    try:
        yield over.is_set
    finally:
        done.set()


def tls_context(ca_cert: str | None) -> ssl.SSLContext:
    """Verifies certificates and names, against the system's authorities or your own one."""
    try:
        context = ssl.create_default_context(cafile=ca_cert)
    except (OSError, ssl.SSLError) as error:
        why = error.strerror if isinstance(error, FileNotFoundError) else "is not a PEM certificate"
        raise NotifyError(
            f"ca_cert {ca_cert}: {str(why).lower()}",
            hint="name the PEM file of the authority.",
            permanent=True,
        ) from None
    if ca_cert is not None:
        # Python 3.13 refuses authorities without extensions that private ones often lack, and that
        # restic does not need. Chain and name are still verified.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def explain_tls(host: str, error: ssl.SSLError) -> NotifyError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return NotifyError(
            f"the certificate of {host} is not trusted: {error.verify_message}",
            hint="for an own certificate authority, name its PEM file in `ca_cert`.",
        )
    return NotifyError(
        f"no TLS with {host}: {error.reason or error}",
        hint="check that the port speaks TLS from its first byte.",
    )


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isprintable():
        raise NotifyError(
            "the secret of the address contains no http or https URL",
            hint="write the whole address into it, like https://hooks.example.com/abc",
            permanent=True,
        )
    return parts


def _context(scheme: str, ca_cert: str | None) -> ssl.SSLContext | None:
    return tls_context(ca_cert) if scheme == "https" else None


def _connection(
    parts: SplitResult, timeout_s: float, context: ssl.SSLContext | None
) -> tuple[http.client.HTTPConnection, str]:
    """Direct, or through the proxy of the environment; and the request line's target."""
    host, port = parts.hostname or "", parts.port
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    proxy = _proxy(parts)
    if proxy is None:
        return _direct(host, port, timeout_s, context), target
    via = proxy.hostname or "", proxy.port or 3128
    if context is None:
        whole = f"http://{parts.netloc.rpartition('@')[2]}{target}"
        return http.client.HTTPConnection(*via, timeout=timeout_s), whole
    tunnel = http.client.HTTPSConnection(*via, timeout=timeout_s, context=context)
    tunnel.set_tunnel(host, port, _login("Proxy-Authorization", proxy))
    return tunnel, target


def _direct(
    host: str, port: int | None, timeout_s: float, context: ssl.SSLContext | None
) -> http.client.HTTPConnection:
    if context is None:
        return http.client.HTTPConnection(host, port, timeout=timeout_s)
    return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)


def _proxy(parts: SplitResult) -> SplitResult | None:
    """The proxy of the environment, unless NO_PROXY names the host."""
    found = urllib.request.getproxies().get(parts.scheme)
    if not found or urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return urlsplit(found if "://" in found else f"http://{found}")


def _login(header: str, parts: SplitResult) -> dict[str, str]:
    """The header for the user and password of an address; both are masked from now on."""
    if parts.username is None:
        return {}
    user, password = unquote(parts.username), unquote(parts.password or "")
    return {header: f"Basic {mask_login(f'{user}:{password}', password)}"}


def _answer(
    host: str, response: http.client.HTTPResponse, body: bytes, parts: SplitResult
) -> Answer:
    secret = secret_parts(parts)
    location = masked(response.headers.get("Location", ""), secret)
    return Answer(
        host=host,
        status=response.status,
        said=_first_line(response, body, secret),
        retry_after_s=_retry_after(response.headers.get("Retry-After", "")),
        location=urlsplit(location).hostname or "" if location else "",
    )


def _first_line(response: http.client.HTTPResponse, body: bytes, secret: Collection[str]) -> str:
    """The first line of an answer that is not an HTML page, without secrets: servers often repeat
    what they received."""
    is_page = "html" in response.headers.get("Content-Type", "")
    text = masked(response.reason if is_page else body.decode("utf-8", "replace"), secret)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"[^\x20-\x7e\xa0-\U0010ffff]", "?", lines[0])[:200] if lines else ""


def secret_parts(parts: SplitResult) -> set[str]:
    """The parts of an address that could be keys. They are masked in answers from this address
    only, since they may be common words."""
    pieces = {parts.path, parts.query, parts.password or ""}
    words = [*parts.path.split("/"), *re.split(r"[&=;]", parts.query)]
    words += [parts.username] if parts.username and not parts.password else []
    return {p for p in pieces if len(p) >= 4} | {w for w in words if len(w) >= 6}


def _retry_after(text: str) -> float | None:
    """Seconds, or a date; at most an hour, so that nobody can silence drd for longer."""
    if not text:
        return None
    if text.strip().isdecimal():
        return min(float(text), _LONGEST_WAIT_S)
    try:
        wait = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        return None
    return min(max(wait, 0.0), _LONGEST_WAIT_S)


def _explained(host: str, error: Exception) -> NotifyError:
    if isinstance(error, ssl.SSLError):
        return explain_tls(host, error)
    if isinstance(error, socket.gaierror):
        return NotifyError(
            f"host {host} does not exist, or its name cannot be resolved now",
            hint="check the address, and DNS on this host.",
        )
    if isinstance(error, http.client.HTTPException):
        return NotifyError(f"{host} does not speak HTTP: {type(error).__name__}")
    if isinstance(error, ValueError):
        # Its text would contain the secret.
        return NotifyError(
            f"the address on {host}, or its token, has characters that HTTP does not allow",
            hint="check that the secret has one line, and no space in it.",
            permanent=True,
        )
    why = getattr(error, "strerror", None) or str(error)
    return NotifyError(f"cannot reach {host}: {why.lower()}", hint="check that it is running.")
