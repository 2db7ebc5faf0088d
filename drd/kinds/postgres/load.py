"""Run pg_restore in parallel without its deadlocks.

Attaching an index to that of a partitioned table locks two tables and two indexes, a foreign key of
a partitioned table locks all its partitions, in another order: in parallel they deadlock now and
then. So a dump that has both is loaded in passes: everything heavy, then the attachments one by
one, then the foreign keys. Event triggers and comments come last, because they may be about these
objects.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from drd.kinds.postgres.address import VARIABLES, Address
from drd.kinds.postgres.tools import PostgresPrograms
from drd.process import LIST, Command, Completed, inside, run

_ENTRY = re.compile(r"\d+; \d+ \d+ (.*)")
_ATTACH = "INDEX ATTACH "
_LAST = ("FK CONSTRAINT ", "EVENT TRIGGER ", "COMMENT ", "SECURITY LABEL ")
_LIST = "pg_restore.list"
_LISTING = 64 << 20
"""The limit in bytes for pg_restore's listing: a line for each object."""


@dataclass(frozen=True, slots=True)
class Load:
    """Loads one dump into one database. `environment` lets the program log in; `flags` are passed
    on. Entries of the listing are skipped if they begin with one of `leave_out`, or if they are,
    without their numbers, in `exists`.
    """

    programs: PostgresPrograms
    dump: Path
    address: Address
    directory: Path
    environment: Mapping[str, str]
    flags: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    exists: frozenset[str] = frozenset()

    def run(self, jobs: int, *, on_tick: Callable[[], None]) -> Completed:
        """Run all passes; return the result of the first that failed, or of the last one."""
        listed = self.listing()
        if listed.exit_code != 0:
            return listed
        done = listed
        lines = listed.stdout.splitlines()
        wanted = [line for line in lines if self._is_wanted(_kind(line))]
        for entries, pass_jobs in passes(wanted, jobs):
            if entries is None and len(wanted) < len(lines):
                entries = wanted  # noqa: PLW2901 - all of what is wanted
            done = self._pass(entries, pass_jobs, on_tick)
            if done.exit_code != 0:
                break
        return done

    def _is_wanted(self, entry: str) -> bool:
        return not entry.startswith(self.leave_out) and entry not in self.exists

    def listing(self, *chosen: str) -> Completed:
        """Return the content of the dump, limited by pg_restore's options."""
        return run(self._command(["--list", *chosen]), limit=_LISTING)

    def schema(self) -> Completed:
        """Return the SQL of the dump without its rows."""
        return run(self._command(["--schema-only", "--file=-"]), limit=_LISTING)

    def script(self, entries: list[str]) -> Completed:
        """Return the SQL of these lines of the listing."""
        return self._with_list(entries, ["--file=-"], None)

    def some(
        self,
        entries: list[str],
        jobs: int,
        on_tick: Callable[[], None],
        *,
        passing_over: bool = False,
    ) -> Completed:
        """Restore these lines of the listing; with `passing_over`, skip entries that cannot be
        restored."""
        return self._pass(entries, jobs, on_tick, passing_over=passing_over)

    def _pass(
        self,
        entries: list[str] | None,
        jobs: int,
        on_tick: Callable[[], None],
        *,
        passing_over: bool = False,
    ) -> Completed:
        argv = [] if self.programs.inside else [f"--jobs={jobs}"]
        argv += [*self.flags, f"--dbname={self.address.conninfo}"]
        # Errors that pg_restore passes over would be lost tables in a restore that "worked". Only
        # with --verbose does it say about which entry an error is.
        argv.insert(0, "--verbose" if passing_over else "--exit-on-error")
        return self._with_list(entries, argv, on_tick)

    def _with_list(
        self, entries: list[str] | None, argv: list[str], on_tick: Callable[[], None] | None
    ) -> Completed:
        chosen = self.directory / _LIST
        words = list(argv)
        if entries is not None:
            chosen.write_text("\n".join(entries) + "\n", encoding="utf-8")
            words.append(f"--use-list={LIST if self.programs.inside else chosen}")
        try:
            command = self._command(words, chosen if entries is not None else None)
            return run(command, on_tick=on_tick, limit=_LISTING)
        finally:
            chosen.unlink(missing_ok=True)

    def _command(self, words: list[str], listed: Path | None = None) -> Command:
        container = self.programs.inside
        # In a container, it reads the dump from its input.
        dump = ["--", str(self.dump)] if container is None else []
        argv = [self.programs.path("pg_restore"), *words, *dump]
        command = Command(
            argv, env=self.environment, name="pg_restore", owners=self.address.as_owner
        )
        return inside(command, container, feed=self.dump, listed=listed, forget=VARIABLES)


def passes(listing: list[str], jobs: int) -> list[tuple[list[str] | None, int]]:
    """Return the passes, each with its lines of the listing (None: all) and its number of jobs."""
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
