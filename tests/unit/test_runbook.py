"""Which steps may run now: by example, and for any runbook and any outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drd.model.run import StepState
from drd.model.runbook import (
    LOOKING,
    Ask,
    Circumstances,
    Moves,
    Service,
    Step,
    Undo,
    When,
    before,
    can_be_undone,
    cycle,
    groups,
    next_moves,
    stops,
    unmet,
    waits_for,
    wants_two_persons,
)

DONE, FAILED, SKIPPED = StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED
RUNNING, WAITING = StepState.RUNNING, StepState.WAITING
HERE = Circumstances("database-loss", "standby")


def step(name: str, kind: str = "command", **more: object) -> Step:
    return replace(Step(name, kind), **more)  # type: ignore[arg-type]


def moves(steps: list[Step], around: Circumstances = HERE, **states: StepState) -> Moves:
    return next_moves(steps, states, around)


def test_a_step_waits_for_all_that_stands_above() -> None:
    steps = [step("a"), step("b"), step("c")]
    assert moves(steps).begin == ("a",)
    assert moves(steps, a=RUNNING) == Moves()
    assert moves(steps, a=DONE).begin == ("b",)
    assert moves(steps, a=DONE, b=WAITING) == Moves()
    assert moves(steps, a=DONE, b=DONE, c=DONE).ended == "succeeded"


def test_a_step_that_names_its_needs_waits_for_these_alone() -> None:
    steps = [step("a"), step("b", needs=()), step("c", needs=("b",)), step("d")]
    assert moves(steps).begin == ("a", "b")
    assert moves(steps, a=RUNNING, b=DONE).begin == ("c",)
    assert waits_for(steps)["d"] == ("a", "b", "c")
    assert before(steps)["c"] == {"b"}
    assert before(steps)["d"] == {"a", "b", "c"}


def test_a_group_begins_together_and_the_next_waits_for_all_of_it() -> None:
    steps = [step("a"), step("b", group="g"), step("c", group="g"), step("d")]
    assert moves(steps, a=DONE).begin == ("b", "c")
    assert moves(steps, a=DONE, b=DONE, c=RUNNING).begin == ()
    assert moves(steps, a=DONE, b=DONE, c=DONE).begin == ("d",)


@pytest.mark.parametrize("policy", [None, "abort"])
def test_nothing_begins_after_a_failure(policy: str | None) -> None:
    steps = [step("a", on_failure=policy), step("b", "check"), step("c")]
    assert moves(steps, a=FAILED) == Moves(ended="failed", never=("b", "c"))


def test_parallel_steps_are_waited_for_after_a_failure() -> None:
    steps = [step("a"), step("b", needs=()), step("c", needs=("b",))]
    assert moves(steps, a=FAILED, b=RUNNING) == Moves()
    assert moves(steps, a=FAILED, b=DONE) == Moves(ended="failed", never=("c",))


def test_after_a_failed_restore_others_are_restored_and_checked() -> None:
    steps = [step("a", "restore"), step("b", "approve"), step("c", "restore"), step("d", "check")]
    assert moves(steps, a=FAILED).begin == ("c",)
    assert moves(steps, a=FAILED, c=DONE).begin == ("d",)
    over = moves(steps, a=FAILED, c=DONE, d=FAILED)
    assert over == Moves(ended="failed", never=("b",))
    strict = [replace(steps[0], on_failure="abort"), *steps[1:]]
    assert moves(strict, a=FAILED) == Moves(ended="failed", never=("b", "c", "d"))


def test_a_failure_may_be_passed_over() -> None:
    steps = [step("a", on_failure="continue"), step("b")]
    assert moves(steps, a=FAILED).begin == ("b",)
    assert moves(steps, a=FAILED, b=DONE).ended == "succeeded"


def test_a_failure_may_be_asked_about_while_others_go_on() -> None:
    steps = [step("a", on_failure="ask"), step("b", needs=()), step("c", needs=("a",))]
    assert moves(steps, a=FAILED) == Moves(begin=("b",), ask=("a",))
    assert moves(steps, a=FAILED, b=DONE) == Moves(ask=("a",))
    assert moves(steps, a=SKIPPED, b=DONE).begin == ("c",)


def test_a_failure_that_ends_all_leaves_nothing_to_ask_about() -> None:
    steps = [step("a", on_failure="ask", needs=()), step("b", needs=()), step("c")]
    over = moves(steps, a=FAILED, b=FAILED)
    assert over == Moves(ask=("a",), ended="failed", never=("c",))
    assert moves(steps, a=FAILED, b=RUNNING) == Moves(ask=("a",))
    last = [step("a", on_failure="ask")]
    assert moves(last, a=FAILED) == Moves(ask=("a",)), "it waits for the person"


@pytest.mark.parametrize(
    ("when", "why"),
    [
        (When(scenarios=("region-loss",)), "only in region-loss"),
        (When(targets=("other",)), "only for the target other"),
        (When(step="a", ended=(FAILED,)), "only when a has failed, but it succeeded"),
    ],
)
def test_a_condition_that_does_not_hold_skips_the_step_and_not_what_follows(
    when: When, why: str
) -> None:
    steps = [step("a"), step("b", when=when), step("c")]
    assert moves(steps, a=DONE).skip == (("b", why),)
    assert moves(steps, a=DONE, b=SKIPPED).begin == ("c",)


def test_a_condition_that_holds_changes_nothing() -> None:
    when = When(scenarios=("database-loss",), targets=("standby",), step="a", ended=(FAILED,))
    steps = [step("a", on_failure="continue"), step("b", when=when)]
    assert moves(steps, a=FAILED).begin == ("b",)


def test_partial_recoveries_skip_steps_for_the_whole_service() -> None:
    alone = replace(HERE, only=("db",))
    steps = [
        step("back", "restore", needs=()),
        step("look", "check", needs=()),
        step("erase", "sql", needs=(), component="db"),
        step("tidy", "command", needs=(), component="conf"),
        step("ask", "approve", needs=()),
        step("serve", "start", needs=()),
    ]
    found = moves(steps, alone)
    assert found.begin == ("back", "look", "erase")
    why = "only db was requested"
    assert found.skip == (("tidy", why), ("ask", why), ("serve", why))
    assert moves(steps).skip == ()


def test_an_approval_by_two_persons_is_asked_for_in_each_partial_recovery() -> None:
    alone = replace(HERE, only=("db",))
    one = step("ask", "approve", settings=Ask("May it?"))
    two = step("ask", "approve", settings=Ask("May it?", two_person=True))
    assert wants_two_persons(two)
    assert not wants_two_persons(one)
    assert not wants_two_persons(step("ask", "approve"))
    assert not wants_two_persons(step("do", "manual", settings=Ask("Do it.", two_person=True)))
    assert unmet(one, {}, alone) == "only db was requested"
    assert unmet(two, {}, alone) is None
    assert unmet(one, {}, HERE) is None


def test_an_approval_by_two_persons_does_not_hang_on_a_step_that_the_part_left_out() -> None:
    alone = replace(HERE, only=("db", "conf"))
    when = When(step="stop", ended=(DONE, FAILED))
    two = step("ask", "approve", settings=Ask("May it?", two_person=True), when=when)
    why = "only when stop has succeeded or failed, but it skipped"
    assert unmet(two, {"stop": SKIPPED}, alone) is None
    assert unmet(two, {"stop": SKIPPED}, HERE) == why
    assert unmet(two, {"stop": FAILED}, alone) is None
    assert unmet(two, {"stop": RUNNING}, alone) == why.replace("skipped", "running")
    assert unmet(two, {}, alone) == (
        "only when stop has succeeded or failed, but it has not started"
    )
    one = replace(two, settings=Ask("May it?"), component="db")
    assert unmet(one, {"stop": SKIPPED}, alone) == why


def test_a_condition_names_all_scenarios_and_targets_that_it_is_for() -> None:
    when = When(scenarios=("region-loss", "host-loss"), targets=("standby", "sandbox"))
    elsewhere = replace(HERE, scenario="host-loss", target="spare")
    assert unmet(step("a", when=when), {}, HERE) == "only in region-loss or host-loss"
    assert unmet(step("a", when=when), {}, elsewhere) == "only for the target standby or sandbox"
    assert unmet(step("a", when=when), {}, replace(elsewhere, target="sandbox")) is None


def test_a_stop_ends_what_has_the_same_unit_or_what_it_names() -> None:
    start = step("serve", "start", service=Service("start", unit="web.service"))
    program = step("serve", "start", service=Service("start", program=True))
    unit = step("end", "stop", service=Service("stop", unit="web.service"))
    named = step("end", "stop", service=Service("stop", step="serve"))
    assert stops(unit, start)
    assert stops(named, start)
    assert stops(named, program)
    assert not stops(unit, program)
    assert not stops(unit, step("serve"))
    assert not stops(named, step("other", "start", service=Service("start")))
    assert not stops(step("end", "stop", service=Service("stop")), program)
    assert not stops(start, start)
    assert not stops(step("end"), start)


def test_a_step_is_undone_by_its_command_or_by_ending_its_program() -> None:
    assert can_be_undone(step("a", rollback=Undo(("undo",))))
    assert can_be_undone(step("a", service=Service("start", program=True)))
    assert not can_be_undone(step("a", service=Service("start", unit="web.service")))
    assert not can_be_undone(step("a", service=Service("stop", program=True)))
    assert not can_be_undone(step("a"))
    assert step("a", service=Service("start")).starts
    assert not step("a", service=Service("stop")).starts
    assert not step("a").starts


def test_only_neighbours_of_one_group_are_together() -> None:
    kinds = ["", "g", "g", "h", "", "", "g"]
    steps = [step(f"s{n}", group=group or None) for n, group in enumerate(kinds)]
    found = [[s.name for s in part] for part in groups(steps)]
    assert found == [["s0"], ["s1", "s2"], ["s3"], ["s4"], ["s5"], ["s6"]]
    assert list(groups([])) == []


def test_a_step_that_was_cancelled_begins_again() -> None:
    assert moves([step("a")], a=StepState.CANCELLED).begin == ("a",)


def test_steps_that_wait_for_each_other_are_found() -> None:
    assert cycle({"a": ["b"], "b": ["c"], "c": ["b"]}) == ("b", "c", "b")
    assert cycle({"a": ["b", "c"], "b": ["c"], "c": []}) is None
    assert cycle({"a": ["a"]}) == ("a", "a")
    assert cycle({"a": ["unknown"], "b": ["a"], "c": ["b", "d"], "d": ["c"]}) == ("c", "d", "c")


# --- any runbook, any outcome -----------------------------------------------------------------


@st.composite
def runbooks(draw: st.DrawFn) -> list[Step]:
    count = draw(st.integers(1, 7))
    steps: list[Step] = []
    for at in range(count):
        above = [s.name for s in steps]
        needs = draw(st.none() | st.lists(st.sampled_from(above), unique=True)) if above else None
        whens: list[When | None] = [None, None, When(targets=("other",))]
        whens += [When(step=n, ended=(draw(st.sampled_from([DONE, FAILED])),)) for n in above]
        when = draw(st.sampled_from(whens))
        if when is not None and when.step and needs is not None and when.step not in needs:
            needs = [*needs, when.step]
        steps.append(
            step(
                f"s{at}",
                draw(st.sampled_from(["restore", "check", "command", "approve"])),
                needs=None if needs is None else tuple(needs),
                when=when,
                group=None if needs is not None or draw(st.booleans()) else "g",
                on_failure=draw(st.sampled_from([None, "abort", "continue", "ask"])),
            )
        )
    return steps


def _play(steps: list[Step], data: st.DataObject) -> tuple[dict[str, StepState], Moves]:
    """Carry a runbook out, each step ending as it may, in any order; asked, people decide."""
    states: dict[str, StepState] = {}
    over: Mapping[str, tuple[str, ...]] = waits_for(steps)
    by_name = {s.name: s for s in steps}
    for _ in range(20 * len(steps)):
        found = next_moves(steps, states, HERE)
        assert not set(found.begin) & set(states), "a step begins once"
        stopped = [
            n for n, s in states.items() if s is FAILED and by_name[n].on_failure in (None, "abort")
        ]
        for name in found.begin:
            if stopped:
                assert by_name[name].kind in LOOKING
                assert all(by_name[n].on_failure is None for n in stopped)
                assert all(by_name[n].kind in LOOKING for n in stopped)
            else:
                assert all(
                    states[n] in (DONE, SKIPPED)
                    or (states[n] is FAILED and by_name[n].on_failure == "continue")
                    for n in over[name]
                ), "what it needs is over"
            states[name] = RUNNING
        for name, why in found.skip:
            assert why
            states[name] = SKIPPED
        if found.ended is not None:
            return states, found
        busy = [n for n, s in states.items() if s is RUNNING]
        if busy:
            states[data.draw(st.sampled_from(busy))] = data.draw(st.sampled_from([DONE, FAILED]))
        elif found.ask:
            name = data.draw(st.sampled_from(found.ask))
            if data.draw(st.booleans()):
                states[name] = SKIPPED
            else:
                del states[name]
        else:
            assert found.skip, "it stands still"
    raise AssertionError("it never ends")


@settings(max_examples=150)
@given(runbooks(), st.data())
def test_every_runbook_ends_and_says_so_truly(steps: list[Step], data: st.DataObject) -> None:
    states, found = _play(steps, data)
    assert not any(s in (RUNNING, WAITING) for s in states.values())
    assert set(found.never) == {s.name for s in steps} - set(states)
    if found.ended == "succeeded":
        assert not found.never
        assert all(states[s.name] is not FAILED or s.on_failure == "continue" for s in steps)
    else:
        assert any(states.get(s.name) is FAILED and s.on_failure != "continue" for s in steps)


@settings(max_examples=80)
@given(runbooks(), st.data())
def test_a_restart_only_changes_running_steps(steps: list[Step], data: st.DataObject) -> None:
    """After a crash, what ran is begun again, and nothing else than before it."""
    states: dict[str, StepState] = {}
    for _ in range(data.draw(st.integers(0, 10))):
        found = next_moves(steps, states, HERE)
        states |= dict.fromkeys(found.begin, RUNNING) | {n: SKIPPED for n, _ in found.skip}
        busy = [n for n, s in states.items() if s is RUNNING]
        if not busy:
            break
        states[data.draw(st.sampled_from(busy))] = data.draw(st.sampled_from([DONE, FAILED]))
    running = {n for n, s in states.items() if s is RUNNING}
    dead = {n: s for n, s in states.items() if n not in running}
    again = set(next_moves(steps, dead, HERE).begin)
    fresh = set(next_moves(steps, states, HERE).begin)
    failed = any(
        s is FAILED and next(x for x in steps if x.name == n).on_failure in (None, "abort")
        for n, s in dead.items()
    )
    assert fresh <= again
    assert again - fresh == running or failed
