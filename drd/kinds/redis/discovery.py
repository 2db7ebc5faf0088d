"""Suggest servers for a new plan: named ones, or those that run on this host."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from drd.errors import UsageError
from drd.kinds.file_system import STANDBY
from drd.kinds.redis.address import address_of, wrong_url
from drd.kinds.redis.server_facts import PRODUCTS
from drd.ports.kinds import Wish
from drd.process import rights
from drd.process.open_files import unit_of

_TITLE = re.compile(r"(\S*/)?(redis|valkey)-server (\S+)( \[\w+\])?")
"""How a server calls itself in the list of processes: `redis-server 127.0.0.1:6379`."""
_SOCKET = "unixsocket:"
_OWN = "drd.service"
_TEMPORARY = ("/tmp/", "/var/tmp/")  # noqa: S108
"""Servers of tests have their data there."""
_OF_A_RUN = re.compile(r"/run-[0-9a-f]{8}/")
"""The directory of a run: the paths of a drill's own servers contain it."""
_REMOVED = " (deleted)"
"""What /proc says after the name of a directory that no longer exists."""
_ABOUT = (
    "The user that drd runs as must be allowed to connect. If the server asks for a password, add: "
    "user: drd and password: {credential: NAME}. docs/redis.md lists the rights of this user."
)


class _Running(NamedTuple):
    product: str
    url: str
    directory: str
    unit: str


def wishes(given: Sequence[str]) -> list[Wish]:
    """Suggest a component for each address. Raises UsageError."""
    return [_wish("redis", one) for one in given]


def valkey_wishes(given: Sequence[str]) -> list[Wish]:
    return [_wish("valkey", one) for one in given]


def found() -> tuple[list[Wish], list[str]]:
    """Suggest the servers that run on this host, as their titles name them."""
    return _found("redis")


def valkey_found() -> tuple[list[Wish], list[str]]:
    return _found("valkey")


def _found(product: str) -> tuple[list[Wish], list[str]]:
    here = [one for one in _running() if one.product == product]
    made = [_wish(product, one.url, one.directory, one.unit) for one in here if one.url]
    notes = [
        f"drd cannot find the address of a {PRODUCTS[product]} server that runs on this host. Add "
        f"this server with --{product} URL."
        for one in here
        if not one.url
    ]
    return made, notes


def _wish(product: str, url: str, directory: str = "", unit: str = "") -> Wish:
    if wrong := wrong_url(url):
        hint = "give redis://HOST:PORT, rediss://HOST:PORT or unix:///PATH/OF/THE/SOCKET."
        raise UsageError(f"--{product} {url} {wrong}", hint=hint)

    def keys(_: Sequence[str], __: str) -> Iterator[tuple[str, Any]]:
        yield "#", _ABOUT
        yield "url", url
        if directory:
            yield "dir", directory

    def target(name: str) -> Iterator[tuple[str, Any]]:
        yield "path", f"{STANDBY}/{name}"

    where = f"{url} ({unit})" if unit else url
    units = (unit,) if unit and directory else ()  # without `dir` no recovery is in place
    return Wish(product, product, keys, target=target, units=units, serves=True, where=where)


@rights.as_root(rights.Purpose.PROCESSES)
def _running() -> list[_Running]:
    """Return the servers by their titles, without sentinels and servers of drills."""
    servers = []
    for name in sorted((n for n in os.listdir("/proc") if n.isdecimal()), key=int):  # noqa: PTH208 - names
        with suppress(OSError):
            words = Path(f"/proc/{name}/cmdline").read_bytes().decode("utf-8", "replace")
            match = _TITLE.fullmatch(" ".join(words.split("\0")).strip())
            if match is None or match[4] == " [sentinel]":
                continue
            place, unit = _place(name), unit_of(int(name))
            if unit == _OWN or is_passing(place) or is_passing(match[3].removeprefix(_SOCKET)):
                continue
            directory = place if Path(place).is_dir() else ""
            servers.append(_Running(match[2], _url(match[3]), directory, unit))
    return servers


def _place(pid: str) -> str:
    """Return the working directory of a server, which is that of its data; empty if nobody may see
    it."""
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/cwd")  # noqa: PTH115 - no resolving
    return ""


def is_passing(place: str) -> bool:
    """Return whether a server with this directory or socket will soon be gone."""
    of_a_run = _OF_A_RUN.search(place) is not None
    return of_a_run or place.startswith(_TEMPORARY) or place.endswith(_REMOVED)


def _url(title: str) -> str:
    if title.startswith(_SOCKET):
        url = f"unix://{title.removeprefix(_SOCKET)}"
        return "" if wrong_url(url) or ".." in url else url
    host, _, port = title.rpartition(":")
    host = host.strip("[]").removeprefix("*")
    host = "127.0.0.1" if host in ("", "0.0.0.0", "::") else host  # noqa: S104
    url = f"redis://{f'[{host}]' if ':' in host else host}:{port}"
    return "" if wrong_url(url) or address_of(url).port == 0 or port != str(int(port)) else url
