"""Questions of checks: one command of the server that only reads."""

from __future__ import annotations

import math
import shlex
from typing import Any

from drd.errors import SourceError
from drd.kinds.redis.client import Client, Reply, as_words

_WRITE_IT = "write one command as for redis-cli, for example: DBSIZE, or -n 2 HGET orders:1 total."


def answer(client: Client, query: str, timeout_s: float) -> Any:
    """Return the single value that a command gives. `-n NUMBER` before it chooses the database.
    Raises SourceError for a command that fails, could change something, or gives several values.
    """
    database, words = _read(query)
    _require_reading(client, words)
    client.ask("SELECT", database)
    reply = client.ask(*words, timeout_s=timeout_s)
    if isinstance(reply, list):
        raise SourceError(
            f"{as_words(words)} gives {len(reply)} values, not one",
            hint="ask for one value: for a length, LLEN, SCARD, HLEN, ZCARD or XLEN.",
        )
    return _value(reply)


def _read(query: str) -> tuple[str, list[str]]:
    try:
        words = shlex.split(query)
    except ValueError as error:
        raise SourceError(f"the query cannot be read: {error}", hint=_WRITE_IT) from error
    database = "0"
    if words[:1] == ["-n"] and len(words) > 2:
        database, words = words[1], words[2:]
        if not database.isdecimal():
            raise SourceError(
                f"-n {as_words([database])} is not the number of a database", hint=_WRITE_IT
            )
    if not words:
        raise SourceError("the query has no command", hint=_WRITE_IT)
    return database, words


def _require_reading(client: Client, words: list[str]) -> None:
    """Raise SourceError unless the server says that the command only reads."""
    flags = _flags(client, words[0])
    if flags is not None and b"readonly" not in flags and len(words) > 1:
        flags = _flags(client, f"{words[0]}|{words[1]}") or flags
    if flags is None:
        raise SourceError(f"the server has no command {as_words(words[:1])}", hint=_WRITE_IT)
    if b"readonly" not in flags and words[0].lower() != "info":
        raise SourceError(f"{as_words(words[:1])} is not a command that only reads", hint=_WRITE_IT)


def _flags(client: Client, name: str) -> list[bytes] | None:
    answered = client.ask("COMMAND", "INFO", name)
    first = answered[0] if isinstance(answered, list) and answered else None
    if not isinstance(first, list) or len(first) < 3 or not isinstance(first[2], list):
        return None
    return [flag for flag in first[2] if isinstance(flag, bytes)]


def _value(found: Reply) -> Any:
    if not isinstance(found, bytes):
        return found
    text = found.decode("utf-8", "backslashreplace")
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        return number if math.isfinite(number) else text
    return text
