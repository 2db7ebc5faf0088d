"""The watch over a real catalogue: what it sees, what it says, and what it does on a full disk."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import pytest
from sqlalchemy import insert

from drd.catalogue.changed import KeptFacts
from drd.catalogue.daemon_tables import verifications
from drd.catalogue.sql_catalogue import SqlCatalogue, open_catalogue
from drd.catalogue.summary import read_status
from drd.catalogue.summary_tables import component_summary, plan_summary
from drd.catalogue.tables import plans
from drd.errors import CatalogueError
from drd.flows.alerts.unrecorded import UnrecordedAlerts
from drd.flows.alerts.watch import AlertWatch, WatchResult, WatchSources
from drd.flows.incidents.writing import Desk
from drd.flows.status.refused_plans import Refusal
from drd.kinds.registry import room_of
from drd.model.actor import Actor
from drd.model.alert_facts import HostFacts
from drd.model.alerts import Alert, AlertChange, Rules, Transition
from drd.model.incidents.entries import Author
from drd.model.incidents.instants import Instant
from drd.model.incidents.rules import OpeningRule
from drd.model.message import ChannelSpec
from drd.model.pauses import Pause
from drd.model.plan import Component, Plan, RepositorySpec, SecretRef
from drd.model.policies import Blackout, PrunePolicy, RetentionPolicy, VerificationPolicy
from drd.model.recorded_remedy import is_harmless
from drd.model.retention_state import RetentionState
from drd.model.run import Decision, RunKind, RunState
from drd.model.run_details import ReadinessDetail, RecoveryDetail
from drd.model.schedule import Schedule, schedule_of
from drd.model.snapshot import ComponentSnapshot
from drd.model.units import format_time
from drd.plan_files import plan_files
from tests.catalogue_support import at, captured, evidence, plan, point
from tests.growth import calls

HOOK = ChannelSpec("hook", "webhook", None)
MAIL = ChannelSpec("mail", "smtp", None, plans=("nothing",))


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts")


class Bench:
    """A catalogue with the plan orders-api (RPO 15m, every 5m), and a watch over it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = f"sqlite:///{directory}/state/drd.db"
        self.catalogue: SqlCatalogue = open_catalogue(self.url, create=True)
        self.schedules: dict[str, Schedule] = {}
        self.watch = self.new_watch()

    def new_watch(self, **more: Any) -> AlertWatch:
        """As after a restart of the daemon."""
        return AlertWatch(
            WatchSources(
                catalogue=self.catalogue,
                read_facts=KeptFacts(self.url).read,
                plan_files=lambda: plan_files(self.directory / "plans"),
                schedule=self.schedules.get,
                places={"work_dir": self.directory / "work" / "later"},
                channels=(HOOK, MAIL),
                **more,
            )
        )

    def load(self, loaded: Plan | None = None) -> None:
        loaded = loaded or plan()
        self.catalogue.plans.load(loaded, file_digest="f", at=at(0))
        self.schedules[loaded.name] = schedule_of(loaded)

    def healthy(self, minute: float) -> None:
        """A point of this minute that passed its drill."""
        self.catalogue.points.record(
            point(f"p{minute}", at(minute), components=self.captured(minute))
        )
        owned = self.catalogue.runs.begin(plan(), RunKind.DRILL, trigger="schedule", at=at(minute))
        found = evidence(f"e{minute}", finished_at=at(minute + 1), run=owned.run.id)
        self.catalogue.evidence.record(owned, found)
        self.catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(minute + 1))

    def evaluate(self, minute: float, **host: Any) -> WatchResult:
        return self.watch.evaluate(HostFacts(**host), at(minute))

    def told(self, minute: float, **host: Any) -> list[str]:
        """`change kind` of what the look tells, by plan and kind."""
        return said(self.evaluate(minute, **host))

    def outbox(self) -> list[str]:
        return [row.message.title for row in self.catalogue.outbox.waiting("hook")]

    def captured(self, minute: float) -> list[ComponentSnapshot]:
        return [captured(c, data_time=at(minute)) for c in ("orders-db", "gateway")]


def said(outlook: WatchResult) -> list[str]:
    return [f"{t.change} {t.after.kind}" for t in outlook.transitions if t.change.event is not None]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.catalogue.close()


# --- seeing ---------------------------------------------------------------------------------


def test_alerts_of_a_new_plan_escalate_and_resolve(bench: Bench) -> None:
    bench.load()
    assert bench.told(1) == ["fired never-drilled", "fired no-point"]
    assert bench.told(14) == []
    assert bench.told(16) == ["escalated no-point"]
    bench.healthy(17)
    outlook = bench.evaluate(19)
    assert said(outlook) == ["resolved never-drilled", "resolved no-point"]
    assert outlook.open_alerts == ()
    assert bench.outbox() == [
        "orders-api: never drilled",
        "orders-api: no restore point",
        "orders-api: now critical: no restore point",
        "orders-api: resolved: never drilled",
        "orders-api: resolved: no restore point",
    ]


def test_the_verdicts_are_those_of_status(bench: Bench) -> None:
    bench.load()
    bench.healthy(0)
    [assessment] = bench.evaluate(2).plans
    assert (assessment.plan, str(assessment.verdict)) == ("orders-api", "met")


def test_evaluating_one_plan_leaves_other_alerts_alone(bench: Bench) -> None:
    bench.load()
    bench.load(replace(plan(), name="other"))
    bench.evaluate(1, clock_jump_s=50.0, clock_jumped_at=at(1))
    bench.healthy(2)
    open_before = {(a.plan, a.kind) for a in bench.catalogue.alerts.open()}
    outlook = bench.watch.evaluate_plans(["orders-api"], HostFacts(), at(4))
    assert said(outlook) == ["resolved never-drilled", "resolved no-point"]
    assert {(a.plan, a.kind) for a in outlook.open_alerts} == open_before - {
        ("orders-api", "never-drilled"),
        ("orders-api", "no-point"),
    }
    assert ("", "clock-jumped") in open_before
    assert [(p.plan, str(p.verdict)) for p in outlook.plans] == [
        ("orders-api", "met"),
        ("other", "unknown"),
    ]
    assert said(bench.watch.evaluate_plans(["orders-api"], HostFacts(), at(5))) == []


def test_evaluating_one_plan_fires_like_evaluating_all(bench: Bench) -> None:
    bench.load()
    bench.healthy(0)
    bench.evaluate(2)
    late = bench.watch.evaluate_plans(["orders-api"], HostFacts(), at(30))
    assert said(late) == ["fired rpo"]
    assert said(bench.evaluate(31)) == []


def test_a_new_daemon_takes_over_the_alerts_of_the_old_one(bench: Bench) -> None:
    bench.load()
    bench.evaluate(1)
    bench.watch = bench.new_watch()
    assert bench.told(2) == []
    assert len(bench.catalogue.alerts.open()) == 2


def test_plan_files_that_were_refused_say_why(bench: Bench) -> None:
    (bench.directory / "plans").mkdir()
    (bench.directory / "plans" / "new.yaml").write_text("plan: new\n")
    refused = {"new": Refusal("new.yaml:3: unknown key")}
    outlook = bench.watch.evaluate(HostFacts(), at(0), refused)
    [alert] = [a for a in outlook.open_alerts if a.plan == "new"]
    assert (alert.kind, alert.text) == ("plan-not-loaded", "not loaded: new.yaml:3: unknown key")


def test_a_plan_that_needs_a_new_credential_is_reported_with_a_restart(bench: Bench) -> None:
    """A reload would refuse it again."""
    (bench.directory / "plans").mkdir()
    names = ("new", "orders-api")
    files = {name: bench.directory / f"plans/{name}.yaml" for name in names}
    for name, file in files.items():
        file.write_text(f"plan: {name}\n")
    bench.load(plan(file=str(files["orders-api"])))
    bench.catalogue.plans.mark_broken("orders-api", "orders-api.yaml:3: no credential", at(9**9))
    refused = {name: Refusal(f"{name}.yaml:3: no credential", needs_restart=True) for name in names}
    outlook = bench.watch.evaluate(HostFacts(), at(0), refused)
    remedies = {a.plan: a.remedy for a in outlook.open_alerts if a.kind == "plan-not-loaded"}
    assert remedies == {
        name: f"drd plan check {file} && systemctl restart drd" for name, file in files.items()
    }


def test_a_plan_file_may_wait_some_minutes_for_its_reload(bench: Bench) -> None:
    (bench.directory / "plans").mkdir()
    file = bench.directory / "plans" / "new.yaml"
    file.write_text("plan: new\n")
    outlook = bench.evaluate(0)
    assert said(outlook) == ["fired no-plan"]
    assert [str(p.verdict) for p in outlook.plans] == ["unknown"]
    assert bench.told(4) == []
    assert bench.told(5) == ["fired plan-not-loaded"]
    # A daemon that was started since, and has not loaded it either, does not take it back.
    bench.watch = bench.new_watch()
    assert bench.told(6) == []
    assert bench.told(12) == []
    file.unlink()
    assert bench.told(13) == ["resolved plan-not-loaded"]
    # Written once more, it may wait again.
    file.write_text("plan: new\n")
    assert bench.told(60) == []


def test_copies_and_work_that_never_happened_fire(bench: Bench) -> None:
    copied = replace(
        plan(),
        repositories={
            **plan().repositories,
            "offsite": RepositorySpec(
                "offsite", "/srv/o", SecretRef("env", "P"), copy_of="primary"
            ),
        },
        retention=RetentionPolicy(daily=7, every_s=86400.0),
    )
    bench.load(copied)
    bench.healthy(0)
    assert bench.told(2) == [], "the first copy still has time"
    told = bench.told(40 * 24 * 60)
    assert "fired copy-behind" in told
    fired = {words for words in told if words.startswith("fired")}
    assert fired >= {
        "fired retention-overdue",
        "fired verification-overdue",
        "fired prune-overdue",
        "fired readiness-overdue",
        "fired rpo",
        "fired drill-overdue",
    }
    kinds = [(a.kind, a.subject) for a in bench.catalogue.alerts.open()]
    assert ("verification-overdue", "primary") in kinds
    assert ("verification-overdue", "offsite") in kinds


@pytest.mark.parametrize("action", ["done", "undo"])
def test_a_failed_recovery_that_a_person_ended_is_not_a_problem_any_more(
    action: Literal["done", "undo"], bench: Bench
) -> None:
    bench.load()
    bench.healthy(0)
    for minute in (2, 3):
        owned = bench.catalogue.runs.begin(
            plan(), RunKind.RECOVERY, trigger="manual", at=at(minute)
        )
        bench.catalogue.runs.finish(owned, RunState.FAILED, at=at(minute + 0.5), error="no room")
    assert bench.told(4) == ["fired recovery-failing"]
    [alert] = bench.catalogue.alerts.open()
    show, *ways = alert.remedy.splitlines()
    assert show == f"drd run show {owned.run.id}"
    assert ["drd undo RUN" in way and "drd done RUN" in way for way in ways] == [True]
    assert is_harmless(ways[0], lambda _: False, lambda _: False), "root may read it"
    done = Decision("", action, "anna", "", 0, at(5))
    bench.catalogue.decisions.add(owned.run.id, done)
    bench.healthy(5)
    assert "resolved recovery-failing" in bench.told(6) + bench.told(12)


def test_a_recovery_that_was_refused_before_it_changed_anything_is_no_failure(
    bench: Bench,
) -> None:
    """The person who asked for it has read why, and there is nothing to undo."""
    bench.load()
    bench.healthy(0)

    def failed(minute: float, *, untouched: bool) -> str:
        owned = bench.catalogue.runs.begin(
            plan(), RunKind.RECOVERY, trigger="manual", at=at(minute)
        )
        detail = RecoveryDetail(untouched=untouched, permanent=True)
        bench.catalogue.runs.finish(
            owned, RunState.FAILED, at=at(minute + 0.5), error="no room", detail=detail
        )
        return owned.run.id

    failed(2, untouched=True)
    assert bench.told(4) == []
    run = failed(5, untouched=False)
    assert bench.told(7) == ["fired recovery-failing"]
    failed(8, untouched=True)
    failed(9, untouched=True)
    assert bench.told(10) == []
    [alert] = bench.catalogue.alerts.open()
    assert alert.remedy.splitlines()[0] == f"drd run show {run}", "still about the one that failed"
    bench.catalogue.decisions.add(run, Decision("", "done", "anna", "", 0, at(11)))
    bench.healthy(11)
    assert "resolved recovery-failing" in bench.told(12) + bench.told(18)


def test_findings_of_a_contested_state_end_with_the_decision_of_a_person(
    bench: Bench,
) -> None:
    bench.load()
    bench.healthy(0)
    one = {"severity": "error", "evidence": "a copy", "remedy": "", "proof": False}
    one |= {"exception": None, "allows": "not ready"}
    found = [
        {"code": "this-state", "subject": "", "name": "this state", **one},
        {"code": "repository-clock", "subject": "primary", "name": "clock", **one},
    ]
    owned = bench.catalogue.runs.begin(plan(), RunKind.READINESS, trigger="manual", at=at(2))
    detail = ReadinessDetail.from_json({"readiness": "not ready", "findings": found})
    bench.catalogue.runs.finish(owned, RunState.FAILED, at=at(2.1), detail=detail)
    waits = (Pause("copied-state", "warning", "", "a copy"), Pause("rpo", "warning", "", "late"))
    bench.catalogue.keeping.record_state(RetentionState("orders-api", at(2), "r", at(2), waits))
    bench.catalogue.custody.check(at(2))
    bench.catalogue.custody.contest("a copy", at(2))
    assert "fired state-contested" in bench.told(3, contested="a copy")

    def standing() -> tuple[object, ...]:
        known = read_status(bench.url, None)
        [facts] = known.plans
        assert facts.unready is not None
        assert facts.paused is not None
        kinds = [alert.kind for alert in known.alerts]
        findings = [finding.code for finding in facts.unready.findings]
        return kinds, findings, [pause.code for pause in facts.paused.pauses]

    assert standing() == (
        ["state-contested"],
        ["this-state", "repository-clock"],
        [w.code for w in waits],
    )
    bench.catalogue.custody.take(at(4), None, "this machine takes over")
    assert standing() == ([], ["repository-clock"], ["rpo"])
    assert "resolved state-contested" in bench.told(5) + bench.told(12)


def test_a_finding_of_a_readiness_run_stands_until_a_later_run_lacks_it(bench: Bench) -> None:
    bench.load()
    bench.healthy(0)
    kept = {"evidence": "refused", "remedy": "", "proof": False, "exception": None}
    kept |= {"allows": "not ready"}
    primary = {"code": "repository", "subject": "primary", "name": "repository primary"}
    finding = {**primary, "severity": "error", **kept}

    def readiness(minute: float, state: RunState, *findings: dict[str, object]) -> None:
        owned = bench.catalogue.runs.begin(
            plan(), RunKind.READINESS, trigger="schedule", at=at(minute)
        )
        bench.evaluate(minute + 0.1)
        row = {"readiness": "not ready", "findings": list(findings)}
        detail = ReadinessDetail.from_json(row)
        bench.catalogue.runs.finish(owned, state, at=at(minute + 0.2), detail=detail)

    readiness(2, RunState.FAILED, finding)
    assert bench.told(3) == ["fired repository-unreachable"]
    known = {"reason": "moving", "until": "2026-12-31T00:00:00Z"}
    again = dict(finding)
    proof = {
        "code": "drill",
        "subject": "database-loss",
        "name": "drill database-loss",
        "severity": "error",
        **kept,
        "proof": True,
    }
    accepted = {
        "code": "kit-missing",
        "subject": "",
        "name": "kit missing",
        "severity": "error",
        **kept,
        "exception": known,
    }
    readiness(4, RunState.FAILED, again, proof, accepted)
    assert bench.told(11) == []
    readiness(11.5, RunState.SUCCEEDED)
    assert bench.told(12) == []
    assert "resolved repository-unreachable" in bench.told(18)


def test_work_by_cron_is_overdue_by_its_own_times_and_never_within_a_blackout(
    bench: Bench,
) -> None:
    night = Blackout(0, 24 * 60, days=(3, 4))  # the tests' noon is a Wednesday's
    every_day = PrunePolicy(every_s=None, cron="0 13 * * *", blackout=(night,))
    bench.load(replace(plan(), prune=every_day, retention=RetentionPolicy(daily=7)))

    def prune_is_overdue(hours: float) -> bool:
        minute = hours * 60
        bench.healthy(minute - 2)
        outlook = bench.evaluate(minute)
        return "prune-overdue" in {a.kind for a in outlook.open_alerts}

    owned = bench.catalogue.runs.begin(
        plan(), RunKind.PRUNE, trigger="schedule", at=at(61), subject="primary"
    )
    bench.catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(62))
    assert not prune_is_overdue(26), "Thursday, 14:00"
    assert not prune_is_overdue(59.9), "until midnight before Saturday"
    assert prune_is_overdue(72)


def test_a_rotating_reading_is_overdue_when_all_its_parts_should_be_done(bench: Bench) -> None:
    policy = VerificationPolicy(every_s=86400.0)
    bench.load(replace(plan(), verification=policy))
    with bench.catalogue.database.write() as connection:
        connection.execute(
            insert(verifications).values(
                plan="orders-api", repository="primary", parts=10, next_part=2,
                cycle_started_at=at(0),
            )
        )  # fmt: skip

    def is_overdue(days: float) -> bool:
        outlook = bench.evaluate(days * 24 * 60)
        return "reading-overdue" in {a.kind for a in outlook.open_alerts}

    assert not is_overdue(10.9)
    assert is_overdue(11.1)


def test_problems_of_the_host_raise_alerts(bench: Bench) -> None:
    bench.load()
    bench.healthy(0)
    assert bench.told(
        2, clock_jump_s=-7200.0, clock_jumped_at=at(1), down_from=at(-60), down_to=at(1)
    ) == ["fired clock-jumped", "fired daemon-down"]
    bench.healthy(70)
    assert bench.told(72) == []
    bench.healthy(78)
    assert bench.told(80) == ["resolved clock-jumped", "resolved daemon-down"]


def test_a_dead_channel_is_reported_through_the_others(bench: Bench) -> None:
    bench.load()
    bench.healthy(0)
    for minute in range(8):
        bench.catalogue.outbox.tried("mail", "smtp", at=at(minute), error="refused")
    bench.catalogue.outbox.tried("hook", "webhook", at=at(7), error=None)
    assert bench.told(8) == ["fired channel"]
    [message] = [row.message for row in bench.catalogue.outbox.waiting("hook")]
    assert message.title == "drd: channel mail cannot deliver messages"
    since = format_time(at(0), seconds=True)
    assert message.text.splitlines()[0] == (
        f"channel mail cannot deliver messages since {since} (8 tries): refused"
    )


def test_a_disk_too_small_for_a_drill_raises_an_alert(bench: Bench) -> None:
    bench.load()
    huge = captured("orders-db", data_time=at(0), size=10**18)
    other = captured("gateway", data_time=at(0))
    bench.catalogue.points.record(point("p1", at(0), components=[huge, other]))
    assert "fired disk" in bench.told(1)


def test_a_chain_of_copies_needs_the_room_of_the_server_as_well(bench: Bench) -> None:
    """The size of the snapshot fits; the server that is made of its copies does not."""
    component = Component("orders-db", "postgres-cluster", object())
    of_server = replace(plan(), components={**plan().components, "orders-db": component})
    bench.watch = bench.new_watch(room=room_of)
    bench.load(of_server)
    facts = {"chain": [{}], "parts_bytes": 100, "cluster_bytes": 10**18}
    chain = replace(captured("orders-db", data_time=at(0)), kind="postgres-cluster", facts=facts)
    other = captured("gateway", data_time=at(0))
    bench.catalogue.points.record(point("p1", at(0), components=[other, chain]))
    assert "fired disk" in bench.told(1)


def test_holes_of_files_need_no_room_on_the_disk(bench: Bench) -> None:
    """A sparse file is huge by its size only: the drill makes its holes again."""
    bench.watch = bench.new_watch(room=room_of)
    of_files = {**plan().components, "gateway": Component("gateway", "files", object())}
    bench.load(replace(plan(), components=of_files))
    files = replace(
        captured("gateway", data_time=at(0), size=10**18), kind="files", facts={"holes": 10**18 - 9}
    )
    other = captured("orders-db", data_time=at(0))
    bench.catalogue.points.record(point("p1", at(0), components=[other, files]))
    assert "fired disk" not in bench.told(1)


# --- a catalogue that cannot be used --------------------------------------------------------


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB, to be filled."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return ballast


@as_root
def test_on_a_full_disk_alerts_still_go_out_once_and_are_recorded_later(full: Path) -> None:
    bench = Bench(full)
    bench.load()
    bench.healthy(0)
    bench.evaluate(2)
    ballast = fill(full)

    outlook = bench.evaluate(20)
    assert outlook.error is not None
    assert "the disk of drd's catalogue is full" in outlook.error
    told = [(channel, message.text.splitlines()[0]) for channel, message in outlook.unrecorded]
    assert ("hook", f"drd cannot use its catalogue: {outlook.error}") in told
    since = format_time(at(0), seconds=True)
    late = f"RPO exceeded: the newest complete backup has data of {since} (RPO 15m)"
    assert [t for _, t in told if t.startswith(late)]
    assert bench.evaluate(20.5).unrecorded == ()
    assert bench.evaluate(21).unrecorded == ()
    assert bench.catalogue.alerts.open() == []

    ballast.unlink()
    bench.healthy(21)
    assert bench.told(22) == []
    recorded = {a.kind: a.since for a in bench.catalogue.alerts.open()}
    assert recorded["catalogue"] == recorded["rpo"] == at(20)
    assert bench.outbox() == [], "what was told directly is not told again"
    bench.healthy(26)
    assert sorted(bench.told(28)) == ["resolved catalogue", "resolved disk", "resolved rpo"]
    assert bench.catalogue.alerts.open() == []
    bench.catalogue.close()


def test_an_unreadable_catalogue_resolves_no_alert(bench: Bench) -> None:
    bench.load()
    assert bench.told(1) == ["fired never-drilled", "fired no-point"]
    database = bench.directory / "state" / "drd.db"
    hidden = database.with_name("hidden")
    database.rename(hidden)
    outlook = bench.evaluate(60)
    assert [m.title for _, m in outlook.unrecorded if m.plan == ""]
    assert outlook.plans == ()
    assert {a.kind for a in outlook.open_alerts} == {"catalogue", "never-drilled", "no-point"}
    assert bench.evaluate(61).unrecorded == ()
    hidden.rename(database)
    assert bench.told(62) == ["escalated no-point"]
    assert bench.told(68) == ["resolved catalogue"]


@as_root
def test_an_acknowledgement_stands_over_what_could_not_be_recorded(full: Path) -> None:
    bench = Bench(full)
    bench.load()
    bench.evaluate(1)
    [alert] = [a for a in bench.catalogue.alerts.open() if a.kind == "no-point"]
    ballast = fill(full)
    assert "escalated no-point" in said(bench.evaluate(20))
    ballast.unlink()
    bench.catalogue.alerts.acknowledge(alert.id, by="anna", until=None, why=None, at=at(21))
    assert "escalated no-point" in bench.told(22), "the acknowledged one was less grave"
    [alert] = [a for a in bench.catalogue.alerts.open() if a.kind == "no-point"]
    assert (alert.state, alert.severity, alert.acknowledged_by) == ("firing", "critical", "anna")
    bench.catalogue.close()


# --- a thousand plans -----------------------------------------------------------------------


def multiply(catalogue: SqlCatalogue, count: int) -> None:
    """`plan-0000` and so on, as well known as orders-api: loading each takes many seconds."""
    numbers = (
        f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {count - 1})"
    )
    with catalogue.database.write() as connection:
        for table, key in ((plans, "name"), (plan_summary, "plan"), (component_summary, "plan")):
            columns = [c.name for c in table.columns]
            values = ["printf('plan-%04d', i)" if c == key else c for c in columns]
            connection.exec_driver_sql(
                f"INSERT INTO {table.name} ({', '.join(columns)}) {numbers}"
                f" SELECT {', '.join(values)} FROM n, {table.name} WHERE {key} = 'orders-api'"
            )


def calls_to_evaluate(directory: Path, count: int) -> int:
    directory.mkdir()
    bench = Bench(directory)
    bench.load()
    bench.catalogue.points.record(point("p1", at(1), components=bench.captured(1)))
    multiply(bench.catalogue, count)
    schedule = schedule_of(plan())
    bench.schedules.update({f"plan-{number:04}": schedule for number in range(count)})
    bench.evaluate(2)
    made = min(calls(lambda minute=minute: bench.evaluate(minute)) for minute in (3, 20, 21))
    outlook = bench.evaluate(22)
    assert len(outlook.plans) == count + 1
    assert len(outlook.open_alerts) == 2 * (count + 1)
    bench.catalogue.close()
    return made


def test_ten_times_the_plans_are_evaluated_with_ten_times_the_calls(tmp_path: Path) -> None:
    """How long that takes `make bench` measures: a test would fail where others use the machine."""
    few, many = (calls_to_evaluate(tmp_path / str(count), count) for count in (100, 1000))
    assert many <= 10 * few
    assert many < 1_000_000


def test_work_late_after_sleep_raises_no_alert_for_an_hour(bench: Bench) -> None:
    """What would be lost is one at once, and what was late before stays one."""
    bench.load(replace(plan(), retention=RetentionPolicy(daily=7, every_s=86400.0)))
    bench.healthy(0)
    bench.evaluate(2)
    days = 40 * 24 * 60
    slept = {"down_from": at(2), "down_to": at(days)}
    told = bench.told(days, **slept)
    assert "fired rpo" in told
    assert not [words for words in told if words.endswith("-overdue")]
    assert "fired retention-overdue" in bench.told(days + 61, **slept)
    again = {"down_from": at(days + 62), "down_to": at(2 * days)}
    assert "resolved retention-overdue" not in bench.told(2 * days, **again)
    assert ("retention-overdue", "") in {(a.kind, a.subject) for a in bench.catalogue.alerts.open()}


# --- incidents ------------------------------------------------------------------------------


def test_a_rule_opens_one_incident_for_a_plan_and_never_closes_it(bench: Bench) -> None:
    rules = [OpeningRule(severity="critical", plans="orders-*"), OpeningRule("no-drill")]
    bench.watch.use([HOOK], Rules(), rules)
    bench.load()
    bench.load(replace(plan(), name="other"))
    bench.evaluate(1)
    assert bench.catalogue.incidents.newest() == []
    bench.evaluate(16)  # no point is critical now, of both plans
    [incident] = bench.catalogue.incidents.newest()
    assert incident.title.startswith("orders-api: ")
    assert (incident.plans, incident.opened_by, incident.acknowledged_at) == (
        ("orders-api",), "drd", None,
    )  # fmt: skip
    assert incident.instants == {Instant.FIRST_ALERT: at(1)}
    bench.evaluate(17)
    bench.healthy(17)
    bench.evaluate(19)
    assert [i.number for i in bench.catalogue.incidents.newest()] == [1]
    entries = bench.catalogue.incidents.entries(incident)
    assert [e.header.kind for e in entries if e.header.kind.startswith("alert")] == [
        "alert.resolved", "alert.resolved",
    ]  # fmt: skip

    author = Author("anna", at(20))
    Desk(bench.catalogue, 1, author).close("done")
    bench.evaluate(60)
    assert [i.number for i in bench.catalogue.incidents.newest()] == [2], "a new one of the rule"


def test_an_incident_that_cannot_be_recorded_is_opened_with_its_alert_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are one transaction."""
    bench.watch.use([HOOK], Rules(), [OpeningRule(severity="critical")])
    bench.load()

    def full(*_: object) -> None:
        raise CatalogueError("full", hint="")

    with monkeypatch.context() as patched:
        patched.setattr(type(bench.catalogue.incidents), "begin_by_rule", full)
        assert bench.evaluate(16).error == "full"
        assert bench.catalogue.alerts.open() == []
    bench.evaluate(17)
    assert len(bench.catalogue.incidents.newest()) == 1


def test_a_catalogue_that_is_locked_for_a_moment_is_no_alert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several processes write, and SQLite lets one wait longer than the daemon may. The check is
    repeated, and what it found is told then."""
    monkeypatch.setattr("drd.catalogue.engine.BUSY_S", 0.1)
    bench = Bench(tmp_path)
    bench.load()
    with closing(sqlite3.connect(tmp_path / "state/drd.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        outlook = bench.evaluate(1)
        assert (outlook.again, outlook.transitions, outlook.unrecorded) == (True, (), ())
        assert "another process has locked drd's catalogue" in str(outlook.error)
        assert bench.evaluate(1.2).again
    assert bench.told(1.3) == ["fired never-drilled", "fired no-point"]
    bench.catalogue.close()


def test_a_catalogue_that_stays_locked_is_an_alert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drd.catalogue.engine.BUSY_S", 0.1)
    bench = Bench(tmp_path)
    bench.load()
    with closing(sqlite3.connect(tmp_path / "state/drd.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert bench.evaluate(1).again
        outlook = bench.evaluate(1.6)
        assert not outlook.again
        assert "fired catalogue" in said(outlook)
        loop = bench.evaluate(1.7, catalogue_error="what the loop found after its own half minute")
        assert not loop.again
    assert bench.told(1.8) == [], "what was told directly is not told again"
    bench.healthy(7)
    assert "resolved catalogue" in bench.told(8)
    bench.catalogue.close()


def test_the_next_daemon_resolves_what_a_daemon_sent_and_could_not_record(tmp_path: Path) -> None:
    """Else an incident in a pager stays open for ever: the alert is in no catalogue."""
    bench = Bench(tmp_path)
    bench.load()
    bench.healthy(0)
    assert bench.told(2) == []

    def restarted() -> AlertWatch:
        return bench.new_watch(unrecorded=UnrecordedAlerts(tmp_path / "state"))

    bench.watch = restarted()
    with patch.object(bench.catalogue.alerts, "apply", side_effect=removed()):
        outlook = bench.evaluate(3, catalogue_error="drd's catalogue is gone")
    [alert] = [message.alert for _, message in outlook.unrecorded]
    assert alert

    bench.watch = restarted()
    bench.healthy(3)
    assert bench.told(5) == []
    assert [a.id for a in bench.catalogue.alerts.open()] == [alert]
    bench.watch = restarted()
    bench.healthy(8)
    outlook = bench.evaluate(11)
    assert said(outlook) == ["resolved catalogue"]
    assert [t.after.id for t in outlook.transitions] == [alert]
    assert UnrecordedAlerts(tmp_path / "state").read() == []
    bench.catalogue.close()


def removed() -> CatalogueError:
    return CatalogueError("drd's catalogue is gone", trouble="removed")


def test_alerts_that_are_not_recorded_survive_in_their_file(tmp_path: Path) -> None:
    person = Actor.from_json({"uid": 1000, "user": "anna", "host": "web1", "came": "local"})
    alert = Alert(
        "3f9a1c02", "shop", "rpo", "", "acknowledged", "critical", at(1), "RPO exceeded",
        remedy="drd status", seen_at=at(2), told_at=at(3), gone_at=at(4), acknowledged_by="anna",
        acknowledged_until=at(5), acknowledged_why="known", acknowledged_actor=person,
        resolved_at=at(6), code="late",
    )  # fmt: skip
    change = Transition(AlertChange.RESOLVED, replace(alert, resolved_at=None), alert)
    file = UnrecordedAlerts(tmp_path)
    file.write([change])
    assert UnrecordedAlerts(tmp_path).read() == [change]

    many = [
        Transition(AlertChange.FIRED, None, replace(alert, id=f"{n:08}", severity=severity))
        for n in range(100)
        for severity in ("warning", "critical")
    ]
    file.write(many)
    kept = UnrecordedAlerts(tmp_path).read()
    assert 0 < len(kept) < len(many)
    assert {t.after.severity for t in kept[:100]} == {"critical"}, "the most severe are kept"


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'[{"change": "fired"}]', b"\xff", b"{}"])
def test_a_file_of_alerts_that_cannot_be_read_counts_as_empty(
    content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "unrecorded-alerts.json").write_bytes(content)
    assert UnrecordedAlerts(tmp_path).read() == []


def test_entries_of_another_version_cost_no_other_alert(tmp_path: Path) -> None:
    alert = Alert("3f9a1c02", "", "catalogue", "", "firing", "critical", at(1), "it is full")
    UnrecordedAlerts(tmp_path).write([Transition(AlertChange.FIRED, None, alert)])
    file = tmp_path / "unrecorded-alerts.json"
    [entry] = json.loads(file.read_bytes())
    entry["after"]["colour"] = "red"
    file.write_text(json.dumps([{"change": "painted", "before": None, "after": {}}, entry]) + "\0")
    assert [t.after for t in UnrecordedAlerts(tmp_path).read()] == [alert]


@as_root
def test_alerts_are_remembered_on_a_full_disk(full: Path) -> None:
    file = UnrecordedAlerts(full)
    file.write([])
    ballast = fill(full)
    alert = Alert("3f9a1c02", "", "catalogue", "", "firing", "critical", at(1), "it is full")
    file.write([Transition(AlertChange.FIRED, None, alert)])
    assert [t.after for t in UnrecordedAlerts(full).read()] == [alert]
    ballast.unlink()
