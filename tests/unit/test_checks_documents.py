"""The check `documents`: which documents differ, and in which fields."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from drd.checks.documents import SPEC, DocumentsCheck
from drd.errors import SourceError, SourceUnreachable
from drd.kinds.http.saved import fingerprint_of
from drd.model.plan import CheckSpec
from drd.model.run import CheckResult
from drd.model.snapshot import ComponentSnapshot, Fingerprint, RestorePoint
from drd.ports import CheckContext, Inspector

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HAD = {"web": {"port": 80, "tags": ["a"], "password": "x"}, "theme": "dark"}


ONE = "a field whose name drd does not show"


class Server(Inspector):
    """A restored API."""

    location = "http://127.0.0.1:1"
    environment: Mapping[str, str] = {}

    def __init__(self, state: Any) -> None:
        self._state = state

    @property
    def not_proven(self) -> Mapping[str, str]:
        return {"the real server": "it was a stand-in"}

    def fingerprint(self, like: Fingerprint, budget_s: float) -> Fingerprint:
        if isinstance(self._state, Exception):
            raise self._state
        return fingerprint_of(self._state)


def rows(now: Any, *, had: Any = HAD, exposed: bool = False) -> list[CheckResult]:
    settings = DocumentsCheck(kind="documents", name="same", component="api")
    snapshot = ComponentSnapshot("api", "http", "captured", fingerprint=fingerprint_of(had))
    point = RestorePoint("p", "shop", NOW, NOW, True, "", (snapshot,))
    context = CheckContext(
        plan=cast("Any", type("P", (), {"components": {}})),
        point=point,
        inspectors={"api": Server(now)},
        now=NOW,
        is_root=False,
        last_observed={},
        directory=Path("/"),
        exposed=exposed,
    )
    return SPEC.check.run(CheckSpec("same", "documents", "api", settings), context)


@pytest.mark.parametrize(
    ("now", "says"),
    [
        ({**HAD, "web": {**HAD["web"], "port": 81}}, "web: differs in /port"),  # type: ignore[dict-item]
        ({**HAD, "web": {**HAD["web"], "tags": []}}, "web: differs in /tags, /tags/0"),  # type: ignore[dict-item]
        ({**HAD, "web": {**HAD["web"], "password": "y"}}, f"web: differs in {ONE}"),  # type: ignore[dict-item]
        (
            {"web": {**HAD["web"], "password": "y", "port": 81}},
            f"2 documents differ: theme: missing; web: differs in /port, {ONE}",
        ),
        ({"web": HAD["web"]}, "theme: missing"),
        ({**HAD, "new": 1}, "new: did not exist at backup"),
        ({}, "2 documents differ: theme: missing; web: missing"),
        (SourceError("GET /x: no JSON", hint="."), "GET /x: no JSON"),
    ],
)
def test_a_difference_between_documents_fails_the_check_and_is_named(now: Any, says: str) -> None:
    row = rows(now)[0]
    assert (str(row.verdict), row.observed) == ("failed", says)


def test_equal_documents_pass_and_the_stand_in_is_named() -> None:
    own, part = rows(HAD)
    assert (str(own.verdict), own.observed) == ("passed", "2 documents, 0 differ")
    assert (part.name, str(part.verdict)) == ("same: the real server", "not_run")
    assert part.observed == "it was a stand-in"


def test_a_check_of_documents_that_were_not_read_or_empty_does_not_pass() -> None:
    assert str(rows(SourceUnreachable("no answer", hint="."))[0].verdict) == "not_run"
    assert str(rows({}, had={})[0].verdict) == "not_run"
    assert "does the application write already?" in rows({**HAD, "n": 1}, exposed=True)[0].observed
