"""Plans whose copies another tool makes: here restic, called by somebody else."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyrage
import pytest

from drd.api.documents import points as points_document
from drd.api.documents import run as run_document
from drd.api.evidence_documents import evidence_record
from drd.bootstrap import App
from drd.catalogue.summary import read_facts
from drd.cli import points as points_screen
from drd.cli.main import main
from drd.config.daemon import load_settings
from drd.errors import NoRestorePoint, NotSupported, RepositoryMissing, UsageError, WrongKey
from drd.flows.alerts.facts import drill_bytes
from drd.flows.backup.run import BackupRequest, backup
from drd.flows.drill.request import DrillOutcome, DrillRequest
from drd.flows.drill.run import drill
from drd.flows.host.doctor import examine
from drd.flows.restore.point_choice import choose
from drd.flows.restore.recovery_plan import plan_recovery
from drd.flows.restore.recovery_request import RecoveryRequest
from drd.flows.services import Services
from drd.flows.upkeep.copy import copy
from drd.flows.upkeep.forget_points import GiveUpRequest, give_up
from drd.flows.upkeep.holds import hold
from drd.flows.upkeep.listing import listing
from drd.flows.upkeep.prune import prune
from drd.flows.upkeep.retention import RetentionRequest, retention
from drd.flows.upkeep.verification import verification
from drd.model.adopted import copy_name
from drd.model.finding_codes import ADOPTED
from drd.model.plan import Plan, SecretRef
from drd.model.run import CheckVerdict, RunKind, RunState
from drd.model.schedule import schedule_of
from drd.model.snapshot import RestorePoint
from drd.ports import Fetched
from drd.ports.adopted import ReadToEnd
from drd.repositories.adopted import packers
from drd.repositories.adopted.repository import AdoptedRepository
from drd.repositories.adopted.survey import survey
from drd.repositories.restic import ResticRepository
from tests import warm
from tests.repository_support import founded, local_repository
from tests.servers import PostgresServer
from tests.user_support import NOBODY, as_root

PASSWORD = "the other tool's own"

Contents = dict[str, tuple[int, int]]


class Site:
    """A host on which restic copies `app` and `dumps`, and drd has the plan `shop`."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.password = PASSWORD
        self.warnings: list[str] = []
        for name in ("app", "dumps", "plans"):
            (base / name).mkdir()
        (base / "password").write_text(PASSWORD)
        (base / "password").chmod(0o600)
        (base / "app/app.conf").write_text("listen 80\n")
        self.dump(3)
        founded(local_repository(base, password=PASSWORD, name="theirs"))
        (base / "drd.yaml").write_text(
            f"state: sqlite:///{base}/state/drd.db\n"
            "plans: plans\nwork_dir: work\ncache_dir: cache\n"
        )
        self.app = App(
            str(base / "drd.yaml"), settings=load_settings(base / "drd.yaml", explicit=True)
        )

    def close(self) -> None:
        self.app.close()

    def dump(self, orders: int) -> None:
        """Write a dump of the database, as the other tool's hook does."""
        (self.base / "dumps/orders.db").unlink(missing_ok=True)
        with closing(sqlite3.connect(self.base / "dumps/orders.db")) as made:
            made.execute("create table orders (id integer primary key)")
            made.executemany("insert into orders values (?)", [(n,) for n in range(orders)])
            made.commit()

    def restic(self, *words: str) -> bytes:
        place = {"RESTIC_REPOSITORY": f"{self.base}/theirs", "RESTIC_PASSWORD": self.password}
        cache = {"RESTIC_CACHE_DIR": f"{self.base}/their-cache"}
        done = subprocess.run(
            ["restic", *words],
            env={**os.environ, **place, **cache},
            check=True,
            capture_output=True,
            timeout=60,
        )
        return done.stdout

    def copy(self, *paths: str, host: str = "web1", at: str = "") -> str:
        """Make a copy with restic, and return its id."""
        when = [f"--time={at}"] if at else []
        whole = [f"{self.base}/{path}" for path in paths or ("app", "dumps")]
        self.restic("backup", "--quiet", f"--host={host}", *when, *whole)
        return str(json.loads(self.restic("snapshots", "--json"))[-1]["id"])

    def contents(self) -> Contents:
        """Every file of the repository, with its size and time."""
        files = (p for p in (self.base / "theirs").rglob("*") if p.is_file())
        return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in files}

    def plan(self, *, more: str = "", components: str = "", checks: str = "") -> Plan:
        base = self.base
        file = base / "plans/shop.yaml"
        file.write_text(
            "plan: shop\nobjectives: {rpo: 1d, rto: 1h}\ncomponents:\n"
            f"  conf: {{kind: files, paths: [{base}/app]}}\n"
            f"  orders: {{kind: sqlite, path: {base}/live.db, copied_as: {base}/dumps/orders.db}}\n"
            f"{components}repositories:\n  theirs:\n    made_by: restic\n    url: {base}/theirs\n"
            f"    password: {{file: {base}/password}}\n    only: {{host: web1}}\n"
            "checks:\n"
            "  - {name: orders, kind: sql, component: orders, query: select count(*) from orders, "
            'expect: "> 2"}\n'
            f"{checks}{more}"
        )
        return self.app.plans.load(str(file))

    def services(self, plan: Plan) -> Services:
        services = self.app.services(plan)
        object.__setattr__(services, "warn", self.warnings.append)
        return services

    def points(self, plan: Plan) -> list[RestorePoint]:
        return self.app.catalogue.points.of_plan(plan.name)

    def drilled(self, plan: Plan, **asked: str) -> DrillOutcome:
        return drill(self.services(plan), plan, DrillRequest(**asked))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def _text(ref: SecretRef) -> str:
    return PASSWORD if ref.source == "file" else str(ref.value)


def test_a_drill_proves_the_newest_foreign_copy_and_changes_nothing_in_its_repository(
    site: Site,
) -> None:
    site.copy()
    site.copy(host="web2")
    site.copy("app")
    look = f'test -s "$DRD_PATH{site.base}/app/app.conf"'
    plan = site.plan(
        checks=f"  - {{name: conf, kind: command, component: conf, run: [sh, -c, {look!r}]}}\n"
    )
    before = site.contents()
    passed = site.drilled(plan).evidence
    assert (passed.result, [c.verdict for c in passed.checks]) == ("passed", ["passed", "passed"])
    (point,) = site.points(plan)
    assert point.id.startswith("restic-")
    assert passed.point == point.id
    assert point.complete
    assert site.points(plan)[0].proven_by == passed.id
    facts = site.app.read_facts("shop")[0]
    assert facts.made_by == "restic"
    assert facts.newest is not None
    assert facts.newest.data_time == point.data_time
    orders = (site.base / "dumps/orders.db").stat().st_size
    assert {c.component: c.size_bytes for c in facts.components} == {"conf": None, "orders": orders}
    whole = facts.newest.bytes
    assert orders < whole < 2 * orders
    assert passed.restored_bytes == point.size_bytes == whole
    assert drill_bytes(facts._replace(drill_every_s=1.0), lambda _, __, size: 2 * size) == 2 * (
        whole + orders
    )
    assert site.contents() == before


def test_a_drill_fails_on_a_wrong_foreign_copy_and_a_comparison_says_that_it_cannot_compare(
    site: Site,
) -> None:
    site.dump(1)
    site.copy()
    plan = site.plan(checks="  - {name: rows, kind: rows, component: orders}\n")
    failed = site.drilled(plan).evidence
    assert failed.result == "failed"
    rows = {c.name: c for c in failed.checks}
    assert rows["rows"].verdict is CheckVerdict.NOT_RUN
    assert rows["rows"].observed == (
        "restic made the copy, and did not record counts of the source, so this check cannot "
        "compare"
    )


def test_a_plan_of_a_recovery_says_that_the_last_drill_of_its_point_failed_and_names_another(
    site: Site,
) -> None:
    target = (
        f"targets: {{standby: {{conf: {{path: {site.base}/back}}, "
        f"orders: {{path: {site.base}/back.db}}}}}}\n"
    )
    site.copy(at="2026-11-20 12:00:00")
    plan = site.plan(more=target)
    listing(site.services(plan), plan)
    (good,) = site.points(plan)
    site.dump(1)
    site.copy()
    assert site.drilled(plan).evidence.result == "failed"
    planned = plan_recovery(site.services(plan), plan, RecoveryRequest("standby"))
    assert planned.point.id != good.id
    (note,) = planned.notes
    assert note.startswith(f"the last drill of restore point {planned.point.id} failed at ")
    assert note.endswith(f" instead: `--point {good.id}`")
    asked = RecoveryRequest("standby", point=good.id)
    assert plan_recovery(site.services(plan), plan, asked).notes == ()
    site.dump(4)
    site.copy()
    assert site.drilled(plan).evidence.result == "passed"
    assert plan_recovery(site.services(plan), plan, RecoveryRequest("standby")).notes == ()


def test_a_dump_is_as_old_as_its_file_however_often_it_is_copied(site: Site) -> None:
    old = datetime(2026, 1, 2, tzinfo=UTC)
    os.utime(site.base / "dumps/orders.db", (old.timestamp(), old.timestamp()))
    site.copy()
    plan = site.plan()
    listing(site.services(plan), plan)
    (point,) = site.points(plan)
    assert point.data_time == old
    assert point.available_at > old


def test_a_copy_without_one_of_the_components_is_incomplete_and_counts_for_nothing(
    site: Site,
) -> None:
    (site.base / "dumps/orders.db").rename(site.base / "elsewhere.db")
    site.copy()
    plan = site.plan()
    listing(site.services(plan), plan)
    (point,) = site.points(plan)
    assert not point.complete
    assert site.app.read_facts("shop")[0].newest is None
    found = {f.code: f for f in examine(site.services(plan), plan, _text)}
    assert found["repository-copies"].severity == "error"
    assert f"orders: the copy does not contain {site.base}/dumps/orders.db" in (
        found["repository-copies"].text
    )


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("link", "conf: {base}/app is a symbolic link to app2 in the copy"),
        ("emptied", "conf: {base}/app is an empty directory in the copy"),
        ("dump", "orders: {base}/dumps/orders.db is empty in the copy"),
    ],
)
def test_a_copy_of_a_link_of_an_empty_dump_or_of_an_emptied_tree_is_incomplete(
    site: Site, what: str, said: str
) -> None:
    if what == "link":
        (site.base / "app").rename(site.base / "app2")
        (site.base / "app").symlink_to("app2")
    elif what == "emptied":
        (site.base / "app/app.conf").unlink()
    else:
        (site.base / "dumps/orders.db").write_bytes(b"")
    site.copy()
    plan = site.plan()
    listing(site.services(plan), plan)
    (point,) = site.points(plan)
    assert not point.complete
    assert site.app.read_facts("shop")[0].newest is None
    found = {f.code: f for f in examine(site.services(plan), plan, _text)}
    assert said.format(base=site.base) in found["repository-copies"].text


def test_a_path_that_is_a_link_to_another_path_of_the_component_is_restored_as_such(
    site: Site,
) -> None:
    (site.base / "app/current").symlink_to("app.conf")
    site.copy("app", "app/current", "dumps")
    both = f"{site.base}/app/current, {site.base}/app"
    plan = site.plan(components=f"  more: {{kind: files, paths: [{both}]}}\n")
    assert site.drilled(plan).evidence.result == "passed"


def test_a_copy_out_of_the_future_is_not_a_restore_point(site: Site) -> None:
    site.copy(at="2199-01-01 00:00:00")
    plan = site.plan()
    outcome = listing(site.services(plan), plan)
    assert site.points(plan) == []
    assert list(outcome.unreadable.values()) == ["it is dated in the future"]
    [only] = [f for f in site.services(plan).open_repository(plan.primary).doctor() if f.failed]
    assert "it is dated in the future" in only.text
    site.copy(at="2026-11-20 12:00:00")
    found = site.services(plan).open_repository(plan.primary).doctor()[-1]
    assert found.severity == "warning"
    assert found.text.startswith("1 copy, the newest from ")
    assert "1 other not used: " in found.text


def test_a_copy_that_expired_is_no_loss_and_one_that_vanished_before_its_time_is(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = site.plan(more="retention: {daily: 2}\n")
    days = [site.copy(at=f"2026-11-{day} 12:00:00") for day in (20, 21, 22)]
    first = listing(site.services(plan), plan)
    assert len(first.added) == 3
    site.restic("forget", "--quiet", days[0])
    expired = listing(site.services(plan), plan)
    assert (len(expired.expired), expired.missing) == (1, ())
    site.restic("forget", "--quiet", days[1])
    gone = listing(site.services(plan), plan)
    assert (gone.expired, len(gone.missing)) == ((), 1)
    found = {f.code: f for f in examine(site.services(plan), plan, _text)}
    assert found["repository-snapshots"].severity == "error"
    [point] = gone.missing
    assert f"restic no longer lists {point} (copy {days[1][:8]})" in (
        found["repository-snapshots"].text
    )
    assert f"drd points forget {point} --reason TEXT" in found["repository-snapshots"].remedy
    [warned] = [w for w in site.warnings if "no longer in any repository" in w]
    assert f"{point} (copy {days[1][:8]}). drd did not forget it" in warned
    assert warned.endswith(f"If this was intended: drd points forget {point} --reason TEXT")
    document = points_document(site.app, "shop")
    assert [(p["point"], p["copy"]) for p in document["vanished"]] == [(point, days[1])]
    points_screen._print_vanished(document["vanished"])
    assert f"{point} (copy {days[1][:8]}) with data of 2026-11-21" in capsys.readouterr().out
    [facts] = read_facts(site.app.settings.state_url)
    assert facts.vanished is not None
    assert facts.vanished.newest == f"{point} (copy {days[1][:8]})"
    give_up(site.services(plan), plan, GiveUpRequest(gone.missing, "it was us"))
    found = {f.code: f for f in examine(site.services(plan), plan, _text)}
    assert "repository-snapshots" not in found
    assert points_document(site.app, "shop")["vanished"] == []


def test_points_are_shown_and_found_by_the_ids_that_restic_has_for_its_snapshots(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = site.plan()
    first, second = (site.copy(at=f"2026-11-{day} 12:00:00") for day in (20, 21))
    listing(site.services(plan), plan)
    new, old = site.points(plan)
    points, keeping = site.app.catalogue.points, site.app.catalogue.keeping
    assert (copy_name(new), copy_name(old)) == (second, first)
    for name in (first, first[:8], first[:20], old.id, old.id[:12], old.id[-8:]):
        assert points.get("shop", name).id == old.id
        assert keeping.plan_of(name) == ("shop", old.id)
    with pytest.raises(NoRestorePoint):
        points.get("shop", first[1:9])
    with pytest.raises(NoRestorePoint):
        points.get("shop", "")
    outcome = site.drilled(plan, point=second[:8])
    assert outcome.evidence.point == new.id
    record = evidence_record(site.app, outcome.evidence.id)
    shown = run_document(site.app, outcome.evidence.run)
    assert (record["copy"], shown["copy"]) == (second, second)
    points_screen._print("shop", points_document(site.app, "shop")["points"], {}, {})
    heading, row, _ = capsys.readouterr().out.splitlines()
    assert heading.split()[:2] == ["POINT", "COPY"]
    assert row.split()[:2] == [new.id, second[:8]]
    points.forget([old.id], site.app.clock.now())
    with pytest.raises(NoRestorePoint, match=f"drd forgot restore point {old.id}"):
        points.get("shop", first[:8])


def test_a_copy_expires_by_the_count_of_the_tool_which_counts_incomplete_ones_too(
    site: Site,
) -> None:
    plan = site.plan(more="retention: {last: 2}\n")
    _, newer = (site.copy(at=f"2026-11-{day} 12:00:00") for day in (20, 21))
    (site.base / "dumps/orders.db").write_bytes(b"")
    site.copy(at="2026-11-22 12:00:00")
    assert len(listing(site.services(plan), plan).added) == 3
    site.restic("forget", "--quiet", "--keep-last=2")
    seen = listing(site.services(plan), plan)
    assert (len(seen.expired), seen.missing) == (1, ())
    [warned] = [w for w in site.warnings if "counts copies that cannot be restored" in w]
    assert "restic let 1 good restore point of plan shop expire" in warned
    assert {copy_name(p) for p in site.points(plan)} > {newer}
    site.restic("forget", "--quiet", newer)
    assert len(listing(site.services(plan), plan).missing) == 1, "the newest complete one"


def test_another_component_in_the_plan_makes_the_known_points_incomplete_until_it_is_copied(
    site: Site,
) -> None:
    site.copy()
    plan = site.plan()
    assert site.drilled(plan).evidence.result == "passed"
    more = f"  more: {{kind: files, paths: [{site.base}/dumps/more]}}\n"
    wider = site.plan(components=more)
    listing(site.services(wider), wider)
    (point,) = site.points(wider)
    assert [c.component for c in point.components if c.state == "failed"] == ["more"]
    copied = site.plan(components=more.replace("/more]", "]"))
    again = site.drilled(copied).evidence
    assert (again.result, again.point) == ("passed", point.id), "it had been drilled without `more`"
    assert [k.damage for k in site.app.catalogue.health.of_plan("shop")] == [None]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("backup", "make any"),
        ("retention", "forget any"),
        ("prune", "prune them"),
        ("copy", "copy them"),
        ("forget", "forget any"),
    ],
)
def test_drd_refuses_by_name_each_task_of_the_tool_that_makes_the_copies(
    site: Site, what: str, said: str
) -> None:
    site.copy()
    plan = site.plan()
    services = site.services(plan)
    listing(services, plan)
    (point,) = site.points(plan)
    with pytest.raises(NotSupported) as caught:
        {
            "backup": lambda: backup(services, plan, BackupRequest()),
            "retention": lambda: retention(services, plan, RetentionRequest()),
            "prune": lambda: prune(services, plan),
            "copy": lambda: copy(services, plan, "theirs"),
            "forget": lambda: give_up(services, plan, GiveUpRequest((point.id,), "x", force="x")),
        }[what]()
    assert caught.value.message == (f"restic makes the copies of plan shop, so drd does not {said}")
    assert len(json.loads(site.restic("snapshots", "--json"))) == 1


def test_a_foreign_copy_cannot_be_held(site: Site) -> None:
    site.copy()
    plan = site.plan()
    listing(site.services(plan), plan)
    (point,) = site.points(plan)
    with pytest.raises(NotSupported, match="restic made restore point") as caught:
        hold(site.app.catalogue, point.id, "audit", now=datetime.now(UTC))
    assert "--keep-tag keep" in caught.value.hint


def test_only_listings_drills_and_verifications_are_scheduled(site: Site) -> None:
    plan = site.plan(more="retention: {daily: 7}\ndrill: {every: 7d}\n")
    kinds = {job.kind for job in schedule_of(plan).jobs}
    assert kinds == {
        RunKind.LISTING, RunKind.DRILL, RunKind.VERIFICATION, RunKind.READINESS
    }  # fmt: skip


def test_a_verification_finds_damage_no_loss_in_what_expired_and_leaves_no_lock(
    site: Site,
) -> None:
    expires = site.copy()
    plan = site.plan()
    services = site.services(plan)
    listing(services, plan)
    site.copy()
    site.restic("forget", expires)
    before = site.contents()
    assert verification(services, plan, everything=True).state is RunState.SUCCEEDED
    assert site.contents() == before
    newest = site.copy()
    listing(services, plan)
    site.restic("forget", newest)
    gone = verification(services, plan, everything=True).damage
    assert gone is not None
    assert "restic no longer lists 1 snapshot that the tool should still have: " in gone.message
    assert f"(copy {newest[:8]}). The other copies are not damaged" in gone.message
    pack = max((site.base / "theirs/data").rglob("*"), key=lambda p: p.stat().st_size)
    pack.chmod(0o600)
    pack.write_bytes(b"\0" * pack.stat().st_size)
    assert verification(services, plan, everything=True).state is RunState.FAILED
    assert not list((site.base / "theirs/locks").iterdir())
    (hint,) = [
        f.remedy for f in examine(services, plan, _text) if f.code == "repository-known-state"
    ]
    assert "let the other tool make a new copy, then `drd verify shop" in hint
    assert "drd backup" not in hint


def test_an_unreachable_repository_and_a_wrong_key_prove_nothing(site: Site) -> None:
    site.copy()
    plan = site.plan()
    assert site.drilled(plan).evidence.result == "passed"
    (site.base / "theirs").rename(site.base / "away")
    away = site.drilled(plan)
    assert (away.evidence.result, type(away.error)) == ("inconclusive", RepositoryMissing)
    (site.base / "away").rename(site.base / "theirs")
    password = site.base / "password"
    password.write_text("another")
    shut = site.drilled(plan)
    assert isinstance(shut.error, WrongKey)
    assert shut.evidence.result == "inconclusive"
    assert "write the password that restic uses now to the place" in shut.error.hint
    later = time.time() + 60
    os.utime(password, (later, later))
    hints = [f.remedy for f in examine(site.services(plan), plan, _text)]
    assert f"write the password that restic uses now into {password}." in hints
    assert not any("rekey" in hint for hint in hints)
    assert [p.complete for p in site.points(plan)] == [True]


def test_a_wrong_key_is_reported_as_such_before_drd_knows_any_restore_point(site: Site) -> None:
    site.copy()
    plan = site.plan()
    (site.base / "password").write_text("another")
    shut = site.drilled(plan)
    assert isinstance(shut.error, WrongKey)
    with pytest.raises(WrongKey):
        choose(site.services(plan), plan)
    (site.base / "password").write_text(PASSWORD)
    assert site.drilled(plan).evidence.result == "passed"


def test_a_copy_that_expires_during_a_drill_makes_it_inconclusive_and_raises_no_alert(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = site.copy(at="2026-11-20 12:00:00")
    site.dump(4)
    (site.base / "app/app.conf").write_text("listen 8080\n")
    new = site.copy(at="2026-11-21 12:00:00")
    plan = site.plan(more="retention: {last: 1}\n")
    services = site.services(plan)
    listing(services, plan)
    oldest = min(site.points(plan), key=lambda p: p.data_time)

    restore, one_by_one = AdoptedRepository.restore, threading.Lock()

    def late(repository: AdoptedRepository, *words: Any, **how: Any) -> Fetched:
        with one_by_one:
            if len(json.loads(site.restic("snapshots", "--json"))) > 1:
                site.restic("forget", "--quiet", "--prune", old)
        return restore(repository, *words, **how)

    monkeypatch.setattr(AdoptedRepository, "restore", late)
    outcome = drill(services, plan, DrillRequest(oldest.id))
    assert outcome.evidence.result == "inconclusive"
    assert outcome.error is not None
    assert outcome.error.message == (
        f"restic has removed the copy of restore point {oldest.id} meanwhile"
    )
    assert [k.missing for k in site.app.catalogue.health.of_plan("shop")] == [{}]
    assert site.drilled(plan).evidence.result == "passed"
    assert new in str(json.loads(site.restic("snapshots", "--json")))


def test_a_listing_that_is_killed_is_settled_and_the_next_one_goes_on(site: Site) -> None:
    site.copy()
    plan = site.plan()
    words = ["--config", f"{site.base}/drd.yaml", "catalogue", "rebuild", "shop"]
    with Path(os.devnull).open("wb") as nowhere:
        killed = warm.start(words, env=os.environ, log=nowhere.fileno())
    runs = site.app.catalogue.runs
    deadline = time.monotonic() + 30
    while not runs.newest("shop", kind=RunKind.LISTING) and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.kill()
    killed.wait()
    outcome = listing(site.services(plan), plan)
    assert outcome.listed == 1
    assert len(site.points(plan)) == 1
    states = [run.state for run in runs.newest("shop", kind=RunKind.LISTING)]
    assert states[0] is RunState.SUCCEEDED
    assert all(state.final for state in states)


def test_a_dump_of_postgresql_that_another_tool_made_is_restored_and_checked(
    site: Site, postgres: PostgresServer
) -> None:
    postgres.execute("create database adopted")
    postgres.execute("create table items as select generate_series(1, 1000) id", "adopted")
    dump = site.base / "dumps/items.dump"
    dsn = postgres.dsn("adopted")
    words = [str(postgres.bin_dir / "pg_dump"), "-Fc", f"--dbname={dsn}", f"--file={dump}"]
    subprocess.run(words, check=True, timeout=60)
    postgres.execute("drop database adopted")
    site.copy()
    plan = site.plan(
        components=f'  items: {{kind: postgres, dsn: "{dsn}", copied_as: {dump}}}\n',
        checks="  - {name: items, kind: sql, component: items, "
        "query: select count(*) from items, expect: 1000}\n",
    )
    evidence = site.drilled(plan).evidence
    items = site.points(plan)[-1].component("items")
    assert items is not None
    major = int(postgres.bin_dir.parent.name)
    assert (items.facts["server_major"], items.facts["pg_dump_major"]) == (major, major)
    assert {c.name: c.verdict for c in evidence.checks} == {
        "orders": CheckVerdict.PASSED,
        "items": CheckVerdict.PASSED,
    }
    assert evidence.result == "passed"


def test_copies_of_a_relative_path_are_refused_with_the_reason(site: Site) -> None:
    words = ["-C", str(site.base), "restic", "backup", "--quiet", "--host=web1", "dumps"]
    place = {"RESTIC_REPOSITORY": f"{site.base}/theirs", "RESTIC_PASSWORD": PASSWORD}
    subprocess.run(["env", *words], env={**os.environ, **place}, check=True, timeout=60)
    said = f"called with a relative path: the copy is of {site.base}/dumps, but has /dumps instead"
    repository = site.services(plan := site.plan()).open_repository(plan.primary)
    assert said in next(f.text for f in repository.doctor() if f.code == ADOPTED)
    spec = plan.primary
    with pytest.raises(UsageError, match="relative path") as error:
        survey(ResticRepository(spec, cache_dir=site.base / "cache", resolve=_text), None)
    assert "back up the whole path" in error.value.hint


def test_plan_new_adopt_writes_a_plan_whose_drill_passes(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.copy()
    site.copy("app", host="web2")
    before = site.contents()
    words = ["--config", f"{site.base}/drd.yaml", "plan", "new", "--name", "theirs"]
    words += ["--adopt", f"{site.base}/theirs", "--password-file", f"{site.base}/password"]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert "has copies of several hosts: web1 (1 copy, the newest from " in told
    assert "web2 (1 copy, " in told
    assert "choose one: --host NAME" in told
    assert main([*words, "--host", "web1"]) == 0
    said = capsys.readouterr().out
    assert "Seen: 1 copy of host web1" in said
    plan = site.app.plans.load("theirs")
    assert {(c.name, c.kind) for c in plan.components.values()} == {
        ("orders", "sqlite"), ("app", "files")
    }  # fmt: skip
    assert site.drilled(plan).evidence.result == "passed"
    assert site.contents() == before


def test_plan_new_adopt_chooses_one_of_several_jobs_of_a_host_by_its_tag(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = {"plan:db": "dumps", "plan:conf": "app", "drd": "app"}  # Backrest, and a tag alone
    for tag, name in jobs.items():
        words = ("backup", "--quiet", "--host=web1", "--tag", tag, f"{site.base}/{name}")
        site.restic(*words)
    site.restic(*words[:-2], "drd", "--tag", "plan:own", f"{site.base}/dumps")  # a point of drd
    words = ["--config", f"{site.base}/drd.yaml", "plan", "new", "--name", "theirs"]
    words += ["--adopt", f"{site.base}/theirs", "--password-file", f"{site.base}/password"]
    assert main([*words, "--tag", "plan:none"]) != 0
    told = capsys.readouterr().err
    assert "does not contain a copy with tag plan:none" in told
    assert "tags: drd, plan:conf, plan:db." in told
    assert main([*words, "--output", "-", "--tag", "drd"]) == 0
    assert "Seen: 1 copy of host web1" in capsys.readouterr().err
    assert main([*words, "--output", "-"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert f"does not contain the copies of {site.base}/dumps, which" in said
    assert "choose them by a tag, --tag plan:db" in said
    assert main([*words, "--tag", "plan:db"]) == 0
    plan = site.app.plans.load("theirs")
    assert [c.name for c in plan.components.values()] == ["orders"]
    assert plan.primary.adopted is not None
    assert dict(plan.primary.adopted.only) == {"host": "web1", "tag": "plan:db"}
    assert site.drilled(plan).evidence.result == "passed"


def test_plan_new_adopt_looks_into_the_files_of_the_newest_copy_and_checks_their_rows(
    site: Site, postgres: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    dumps = site.base / "dumps"
    postgres.execute("create database adopted_rows")
    postgres.execute(
        'create table "user" as select n as id, now() as made_at from generate_series(1, 5) n',
        "adopted_rows",
    )
    words = [postgres.bin_dir / "pg_dump", "-Fc", postgres.dsn("adopted_rows")]
    (dumps / "shop.backup").write_bytes(
        subprocess.run(words, check=True, capture_output=True).stdout
    )
    sql = b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE a (x);\n"
    rows = b"INSERT INTO a VALUES(1);\nINSERT INTO a VALUES(2);\n"
    (dumps / "people.sql.gz").write_bytes(gzip.compress(sql + rows + b"COMMIT;\n"))
    (dumps / "half.sql.gz").write_bytes(gzip.compress(sql))
    for n in range(10):
        (site.base / f"app/{n}.conf").write_text(f"{n}\n" * (n + 1))
    site.copy()
    words = ["--config", f"{site.base}/drd.yaml", "plan", "new", "--name", "theirs"]
    words += ["--adopt", f"{site.base}/theirs", "--password-file", f"{site.base}/password"]
    assert main(words) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"{dumps}/half.sql.gz in this copy is cut off: a dump of SQLite ends with" in said
    plan = site.app.plans.load("theirs")
    assert {(c.name, c.kind) for c in plan.components.values()} == {
        ("orders", "sqlite"), ("shop", "postgres"), ("people-sql", "command"), ("app", "files")
    }  # fmt: skip
    text = (site.base / "plans/theirs.yaml").read_text()
    assert "dsn: postgresql:///adopted_rows" in text
    assert 'select max("made_at") from "user"' in text
    evidence = site.drilled(plan).evidence
    assert evidence.result == "passed"
    assert [c.name for c in evidence.checks] == [
        "orders: the table is restored",
        "orders: orders has rows",
        "people-sql: there are tables",
        "people-sql: a has rows",
        "shop: the table is restored",
        'shop: "user" has rows',
        "app: the largest file is there",
        "app: there are at least 9 files",
    ]


def test_a_packed_dump_that_drd_does_not_load_is_read_to_its_end_and_proves_nothing(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dumps = site.base / "dumps"
    (dumps / "orders.db").unlink()
    begin = b"--\n-- PostgreSQL database dump\n--\n\nCOPY a FROM stdin;\n"
    rows = b"".join(b"%d\n" % n for n in range(2000))
    whole = begin + rows + b"\\.\n\n--\n-- PostgreSQL database dump complete\n--\n"
    (dumps / "shop.sql.gz").write_bytes(gzip.compress(whole))
    site.copy("dumps")
    words = ["--config", f"{site.base}/drd.yaml", "plan", "new", "--force", "--name", "theirs"]
    words += ["--adopt", f"{site.base}/theirs", "--password-file", f"{site.base}/password"]
    assert main(words) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "Not proven by drills of this plan: - shop-sql: a dump of PostgreSQL in plain SQL" in said
    )
    assert "does not load it, so no drill proves the data: let the other tool dump with" in said
    plan = site.app.plans.load("theirs")
    assert [(c.name, c.kind) for c in plan.components.values()] == [("shop-sql", "command")]
    assert plan.checks == ()
    assert site.drilled(plan).evidence.result == "inconclusive"

    dumps_cut = (
        (gzip.compress(begin + rows), "a dump of PostgreSQL ends with the line"),
        (gzip.compress(whole)[:-2000], "the end that gzip writes is missing"),
    )
    for dump, why in dumps_cut:
        (dumps / "shop.sql.gz").write_bytes(dump)
        copied = site.copy("dumps")
        assert site.drilled(plan).evidence.result == "inconclusive", "the older copy is whole"
        (small,) = [p for p in site.points(plan) if copy_name(p) == copied]
        assert why in (small.components[0].error or "")
    monkeypatch.setattr(packers, "SMALL", 0)
    monkeypatch.setattr(AdoptedRepository, "read_to_end", lambda *_: ReadToEnd("too-large", "so"))
    for dump, why in dumps_cut:  # too large to be read to its end when it is listed
        (dumps / "shop.sql.gz").write_bytes(dump)
        site.copy("dumps", "app")
        evidence = site.drilled(plan).evidence
        assert evidence.result == "failed"
        assert why in evidence.checks[0].observed


def test_archives_of_a_copy_are_unpacked_and_dumps_with_a_date_in_their_names_are_reported(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dumps = site.base / "dumps"
    with tarfile.open(dumps / "conf-backup.tar.gz", "w:gz") as archive:
        archive.add(site.base / "app/app.conf", "etc/shop/app.conf")
    (dumps / "shop-2026-11-25.sql.gz").write_bytes(
        gzip.compress(b"-- MySQL dump 10.13\n-- Dump completed\n")
    )
    (dumps / "notes.txt").write_text("call home\n")
    (site.base / "app/schema.sql").write_text("create table a (x int);\n")
    site.copy()
    words = ["--config", f"{site.base}/drd.yaml", "plan", "new", "--name", "theirs"]
    words += ["--adopt", f"{site.base}/theirs", "--password-file", f"{site.base}/password"]
    assert main(words) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "- dumps: drills cannot prove these dumps, because drd cannot check them to their end"
        in said
    )
    assert f"{dumps}/shop-2026-11-25.sql.gz: its name contains a date" in said
    plan = site.app.plans.load("theirs")
    assert {(c.name, c.kind) for c in plan.components.values()} == {
        ("orders", "sqlite"), ("conf-backup-tar", "command"), ("app", "files"), ("dumps", "files")
    }  # fmt: skip
    evidence = site.drilled(plan).evidence
    assert evidence.result == "passed", evidence.checks[0].observed
    assert [c.name for c in evidence.checks if c.component == "conf-backup-tar"] == [
        "conf-backup-tar: the largest file is there"
    ]
    assert {c.verdict for c in evidence.checks} == {CheckVerdict.PASSED}
    assert [u.component for u in evidence.unproven] == ["dumps"]
    assert site.points(plan)[0].proven_by is None
    packed = dumps / "conf-backup.tar.gz"
    packed.write_bytes(packed.read_bytes()[:-30])
    monkeypatch.setattr(packers, "SMALL", 0)  # only a drill reads it
    monkeypatch.setattr(AdoptedRepository, "read_to_end", lambda *_: ReadToEnd("too-large", "so"))
    site.copy()
    (row, *_) = [c for c in site.drilled(plan).evidence.checks if c.verdict == "failed"]
    assert "the end that gzip writes is missing" in row.observed


def test_erasures_of_the_day_before_a_foreign_copy_are_repeated_also_by_hand(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dump has the time at which it was finished, and the data of when it began."""
    base = site.base
    dumped = datetime(2026, 1, 5, 12, tzinfo=UTC)
    site.dump(6)
    os.utime(base / "dumps/orders.db", (dumped.timestamp(),) * 2)
    older = site.copy()
    (base / "register").write_text(
        "2026-01-04T13:00:00Z 1\n2026-01-05T13:00:00Z 2\n2026-01-04T11:00:00Z 0\n"
    )
    register = f"{{file: {base}/register}}"
    told = f'{{command: [sh, -c, "echo $DRD_DATA_TIME ${{data_time}} >>{base}/asked; echo 1"]}}'

    def plan(source: str) -> Plan:
        return site.plan(
            more=f"targets: {{standby: {{conf: {{path: {base}/back}}, orders: {{path: "
            f"{base}/back.db}}}}}}\nerasures:\n  component: orders\n  register: {source}\n"
            "  replay: {sql: delete from orders where id in (select id from drd_erased)}\n"
            "  check: {sql: select count(*) from orders where id in (select id from drd_erased)}\n"
        )

    evidence = site.drilled(plan(register)).evidence
    (row,) = [c for c in evidence.checks if "erased" in c.name]
    assert row.observed.startswith("drd repeated 2 erasures since 2026-01-04 12:00:00 UTC")
    assert site.drilled(plan(told)).evidence.result == "passed"
    site.dump(9)
    site.copy()
    for source, left in ((register, "0\n3\n4\n5"), (told, "0\n2\n3\n4\n5")):
        _by_hand(site, plan(source), older)
        ids = subprocess.run(
            ["sqlite3", base / "back.db", "select id from orders order by id"],
            check=True,
            capture_output=True,
            text=True,
        )
        assert ids.stdout.strip() == left
        shutil.rmtree(base / "back")
        (base / "back.db").unlink()
    since = "2026-01-04T12:00:00"
    asked = (base / "asked").read_text().split()
    assert len(asked) == 4
    assert {one[:19] for one in asked} == {since}
    capsys.readouterr()


def _by_hand(site: Site, plan: Plan, copy: str) -> None:
    """Run the script of a new kit, for a copy that is not the newest one."""
    identity = pyrage.x25519.Identity.generate()
    words = ["--config", f"{site.base}/drd.yaml", "kit", "export", plan.name]
    words += ["--to", f"{site.base}/kit", "--recipient", str(identity.to_public())]
    assert main(words) == 0
    armoured = (site.base / "kit").read_bytes().partition(b"\n")[2]
    lines = [line for line in armoured.splitlines() if not line.startswith(b"-----")]
    packed = pyrage.decrypt(base64.b64decode(b"".join(lines)), [identity])
    shutil.rmtree(site.base / "recovery-kit", ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(site.base, filter="data")
    script = site.base / f"recovery-kit/runbooks/{plan.name}/recover-by-hand.sh"
    done = subprocess.run(
        ["bash", script],
        env={**os.environ, "COPY": copy},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]


def test_a_kit_names_a_repository_that_is_lost_now_and_not_one_that_is_back(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.copy()
    plan = site.plan()
    listing(site.services(plan), plan)
    place, away = site.base / "theirs", site.base / "away"
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    config = ["--config", f"{site.base}/drd.yaml"]

    def exported() -> str:
        words = ["kit", "export", "shop", "--to", f"{site.base}/kit", "--recipient", recipient]
        assert main([*config, *words]) == 0
        return capsys.readouterr().err

    place.rename(away)
    assert site.drilled(plan).evidence.result == "inconclusive"
    assert [k.lost for k in site.app.catalogue.health.of_plan("shop")] == ["gone"]
    assert "repository theirs of shop is gone: until this is corrected" in exported()
    place.mkdir()
    assert "repository theirs of shop was emptied: until this is corrected" in exported()
    place.rmdir()
    away.rename(place)
    assert "until this is corrected" not in exported()
    assert [k.lost for k in site.app.catalogue.health.of_plan("shop")] == [None]


@as_root
def test_the_group_of_the_service_can_read_also_what_restic_writes_later(short_tmp: Path) -> None:
    short_tmp.chmod(0o755)
    site = Site(short_tmp)
    try:
        site.copy()
        page = (Path(__file__).parents[2] / "docs/adopted.md").read_text()
        (words,) = [line.strip() for line in page.splitlines() if "chgrp -R drd" in line]
        words = words.replace("drd", str(NOBODY)).replace("/srv/restic", f"{short_tmp}/theirs")
        assert _read_by_nobody(site) != 0
        subprocess.run(["sh", "-c", words], check=True)
        site.dump(9)
        site.copy()
        site.restic("forget", "--keep-last=1", "--prune")
        assert _read_by_nobody(site) == 0
    finally:
        site.close()


def _read_by_nobody(site: Site) -> int:
    env = {"RESTIC_REPOSITORY": f"{site.base}/theirs", "RESTIC_PASSWORD": PASSWORD}
    words = ["restic", "--no-lock", "--no-cache", "--retry-lock=0", "check", "--read-data"]
    who = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    done = subprocess.run(
        words,
        env={**os.environ, **env},
        capture_output=True,
        timeout=60,
        check=False,
        cwd="/",
        **who,
    )
    return done.returncode
