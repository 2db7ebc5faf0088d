"""A recovery that stopped: the commands that lead out are those that work."""

from __future__ import annotations

import json

import pytest

from drd.model.compliance import assess
from drd.model.facts import FailedStep, UnfinishedFacts
from drd.model.unfinished import Unfinished
from drd.model.verdicts import UNFINISHED, PlanState
from tests.status_support import MINUTE, NOW, ago, healthy

RESUME, DONE = (
    ("to finish the recovery", "drd resume a1"),
    ("to keep the present state", "drd done a1"),
)
UNDO = ("to put the old data back", "drd undo a1")
PERHAPS = ("to put the old data back, if drd kept any", "drd undo a1")
STOPPED = UnfinishedFacts("a1", ago(MINUTE), "cancelled", ("db",), ("conf",))
DIED = STOPPED._replace(state="waiting")
NOTHING = {"replaced": (), "left": ("db", "conf")}


@pytest.mark.parametrize(
    ("facts", "ways"),
    [
        (STOPPED, (RESUME, DONE)),  # what was replaced was empty
        (STOPPED._replace(kept=("db",)), (RESUME, UNDO)),
        (STOPPED._replace(**NOTHING), (RESUME, DONE)),
        (STOPPED._replace(**NOTHING, kept=("db",)), (RESUME, UNDO)),  # set aside, then it failed
        (DIED, (RESUME, PERHAPS)),
        (DIED._replace(kept=("db",)), (RESUME, UNDO)),  # noted before it was resumed
        (DIED._replace(keeps=False), (RESUME, DONE)),
        (DIED._replace(**NOTHING), (RESUME, DONE)),
        (DIED._replace(replaced=(), partly=("db",)), (RESUME, PERHAPS)),
        (STOPPED._replace(**NOTHING, unseen=("db",)), (RESUME, PERHAPS)),
    ],
)
def test_undo_is_offered_only_where_there_are_kept_copies(
    facts: UnfinishedFacts, ways: tuple[tuple[str, str], ...]
) -> None:
    assert Unfinished.of("orders", facts, over=True).ways() == ways
    [reason] = [r for r in assess(healthy(unfinished=facts), NOW).reasons if r.kind == UNFINISHED]
    assert [command for _, command in ways if command in reason.text] == [c for _, c in ways]
    assert ("drd undo" in reason.text) is (ways[1] is not DONE)
    assert ("mixture" in reason.text) is (ways[1] is not DONE)


def test_a_plan_that_was_never_drilled_names_the_unfinished_recovery_first() -> None:
    never = healthy(unfinished=STOPPED, last_drill=None, last_passed_drill=None)
    plan = assess(never, NOW)
    assert plan.state is PlanState.UNKNOWN
    assert "a recovery in place was not finished" in plan.remarks[0].text


def test_production_of_two_times_is_not_ready() -> None:
    """A plan of which nothing was replaced yet is as it was."""
    assert assess(healthy(unfinished=STOPPED), NOW).state is PlanState.NOT_READY
    nothing = healthy(unfinished=STOPPED._replace(**NOTHING))
    assert assess(nothing, NOW).state is PlanState.AT_RISK


CHECKED = STOPPED._replace(
    state="failed",
    left=(),
    down=("shop.service",),
    kept=("db",),
    failed=FailedStep("checks", "check", "check newest: 2m after the data time"),
)


def test_a_recovery_that_stopped_at_failed_checks_names_the_step_and_three_ways_out() -> None:
    plan = assess(healthy(unfinished=CHECKED), NOW)
    assert plan.state is PlanState.NOT_READY, "its services are down"
    said = plan.remarks[0].text
    assert said == (
        "a recovery in place was not finished (run a1 failed at 2026-11-25 00:30 UTC in step "
        "checks: check newest: 2m after the data time; already replaced: db; stopped and not "
        "started again: shop.service). To finish the recovery: `drd resume a1`. To finish it "
        "without step checks: `drd skip a1 checks --why TEXT && drd resume a1`. To put the old "
        "data back: `drd undo a1`, then `systemctl start shop.service`"
    )


def test_a_recovery_that_a_person_decided_about_did_not_die() -> None:
    plan = assess(healthy(unfinished=CHECKED._replace(state="reopened")), NOW)
    said = plan.remarks[0].text
    assert "died" not in said
    assert "drd skip" not in said, "somebody did"
    assert "(run a1 stopped in step checks; a person decided at " in said
    assert "nobody has resumed the run; already replaced: db; stopped and not" in said


def test_a_restore_that_failed_cannot_be_skipped() -> None:
    failed = FailedStep("data", "restore", "the disk is full")
    ways = Unfinished.of("orders", CHECKED._replace(failed=failed), over=True).ways()
    assert ways == (RESUME, UNDO)


def test_a_recovery_to_another_place_is_only_resumed() -> None:
    assert Unfinished.of("orders", STOPPED, over=False).ways() == (RESUME,)
    assert Unfinished.of("orders", DIED, over=False).ways() == (RESUME,)
    halted = STOPPED._replace(down=("shop.service",))
    assert Unfinished.of("orders", halted, over=False).ways_out() == (
        "to finish the recovery: `drd resume a1`. To keep the present state: `drd done a1`, "
        "then `systemctl start shop.service`"
    )


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (STOPPED, "already replaced: db; not replaced: conf"),
        (STOPPED._replace(**NOTHING), "nothing was replaced"),
        (
            STOPPED._replace(replaced=(), partly=("db",), kept=("db",)),
            "partly replaced: db; not replaced: conf",
        ),
        (  # it was stopped before it touched db
            STOPPED._replace(replaced=(), partly=("db",)),
            "nothing was replaced",
        ),
        (
            DIED._replace(replaced=(), partly=("db",), left=()),
            "perhaps replaced: db",
        ),
        (  # a kept copy shows that it was begun
            DIED._replace(replaced=(), partly=("db",), kept=("db",), left=()),
            "partly replaced: db",
        ),
        (
            STOPPED._replace(**NOTHING, unseen=("db",)),
            "perhaps replaced: db; not replaced: conf",
        ),
        (
            STOPPED._replace(**NOTHING, down=("shop.service",)),
            "nothing was replaced; stopped and not started again: shop.service",
        ),
    ],
)
def test_words_name_each_component_by_what_happened_to_it(
    facts: UnfinishedFacts, words: str
) -> None:
    assert Unfinished.of("orders", facts, over=True).words() == words
    stored = json.loads(json.dumps(Unfinished.of("orders", facts, over=True)._asdict()))
    assert Unfinished.of_json(stored).words() == words
    restored = Unfinished.of("orders", facts, over=False).words()
    assert restored == words.replace("replaced", "restored")


@pytest.mark.parametrize(
    ("facts", "over", "mixed"),
    [
        (STOPPED, True, True),
        (STOPPED, False, False),
        (STOPPED._replace(**NOTHING), True, False),
        (STOPPED._replace(left=()), True, False),  # all was replaced
        (STOPPED._replace(left=(), replaced=(), partly=("db",), kept=("db",)), True, True),
        (DIED._replace(left=(), replaced=(), partly=("db",)), True, True),
    ],
)
def test_only_what_is_replaced_in_part_is_data_of_two_times(
    facts: UnfinishedFacts, over: bool, mixed: bool
) -> None:
    said = Unfinished.of("orders", facts, over=over).mixture()
    assert said is None or said.startswith("recovery a1 was not finished: ")
    assert (said is not None) is mixed
