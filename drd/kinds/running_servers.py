"""Find the servers that run on this host, with the sockets and ports where they listen."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from drd.ports.kinds import Wish
from drd.process import rights, space_of
from drd.process.listeners import Listening, listening
from drd.process.numbers import pids
from drd.process.open_files import OWN_UNIT, unit_of

_TEMPORARY = ("/tmp/", "/var/tmp/")  # noqa: S108
"""Servers of tests have their data there."""
_OF_A_RUN = re.compile(r"/run-[0-9a-f]{8}/")
"""The directory of a run: the paths of a drill's own servers contain it."""
_REMOVED = " (deleted)"
"""What /proc says after the name of a directory that no longer exists."""


class RunningServer(NamedTuple):
    """A server, with its working directory, which is that of its data; empty if nobody may see
    it."""

    pid: int
    directory: str
    at: Listening

    @property
    def units(self) -> tuple[str, ...]:
        """The systemd unit that runs it; empty if it has none."""
        unit = unit_of(self.pid)
        return (unit,) if unit else ()

    @property
    def real_sockets(self) -> tuple[str, ...]:
        """Its sockets, without symbolic links in their paths."""
        return tuple(map(os.path.realpath, self.at.sockets))

    @property
    def where(self) -> str:
        """`/srv/pg/.s.PGSQL.5433 and port 5433 (process 812)`."""
        places = [*self.at.sockets, *(f"port {port}" for port in self.at.ports)]
        return f"{' and '.join(places)} (process {self.pid})"


@rights.as_root(rights.Purpose.PROCESSES)
def unseen(programs: Collection[str], seen: Iterable[str]) -> list[RunningServer]:
    """Return the servers of these programs that listen somewhere, but on none of the sockets
    `seen`. Servers in containers, of drills and of tests are left out."""
    known = {os.path.realpath(socket) for socket in seen}
    return [
        one
        for one in _running(programs)
        if (one.at.sockets or one.at.ports)
        and known.isdisjoint(one.real_sockets)
        and not is_of_a_run(one.pid, (one.directory, *one.at.sockets))
    ]


@rights.as_root(rights.Purpose.PROCESSES)
def serving(programs: Collection[str], socket: str, port: int = 0) -> RunningServer | None:
    """Return the server of these programs on this host that listens on a Unix socket or, without
    one, on a port; None if there is none that the present process may see."""
    real = os.path.realpath(socket) if socket else ""
    for one in _running(programs):
        if real in one.real_sockets if real else port in one.at.ports:
            return one
    return None


def _running(programs: Collection[str]) -> Iterator[RunningServer]:
    for pid in pids():
        if _program(pid) in programs and not is_elsewhere(pid):
            yield RunningServer(pid, working_directory(pid), listening(pid))


def of_running(wish: Wish, server: RunningServer) -> Wish:
    """Return the wish for a whole server, with what is known of it while it runs."""
    return wish._replace(units=server.units, serves=True, sockets=server.real_sockets)


def is_elsewhere(pid: int) -> bool:
    """Return whether a process is in a container: its paths and ports are others than here."""
    return space_of(pid) != space_of("self")


def is_of_a_run(pid: int, places: Sequence[str]) -> bool:
    """Return whether drd started this server, or the server ends soon (`is_passing`)."""
    return unit_of(pid) == OWN_UNIT or any(is_passing(place) for place in places)


def is_passing(place: str) -> bool:
    """Return whether this directory or socket is of a server that ends soon: of a run of drd, or in
    a directory for temporary files."""
    of_a_run = _OF_A_RUN.search(place) is not None
    return of_a_run or place.startswith(_TEMPORARY) or place.endswith(_REMOVED)


def working_directory(pid: int) -> str:
    """Return the working directory of a process; empty if nobody may see it."""
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/cwd")  # noqa: PTH115 - no resolving
    return ""


def _program(pid: int) -> str:
    """Return the name of the program as it was called. Processes that a server started for its own
    use have other titles."""
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return os.path.basename(os.fsdecode(words[0]))  # noqa: PTH119
    return ""
