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
from drd.kinds.redis.address import LOOPBACK, address_of, wrong_url
from drd.kinds.redis.server_facts import PRODUCTS
from drd.kinds.running_servers import is_elsewhere, is_of_a_run, working_directory
from drd.ports.kinds import Wish
from drd.process import Container, containers_by_space, rights, space_of
from drd.process.listeners import listening
from drd.process.numbers import pids
from drd.process.open_files import unit_of

_TITLE = re.compile(r"(\S*/)?(redis|valkey)-server (\S+)( \[\w+\])?")
"""How a server calls itself in the list of processes: `redis-server 127.0.0.1:6379`."""
_SOCKET = "unixsocket:"
_ABOUT = (
    "The user that drd runs as must be allowed to connect. If the server asks for a password, add: "
    "user: drd and password: {credential: NAME}. docs/redis.md lists the rights of this user."
)


_IN_CONTAINER = (
    "The address is the one that is valid in the container. For recoveries in place, add `dir`: "
    "the directory of its volume on this host."
)


class _Running(NamedTuple):
    """A server; `space` is the namespace of its processes if it runs in a container."""

    product: str
    url: str
    directory: str
    unit: str
    pid: int
    passing: bool
    space: str


def wishes(given: Sequence[str]) -> list[Wish]:
    """Suggest a component for each address. Raises UsageError."""
    return [_given("redis", one) for one in given]


def valkey_wishes(given: Sequence[str]) -> list[Wish]:
    return [_given("valkey", one) for one in given]


def found() -> tuple[list[Wish], list[str]]:
    """Suggest the servers that run on this host, as their titles name them."""
    return _found("redis")


def valkey_found() -> tuple[list[Wish], list[str]]:
    return _found("valkey")


def _found(product: str) -> tuple[list[Wish], list[str]]:
    every = [one for one in _running() if one.product == product and not one.passing]
    here = [one for one in every if not one.space]
    made = [_wish(product, one.url, one.directory, one.unit) for one in here if one.url]
    inside, notes = _inside(product, [one for one in every if one.space])
    made += inside
    notes += [
        f"drd cannot find the address of a {PRODUCTS[product]} server that runs on this host. Add "
        f"this server with --{product} URL."
        for one in here
        if not one.url
    ]
    return made, notes


def _inside(product: str, servers: Sequence[_Running]) -> tuple[list[Wish], list[str]]:
    """Suggest the servers in containers, whose addresses are valid in there."""
    made, notes = [], []
    containers = containers_by_space() if servers else {}
    for one in servers:
        container = containers.get(one.space)
        if container is not None and one.url:
            made.append(_wish(product, one.url, container=container))
        else:
            notes.append(
                f"A {PRODUCTS[product]} server runs in a container of this host (process "
                f"{one.pid}), and drd does not find its address: add it by hand "
                "(docs/containers.md)."
            )
    return made, notes


def _given(product: str, url: str) -> Wish:
    """Suggest a component for an address, with what is known of its server if that runs here."""
    _refuse(product, url)
    here = _server_at(url)
    return _wish(product, url, here.directory, here.unit) if here else _wish(product, url)


@rights.as_root(rights.Purpose.PROCESSES)
def _server_at(url: str) -> _Running | None:
    """Return the server of this host that listens at an address."""
    address = address_of(url)
    socket = os.path.realpath(address.socket) if address.socket else ""
    for one in _running():
        if one.space:
            continue
        at = listening(one.pid)
        on_port = address.host.lower() in LOOPBACK and address.port in at.ports
        if (not socket and on_port) or socket in map(os.path.realpath, at.sockets):
            return one
    return None


def _refuse(product: str, url: str) -> None:
    if wrong := wrong_url(url):
        hint = "give redis://HOST:PORT, rediss://HOST:PORT or unix:///PATH/OF/THE/SOCKET."
        raise UsageError(f"--{product} {url} {wrong}", hint=hint)


def _wish(
    product: str,
    url: str,
    directory: str = "",
    unit: str = "",
    *,
    container: Container | None = None,
) -> Wish:
    def keys(_: Sequence[str], __: str) -> Iterator[tuple[str, Any]]:
        yield "#", _ABOUT if container is None else f"{_ABOUT} {_IN_CONTAINER}"
        yield "url", url
        if directory:
            yield "dir", directory
        if container is not None:
            yield "in", {"container": container.name, "engine": container.engine}

    def target(name: str) -> Iterator[tuple[str, Any]]:
        yield "path", f"{STANDBY}/{name}"

    where = f"{url} ({unit})" if unit else url
    where += f" in the {container}" if container is not None else ""
    units = (unit,) if unit and directory else ()  # without `dir` no recovery is in place
    return Wish(product, product, keys, target=target, units=units, serves=True, where=where)


@rights.as_root(rights.Purpose.PROCESSES)
def _running() -> list[_Running]:
    """Return the servers by their titles, without sentinels. `passing` are those of drills and of
    tests. Paths of a server in a container are those in there."""
    servers = []
    for pid in pids():
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
            match = _TITLE.fullmatch(" ".join(words.split("\0")).strip())
            if match is None or match[4] == " [sentinel]":
                continue
            place = working_directory(pid)
            passing = is_of_a_run(pid, (place, match[3].removeprefix(_SOCKET)))
            space = space_of(pid) if is_elsewhere(pid) else ""
            directory = place if not space and Path(place).is_dir() else ""
            found = (match[2], _url(match[3]), directory, unit_of(pid), pid, passing, space)
            servers.append(_Running(*found))
    return servers


def _url(title: str) -> str:
    if title.startswith(_SOCKET):
        url = f"unix://{title.removeprefix(_SOCKET)}"
        return "" if wrong_url(url) or ".." in url else url
    host, _, port = title.rpartition(":")
    host = host.strip("[]").removeprefix("*")
    host = "127.0.0.1" if host in ("", "0.0.0.0", "::") else host  # noqa: S104
    url = f"redis://{f'[{host}]' if ':' in host else host}:{port}"
    return "" if wrong_url(url) or address_of(url).port == 0 or port != str(int(port)) else url
