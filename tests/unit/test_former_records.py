"""Root's records of schema 2 agree with rows that the migration has rewritten, and with rows that a
process of an earlier drd has written since."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from drd.errors import NotAsNoted
from drd.flows.root.former_records import Noted
from drd.flows.root.ledger import Ledger, LedgerEntry
from drd.flows.root.noted_rows import differing, row_of
from drd.model.former_rows import cause_of
from drd.model.run import StepState
from drd.model.snapshot import json_digest
from drd.model.step_record import StepRecord
from tests.catalogue_support import at

STEP = "restore db"
LONG = "pg_restore exited with 1: " + "x" * 5000

ERRORS = [
    "exited with 3",
    "refused\nremedy: start it.\nremedy: look.",
    "exited with 3: no\nis it there?\nremedy: start it.",
    "exited with 3: could not load:",
    "exited with 3: could not load:\nremedy: start it.",
    "2 problems block this:\n  a is full\n  b:\nremedy: make room.",
    " exited with 3: no \n",
    " exited with 3: no: ",
    LONG,
    f"{LONG}\nremedy: start it.",
    f"no\n{LONG}\nremedy: start it.\nremedy: look.",
]


def written_since(error: str) -> StepRecord:
    """By a process of the earlier drd: in one text, and without a subject."""
    return StepRecord("r1", STEP, "restore", StepState.FAILED, 1, at(0), at(1), error=error)


def migrated(error: str) -> StepRecord:
    """The migration takes apart what has several lines."""
    fact, remedy = cause_of(error) if "\n" in error else (error, "")
    return replace(written_since(error), subject="db", error=fact, remedy=remedy)


def noted_then(error: str) -> Noted:
    noted = row_of(written_since(""))
    del noted["subject"], noted["remedy"]
    return {**noted, "error": {"sha256": json_digest(error)} if len(error) > 4000 else error}


def ledger(noted: Noted) -> Ledger:
    head = {"plan": "shop", "kind": "recovery", "detail": {}}
    return Ledger(Path("x"), "r1", head, {}, steps={STEP: LedgerEntry(noted)})


@pytest.mark.parametrize("error", ERRORS)
def test_a_record_of_schema_2_agrees_with_both_rows(error: str) -> None:
    for record in (written_since(error), migrated(error)):
        ledger(noted_then(error)).require_steps({STEP: record})


@pytest.mark.parametrize("error", ERRORS)
def test_a_changed_row_does_not_agree_with_a_record_of_schema_2(error: str) -> None:
    noted = noted_then(error)
    for record in (written_since(error), migrated(error)):
        for changed in (
            replace(record, error=f"{record.error}!"),
            replace(record, remedy=f"{record.remedy}!"),
            replace(record, error=None, remedy=""),
            replace(record, subject="other"),
            replace(record, state=StepState.SUCCEEDED),
        ):
            with pytest.raises(NotAsNoted):
                ledger(noted).require_steps({STEP: changed})


def test_a_step_without_an_error_agrees() -> None:
    noted = {**noted_then(""), "error": None}
    ledger(noted).require_steps({STEP: replace(written_since(""), error=None)})
    with pytest.raises(NotAsNoted):
        ledger(noted).require_steps({STEP: written_since("x")})


def test_only_what_differs_is_shown() -> None:
    changed = replace(migrated("refused\nremedy: start it."), error="other")
    with pytest.raises(NotAsNoted) as refused:
        ledger(noted_then("refused\nremedy: start it.")).require_steps({STEP: changed})
    assert (
        'step restore db is {"error": "other"} in the catalogue, but {"error": "refused"} in root'
        in str(refused.value)
    )


def test_of_a_step_that_one_side_lacks_only_that_is_shown() -> None:
    assert differing(None, {"kind": "sql", "state": "succeeded"}) == ("missing", "present")
    assert differing({"kind": "sql"}, None) == ("present", "missing")
    assert differing(None, True) == ("missing", "true")


def test_an_error_of_today_that_looks_like_one_of_before_agrees() -> None:
    """A program printed it, and drd had no remedy."""
    record = replace(written_since("exited with 3:\nremedy: of a program"), subject="db")
    ledger(row_of(record)).require_steps({STEP: record})
