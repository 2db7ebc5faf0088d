"""Whether the result of evidence follows from its own checks, by the rule that made it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drd.model.evidence_integrity import Comparison, Known, compare, contradicts
from drd.model.record_drafts import of_evidence
from drd.model.run import (
    CheckResult,
    CheckVerdict,
    DrillResult,
    Evidence,
    Run,
    RunKind,
    RunState,
    drill_result,
)
from drd.model.run_details import BackupDetail, DrillDetail
from drd.model.seals import Seal
from drd.model.snapshot import RestorePoint
from tests.records_support import ANNA, Chain, key, signed

PASSED = CheckResult("rows", "db", CheckVerdict.PASSED, "14 tables", "0 differ")
FAILED = CheckResult("few", "db", CheckVerdict.FAILED, "2,433", "< 10")
NOT_RUN = CheckResult("tree", "conf", CheckVerdict.NOT_RUN, "not restored", "0 differ")
BLIND = CheckResult("port", "db", CheckVerdict.PASSED, "open", "open", looked_at_data=False)


AT = datetime(2026, 11, 28, tzinfo=UTC)


def evidence(
    result: str, checks: tuple[CheckResult, ...], *, reason: str | None = None
) -> Evidence:
    return Evidence(
        id="aaaa-bbbbbbbb",
        run="bbbbbbbb",
        plan="shop",
        point="aaaaaaaa",
        scenario="database-loss",
        result=DrillResult(result),
        plan_digest="sha256:0",
        started_at=AT,
        finished_at=AT,
        rpa_s=None,
        rta_s=None,
        judged=True,
        phases={},
        checks=checks,
        reason=reason,
    )


def compared(
    result: str, checks: tuple[CheckResult, ...], *, reason: str | None = None
) -> Comparison:
    """The comparison of a record with this result with its own checks."""
    made = evidence(result, checks, reason=reason)
    return next(c for c in compare(made, Known()) if c.what == "checks")


@pytest.mark.parametrize(
    ("result", "checks", "reason", "why"),
    [
        ("inconclusive", (PASSED, FAILED), None, "1 of 2 checks failed"),
        ("inconclusive", (PASSED, FAILED), "no room", "1 of 2 checks failed"),
        ("passed", (PASSED, FAILED), None, "1 of 2 checks failed"),
        ("passed", (PASSED, NOT_RUN), None, "no check proves the data"),
        ("passed", (BLIND,), None, "no check proves the data"),
        ("passed", (PASSED,), "no room", "the record says why the run stopped early"),
        ("failed", (PASSED, NOT_RUN), None, "no check failed"),
        ("failed", (PASSED,), None, "every check passed"),
        ("inconclusive", (PASSED,), None, "every check passed"),
    ],
)
def test_a_result_that_does_not_follow_from_its_checks_contradicts_them(
    result: str, checks: tuple[CheckResult, ...], reason: str | None, why: str
) -> None:
    comparison = compared(result, checks, reason=reason)
    assert comparison.agrees is False
    assert comparison.text == f"the result is {result}, but {why}"


@pytest.mark.parametrize(
    ("result", "checks", "reason"),
    [
        ("passed", (PASSED, BLIND), None),
        ("failed", (PASSED, FAILED), None),
        ("failed", (PASSED, FAILED), "repository local: no answer"),
        ("failed", (), "the manifest cannot be read"),
        ("inconclusive", (PASSED, NOT_RUN), None),
        ("inconclusive", (PASSED,), "repository local: no answer"),
        ("inconclusive", (), None),
    ],
)
def test_a_result_that_follows_from_its_checks_agrees(
    result: str, checks: tuple[CheckResult, ...], reason: str | None
) -> None:
    assert compared(result, checks, reason=reason).agrees is True


def test_a_check_that_failed_counts_also_where_the_rest_could_not_be_tried() -> None:
    assert drill_result((FAILED, NOT_RUN), cut_short=True) is DrillResult.FAILED
    assert drill_result((PASSED,), cut_short=True) is DrillResult.INCONCLUSIVE


# --- what else the catalogue knows --------------------------------------------------------------

DONE = evidence("passed", (PASSED,))


def told(what: str, known: Known, of: Evidence = DONE) -> list[tuple[bool | None, str]]:
    return [(c.agrees, c.text) for c in compare(of, known) if c.what == what]


def run(result: str | None = "passed", **other: Any) -> Run:
    made = Run("bbbbbbbb", "shop", RunKind.DRILL, "manual", RunState.SUCCEEDED, AT)
    return replace(made, detail=DrillDetail(result=result), **other)


def test_a_catalogue_that_knows_nothing_else_contradicts_nothing() -> None:
    comparisons = compare(DONE, Known())
    assert [(c.what, c.agrees, c.text) for c in comparisons] == [
        ("run", None, "the catalogue does not contain run bbbbbbbb"),
        ("checks", True, "the result follows from the checks of this record (1)"),
        ("restore point", None, "the catalogue does not contain restore point aaaaaaaa"),
        ("plan", None, "drd has not loaded plan shop"),
    ]
    assert not contradicts(comparisons)
    assert contradicts([*comparisons, Comparison("record", False, "")])


def test_the_result_of_the_run_is_compared() -> None:
    for known, said in (
        (run(), (True, "run bbbbbbbb has the same result: passed")),
        (run(plan="crm"), (False, "run bbbbbbbb belongs to plan crm")),
        (run(None), (None, "run bbbbbbbb does not have a result (state: succeeded)")),
        (
            run("failed"),
            (
                False,
                "the result of run bbbbbbbb is failed, but the result of the evidence is passed",
            ),
        ),
    ):
        assert told("run", Known(run=known)) == [said]
    backup = replace(run(), detail=BackupDetail())
    assert told("run", Known(run=backup)) == [
        (None, ("run bbbbbbbb does not have a result (state: succeeded)"))
    ]


def test_the_time_of_the_restore_point_is_compared() -> None:
    point = RestorePoint("aaaaaaaa", "shop", AT, AT, complete=True, plan_digest="", components=())
    same = "the catalogue has restore point aaaaaaaa with the same data time"
    dated = replace(DONE, data_time=AT)
    assert told("restore point", Known(point=point)) == [(True, same)]
    assert told("restore point", Known(point=point), dated) == [(True, same)]
    later = replace(dated, data_time=AT + timedelta(seconds=1))
    assert told("restore point", Known(point=point, seal=Seal("aaaaaaaa", "5a")), later) == [
        (False, "the catalogue dates restore point aaaaaaaa 2026-11-28 00:00:00 UTC")
    ]
    assert told("manifest", Known(point=point, seal=Seal("aaaaaaaa", "5a")), later) == []
    gone = replace(point, forgotten_at=AT)
    assert told("restore point", Known(point=gone)) == [
        (True, f"{same}; it was forgotten 2026-11-28 00:00:00 UTC")
    ]
    assert told("restore point", Known(), replace(DONE, point=None)) == []


def test_the_seal_is_named_where_there_is_one() -> None:
    point = RestorePoint("aaaaaaaa", "shop", AT, AT, complete=True, plan_digest="", components=())
    sealed = Known(point=point, seal=Seal("aaaaaaaa", "5a"))
    assert told("manifest", sealed) == [(None, "sha256 5a as this host stored it")]
    assert told("manifest", Known(point=point, seal=Seal("aaaaaaaa"))) == []
    assert told("manifest", Known(point=point)) == []


def test_a_changed_plan_is_reported() -> None:
    assert told("plan", Known(proofs=("sha256:0", "sha256:1"))) == [
        (True, "the plan has not changed since this record")
    ]
    assert told("plan", Known(proofs=("sha256:1",))) == [
        (None, "the plan has changed since this record")
    ]


def test_the_record_of_the_chain_is_compared() -> None:
    chain = Chain(key())
    entry = chain.add(of_evidence(run(), DONE, ANNA))
    same = "entry 2 of the records agrees"
    assert told("record", Known(entry=entry)) == [(True, f"{same}, signed by key {entry.key}")]
    unsigned = signed(entry, None)
    assert told("record", Known(entry=unsigned)) == [(True, f"{same}, which is not signed")]
    changed = replace(DONE, result=DrillResult.FAILED, checks=(FAILED,))
    assert told("record", Known(entry=entry), changed) == [
        (False, "entry 2 of the records has other values of result, checks")
    ]
    elsewhere = replace(DONE, point="cccccccc")
    assert told("record", Known(entry=entry), elsewhere) == [
        (False, "entry 2 of the records has another value of point")
    ]
    assert told("record", Known(entry=replace(entry, body=None))) == [
        (None, "the body of entry 2 was redacted")
    ]
    [(agrees, _)] = told("record", Known(entry=chain.note(other="text")))
    assert agrees is False
    [(agrees, _)] = told("record", Known(entry=chain.note(evidence=["text"])))
    assert agrees is False
