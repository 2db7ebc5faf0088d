"""What a plan wants to be done regularly, compiled and kept as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drd import secrets
from drd.config.plan_file import load_plan
from drd.kinds.postgres.settings import PostgresSettings
from drd.kinds.registry import host_of
from drd.model import schedule
from drd.model.due import next_due
from drd.model.plan import Component, DrillPolicy, KitWatch, SecretRef
from drd.model.policies import (
    BackupPolicy,
    Blackout,
    CopyPolicy,
    PrunePolicy,
    RetentionPolicy,
    VerificationPolicy,
)
from drd.model.schedule import (
    Job,
    Schedule,
    Timing,
    auto_exposure_s,
    auto_interval_s,
    margin_s,
    schedule_of,
)
from tests.config_support import EXAMPLES
from tests.growth import calls
from tests.schedule_support import DAY, HOUR, MINUTE, NOW, ago, plan, repository, situation

SERVERS = host_of(lambda ref: str(ref.value) if ref.source == "text" else None)
NIGHT = Blackout(22 * 60, 6 * 60, (0, 4))


def jobs(**changes: object) -> dict[tuple[str, str], Job]:
    return {
        (job.kind, job.subject): job for job in schedule_of(plan(**changes), host_of=SERVERS).jobs
    }


def test_every_kind_of_run_has_its_job() -> None:
    two = {"primary": repository("primary"), "offsite": repository("offsite", copy_of="primary")}
    found = jobs(repositories=two)
    assert list(found) == [
        ("backup", ""),
        ("copy", "offsite"),
        ("drill", ""),
        ("retention", ""),
        ("prune", "primary"),
        ("verification", "primary"),
        ("prune", "offsite"),
        ("verification", "offsite"),
        ("readiness", ""),
    ]
    assert found["backup", ""].repositories == ("/srv/primary",)
    assert found["copy", "offsite"].repositories == ("/srv/primary", "/srv/offsite")
    assert found["copy", "offsite"].timing.follows
    assert found["retention", ""].repositories == ("/srv/primary", "/srv/offsite")
    assert found["prune", "offsite"].repositories == ("/srv/offsite",)
    assert {job.rpo_s for job in found.values()} == {15 * MINUTE}


@pytest.mark.parametrize(
    ("changes", "gone"),
    [
        ({"backup": BackupPolicy()}, {("backup", "")}),
        ({"drill": DrillPolicy()}, {("drill", "")}),
        ({"retention": RetentionPolicy(daily=7)}, {("retention", "")}),
        ({"retention": RetentionPolicy(every_s=DAY)}, {("retention", ""), ("prune", "primary")}),
        ({"prune": PrunePolicy(every_s=None)}, {("prune", "primary")}),
        ({"verification": VerificationPolicy(every_s=None)}, {("verification", "primary")}),
    ],
)
def test_a_task_done_by_hand_has_no_job(
    changes: dict[str, object], gone: set[tuple[str, str]]
) -> None:
    assert set(jobs()) - set(jobs(**changes)) == gone


def test_copies_have_times_of_their_own_where_the_plan_says_so() -> None:
    two = {"primary": repository("primary"), "offsite": repository("offsite", copy_of="primary")}
    daily = CopyPolicy(
        cron="0 3 * * *", timezone="Europe/Berlin", blackout=(NIGHT,), timeout_s=HOUR
    )
    found = jobs(repositories=two, copying=daily)
    assert found["copy", "offsite"].timing == Timing(
        cron="0 3 * * *", timezone="Europe/Berlin", blackout=(NIGHT,), timeout_s=HOUR, retries=5
    )
    assert ("copy", "offsite") not in jobs(repositories=two, copying=CopyPolicy(by_hand=True))


@pytest.mark.parametrize(("every_s", "jitter_s"), [(DAY, 3600.0), (HOUR, 360.0)])
def test_a_kit_is_tried_in_its_own_time_and_locks_nothing(every_s: float, jitter_s: float) -> None:
    [trying] = [
        job for job in schedule_of(plan(), KitWatch("/k", every_s)).jobs if job.kind == "kit"
    ]
    assert (trying.timing.every_s, trying.timing.jitter_s) == (every_s, jitter_s)
    assert trying.repositories == ()


def test_timings_are_those_of_the_plan() -> None:
    found = jobs(
        backup=BackupPolicy(
            cron="0 3 * * *",
            longest_gap_s=DAY,
            timezone="Europe/Berlin",
            timeout_s=HOUR,
            blackout=(NIGHT,),
            retries=2,
            jitter_s=90.0,
        ),
        drill=DrillPolicy(cron="0 4 * * 0", timezone="Asia/Tokyo", timeout_s=2 * HOUR),
        prune=PrunePolicy(every_s=3 * DAY, blackout=(NIGHT,), timeout_s=HOUR),
    )
    assert found["backup", ""].timing == Timing(
        cron="0 3 * * *",
        timezone="Europe/Berlin",
        blackout=(NIGHT,),
        jitter_s=90.0,
        timeout_s=HOUR,
        retries=2,
    )
    assert found["drill", ""].timing == Timing(
        cron="0 4 * * 0", timezone="Asia/Tokyo", timeout_s=2 * HOUR
    )
    assert found["prune", "primary"].timing == Timing(
        every_s=3 * DAY, blackout=(NIGHT,), jitter_s=0.3 * DAY, timeout_s=HOUR
    )


@pytest.mark.parametrize(
    ("backup", "jitter_s"),
    [
        (BackupPolicy(every_s=MINUTE), 6.0),
        (BackupPolicy(every_s=DAY), 15.0),
        (BackupPolicy(cron="0 3 * * *", longest_gap_s=DAY), 0.0),
        (BackupPolicy(auto=True, longest_gap_s=675.0), 15.0),
    ],
)
def test_starts_are_spread_unless_a_cron_line_says_when(
    backup: BackupPolicy, jitter_s: float
) -> None:
    assert jobs(backup=backup)["backup", ""].timing.jitter_s == jitter_s


def test_jobs_without_times_in_the_plan_have_the_default_times() -> None:
    found = jobs(retention=RetentionPolicy(daily=7, every_s=DAY))
    assert found["readiness", ""].timing == Timing(
        every_s=DAY, jitter_s=15 * MINUTE, timeout_s=5 * MINUTE, retries=5
    )
    assert found["retention", ""].timing == Timing(
        every_s=DAY, jitter_s=0.1 * DAY, timeout_s=HOUR, retries=3
    )
    [trying] = [j for j in schedule_of(plan(), KitWatch("/k", DAY)).jobs if j.kind == "kit"]
    assert (trying.timing.timeout_s, trying.timing.retries) == (30 * MINUTE, 3)
    assert (trying.subject, trying.rpo_s) == ("verify", 15 * MINUTE)


@pytest.mark.parametrize(
    ("policy", "jitter_s"),
    [
        (DrillPolicy(every_s=7 * DAY), HOUR),
        (DrillPolicy(every_s=5 * HOUR), 30 * MINUTE),
        (DrillPolicy(cron="0 4 * * 0"), 0.0),
    ],
)
def test_first_drills_are_spread_over_a_tenth_of_their_period_and_at_most_an_hour(
    policy: DrillPolicy, jitter_s: float
) -> None:
    assert jobs(drill=policy)["drill", ""].timing.jitter_s == jitter_s


def test_first_verifications_are_spread_over_a_tenth_of_their_period() -> None:
    found = jobs(verification=VerificationPolicy(every_s=7 * DAY))
    assert found["verification", "primary"].timing.jitter_s == pytest.approx(0.7 * DAY)
    found = jobs(verification=VerificationPolicy(every_s=None, cron="0 4 * * 0"))
    assert found["verification", "primary"].timing.jitter_s == 0.0


# --- hosts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dsn", "hosts"),
    [
        (SecretRef("text", "postgresql://drd@db1.example.com:5432/orders"), ("db1.example.com",)),
        (SecretRef("text", "postgresql://drd@DB1.example.com/orders"), ("db1.example.com",)),
        (SecretRef("text", "host=db2.example.com dbname=orders"), ("db2.example.com",)),
        (SecretRef("text", "dbname=orders host = 'db2.example.com'"), ("db2.example.com",)),
        (SecretRef("text", "dbname=orders"), ()),
        (SecretRef("text", "host=/run/postgresql dbname=orders"), ()),
        (SecretRef("text", "postgresql://%2Frun%2Fpostgresql/orders"), ()),
        (SecretRef("text", "postgresql:///orders"), ()),
        (SecretRef("text", "postgresql://localhost/orders"), ()),
        (SecretRef("text", "postgresql://[bad/orders"), ()),
        (SecretRef("credential", "orders-db-dsn"), ()),
    ],
)
def test_hosts_are_those_that_the_plan_names(dsn: SecretRef, hosts: tuple[str, ...]) -> None:
    settings = PostgresSettings.model_construct(kind="postgres", dsn=dsn)
    components = {
        "a": Component("a", "postgres", settings),
        "b": Component("b", "postgres", settings),
        "c": Component("c", "files", None),
    }
    found = jobs(components=components)
    assert found["backup", ""].hosts == hosts
    assert found["drill", ""].hosts == ()


def test_hosts_in_secrets_count_and_nothing_else_of_these_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "dsn"
    file.write_text("postgresql://drd:s3cr3t@db1.example.com/orders\n")
    marker = tmp_path / "ran"
    refs = [SecretRef("file", str(file)), SecretRef("command", ("touch", str(marker)))]
    settings = (PostgresSettings.model_construct(kind="postgres", dsn=ref) for ref in refs)
    components = {n: Component(n, "postgres", s) for n, s in zip("ab", settings, strict=True)}
    schedule = schedule_of(plan(components=components), host_of=host_of(secrets.peek))
    assert schedule.jobs[0].hosts == ("db1.example.com",)
    assert "s3cr3t" not in json.dumps(schedule.to_json())
    assert not marker.exists()


# --- JSON ---------------------------------------------------------------------------------------


def test_schedule_comes_back_from_json() -> None:
    whole = plan(
        backup=BackupPolicy(
            auto=True, longest_gap_s=675.0, blackout=(NIGHT,), timezone="Asia/Tokyo"
        ),
        repositories={"a": repository("a"), "b": repository("b", copy_of="a")},
    )
    schedule = schedule_of(whole)
    assert Schedule.from_json(json.loads(json.dumps(schedule.to_json()))) == schedule


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda p: p.stem)
def test_schedules_of_the_examples_come_back_from_json(path: object) -> None:
    schedule = schedule_of(load_plan(path).plan)  # type: ignore[arg-type]
    assert Schedule.from_json(json.loads(json.dumps(schedule.to_json()))) == schedule
    assert len(schedule.jobs) >= 4


def test_json_of_another_version_is_read() -> None:
    schedule = schedule_of(plan())
    data = schedule.to_json()
    data["objectives"]["rto_at_night_s"] = 60.0
    data["jobs"][0]["timing"]["moon_phase"] = "full"
    data["jobs"][0]["colour"] = "red"
    del data["objectives"]["window_s"]
    assert Schedule.from_json(data) == schedule


def calls_to_work_out(count: int) -> int:
    texts = [json.dumps(schedule_of(plan(f"p{n}")).to_json()) for n in range(count)]
    history = situation(
        ago(30 * DAY),
        last_started_at=ago(HOUR),
        last_finished_at=ago(HOUR),
        last_success_at=ago(HOUR),
        data_time=ago(HOUR),
        p95_s=20.0,
    )
    dues = []

    def work_out() -> None:
        schedules = [Schedule.from_json(json.loads(text)) for text in texts]
        dues.extend(next_due(job, history, NOW) for one in schedules for job in one.jobs)

    made = calls(work_out)
    assert len(dues) == 6 * count
    return made


def test_schedules_of_ten_times_the_plans_are_worked_out_with_ten_times_the_calls() -> None:
    few, many = calls_to_work_out(100), calls_to_work_out(1_000)
    assert many <= 10 * few


# --- auto ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rpo_s", "margin"), [(30, 30), (60, 30), (120, 30), (15 * MINUTE, 225), (DAY, 6 * HOUR)]
)
def test_margin_is_a_quarter_of_the_rpo(rpo_s: float, margin: float) -> None:
    assert margin_s(rpo_s) == margin


@pytest.mark.parametrize("rpo_s", [120, 15 * MINUTE, HOUR, DAY])
def test_auto_keeps_exposure_below_what_is_at_risk(rpo_s: float) -> None:
    assert auto_exposure_s(rpo_s) < 0.8 * rpo_s


@pytest.mark.parametrize(
    ("expected_s", "interval_s"), [(0, 675), (120, 555), (450, 225), (600, 225), (HOUR, 225)]
)
def test_interval_shrinks_with_what_backups_take_and_not_below_the_margin(
    expected_s: float, interval_s: float
) -> None:
    assert auto_interval_s(15 * MINUTE, expected_s) == interval_s


def test_copies_of_another_tool_are_listed_in_a_tenth_of_the_rpo_within_bounds() -> None:
    for rpo_s, every_s, jitter_s in (
        (15 * MINUTE, 90.0, 9.0),
        (MINUTE, MINUTE, 6.0),
        (30 * DAY, HOUR, 15.0),
    ):
        found = schedule._listing(rpo_s)
        assert (found.every_s, found.jitter_s, found.timeout_s) == (
            every_s,
            jitter_s,
            every_s * 10,
        )
