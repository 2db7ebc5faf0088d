"""What a catalogue promises about runs that wait for people, and about what these said."""

from __future__ import annotations

import pytest

from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.errors import Fenced, UsageError
from drd.model.aside import Aside
from drd.model.coverage import Coverage
from drd.model.run import Decision, RunKind, RunState, StepState
from drd.model.run_details import RecoveryDetail
from drd.model.step_results import ActionStepResult, AsideStepResult, PersonStepResult, StepResult
from drd.ports import RunLease
from drd.process import UNKNOWN_LOGIN, actor_here, actor_of_peer
from tests.catalogue_support import at, evidence, plan


def begin(catalogue: SqlCatalogue) -> RunLease:
    return catalogue.runs.begin(
        plan(), RunKind.RECOVERY, trigger="manual", detail=RecoveryDetail(target="a"), at=at(0)
    )


def test_decisions_are_kept_in_their_order_by_run(catalogue: SqlCatalogue) -> None:
    mine, other = begin(catalogue).run.id, "ffffffff"
    said = [
        Decision("ask", "approve", "Anna Ö", "seen; 'twas fine", 1, at(1), actor_here(by="Ö")),
        Decision("ask", "approve", "bert", "", 1, at(1), actor_of_peer(65534, UNKNOWN_LOGIN)),
        Decision("", "rollback", "root", "", 0, at(0), actor_here({"SUDO_USER": "eve"})),
    ]
    for decision in said:
        catalogue.decisions.add(mine, decision)
    catalogue.decisions.add(other, Decision("ask", "skip", "eve", "why", 2, at(2)))

    assert catalogue.decisions.of_run(mine) == said
    [by_eve] = catalogue.decisions.of_run(other)
    assert (by_eve.by, by_eve.actor) == ("eve", actor_here())
    catalogue.decisions.add(other, Decision("", "undo", "eve", "", 0, at(3)), plan="orders-api")
    *_, entry = catalogue.records.read()
    assert entry.header.subject == f"orders-api/{other}", "no row says which plan that run has"


def test_a_step_waits_until_it_ends(catalogue: SqlCatalogue) -> None:
    owned = begin(catalogue)
    catalogue.steps.begin(owned, "ask", "approve", at(0))
    catalogue.steps.wait(owned, "ask", "the commander", PersonStepResult(role="commander"))
    catalogue.runs.set_state(owned, RunState.WAITING)

    [step] = catalogue.steps.of_run(owned.run.id)
    assert (step.state, step.waiting_for) == (StepState.WAITING, "the commander")
    assert (step.result, step.finished_at) == (PersonStepResult(role="commander"), None)
    assert step.result.to_json() == {"role": "commander"}
    assert catalogue.runs.get(owned.run.id).state is RunState.WAITING

    catalogue.steps.finish(
        owned, "ask", StepState.SUCCEEDED, at=at(1), result=PersonStepResult(by="anna")
    )
    catalogue.runs.set_state(owned, RunState.RUNNING)
    [step] = catalogue.steps.of_run(owned.run.id)
    assert (step.state, step.waiting_for, step.result.to_json()) == (
        StepState.SUCCEEDED,
        None,
        {"by": "anna"},
    )
    assert catalogue.runs.get(owned.run.id).state is RunState.RUNNING
    owned.release()


def test_steps_can_be_added_to_a_finished_run(catalogue: SqlCatalogue) -> None:
    owned = begin(catalogue)
    catalogue.steps.begin(owned, "preflight", "preflight", at(0))
    catalogue.steps.finish(owned, "preflight", StepState.SUCCEEDED, at=at(1))
    catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(1))
    for kept in ((Aside("db", "/a", "/b", 7), Aside("db", "/c", "/d", former=False)), ()):
        result = AsideStepResult(aside=kept)
        catalogue.steps.note(owned.run.id, "set aside", "aside", at=at(2), result=result)
        steps = catalogue.steps.of_run(owned.run.id)
        assert [s.name for s in steps] == ["preflight", "set aside"]
        assert steps[1].state is StepState.SUCCEEDED
        assert steps[1].result == result
        assert steps[1].result.to_json() == {"aside": [a.to_json() for a in kept]}
    assert catalogue.runs.get(owned.run.id).finished_at == at(1)


def test_a_finished_run_is_not_marked_as_waiting(catalogue: SqlCatalogue) -> None:
    owned = begin(catalogue)
    catalogue.runs.finish(owned, RunState.FAILED, at=at(1))
    catalogue.runs.set_state(owned, RunState.RUNNING)
    assert catalogue.runs.get(owned.run.id).state is RunState.FAILED


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED, RunState.INTERRUPTED])
def test_a_failed_run_can_be_reopened(catalogue: SqlCatalogue, state: RunState) -> None:
    owned = begin(catalogue)
    catalogue.steps.begin(owned, "a", "command", at(0))
    catalogue.steps.finish(
        owned, "a", StepState.SUCCEEDED, at=at(1), result=ActionStepResult.of({"x": 1})
    )
    catalogue.runs.finish(owned, state, at=at(2), error="why")
    owned.release()
    before = catalogue.runs.get(owned.run.id)
    assert catalogue.runs.abandoned("orders-api") == []

    again = catalogue.runs.reopen(before, at(3))

    assert (again.state, again.finished_at, again.error) == (RunState.WAITING, None, None)
    assert [r.id for r in catalogue.runs.abandoned("orders-api")] == [owned.run.id]
    adopted = catalogue.runs.adopt(again, at(4))
    assert adopted is not None
    assert adopted.run.token == before.token + 1
    assert [s.result.to_json() for s in catalogue.steps.of_run(owned.run.id)] == [{"x": 1}]
    with pytest.raises(Fenced):
        catalogue.steps.wait(owned, "a", "x", StepResult())
    with pytest.raises(UsageError, match="cannot be resumed"):
        catalogue.runs.reopen(before, at(5))
    adopted.release()


def test_a_succeeded_run_is_reopened_only_for_undo(catalogue: SqlCatalogue) -> None:
    owned = begin(catalogue)
    catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(1))
    owned.release()
    run = catalogue.runs.get(owned.run.id)
    with pytest.raises(UsageError, match="cannot be resumed: its state is succeeded"):
        catalogue.runs.reopen(run, at(2))
    assert catalogue.runs.reopen(run, at(2), succeeded=True).finished_at is None


def test_the_number_of_rehearsed_steps_is_kept_with_the_evidence(catalogue: SqlCatalogue) -> None:
    owned = catalogue.runs.begin(plan(), RunKind.DRILL, trigger="manual", at=at(0))
    coverage = Coverage(7, 9, (("dns", "echo dns"),), ("go-ahead",))
    catalogue.evidence.record(owned, evidence(coverage=coverage))
    [found] = catalogue.evidence.newest("orders-api")
    assert found.coverage == coverage
    assert coverage.words() == "7 of 9 steps rehearsed"
    owned.release()
