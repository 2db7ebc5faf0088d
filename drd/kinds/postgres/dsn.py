"""Looking at a libpq connection string without libpq, for what runs before psycopg is loaded."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

SECRET_KEYWORDS = frozenset({"password", "sslpassword", "oauth_client_secret"})
"""Connection keywords whose value is a secret."""

_URI = re.compile(r"^postgres(ql)?://", re.IGNORECASE)
_PAIR = re.compile(r"\s*([^\s=]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s\\]|\\.)*))", re.DOTALL)


def holds_password(dsn: str) -> bool:
    """Whether a connection string (URI or key=value) has a password in it.

    Rather says yes than no: a string that neither form fits is searched for the words.
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
