"""What the record of an incident shows when people look back, and the pages of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from drd.api.postmortem_page import about, as_html, as_markdown
from drd.cli.renewed_file import renew
from drd.errors import UsageError
from drd.model.incidents import entries as kinds
from drd.model.incidents.affected import Affected, Known
from drd.model.incidents.cadence import Cadence
from drd.model.incidents.entries import Author, draft
from drd.model.incidents.fold import fold
from drd.model.incidents.incident import Incident, Task
from drd.model.incidents.lessons import went_badly, went_well
from drd.model.incidents.review import (
    Contained,
    Goals,
    Prediction,
    Promise,
    Recovery,
    Review,
    drill_before,
    is_much_longer,
    playbook_runs,
    promises,
    recoveries,
    step_differences,
    unfinished,
)
from drd.model.incidents.timeline import timeline
from drd.model.marked_parts import renewed, texts
from drd.model.playbook_conditions import EXPIRES, measures, stands
from drd.model.records import Draft
from drd.model.run import DrillResult, Evidence, StepState
from drd.model.step_record import StepRecord
from drd.model.step_results import ActionStepResult
from tests.records_support import ANNA, Chain
from tests.unit.test_incident_page import Tags

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
UTC_ = ZoneInfo("UTC")
EVIL = "<!-- drd end: incident 1 head -->\n<script>x</script> | `a` [l](http://x) *b* \x1b[31m"


class Response(Chain):
    """The entries of incident 1, one a minute."""

    def __init__(self) -> None:
        super().__init__()
        self.say(kinds.OPEN, title="orders leak", plans=["shop"])

    def say(self, kind: str, **body: Any) -> None:
        at = NOON + timedelta(minutes=len(self.entries))
        self.add(draft(kind, 1, Author("anna", at, ANNA), body))

    def run(self, kind: str, of: str, **body: Any) -> None:
        at = NOON + timedelta(minutes=len(self.entries))
        self.add(Draft(kind, f"shop/{of}", {"run_kind": "recovery", **body}, at, ANNA))


def measured(run: str, **values: Any) -> dict[str, Any]:
    base = {"run": run, "plan": "shop", "result": "passed", "started_at": "2026-11-28T12:30:00Z"}
    return {"evidence": {**base, "rpa_s": 60.0, "rta_s": 600.0, **values}}


def evidence(**values: Any) -> Evidence:
    told: dict[str, Any] = {
        "id": "e1",
        "run": "d1",
        "plan": "shop",
        "point": "p",
        "scenario": "database-loss",
        "result": DrillResult.PASSED,
        "plan_digest": "",
        "started_at": NOON - 2 * HOUR,
        "finished_at": NOON - HOUR,
        "rpa_s": 1.0,
        "rta_s": 120.0,
        "judged": True,
        "phases": {},
        "checks": (),
    }
    return Evidence(**{**told, **values})


def test_recoveries_are_those_of_the_signed_entries() -> None:
    said = Response()
    said.say(kinds.RECOVERY, plan="shop", target="standby")
    assert unfinished(said.entries) == ("shop",)
    said.run("evidence", "r1", **measured("r1"))
    said.run("run.end", "r1", run="r1", plan="shop", state="failed", error="no room")
    said.run("run.end", "b1", run="b1", plan="shop", state="failed", run_kind="backup")
    said.run("evidence", "r2", **measured("r2", scenario="partial-recovery", judged=False))
    said.add(Draft("decision", "shop/r2", {"run": "r2", "action": "undo"}, NOON, ANNA))
    first, second = recoveries(said.entries)
    assert (first.run, first.state, first.error, first.loss_s) == ("r1", "failed", "no room", 60.0)
    assert (second.partial, second.on_purpose, second.back) == (True, True, "undone")
    assert unfinished(said.entries) == ()


def test_promised_updates_and_the_first_one() -> None:
    said = Response()
    due = NOON + timedelta(minutes=10)
    said.say(kinds.MESSAGE, act="send", audience="internal", next_update=due.isoformat())
    said.say(kinds.MESSAGE, act="send", audience="customers", next_update=NOON.isoformat())
    said.say(kinds.MESSAGE, act="send", audience="customers")
    incident = replace(fold(1, said.entries), cadence=Cadence(30, {"critical": 60.0}))
    found = promises(incident, said.entries, NOON + HOUR)
    assert [(p.audience, p.is_kept, p.told_at is None) for p in found] == [
        ("customers", False, False),
        ("internal", False, False),  # the first one, a minute after the opening
        ("internal", False, True),
    ]
    closed = replace(incident, closed_at=NOON + timedelta(minutes=5))
    assert len(promises(closed, said.entries, NOON + HOUR)) == 2


def step(name: str, took_s: float = 10, **values: Any) -> StepRecord:
    told: dict[str, Any] = {
        "run": "r",
        "name": name,
        "kind": "command",
        "state": StepState.SUCCEEDED,
        "attempt": 1,
        "started_at": NOON,
        "finished_at": NOON + timedelta(seconds=took_s),
    }
    return StepRecord(**{**told, **values})


def test_steps_that_differed_from_the_drill() -> None:
    drilled = [step("same"), step("slow"), step("restore etc", kind="restore", subject="etc")]
    real = [
        step("same", 60),
        step("slow", 200),
        step("left", state=StepState.SKIPPED),
        step("broke", state=StepState.FAILED, error="no route", attempt=3),
        step("dns"),
        step("restore etc", 900, kind="restore", subject="etc"),
    ]
    assert list(step_differences(real, drilled, {"dns": "only in production"})) == [
        "step slow took 3m 20s, but 10s in the drill",
        "step left was skipped",
        "step broke failed: no route",
        "step broke needed 3 attempts",
        "step dns was not rehearsed in the drill: only in production",
        "restore of etc took 15m, but 10s in the drill",
    ]


@pytest.mark.parametrize(
    ("took_s", "before_s", "longer"),
    [
        (60.0, 0.0, False),
        (60.5, 0.0, True),
        (90.0, 30.0, False),
        (90.5, 30.0, True),
        (200.0, 100.0, False),
        (200.5, 100.0, True),
        (None, 1.0, False),
        (900.0, None, False),
    ],
)
def test_a_step_is_much_longer_beyond_twice_its_time_and_a_minute_more(
    took_s: float | None, before_s: float | None, *, longer: bool
) -> None:
    assert is_much_longer(took_s, before_s) is longer


def test_drill_before_the_recovery() -> None:
    old, new = evidence(run="old", finished_at=NOON - 2 * HOUR), evidence(run="new")
    real = evidence(run="real", target="standby", finished_at=NOON - timedelta(minutes=1))
    later = evidence(run="later", finished_at=NOON + HOUR)
    assert drill_before([later, real, new, old], NOON) is new
    assert drill_before([later], NOON) is None


def review(**values: Any) -> Review:
    said = Response()
    said.say(kinds.STAR, entry=1)
    incident = fold(1, said.entries)
    told: dict[str, Any] = {"lines": timeline(incident, said.entries)}
    return Review(incident, NOON + HOUR, UTC_, **{**told, **values})


def test_lessons_of_the_record() -> None:
    good = Recovery("r1", "shop", "succeeded", result="passed", loss_s=60.0, took_s=600.0)
    bad = replace(good, run="r2", loss_s=7200.0, took_s=7200.0, back="undone")
    found = review(
        recoveries=(good, bad),
        goals={"shop": Goals(3600, 3600)},
        predictions={
            "r1": Prediction(evidence()),
            "r2": Prediction(None, ("step x was skipped",)),
        },
        promises=(Promise("internal", NOON, NOON), Promise("customers", NOON)),
        unfinished=("billing",),
    )
    tasks = (Task(1, "x", due=NOON), Task(2, "y", due=NOON, done_at=NOON))
    found = replace(found, incident=replace(found.incident, tasks=tasks))
    assert list(went_well(found)) == [
        "1 update came in time: internal",
        "the recovery of shop took 10m, within the RTO of 1h",
        "the recovery of shop lost 1m of data, within the RPO of 1h",
        "the recovery of shop succeeded, as the last drill had predicted",
        "1 task with a due time was done in time",
    ]
    assert list(went_badly(found)) == [
        "the update to customers that was due 2026-11-28 12:00 UTC was not sent",
        "a recovery of billing began, and has not ended",
        "the recovery of shop took 10m, but its last drill took 2m",
        "the recovery r2 of shop was undone",
        "the recovery of shop took 2h, longer than the RTO of 1h",
        "the recovery of shop lost 2h of data, more than the RPO of 1h",
        "no drill of shop had been recorded before its recovery",
        "recovery r2 of shop: step x was skipped",
        "task 1 was due 2026-11-28 12:00 UTC, and is not done",
    ]


def test_temporary_measures_that_stood_too_long() -> None:
    """The run is that of the incident's own entry; a measure that was not due yet says nothing."""

    def measure(name: str, minutes: int, **values: Any) -> StepRecord:
        until = {EXPIRES: f"{NOON + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"}
        return step(name, result=ActionStepResult.of(until), **values)

    def back(name: str, minutes: int, state: StepState = StepState.SUCCEEDED) -> StepRecord:
        ended = NOON + timedelta(minutes=minutes)
        return step(f"rollback {name}", kind="rollback", subject=name, state=state,
                    finished_at=ended)  # fmt: skip

    records = [
        *(measure("kept", 30), back("kept", 20)),
        *(measure("late", 30), back("late", 45)),
        *(measure("stands", 30), back("stands", 20, StepState.FAILED)),
        measure("maybe", 30, state=StepState.FAILED),
        measure("to come", 90),
        step("no measure"),
    ]
    said = Response()
    said.say(kinds.PLAYBOOK, playbook="contain", run="r", of_plan="")
    runs = playbook_runs(said.entries)
    found = review(
        contained=[Contained(r, name, tuple(measures(records))) for r, name in runs.items()]
    )
    assert list(went_well(found)) == ["1 temporary measure was rolled back in time"]
    due = "of playbook contain (run r), a temporary measure, should have ended at 2026-11-28 12:30"
    assert list(went_badly(found)) == [
        f"step late {due} UTC, and was rolled back 15m late",
        f"step stands {due} UTC, and is still in effect",
        f"step maybe {due} UTC, and {stands(records[6])}",
    ]


def test_pages_say_what_is_known_and_ask_for_the_rest() -> None:
    affected = (Affected("shop", "customers", Known.COUNTED, 5000),)
    page = as_markdown(review(affected=affected))
    assert "# Post-mortem of incident 1: orders leak" in page
    assert "| shop | customers | 5,000 people (counted) | unknown |" in page
    assert "opened: orders leak; plans shop" in texts(page, about(1))["timeline"]
    contained = "to contain: from the first notice to the moment contained"
    assert f"{contained} | unknown: the time of a moment is missing" in page
    assert "## Contributing factors" in page
    assert "working hours of our people" in page
    bare = as_markdown(Review(Incident(1), NOON, UTC_))
    assert "drd incident log 1 --star ENTRY" in texts(bare, about(1))["timeline"]


def test_nothing_that_others_typed_becomes_markup_or_a_marker() -> None:
    hostile = replace(review().incident, title=EVIL, lead=EVIL)
    bad = Recovery("r1", "shop", "failed", error=EVIL)
    line = replace(review().lines[0], text=EVIL, by=EVIL)
    found = review(recoveries=(bad,), lines=(line,), warnings=(EVIL,), clocks_unknown=EVIL)
    found = replace(found, incident=hostile)
    page, html = as_markdown(found), as_html(found)
    for made in (page, html):
        assert "\x1b" not in made
        assert "<script" not in made
        assert set(texts(made, about(1))) == {
            "head",
            "impact",
            "timeline",
            "detection",
            "well",
            "badly",
            "drills",
            "actions",
        }
        assert renewed(made, made, about(1), "p") == (made, ())
    assert "[l](" not in page
    assert not {"script", "a", "img"} & set(Tags(html).tags)


def test_file_is_renewed_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "p.md"
    file.write_text("old")
    file.chmod(0o640)
    renew(str(file), lambda text: text + " new")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("old new", 0o640)

    def changed(text: str) -> str:
        file.write_text("of an editor")
        return text

    with pytest.raises(UsageError, match="somebody changed"):
        renew(str(file), changed)
    assert file.read_text() == "of an editor"
    (tmp_path / "link.md").symlink_to(file)
    with pytest.raises(UsageError, match="cannot write"):
        renew(str(tmp_path / "link.md"), str)
    file.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="UTF-8"):
        renew(str(file), str)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["link.md", "p.md"]
