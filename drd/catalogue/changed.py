"""What has changed since a summary of the status was written, read with the standard library
alone."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from drd.catalogue.changes import TRIGGERS
from drd.catalogue.reading import STUMBLES, sqlite_file
from drd.catalogue.summary import Query, asking_sqlite, assemble, check_version, connect
from drd.catalogue.summary_queries import CHANGED
from drd.model.changes import Changed
from drd.model.facts import PlanFacts, StatusFacts

if TYPE_CHECKING:
    from sqlite3 import Connection

    from drd.model.plan import SecretRef

_T = TypeVar("_T")

_SEQ = "SELECT coalesce(max(seq), 0) FROM plan_changes"
_TRIGGERS = {
    True: "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name GLOB "
    "'plan_changed_*'",
    False: "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'plan_changed_%'",
}
_ONE_BY_ONE = 100
"""Up to this number of plans, reading them one by one is faster than reading all plans."""
ANEW_S = 3600.0


def identity(url: str) -> str:
    """Return a text that distinguishes a catalogue from another one in the same place, such as a
    copy of an earlier day."""
    if not url.startswith("sqlite:"):
        return url
    try:
        info = os.stat(sqlite_file(url))  # noqa: PTH116 - no pathlib in a cold start
    except OSError:
        return ""
    return f"{info.st_dev}:{info.st_ino}"


def read_changed(
    url: str,
    since: int | None,
    password: SecretRef | None = None,
    reader: CatalogueReader | None = None,
) -> Changed:
    """Return what changed after `since`, which an earlier call returned; everything for None, or
    for a `since` that this catalogue has not reached yet. One transaction; writes nothing. A caller
    that asks often gives a `reader`.

    Raises CatalogueError when there is no catalogue, it may not be read, or it is damaged.
    """
    asking = _asking if reader is None else reader.asking
    return asking(url, password, lambda query, place: _changed(query, place, since, url))


def _asking(url: str, password: SecretRef | None, answer: Callable[[Query, str], _T]) -> _T:
    if url.startswith("sqlite:"):
        return asking_sqlite(url, answer)
    from drd.catalogue.summary_sql import asking

    with asking(url, password) as (query, place):
        return answer(query, place)


def _counts(query: Query, url: str) -> bool:
    """Return whether every change is counted: a table that was made anew has lost its triggers."""
    [[count]] = query(_TRIGGERS[url.startswith("sqlite:")], None)
    return int(count) >= TRIGGERS


def _changed(query: Query, place: str, since: int | None, url: str) -> Changed:
    check_version(query, place)
    seq = 0
    if since is not None and not _counts(query, url):
        since = None
    if since is not None:
        seq = next(iter(query(_SEQ, None)))[0]
    if since is None or seq < since:
        facts = assemble(query, place)
        seq = next(iter(query(_SEQ, None)))[0]
        return Changed(seq, facts, everything=True)
    names = [row[0] for row in query(CHANGED.format(since=int(since)), None)]
    if not names:
        return Changed(seq, StatusFacts([]))
    if len(names) > _ONE_BY_ONE:
        return Changed(seq, assemble(query, place), everything=True)
    facts = assemble(query, place, since=since)
    loaded = {f.plan for f in facts.plans}
    return Changed(seq, facts, tuple(n for n in names if n and n not in loaded))


class CatalogueReader:
    """Keeps a connection to a SQLite catalogue open: each new connection reads the definitions of
    all tables, which takes longer than reading a few changed plans. Without `kept`, each use opens
    a new one. For one thread at a time."""

    def __init__(self, *, kept: bool = True) -> None:
        self._kept = kept
        self._open: Connection | None = None
        self._state = ""

    def asking(
        self, url: str, password: SecretRef | None, answer: Callable[[Query, str], _T]
    ) -> _T:
        """Return what `answer` makes of queries, in one transaction that only reads. Raises
        CatalogueError."""
        if not self._kept or not url.startswith("sqlite:"):
            return _asking(url, password, answer)
        import sqlite3

        state = identity(url)
        if state != self._state or not state:
            self.close()
        path = os.path.abspath(sqlite_file(url))  # noqa: PTH100
        try:
            connection = self._open or connect(path)
            self._open, self._state = connection, state
            connection.execute("BEGIN")
            try:
                return answer(lambda sql, plan: connection.execute(sql, {"plan": plan}), path)
            finally:
                connection.execute("ROLLBACK")
        except (sqlite3.Error, *STUMBLES):
            self.close()
            return asking_sqlite(url, answer)  # which explains what is wrong
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open = None


class KeptFacts:
    """The facts of every loaded plan. Only the changed ones are read again; once an hour all of
    them, in case a change was not counted."""

    def __init__(self, url: str, password: SecretRef | None = None) -> None:
        self._url = url
        self._password = password
        self._plans: dict[str, PlanFacts] = {}
        self._state, self._seq = "", -1
        self._anew_at = -math.inf
        self._reader = CatalogueReader()

    def close(self) -> None:
        """Close the catalogue."""
        self._reader.close()

    def read(self, plan: str | None = None) -> list[PlanFacts]:
        """The facts of all plans, or of one, by name, as `summary.read_facts` returns them. Raises
        CatalogueError."""
        state, now = identity(self._url), time.monotonic()
        anew = state != self._state or now - self._anew_at > ANEW_S
        changed = read_changed(self._url, None if anew else self._seq, self._password, self._reader)
        newer = {f.plan: f for f in changed.facts.plans}
        if changed.everything:
            self._plans, self._anew_at = newer, now
        elif newer or changed.gone:
            for name in changed.gone:
                self._plans.pop(name, None)
            self._plans.update(newer)
        self._state, self._seq = state, changed.seq
        if plan is not None:
            return [self._plans[plan]] if plan in self._plans else []
        return [self._plans[name] for name in sorted(self._plans)]
