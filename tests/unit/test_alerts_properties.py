"""What holds of alerts whatever comes, in whatever order: thousands of random lives."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

import pytest

from drd.model.alerts import AT_ONCE, AlertChange, Condition, Transition, acknowledged, rank
from drd.model.message import SEVERITIES
from tests.alert_support import NOON, RULES, World, bad

KINDS = ("rpo", "disk", "drill-failed", "channel")
HOLD = timedelta(seconds=RULES.hold_s)


def some(random: Random) -> list[Condition]:
    return [
        bad(kind=kind, plan=plan, severity=random.choice(SEVERITIES), message=str(random.random()))
        for kind in KINDS
        for plan in ("a", "b")
        if random.random() < 0.5
    ]


def step(random: Random, *, jumps: bool) -> timedelta:
    if jumps and random.random() < 0.1:
        return timedelta(seconds=random.uniform(-3e8, 3e8))
    return timedelta(seconds=random.choice((1, 30, 30, 60, 200, 400, 4000)))


def maybe_acknowledge(random: Random, world: World, now: datetime) -> None:
    if world.alerts and random.random() < 0.2:
        alert = random.choice(list(world.alerts.values()))
        until = now + timedelta(seconds=random.choice((10, 600, 7200)))
        world.take(acknowledged(alert, by="anna", until=until, why=None, now=now))


@pytest.mark.parametrize("jumps", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_open_alerts_are_conditions_and_alerts_in_the_hold_time(seed: int, jumps: bool) -> None:
    random, world, now = Random(seed), World(), NOON
    for _ in range(60):
        now += step(random, jumps=jumps)
        conditions = some(random)
        found = world.transitions(now, *conditions)
        keys = [alert.key for alert in world.alerts.values()]
        assert len(keys) == len(set(keys)), "one alert for each condition"
        assert {c.key for c in conditions} <= set(keys)
        for alert in world.alerts.values():
            if alert.gone_at is not None:
                assert timedelta() <= now - alert.gone_at < HOLD
                assert alert.kind not in AT_ONCE
        assert len({t.after.id for t in found}) == len(found), "one transition for each"
        assert world.transitions(now, *conditions) == [], "looking again changes nothing"
        maybe_acknowledge(random, world, now)


@pytest.mark.parametrize("seed", range(25))
def test_resolved_alerts_were_gone_for_the_hold_time(seed: int) -> None:
    random, world, now = Random(seed), World(), NOON
    last_there: dict[tuple[str, str, str], datetime] = {}
    for _ in range(120):
        now += step(random, jumps=False)
        conditions = some(random) if random.random() < 0.4 else []
        for condition in conditions:
            last_there[condition.key] = now
        for transition in world.transitions(now, *conditions):
            if transition.change is AlertChange.RESOLVED and transition.after.kind not in AT_ONCE:
                assert now - last_there[transition.after.key] >= HOLD


@pytest.mark.parametrize("jumps", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_alerts_resolve_soon_after_all_is_good(seed: int, jumps: bool) -> None:
    random, world, now = Random(seed), World(), NOON
    for _ in range(30):
        now += step(random, jumps=jumps)
        world.transitions(now, *some(random))
        maybe_acknowledge(random, world, now)
    for _ in range(12):
        now += timedelta(seconds=30)
        world.transitions(now)
    assert not world.alerts


@pytest.mark.parametrize("jumps", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_messages_are_neither_too_frequent_nor_after_acknowledgement(
    seed: int, jumps: bool
) -> None:
    random, world, now = Random(seed), World(), NOON
    for _ in range(80):
        now += step(random, jumps=jumps)
        for transition in world.transitions(now, *some(random)):
            assert_worth_telling(transition, now)
        maybe_acknowledge(random, world, now)


def assert_worth_telling(transition: Transition, now: datetime) -> None:
    before, after = transition.before, transition.after
    if before is None:
        assert transition.change is AlertChange.FIRED
    elif transition.change is AlertChange.REMINDED:
        wait = RULES.reminds(before.severity)
        assert before.state == "firing"
        assert before.told_at is not None
        assert wait is not None
        assert now - before.told_at >= wait
    elif transition.change is AlertChange.EXPIRED:
        assert before.state == "acknowledged"
        assert before.acknowledged_until is not None
        assert now >= before.acknowledged_until
    elif transition.change is AlertChange.CHANGED:
        assert after.code != before.code
    elif transition.change is AlertChange.ESCALATED:
        assert rank(after.severity) < rank(before.severity)
    if transition.change.event == "firing":
        assert (after.state, after.told_at, after.gone_at) == ("firing", now, None)
    if transition.change is AlertChange.KEPT:
        assert before is not None
        assert (after.state, after.id, after.since) == (before.state, before.id, before.since)
        assert rank(after.severity) >= rank(before.severity)
