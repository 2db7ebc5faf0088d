"""What `drd doctor` says about the logs that drd receives."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd.flows.log.findings import findings
from drd.model.finding import Finding
from drd.model.log import LogState, noted_as
from drd.registry import KINDS
from tests.config_support import load
from tests.unit.test_log import STATE, T0
from tests.unit.test_log_plans import logged_plan

HOUR = timedelta(hours=1)


def found(tmp_path: Path, state: dict[str, Any] | None, at: datetime = T0) -> list[Finding]:
    """The findings about the component `server` of a plan, at a time."""
    plan = load(tmp_path, logged_plan()).plan
    kept = {noted_as(plan.name, "server"): (T0, state)} if state is not None else {}
    services = SimpleNamespace(
        kinds=lambda kind: SimpleNamespace(spec=KINDS[kind]),
        open_repository=lambda _: SimpleNamespace(preflight=lambda: None),
        catalogue=SimpleNamespace(queue=SimpleNamespace(noted=kept.get)),
        clock=SimpleNamespace(now=lambda: at),
    )
    first, *others = findings(cast(Any, services), plan)
    assert (first.code, first.severity, first.subject) == ("log-repository", "ok", "primary")
    assert {f.subject for f in others} <= {"server"}
    return others


def said(state: LogState) -> dict[str, Any]:
    return dict(state.to_json())


@pytest.mark.parametrize("state", [None, {}, {"doing": "receives", "since": "yesterday"}])
def test_nothing_is_said_before_a_receiver_has_noted_anything(
    tmp_path: Path, state: dict[str, Any] | None
) -> None:
    assert found(tmp_path, state) == []


def test_a_log_that_arrives_is_fine(tmp_path: Path) -> None:
    [one] = found(tmp_path, said(STATE))
    assert (one.code, one.severity) == ("log-arrival", "ok")
    assert one.text.endswith("the repository has everything up to 2026-11-29 12:00:00 UTC")


def test_a_gap_is_found_as_long_as_recoveries_meet_it(tmp_path: Path) -> None:
    spans = ((T0 - HOUR, T0), (T0 - 5 * HOUR, T0 - 3 * HOUR))
    arrival, gap = found(tmp_path, said(replace(STATE, spans=spans)))
    assert arrival.severity == "ok"
    assert (gap.code, gap.severity, gap.name) == ("log-gap", "warning", "server: log gap")
    span = "2026-11-29 09:00:00 UTC and 2026-11-29 11:00:00 UTC"
    assert f"cannot recover server to a time between {span}" in gap.text
    assert "`drd points shop`" in gap.remedy


def test_two_timelines_that_begin_together_are_no_gap(tmp_path: Path) -> None:
    spans = ((T0 - 3 * HOUR, T0 - HOUR), (T0 - 3 * HOUR, T0))
    [one] = found(tmp_path, said(replace(STATE, spans=spans)))
    assert one.severity == "ok"


@pytest.mark.parametrize(
    ("code", "finding", "remedy"),
    [
        ("log-gap", "log-gap", "to see more: `drd runs shop`"),
        ("log-no-base", "log-arrival", "to see more: `drd runs shop`"),
        ("log-stalled", "log-arrival", "check the network"),
        ("log-unstored", "log-arrival", "check the network"),
    ],
)
def test_what_an_alert_tells_is_a_finding(
    tmp_path: Path, code: str, finding: str, remedy: str
) -> None:
    wrong = replace(STATE, code=code, trouble="WAL is gone", remedy="check the network")
    [one] = found(tmp_path, said(wrong), T0 + timedelta(seconds=90))
    assert (one.code, one.severity, one.remedy) == (finding, "warning", remedy)
    assert "WAL is gone" in one.text


def test_a_receiver_that_is_silent_is_a_finding(tmp_path: Path) -> None:
    [one] = found(tmp_path, said(STATE), T0 + HOUR)
    assert (one.code, one.remedy) == ("log-arrival", "to see more: `journalctl -u drd`")
    assert "has not reported since" in one.text


def test_a_gap_that_drd_has_closed_is_told_for_an_hour(tmp_path: Path) -> None:
    state = replace(STATE, event="the log of server has a gap: WAL is gone", event_at=T0)
    [one] = found(tmp_path, said(state), T0 + timedelta(seconds=30))
    assert (one.severity, one.remedy) == ("warning", "to see more: `drd points shop`")
    assert "WAL is gone" in one.text
