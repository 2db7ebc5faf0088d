"""Examine a libpq connection string without libpq, for code that runs before psycopg is
imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from drd.fields import Contradiction
from drd.model.nearest import closest
from drd.model.plan import SecretRef
from drd.model.text import escaped
from drd.ports.kinds import Reveal
from drd.process import container_of

if TYPE_CHECKING:
    from drd.kinds.postgres.physical.settings import ClusterSettings
    from drd.kinds.postgres.settings import PostgresSettings, PostgresTarget

SECRET_KEYWORDS = frozenset({"password", "sslpassword", "oauth_client_secret"})
"""Connection keywords whose value is a secret."""

_WORDS = (
    "application_name channel_binding client_encoding connect_timeout dbname "
    "fallback_application_name gssdelegation gssencmode gsslib host hostaddr keepalives "
    "keepalives_count keepalives_idle keepalives_interval krbsrvname load_balance_hosts "
    "max_protocol_version min_protocol_version oauth_client_id oauth_client_secret oauth_issuer "
    "oauth_scope options passfile password port replication require_auth requirepeer "
    "scram_client_key scram_server_key service servicefile ssl ssl_max_protocol_version "
    "ssl_min_protocol_version sslcert sslcertmode sslcompression sslcrl sslcrldir sslkey "
    "sslkeylogfile sslmode sslnegotiation sslpassword sslrootcert sslsni target_session_attrs "
    "tcp_user_timeout user"
)
_KEYWORDS = frozenset(_WORDS.split())
"""The connection keywords of libpq up to PostgreSQL 18. A later libpq may know more."""
_ALIKE = 0.7
"""From this similarity on (0 to 1), drd takes an unknown keyword for a mistake in a known one."""

_URI = re.compile(r"^postgres(ql)?://", re.IGNORECASE)
_PAIR = re.compile(r"\s*([^\s=]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s\\]|\\.)*))", re.DOTALL)

_BLANK = re.compile(r"[^ :/@?&=,]+ +[^ :/@?&=,]")
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")


def holds_password(dsn: str) -> bool:
    """Return whether a connection string (URI or key=value) contains a password. In doubt the
    answer is yes: a string of neither form is searched for the keywords.
    """
    if _URI.match(dsn):
        return _uri_holds_password(dsn)
    pairs = _PAIR.findall(dsn)
    if not pairs:
        return any(word in dsn for word in SECRET_KEYWORDS)
    return any(key in SECRET_KEYWORDS and (a or b) for key, a, b in pairs)


def _uri_holds_password(dsn: str) -> bool:
    # libpq reads a login up to the first @ that stands before any slash, ? and # included.
    login, at, _ = dsn.split("://", 1)[1].split("/", 1)[0].partition("@")
    if at and login.partition(":")[2]:
        return True
    # A `#` is not special to libpq, but urlsplit would cut the query there.
    query = urlsplit(dsn.replace("#", "%23").replace("[", "%5B").replace("]", "%5D")).query
    return any(key in SECRET_KEYWORDS and value for key, value in parse_qsl(query))


LOOPBACK = ("localhost", "127.0.0.1", "::1")


def host(settings: PostgresSettings | ClusterSettings, reveal: Reveal) -> str:
    """Return the server's host; empty for this host, and if it is unknown."""
    dsn = reveal(settings.dsn)
    if dsn is None:
        return ""
    if "://" in dsn:
        try:
            host_name = (urlsplit(dsn).hostname or "").lower()
        except ValueError:
            return ""
    else:
        named = re.search(r"(?:^|\s)host\s*=\s*'?([^\s']+)", dsn)
        host_name = named[1].lower() if named else ""
    return "" if host_name.startswith(("/", "%2f", "@")) or host_name in LOOPBACK else host_name


def database(dsn: SecretRef) -> str:
    """Return the name of the database, if the plan itself says it."""
    text = _text(dsn)
    if text is None:
        return ""
    if _URI.match(text):
        try:
            parts = urlsplit(text)
        except ValueError:
            return ""
        named = dict(parse_qsl(parts.query)).get("dbname", "")
        return named or unquote(parts.path.removeprefix("/"))
    for key, quoted, plain in _PAIR.findall(text):
        if key == "dbname":
            return re.sub(r"\\(.)", r"\1", quoted or plain)
    return ""


def sockets(settings: PostgresSettings | PostgresTarget) -> tuple[str, ...]:
    """Return the directories of the server's socket, if the plan itself names them."""
    return sockets_in(settings.dsn) if container_of(settings) is None else ()


def sockets_in(dsn: SecretRef) -> tuple[str, ...]:
    """Return the directories of the server's socket that a connection string names."""
    return tuple(re.findall(r"(?:^|[ ?&])host=(/[^ &]+)", _text(dsn) or ""))


def contradictions(dsn: SecretRef) -> Iterator[Contradiction]:
    """Check a connection string that is text in the plan: it is valid, and contains no password."""
    text = _text(dsn)
    if text is None:
        return
    if holds_password(text):
        hint = "put the whole string into a credential: dsn: {credential: NAME}."
        yield Contradiction(("dsn",), "contains a password, which a plan must not contain", hint)
        return
    if _URI.match(text):
        if _BLANK.search(text.split("://", 1)[1]):
            yield Contradiction(("dsn",), "has a blank in a name", "write %20 for each blank.")
        if _PERCENT.search(text):
            hint = "write %25 for a % in a name."
            yield Contradiction(("dsn",), "has a % without two hexadecimal digits after it", hint)
    elif "=" not in text or _PAIR.sub("", text).strip():
        hint = "write postgresql://user@host/database or host=… dbname=…."
        yield Contradiction(("dsn",), "is not a connection string", hint)
    yield from _misspelt(text)


def _misspelt(text: str) -> Iterator[Contradiction]:
    """Yield an error for each keyword that libpq does not know, and that is similar to one that it
    knows."""
    if _URI.match(text):
        pairs = text.partition("?")[2].split("&")
        words = [unquote(pair.partition("=")[0]) for pair in pairs]
    else:
        words = [key for key, *_ in _PAIR.findall(text)]
    for word in dict.fromkeys(words):
        near = closest(word, _KEYWORDS, alike=_ALIKE) if word not in _KEYWORDS else ""
        if near:
            what = f"has a keyword that PostgreSQL does not know: `{escaped(word)}`"
            yield Contradiction(("dsn",), what, f"did you mean `{near}`?")


def is_source(component: PostgresSettings, target: PostgresTarget) -> bool:
    """Return whether both are the same database, by their connection strings; a recovery also asks
    the servers."""
    return (component.dsn, component.inside) == (target.dsn, target.inside)


def _text(dsn: SecretRef) -> str | None:
    return dsn.value if dsn.source == "text" and isinstance(dsn.value, str) else None
