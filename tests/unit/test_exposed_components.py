"""What a recovery would restore of each component, and what the schedule allows to be lost."""

from __future__ import annotations

from typing import Any

import pytest

from drd.model.facts import AUTO, ComponentFacts
from drd.model.own_objectives import (
    Achievable,
    Exposed,
    achievable,
    exposed,
    has_logs,
    oldest_s,
    points_may_be_s,
    points_tell,
    strictest_s,
    worst_of,
)
from tests.status_support import HOUR, MINUTE, NOW, ago, healthy, point

BARE = ComponentFacts("files", "files")
LOGGED = ComponentFacts("db", "postgres-cluster", log_at=ago(10), log_every_s=30.0)
SLOWER = LOGGED._replace(component="db2", log_at=ago(40), log_every_s=60.0)
BEHIND = LOGGED._replace(log_at=ago(2 * HOUR))
NO_LOG_YET = LOGGED._replace(log_at=None)
STRICT = BARE._replace(component="strict", rpo_s=300.0)
LAX = BARE._replace(component="lax", rpo_s=3600.0)


def parts(*components: ComponentFacts, leads_on: bool = True) -> list[tuple[Any, ...]]:
    """Return for each part its name, the age of its data, its RPO and whether the log decides."""
    plan = healthy(rpo_s=900.0, components=components)
    found = exposed(plan, point(HOUR), leads_on=leads_on)
    return [(p.component, (NOW - p.data_time).seconds, p.rpo_s, p.by_log) for p in found]


def test_a_plan_without_own_objectives_is_exposed_as_its_worst_component() -> None:
    assert parts() == [("", HOUR, 900.0, False)]
    assert parts(BARE) == [("", HOUR, 900.0, False)]
    assert parts(LOGGED, BARE) == [("", HOUR, 900.0, False)]
    assert parts(LOGGED, SLOWER) == [("", 40, 900.0, True)]
    assert parts(LOGGED, BEHIND) == [("", HOUR, 900.0, True)]
    assert parts(LOGGED, leads_on=False) == [("", HOUR, 900.0, False)]


def test_each_component_is_exposed_by_its_own_log_if_one_has_an_rpo_of_its_own() -> None:
    strict, files = ("strict", HOUR, 300.0, False), ("files", HOUR, 900.0, False)
    assert parts(STRICT, BARE, LOGGED) == [strict, files, ("db", 10, 900.0, True)]
    assert parts(STRICT, LOGGED, leads_on=False) == [strict, ("db", HOUR, 900.0, False)]


@pytest.mark.parametrize(
    ("ages", "worst"),
    [
        ([(60, 60.0)], 0),
        ([(60, 60.0), (61, 60.0)], 1),
        ([(60, 60.0), (600, 600.0)], 0),  # as bad: the first
        ([(60, 30.0), (100, 600.0)], 0),
        ([(60, 0.0), (600, 60.0)], 0),
        ([(60, 60.0), (-HOUR, 60.0)], 1),  # of the future
        ([(-HOUR, 60.0), (600, 60.0)], 0),
        ([(60, 60.0), (-HOUR, 60.0), (600, 60.0)], 1),
    ],
)
def test_the_worst_part_is_the_one_with_most_of_its_rpo_used_or_of_the_future(
    ages: list[tuple[float, float]], worst: int
) -> None:
    made = tuple(Exposed(f"c{n}", ago(s), rpo, by_log=False) for n, (s, rpo) in enumerate(ages))
    assert worst_of(made, NOW) is made[worst]


@pytest.mark.parametrize(
    ("components", "changes", "found"),
    [
        ((), {}, Achievable("", 320.0, 900.0)),
        ((BARE,), {"backup_p95_s": None}, Achievable("", 300.0, 900.0)),
        ((BARE,), {"cron": AUTO}, Achievable("", 300.0, 900.0)),
        ((BARE,), {"cron": AUTO, "backup_p95_s": 200.0}, Achievable("", 400.0, 900.0)),
        ((BARE,), {"interval_s": None}, None),
        ((LOGGED, BARE), {}, Achievable("", 320.0, 900.0)),
        ((LOGGED, SLOWER), {}, Achievable("", 65.0, 900.0, 60.0)),
        ((LOGGED, SLOWER), {"interval_s": None}, Achievable("", 65.0, 900.0, 60.0)),
        ((STRICT, LOGGED), {}, Achievable("strict", 320.0, 300.0)),
        ((LOGGED, STRICT), {}, Achievable("strict", 320.0, 300.0)),
        ((LAX, BARE), {}, Achievable("files", 320.0, 900.0)),
        ((STRICT, STRICT._replace(component="b")), {}, Achievable("strict", 320.0, 300.0)),
        ((STRICT, LOGGED), {"interval_s": None}, Achievable("db", 35.0, 900.0, 30.0)),
        ((STRICT,), {"interval_s": None}, None),
    ],
)
def test_the_schedule_allows_what_it_allows_for_the_component_that_it_serves_worst(
    components: tuple[ComponentFacts, ...], changes: dict[str, Any], found: Achievable | None
) -> None:
    assert achievable(healthy(components=components, **changes)) == found


@pytest.mark.parametrize(
    ("components", "tell"),
    [
        ((), True),
        ((BARE,), True),
        ((LOGGED,), False),
        ((LOGGED, BARE), True),
        ((LOGGED._replace(rpo_s=900.0), BARE), True),
        ((LOGGED._replace(rpo_s=899.0), BARE), False),
        ((STRICT, LOGGED), True),  # a shorter RPO without a log
        ((NO_LOG_YET._replace(rpo_s=60.0), BARE), True),
    ],
)
def test_points_tell_of_the_past_unless_a_log_has_to_be_newer(
    components: tuple[ComponentFacts, ...], *, tell: bool
) -> None:
    assert points_tell(healthy(components=components)) is tell


def test_the_logs_decide_if_every_component_has_one() -> None:
    for components, found in (
        ((), False),
        ((LOGGED, SLOWER), True),
        ((LOGGED, BARE), False),
        ((LOGGED, NO_LOG_YET), False),
    ):
        assert has_logs(healthy(components=components)) is found


@pytest.mark.parametrize(
    ("components", "interval_s", "may_be_s"),
    [
        ((LOGGED, SLOWER), 1800.0, 1800.0),
        ((LOGGED, SLOWER), 300.0, 900.0),
        ((LOGGED, SLOWER), None, 900.0),
        ((LOGGED, BARE), 1800.0, 900.0),
        ((), 1800.0, 900.0),
    ],
)
def test_points_may_be_as_old_as_their_interval_if_logs_lead_on_from_them(
    components: tuple[ComponentFacts, ...], interval_s: float | None, may_be_s: float
) -> None:
    plan = healthy(components=components, interval_s=interval_s)
    assert points_may_be_s(plan) == may_be_s


def test_the_strictest_rpo_is_that_of_a_component_or_of_the_plan() -> None:
    assert strictest_s(healthy()) == 15 * MINUTE
    assert strictest_s(healthy(components=())) == 15 * MINUTE
    assert strictest_s(healthy(components=(STRICT, LAX, BARE))) == 300.0
    assert strictest_s(healthy(components=(LAX,))) == 3600.0


@pytest.mark.parametrize(
    ("interval_s", "oldest"), [(None, 900.0), (300.0, 900.0), (450.0, 900.0), (600.0, 1200.0)]
)
def test_where_logs_decide_one_backup_may_be_late(interval_s: float | None, oldest: float) -> None:
    assert oldest_s(900.0, interval_s) == oldest
