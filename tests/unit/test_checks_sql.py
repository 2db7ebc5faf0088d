"""What a `sql` check asks of the source at backup."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drd import masking
from drd.checks.sql import SqlCheck
from drd.model.plan import CheckSpec
from drd.ports import CheckContext
from drd.ports.by_hand import ByHand
from drd.registry import CHECKS
from tests.catalogue_support import plan

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expect", "asked"),
    [
        ("within 10%", True),
        (" within 10 % ", True),
        ("within 10% of 5000", False),
        ("within rpo", False),
        ("within 2h", False),
        ("> 0", False),
        (12, False),
    ],
)
def test_source_is_asked_only_for_a_share_of_its_own_answer(expect: str | int, asked: bool) -> None:
    settings = SqlCheck(kind="sql", name="n", component="c", query="select 1", expect=expect)
    assert CHECKS["sql"].baseline(settings) == ("select 1" if asked else None)


def test_a_query_stands_on_the_page_by_hand_only_if_a_person_can_ask_it() -> None:
    settings = SqlCheck(kind="sql", name="n", component="c", query="select 1", expect="> 0")
    by_hand = CHECKS["sql"].by_hand
    assert by_hand(settings, None) is None
    assert by_hand(settings, ByHand(())) is None
    asked = by_hand(settings, ByHand((), ask="psql -c"))
    assert asked is not None
    assert asked.commands == "psql -c 'select 1'\n"


class Answers:
    """An inspector that answers every query with this value."""

    def __init__(self, value: object) -> None:
        self.value = value

    def scalar(self, query: str, *, timeout_s: float) -> object:
        return self.value


def context(value: object, component: str = "db", row: Any = None, **more: Any) -> CheckContext:
    """Of a component that was restored from a point of NOON."""
    point: Any = SimpleNamespace(component=lambda _: row, data_time=NOON)
    known = {"plan": plan(rpo_s=60.0), "last_observed": {}, **more}
    inspectors: Any = {component: Answers(value)}
    return CheckContext(
        point=point, inspectors=inspectors, now=NOON, is_root=False, directory=Path("/"), **known
    )


@pytest.mark.parametrize(
    ("value", "figure"),
    [
        (1234, "1234"),
        ("12.50", "12.50"),
        ("many", None),
        (None, None),
        (10**39, "1" + "0" * 39),
        (10**40, None),
        ("83910237645128", None),  # a secret, see below
    ],
)
def test_a_figure_is_a_number_of_some_digits_and_no_secret(
    value: object, figure: str | None
) -> None:
    masking.mask("83910237645128")
    settings = SqlCheck(kind="sql", name="n", component="db", query="select 1", expect="> 0")
    spec = CheckSpec("n", "sql", "db", settings)
    [row] = CHECKS["sql"].check.run(spec, context(value))
    assert row.figure == figure


@pytest.mark.parametrize(
    ("at_backup", "last_observed", "verdict"),
    [
        ({"n": "100"}, {"n": "500"}, "passed"),
        ({}, {"n": "100"}, "passed"),
        (None, {"n": "100"}, "passed"),
        (None, {"n": "500"}, "failed"),
        (None, {}, "not_run"),
    ],
)
def test_a_share_is_of_the_answer_at_backup_or_else_of_the_last_drill(
    at_backup: dict[str, str] | None, last_observed: dict[str, str], verdict: str
) -> None:
    settings = SqlCheck(kind="sql", name="n", component="db", query="q", expect="within 10%")
    snapshot = None
    if at_backup is not None:
        snapshot = SimpleNamespace(data_time=NOON, observations=at_backup)
    around = context(105, row=snapshot, last_observed=last_observed)
    [row] = CHECKS["sql"].check.run(CheckSpec("n", "sql", "db", settings), around)
    assert str(row.verdict) == verdict


@pytest.mark.parametrize(("component", "verdict"), [("orders-db", "passed"), ("gateway", "failed")])
def test_within_rpo_is_within_the_rpo_of_the_component(component: str, verdict: str) -> None:
    bare = plan(rpo_s=60.0)
    own = replace(bare.components["orders-db"], rpo_s=300.0)
    query, expect = "select max(at) from orders", "within rpo"
    settings = SqlCheck(kind="sql", name="n", component=component, query=query, expect=expect)
    of_both = replace(bare, components={**bare.components, "orders-db": own})
    around = context(NOON - timedelta(seconds=200), component, plan=of_both)
    [row] = CHECKS["sql"].check.run(CheckSpec("n", "sql", component, settings), around)
    assert str(row.verdict) == verdict


REPLAYED = NOON + timedelta(minutes=10)


@pytest.mark.parametrize(
    ("newest", "verdict", "observed"),
    [
        (REPLAYED, "passed", "0s before the data time"),
        (REPLAYED - timedelta(minutes=2), "passed", "2m before the data time"),
        (NOON, "failed", "10m before the data time"),
        (REPLAYED + timedelta(minutes=2), "failed", "2m after the data time"),
    ],
)
def test_a_replayed_log_moves_the_time_from_which_a_check_counts(
    newest: datetime, verdict: str, observed: str
) -> None:
    query, expect = "select max(at) from orders", "within 5m"
    settings = SqlCheck(kind="sql", name="n", component="db", query=query, expect=expect)
    row_of_point = SimpleNamespace(data_time=NOON, observations={})
    around = context(newest, row=row_of_point, replayed={"db": REPLAYED})
    [row] = CHECKS["sql"].check.run(CheckSpec("n", "sql", "db", settings), around)
    assert (str(row.verdict), row.observed) == (verdict, observed)
    other = context(newest, row=row_of_point, replayed={"other": REPLAYED})
    [row] = CHECKS["sql"].check.run(CheckSpec("n", "sql", "db", settings), other)
    assert str(row.verdict) == ("passed" if newest == NOON else "failed")


def test_a_time_is_not_judged_where_only_the_log_tells_the_data_time() -> None:
    """After a replay up to a transaction. Other expectations are judged."""
    around = context(7, replayed={"db": None})
    for expect, verdict in (("within 5m", "not_run"), ("== 7", "passed")):
        settings = SqlCheck(kind="sql", name="n", component="db", query="q", expect=expect)
        [row] = CHECKS["sql"].check.run(CheckSpec("n", "sql", "db", settings), around)
        assert (str(row.verdict), row.part) == (verdict, verdict == "not_run"), row
