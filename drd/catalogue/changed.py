"""What has changed since a summary of the status was written, by the standard library alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from drd.catalogue.changes import TRIGGERS
from drd.catalogue.summary import Query, asking_sqlite, assemble, check_version
from drd.model.changes import Changed
from drd.model.facts import AlertFacts, PlanFacts, StatusFacts

if TYPE_CHECKING:
    from drd.model.plan import SecretRef

_T = TypeVar("_T")

_SEQ = "SELECT coalesce(max(seq), 0) FROM plan_changes"
_SINCE = "SELECT plan FROM plan_changes WHERE seq > {since:d}"
_TRIGGERS = {
    True: "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name GLOB 'plan_changed_*'",
    False: "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'plan_changed_%'",
}
_ONE_BY_ONE = 100
"""So many plans are read faster by themselves than with all others."""


def identity(url: str) -> str:
    """Tells one catalogue from another that took its place, such as a copy of an earlier day."""
    if not url.startswith("sqlite:"):
        return url
    try:
        found = os.stat(sqlite_file(url))  # noqa: PTH116 - no pathlib in a cold start
    except OSError:
        return ""
    return f"{found.st_dev}:{found.st_ino}"


def sqlite_file(url: str) -> str:
    """The file of a SQLite URL."""
    return url.removeprefix("sqlite:///").partition("?")[0]


def read_changed(url: str, since: int | None, password: SecretRef | None = None) -> Changed:
    """What changed after `since`, which an earlier call gave; with None, or one that this catalogue
    has not reached yet, everything. One transaction; writes nothing.

    Raises CatalogueError when there is no catalogue, it may not be read, or it is damaged.
    """
    return _asking(url, password, lambda query, place: _changed(query, place, since, url))


def _asking(url: str, password: SecretRef | None, answer: Callable[[Query, str], _T]) -> _T:
    if url.startswith("sqlite:"):
        return asking_sqlite(url, answer)
    from drd.catalogue.summary_sql import asking

    with asking(url, password) as (query, place):
        return answer(query, place)


def _counts(query: Query, url: str) -> bool:
    """Whether every change is counted: a table that was made anew has lost its triggers."""
    [[found]] = query(_TRIGGERS[url.startswith("sqlite:")], None)
    return int(found) >= TRIGGERS


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
    if seq == since:
        return Changed(seq, StatusFacts([]))
    names = [row[0] for row in query(_SINCE.format(since=since), None)]
    if len(names) > _ONE_BY_ONE:
        return Changed(seq, assemble(query, place), everything=True)
    plans: list[PlanFacts] = []
    gone: list[str] = []
    others: dict[str, tuple[AlertFacts, ...]] = {}
    facts = assemble(query, place, "")
    for name in names:
        one = assemble(query, place, name) if name else facts
        plans += one.plans
        if name and not one.plans:
            gone.append(name)
        others.update(one.others)
    return Changed(seq, facts._replace(plans=plans, others=others), tuple(gone))
