"""Decide which result of a scenario's drills counts. Pure.

A plan is as good as its worst scenario. A failure is over when a drill has passed with a point that
is no older than the failed point; if the failed point is forgotten or gone, no older than the
newest point that is left. Another scenario, an older point or an inconclusive drill does not clear
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from drd.named import NamedTuple

VALID_WITHOUT_SCHEDULE_S = 90 * 86400.0
"""How long, in seconds, a passed drill counts if there is no schedule for the next one."""

INSTANT = ("database-loss", "region-loss")
"""What instant drills rehearse. After the loss of the host a recovery begins with the kit, and
people practise whole recoveries: both restore everything."""

OPERATOR = "operator"
"""The scenario of a drill in which people answer approvals and do manual steps. In everything else
it is like a drill of database-loss. Only a person can start it."""

VALID_TURNS = 2.0
"""For how many of its turns a passed drill of a scenario counts."""


class ScenarioDrill(NamedTuple):
    """One drill, with what matters here. `data_time` is the data time of its point, None if no
    point was chosen; `repository` is the repository to which the drill was limited, `given_by` are
    the repositories from which data was read. An `instant` drill did not restore everything.
    """

    id: str
    scenario: str
    at: datetime
    result: str
    data_time: datetime | None = None
    repository: str = ""
    given_by: tuple[str, ...] = ()
    instant: bool = False


class Standing(NamedTuple):
    """The results that count, by the ids of drills: `last` is the drill that decides, `passed` is
    the newest drill that restored everything and passed. `bound` is the data time that a pass must
    reach to clear the failure.
    """

    last: str
    result: str
    passed: str | None = None
    bound: datetime | None = None


StandingKey = tuple[str, str]
"""A scenario, and the repository that drills were limited to; empty for any."""


def standing(
    drills: Iterable[ScenarioDrill], newest: datetime | None = None
) -> dict[StandingKey, Standing]:
    """Return the results that count by scenario and repository; `drills` are in any order. `newest`
    is the data time of the newest complete point that is left: no failure of a later one, which is
    forgotten or gone, asks for more.
    """
    standings: dict[StandingKey, Standing] = {}
    for drill in (_bounded(d, newest) for d in sorted(drills, key=lambda d: d.at)):
        key = (drill.scenario, drill.repository)
        standings[key] = _after(standings.get(key), drill)
        if drill.result != "passed":
            continue
        for other in _said_as_well(drill, standings):
            standings[other] = _after(standings.get(other), drill)
    return standings


def _bounded(drill: ScenarioDrill, newest: datetime | None) -> ScenarioDrill:
    if newest is None or drill.data_time is None or drill.result != "failed":
        return drill
    return drill._replace(data_time=min(drill.data_time, newest))


def _said_as_well(drill: ScenarioDrill, found: Mapping[StandingKey, Standing]) -> list[StandingKey]:
    """Return what else a pass proves: a drill that read everything from one repository proves that
    repository; a drill limited to a repository proves the scenario, unless a drill without that
    limit failed.
    """
    if drill.repository:
        base = (drill.scenario, "")
        known = found.get(base)
        return [] if known is not None and known.result == "failed" else [base]
    held = [(drill.scenario, name) for name in drill.given_by[:1] if len(drill.given_by) == 1]
    return [key for key in held if key in found]


def _after(before: Standing | None, drill: ScenarioDrill) -> Standing:
    passed = before.passed if before is not None else None
    has_failed = before is not None and before.result == "failed"
    if drill.result == "passed":
        passed = passed if drill.instant else drill.id
        if has_failed and _is_older(drill, before):
            assert before is not None
            return before._replace(passed=passed)
        return Standing(drill.id, "passed", passed)
    if drill.result == "failed":
        bounds = [drill.data_time, before.bound if before is not None else None]
        return Standing(drill.id, "failed", passed, max((b for b in bounds if b), default=None))
    if has_failed:
        assert before is not None
        return before
    return Standing(drill.id, drill.result, passed)


def _is_older(drill: ScenarioDrill, failed: Standing | None) -> bool:
    bound = failed.bound if failed is not None else None
    return bound is not None and (drill.data_time is None or drill.data_time < bound)


def turn_s(every_s: float, scenarios: int) -> float:
    """Return how many seconds it takes until each of the scenarios, which take turns, has had its
    turn."""
    return every_s * max(scenarios, 1)


def valid_s(every_s: float | None, scenarios: int) -> float:
    """Return how long, in seconds, a passed drill counts if a schedule drills this number of
    scenarios in turn."""
    if every_s is None:
        return VALID_WITHOUT_SCHEDULE_S
    return VALID_TURNS * turn_s(every_s, scenarios)


def valid_until(at: datetime, every_s: float | None, scenarios: int) -> datetime:
    return at + timedelta(seconds=valid_s(every_s, scenarios))


def next_scenario(wanted: Sequence[str], last: Mapping[str, datetime]) -> str:
    """Choose the next scenario: one that was never drilled, in the plan's order, else the one whose
    last drill is the oldest.
    """
    never = [scenario for scenario in wanted if scenario not in last]
    return never[0] if never else min(wanted, key=lambda scenario: last[scenario])


def is_random_turn(drills: int, each: int, scenarios: int) -> bool:
    """Return whether the next drill takes an older point at random: once in each `each`, and not
    always in the turn of the same scenario.
    """
    block, place = divmod(drills, each)
    scenarios = max(scenarios, 1)
    fitting = [p for p in range(each) if (block * each + p - block) % scenarios == 0]
    return place == (fitting[-1] if fitting else each - 1)
