"""Attack: whoever runs a recovery approves it himself, under somebody else's name.

`--by NAME` and SUDO_USER were all that drd knew of people, and both are only claimed. Now the
kernel says who decided, beside the claim, and a step with `two_person: true` refuses the same
person.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from drd.catalogue.sql_catalogue import SqlCatalogue, open_catalogue
from drd.errors import StepFailed, UsageError
from drd.flows.runbook.decisions import DecisionRequests
from drd.flows.runbook.permissions import (
    Deciding,
    RecordedDecision,
    require_approvable,
    require_still_approvable,
)
from drd.model.actor import Actor, Sameness
from drd.model.plan import Plan
from drd.model.run import Run, RunKind, RunState, StepState
from drd.model.runbook import Ask, Circumstances, Step, When, next_moves
from drd.model.step_results import PersonStepResult
from tests.catalogue_support import at, plan

PEOPLE = {"Anna": ("commander",), "Bert": ("commander",)}

anna = Actor(1000, "anna", 1000, "db1", "socket", "anna")
anna_by_sudo = Actor(0, "root", 1000, "db1", "terminal", "anna", claimed_user="bert")
bert = Actor(1001, "bert", 1001, "db1", "socket", "bert")
root = Actor(0, "root", None, "db1", "terminal", claimed_by="Bert")
own_user = Actor(38, "drd", None, "db1", "terminal", claimed_by="Bert", service=True)


def two_person(wanted: bool) -> Plan:
    ask = Ask("", "commander", two_person=wanted)
    return replace(plan(), runbook=(Step("go-ahead", "approve", settings=ask),))


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[SqlCatalogue]:
    with closing(open_catalogue(f"sqlite:///{tmp_path}/drd.db", create=True)) as opened:
        yield opened


def started_by(catalogue: SqlCatalogue, who: Actor) -> Run:
    """A recovery that `who` has started, and that waits for an approval."""
    pending = catalogue.queue.enqueue(
        Run("", "shop", RunKind.RECOVERY, "manual", RunState.PENDING, None, actor=who)
    )
    this = two_person(wanted=True)
    owned = catalogue.runs.begin(
        replace(this, name="shop"),
        RunKind.RECOVERY,
        trigger="manual",
        at=at(0),
        claim=pending.id,
    )
    catalogue.steps.begin(owned, "go-ahead", "approve", at(0))
    catalogue.steps.wait(owned, "go-ahead", "x", PersonStepResult(role="commander"))
    return catalogue.runs.get(owned.run.id)


def approve(
    catalogue: SqlCatalogue, run: Run, who: Actor, name: str, *, two: bool = True
) -> RecordedDecision:
    deciding = Deciding(catalogue, two_person(two), run, at(1), who)
    return deciding.agree("go-ahead", "approve", name, "", PEOPLE)


@pytest.mark.parametrize("starter", [anna, anna_by_sudo])
@pytest.mark.parametrize("who", [anna, anna_by_sudo])
def test_starter_cannot_approve_as_somebody_else(
    catalogue: SqlCatalogue, starter: Actor, who: Actor
) -> None:
    run = started_by(catalogue, starter)
    with pytest.raises(
        UsageError, match="go-ahead needs the approval of a second person"
    ) as raised:
        approve(catalogue, run, who, "Bert")
    assert "with their own user account and not as root: drd approve" in raised.value.hint
    assert catalogue.decisions.of_run(run.id) == []


@pytest.mark.parametrize(
    ("starter", "who"),
    [(root, bert), (anna, root), (root, root), (own_user, bert), (anna, own_user)],
)
def test_root_or_own_user_without_a_login_may_be_anybody_and_is_refused(
    catalogue: SqlCatalogue, starter: Actor, who: Actor
) -> None:
    run = started_by(catalogue, starter)
    with pytest.raises(UsageError, match="drd cannot prove that") as raised:
        approve(catalogue, run, who, "Bert")
    begun = starter in (root, own_user)
    way_out = f"drd cancel {run.id}" if begun else "with your own user account, not as root"
    assert way_out in raised.value.hint
    assert catalogue.decisions.of_run(run.id) == []


def test_recovery_that_nobody_could_approve_is_refused_before_it_begins() -> None:
    steps = two_person(wanted=True).runbook
    with pytest.raises(UsageError, match="root without a login, so nobody can approve go-ahead"):
        require_approvable(steps, root)
    with pytest.raises(UsageError, match="you are drd's own user drd without a login, so"):
        require_approvable(steps, own_user)
    require_approvable(steps, anna_by_sudo)
    require_approvable(two_person(wanted=False).runbook, root)


@pytest.mark.parametrize(
    ("starter", "who", "said"),
    [
        (anna, root, "without a login, so nobody can"),
        (root, anna, "was started or resumed by root"),
    ],
)
def test_recovery_that_nobody_could_approve_does_not_go_on(
    catalogue: SqlCatalogue, starter: Actor, who: Actor, said: str
) -> None:
    """Else it would run up to the approval, with whoever went on recorded as one of its
    operators."""
    run, steps = started_by(catalogue, starter), two_person(wanted=True).runbook
    with pytest.raises(UsageError, match=said):
        require_still_approvable(catalogue, steps, run, who)
    require_still_approvable(catalogue, two_person(wanted=False).runbook, run, who)


def test_healthy_twin_recovery_goes_on_where_the_approval_is_given(
    catalogue: SqlCatalogue, tmp_path: Path
) -> None:
    run, steps = started_by(catalogue, anna), two_person(wanted=True).runbook
    require_still_approvable(catalogue, steps, run, anna_by_sudo)
    with closing(sqlite3.connect(tmp_path / "drd.db")) as row, row:
        row.execute("update steps set state = 'succeeded', finished_at = started_at")
    require_still_approvable(catalogue, steps, run, root)


@pytest.mark.parametrize("left_out", [False, True])
def test_recovery_of_a_part_does_not_pass_by_a_second_person(left_out: bool) -> None:
    """Also not where the approval stands behind a step that is left out of the recovery of a
    part."""
    when = When(step="announce", ended=(StepState.SUCCEEDED,)) if left_out else None
    part = Circumstances("database-loss", "standby", only=("db",))
    for wanted in (True, False):  # the second one is the healthy twin
        steps = (
            Step("announce", "command"),
            replace(two_person(wanted).runbook[0], when=when),
            Step("data", "restore", ("db",)),
        )
        done = {"announce": StepState.SKIPPED}
        begins = "go-ahead" if wanted else ""
        assert next_moves(steps, done, part).begin == ((begins,) if begins else ())
        assert bool(next_moves(steps, done, part).skip) is not wanted


def test_approval_whose_text_names_a_missing_step_needs_the_two_person_rule() -> None:
    def no_value(text: str) -> str:
        raise StepFailed(f"nothing for {text}", hint="")

    people = DecisionRequests.__new__(DecisionRequests)
    people.step_runner = SimpleNamespace(text=no_value)  # type: ignore[assignment]
    text = "traffic goes to ${steps.serve.url}"
    for wanted in (True, False):
        ask = Ask(text, "commander", two_person=wanted)
        with nullcontext() if wanted else pytest.raises(StepFailed):
            assert people._about(Step("go-ahead", "approve", settings=ask), ask) == text


@pytest.mark.parametrize("starter", [anna, anna_by_sudo])
def test_healthy_twin_second_person_approves(catalogue: SqlCatalogue, starter: Actor) -> None:
    run = started_by(catalogue, starter)
    assert approve(catalogue, run, bert, "Bert").own is Sameness.OTHER
    [decision] = catalogue.decisions.of_run(run.id)
    assert (decision.by, decision.actor) == ("Bert", bert)


def test_without_the_rule_self_approval_is_recorded_and_marked(catalogue: SqlCatalogue) -> None:
    run = started_by(catalogue, anna)
    assert approve(catalogue, run, anna_by_sudo, "Bert", two=False).own is Sameness.SAME
    [decision] = catalogue.decisions.of_run(run.id)
    assert decision.by == "Bert"
    assert decision.actor is not None
    assert (decision.actor.login_user, decision.actor.claimed_user) == ("anna", "bert")


def test_the_person_who_resumed_a_recovery_cannot_approve_it(
    catalogue: SqlCatalogue,
) -> None:
    from drd.model.run import Decision

    run = started_by(catalogue, anna)
    catalogue.decisions.add(run.id, Decision("", "resume", "bert", "", 0, at(1), bert))
    with pytest.raises(UsageError, match="needs the approval of a second person"):
        approve(catalogue, run, bert, "Bert")
