"""What a person may say about a recovery: looked at before it is recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from drd.catalogue.sql_catalogue import SqlCatalogue, open_catalogue
from drd.errors import UsageError
from drd.flows.runbook.permissions import Deciding, RecordedDecision
from drd.model.plan import Plan
from drd.model.run import RunKind, RunState, StepState
from drd.model.runbook import Ask, Step
from drd.model.step_results import PersonStepResult, StepResult
from drd.ports import RunLease
from tests.catalogue_support import at, plan

PEOPLE = {"anna": ("commander",), "bert": ("hands", "operator")}
PLAN: Plan = replace(
    plan(),
    runbook=(
        Step("data", "restore"),
        Step("go-ahead", "approve", settings=Ask("", "commander", 600.0)),
        Step("plug", "manual", settings=Ask("plug it in", "hands")),
        Step("fragile", "command", on_failure="ask"),
        Step("traffic", "command"),
    ),
)


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[SqlCatalogue]:
    with closing(open_catalogue(f"sqlite:///{tmp_path}/drd.db", create=True)) as made:
        yield made


@pytest.fixture
def owned(catalogue: SqlCatalogue) -> RunLease:
    """A recovery in which the data is back, and that waits for three answers."""
    owned = catalogue.runs.begin(PLAN, RunKind.RECOVERY, trigger="manual", at=at(0))
    for name, kind in (
        ("data", "restore"), ("go-ahead", "approve"), ("plug", "manual"), ("fragile", "command"),
    ):  # fmt: skip
        catalogue.steps.begin(owned, name, kind, at(0))
    catalogue.steps.finish(owned, "data", StepState.SUCCEEDED, at=at(1))
    asked = PersonStepResult(role="commander", expires_at=at(10))
    catalogue.steps.wait(owned, "go-ahead", "x", asked)
    catalogue.steps.wait(owned, "plug", "x", PersonStepResult(role="hands"))
    catalogue.steps.wait(owned, "fragile", "x", StepResult())
    return owned


def deciding(catalogue: SqlCatalogue, owned: RunLease, now: datetime | None = None) -> Deciding:
    return Deciding(catalogue, PLAN, catalogue.runs.get(owned.run.id), now or at(2))


REFUSED: list[tuple[Callable[[Deciding], RecordedDecision], str, str]] = [
    (lambda d: d.agree("go-ahead", "approve", "bert", "", PEOPLE), "bert does not have the role commander", "ask somebody who has this role: anna."),
    (lambda d: d.agree("go-ahead", "approve", "eve", "", PEOPLE), "'eve' is not listed under `people`", "anna, bert"),
    (lambda d: d.agree("go-ahead", "approve", "anna", "", {}), "drd.yaml lists no people", "people: "),
    (lambda d: d.agree("plug", "approve", "bert", "", PEOPLE), "step plug is of kind manual", "drd done"),
    (lambda d: d.agree("traffic", "done", "bert", "", PEOPLE), "step traffic is of kind command", "choose one of the steps that wait for an answer: go-ahead"),
    (lambda d: d.agree("go-away", "approve", "anna", "", PEOPLE), "has no step 'go-away'", "did you mean go-ahead"),
    (lambda d: d.skip("go-ahead", "anna", "haste"), "go-ahead is an approval", "drd approve"),
    (lambda d: d.skip("data", "anna", "haste"), "it is too late to skip this step: it has succeeded", "choose one of the steps that wait"),
    (lambda d: d.retry("traffic", "anna"), "this step does not wait for a retry: it has not started yet", "choose one of the steps that wait"),
    (lambda d: d.retry("plug", "anna"), "this step does not wait for a retry: it waits", "choose one of the steps that wait"),
]  # fmt: skip


@pytest.mark.parametrize(("decide", "fact", "hint"), REFUSED)
def test_impossible_decisions_are_refused_and_not_recorded(
    catalogue: SqlCatalogue,
    owned: RunLease,
    decide: Callable[[Deciding], RecordedDecision],
    fact: str,
    hint: str,
) -> None:
    with pytest.raises(UsageError) as raised:
        decide(deciding(catalogue, owned))
    assert fact in raised.value.message
    assert hint in raised.value.hint
    assert catalogue.decisions.of_run(owned.run.id) == []


def test_valid_decisions_are_recorded_with_their_attempt(
    catalogue: SqlCatalogue, owned: RunLease
) -> None:
    here = deciding(catalogue, owned)
    assert here.agree("go-ahead", "approve", "Anna", "seen", PEOPLE).alive
    here.agree("plug", "done", "bert", "", PEOPLE)
    here.retry("fragile", "root")
    here.skip("traffic", "root", "no traffic today")
    assert [
        (d.step, d.action, d.by, d.attempt) for d in catalogue.decisions.of_run(owned.run.id)
    ] == [
        ("go-ahead", "approve", "anna", 1),
        ("plug", "done", "bert", 1),
        ("fragile", "retry", "root", 1),
        ("traffic", "skip", "root", 0),
    ]


def test_an_approval_that_comes_too_late_is_refused(
    catalogue: SqlCatalogue, owned: RunLease
) -> None:
    with pytest.raises(
        UsageError, match="is too late: its time limit ended at 2026-11-25 12:10:00 UTC"
    ):
        deciding(catalogue, owned, at(11)).agree("go-ahead", "approve", "anna", "", PEOPLE)


def test_retry_and_skip_only_on_failed_runs(catalogue: SqlCatalogue, owned: RunLease) -> None:
    catalogue.steps.finish(owned, "fragile", StepState.FAILED, at=at(2), error="why")
    catalogue.runs.finish(owned, RunState.FAILED, at=at(3))
    owned.release()
    with pytest.raises(UsageError, match=r"has ended \(failed\)"):
        deciding(catalogue, owned).agree("go-ahead", "approve", "anna", "", PEOPLE)
    assert not deciding(catalogue, owned).retry("fragile", "anna").alive
    assert catalogue.runs.get(owned.run.id).state is RunState.WAITING
    deciding(catalogue, owned).skip("traffic", "anna", "why not")
    adopted = catalogue.runs.adopt(catalogue.runs.get(owned.run.id), at(4))
    assert adopted is not None
    catalogue.runs.finish(adopted, RunState.SUCCEEDED, at=at(5))
    adopted.release()
    before = catalogue.decisions.of_run(owned.run.id)
    for decide in (
        lambda d: d.retry("fragile", "anna"),
        lambda d: d.skip("fragile", "anna", "why"),
    ):
        with pytest.raises(UsageError, match=r"has ended \(succeeded\)"):
            decide(deciding(catalogue, owned))
    assert catalogue.decisions.of_run(owned.run.id) == before
