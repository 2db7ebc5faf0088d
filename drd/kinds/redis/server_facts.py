"""What a server says of itself, and which server can read which file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from drd.errors import SourceError
from drd.kinds.redis.client import Client, ServerRefused

PRODUCTS = {"redis": "Redis", "valkey": "Valkey"}

_VERSION = re.compile(r"\d{1,4}(\.\d{1,6}){0,3}")
_NO_WORD = "DRD"
_NEWEST_SHARED = 11
"""The last version of the format that Redis and Valkey have in common: of Redis 7.2."""


def info(client: Client, *sections: str) -> dict[str, str]:
    """Ask for sections of INFO, one after the other: older servers know only one at a time."""
    values: dict[str, str] = {}
    for section in sections:
        for line in client.text("INFO", section).splitlines():
            key, colon, value = line.partition(":")
            if colon:
                values[key] = value.strip()
    return values


def number(found: Mapping[str, str], key: str) -> int:
    """Return a number of INFO; 0 if it is not there."""
    with suppress(ValueError):
        return int(found.get(key, "0"))
    return 0


def keys_by_database(found: Mapping[str, str]) -> dict[int, int]:
    """Return the numbers of keys by INFO keyspace."""
    keys = {}
    for key, value in found.items():
        if key.startswith("db") and key[2:].isdecimal():
            with suppress(ValueError):
                keys[int(key[2:])] = int(value.partition("keys=")[2].partition(",")[0])
    return keys


class Version(NamedTuple):
    """A server's program and version."""

    product: str
    text: str

    @property
    def words(self) -> str:
        return f"{PRODUCTS.get(self.product, self.product)} {self.text}"

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.text.split("."))

    @property
    def writes(self) -> int:
        """The version of the format that this server writes; of an unknown one the newest known."""
        if self.product == "valkey":
            return 80 if self.numbers >= (9,) else _NEWEST_SHARED
        known = (((7, 4), 12), ((7, 2), 11), ((7, 0), 10), ((5, 0), 9))
        return next((form for since, form in known if self.numbers >= since), 8)

    def reads(self, product: str, form: int) -> bool:
        """Return whether this server reads a file that a server of `product` wrote in this version
        of the format."""
        if product == "valkey" and form > _NEWEST_SHARED:
            return self.product == "valkey" and self.numbers >= (9,)
        if self.product == "valkey":
            return form <= _NEWEST_SHARED
        # A newer one than drd knows may read more; the server itself has the last word.
        return form <= self.writes or self.numbers >= (8, 2)


def version_in(product: str, text: str) -> Version | None:
    """Return a version as a program prints it; None for anything else."""
    return Version(product, text) if _VERSION.fullmatch(text) else None


def version_of(found: dict[str, str]) -> Version:
    """Return the version by INFO server. Raises SourceError."""
    product = "valkey" if found.get("server_name") == "valkey" else "redis"
    text = found.get("valkey_version" if product == "valkey" else "redis_version", "")
    version = version_in(product, text)
    if version is None:
        raise SourceError(
            "the server does not say its version",
            hint="check that `url` leads to a Redis or Valkey server, not to a proxy.",
        )
    return version


def settings_of(client: Client, *names: str) -> dict[str, str]:
    """Return settings of the server. Empty if the user may not read them."""
    values: dict[str, str] = {}
    for name in names:
        with suppress(ServerRefused):
            answer = client.ask("CONFIG", "GET", name)
            if isinstance(answer, list) and len(answer) == 2:
                key, value = answer
                if isinstance(key, bytes) and isinstance(value, bytes):
                    values[key.decode("utf-8", "replace")] = value.decode(
                        "utf-8", "surrogateescape"
                    )
    return values


def require_command(client: Client, name: str) -> None:
    """Raise SourceError if the user may not send a command, or if the server does not have it. drd
    sends the command with a word that no server accepts there, so it has no effect."""
    try:
        client.ask(name, _NO_WORD)
    except ServerRefused as error:
        if error.reason == "NOPERM":
            raise SourceError(
                f"the user of drd may not send {name}, so a backup would fail: {error.message}",
                hint="give the user these rights: docs/redis.md has the command ACL SETUSER.",
            ) from error
        if "unknown command" in error.said:
            raise SourceError(
                f"the server does not have the command {name}, so a backup would fail: its "
                "configuration has renamed or removed it (rename-command)",
                hint=f"remove the line `rename-command {name}` from the configuration of the "
                "server, and restart it. To forbid the command to others, use ACLs.",
                permanent=True,
            ) from error


def acl_users(client: Client) -> list[str] | None:
    """Return the lines of ACL LIST, with digests of passwords; None if the user may not read them,
    or the server has no ACLs."""
    try:
        answer = client.ask("ACL", "LIST")
    except ServerRefused:
        return None
    if not isinstance(answer, list):
        return None
    lines = [line.decode("utf-8", "surrogateescape") for line in answer if isinstance(line, bytes)]
    return sorted(line for line in lines if "\n" not in line and "\0" not in line)
