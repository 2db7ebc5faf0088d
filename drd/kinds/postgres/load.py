"""Running pg_restore in parallel without its deadlocks.

Attaching an index to that of a partitioned table locks two tables and two indexes, a foreign key of
a partitioned table all its partitions, in another order: side by side they deadlock now and then.
So a dump that has both is loaded in passes: everything heavy, then the attachments one by one, then
the foreign keys. Event triggers and comments come last, since they may be about those.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from drd.kinds.postgres.connection import Address
from drd.kinds.postgres.tools import Programs
from drd.process import Command, Completed, run

_ENTRY = re.compile(r"\d+; \d+ \d+ (.*)")
_ATTACH = "INDEX ATTACH "
_LAST = ("FK CONSTRAINT ", "EVENT TRIGGER ", "COMMENT ", "SECURITY LABEL ")
_LIST = "pg_restore.list"


@dataclass(frozen=True, slots=True)
class Load:
    """One dump into one database. `environment` lets the program log in; `flags` are passed on."""

    programs: Programs
    dump: Path
    address: Address
    directory: Path
    environment: Mapping[str, str]
    flags: tuple[str, ...] = ()

    def run(self, jobs: int, *, on_tick: Callable[[], None]) -> Completed:
        """How the first pass that failed ended, or the last one."""
        listed = run(self._command(["--list", str(self.dump)]), limit=64 << 20)
        if listed.exit_code != 0:
            return listed
        done = listed
        for entries, pass_jobs in passes(listed.stdout.splitlines(), jobs):
            done = self._pass(entries, pass_jobs, on_tick)
            if done.exit_code != 0:
                break
        return done

    def _pass(self, entries: list[str] | None, jobs: int, on_tick: Callable[[], None]) -> Completed:
        chosen = self.directory / _LIST
        argv = [
            # Errors that pg_restore passes over would be lost tables in a restore that "worked".
            "--exit-on-error",
            f"--jobs={jobs}",
            *self.flags,
            f"--dbname={self.address.conninfo}",
        ]
        if entries is not None:
            chosen.write_text("\n".join(entries) + "\n", encoding="utf-8")
            argv.append(f"--use-list={chosen}")
        try:
            return run(self._command([*argv, str(self.dump)]), on_tick=on_tick)
        finally:
            chosen.unlink(missing_ok=True)

    def _command(self, words: list[str]) -> Command:
        argv = [self.programs.path("pg_restore"), *words]
        return Command(argv, env=self.environment, name="pg_restore")


def passes(listing: list[str], jobs: int) -> list[tuple[list[str] | None, int]]:
    """The passes, each with its lines of the listing (None: all) and its number of jobs."""
    if jobs == 1 or not any(_kind(line).startswith(_ATTACH) for line in listing):
        return [(None, jobs)]
    first, attached, last = [], [], []
    for line in listing:
        kind = _kind(line)
        if kind.startswith(_ATTACH):
            attached.append(line)
        elif kind.startswith(_LAST):
            last.append(line)
        elif kind:
            first.append(line)
    return [(first, jobs), (attached, 1), (last, jobs)]


def _kind(line: str) -> str:
    match = _ENTRY.match(line)
    return match[1] if match else ""
