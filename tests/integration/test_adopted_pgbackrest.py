"""Plans whose copies pgBackRest makes: a whole server, and the WAL that leads on from there."""

from __future__ import annotations

import base64
import io
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyrage
import pytest

from drd.bootstrap import App
from drd.cli.main import main
from drd.config.daemon import load_settings
from drd.errors import (
    DrdError,
    RepositoryMissing,
    RepositoryUnreachable,
    WrongKey,
)
from drd.flows.drill.request import DrillOutcome, DrillRequest
from drd.flows.drill.run import drill
from drd.flows.host import repository_findings
from drd.flows.host.doctor import examine
from drd.flows.restore.recovery import recover
from drd.flows.restore.recovery_plan import plan_recovery
from drd.flows.restore.recovery_request import RecoveryRequest
from drd.flows.services import Services
from drd.flows.state import crash_cleanup, run_dirs
from drd.flows.upkeep.listing import listing
from drd.flows.upkeep.verification import verification
from drd.kinds.postgres import tools
from drd.model.plan import Plan
from drd.model.run import CheckVerdict, RunState
from drd.model.snapshot import RestorePoint
from drd.model.units import format_time
from drd.ports import Fetched
from drd.process.private import root_place
from drd.repositories.adopted.repository import AdoptedRepository
from drd.secrets import resolve
from tests import warm
from tests.pgbackrest_support import PASS, Backed, backed
from tests.servers import PostgresServer, postgres_server, short_directory
from tests.user_support import as_root

pytestmark = pytest.mark.xdist_group("pgbackrest")  # one stanza for all


class Site:
    """A host with a stanza, and drd with the plan `shop`."""

    def __init__(self, base: Path, stanza: Backed) -> None:
        self.base = base
        self.stanza = stanza
        self.warnings: list[str] = []
        (base / "plans").mkdir()
        self.config = base / "pgbackrest.conf"
        self.config.write_text(stanza.config.read_text())
        self.config.chmod(0o600)
        (base / "drd.yaml").write_text(
            f"state: sqlite:///{base}/state/drd.db\n"
            "plans: plans\nwork_dir: work\ncache_dir: cache\n"
        )
        self.app = App(
            str(base / "drd.yaml"), settings=load_settings(base / "drd.yaml", explicit=True)
        )

    def plan(
        self, *, more: str = "", checks: str = "", stanza: str = "main", check: bool = False
    ) -> Plan:
        file = self.base / "plans/shop.yaml"
        file.write_text(
            "plan: shop\nobjectives: {rpo: 1h, rto: 1h}\ncomponents:\n"
            f'  orders: {{kind: postgres, dsn: "{self.stanza.server.dsn("shop")}"}}\n'
            f"repositories:\n  theirs:\n    made_by: pgbackrest\n    url: pgbackrest:{stanza}\n"
            f"    pgbackrest: {{config: {{file: {self.config}}}, check: {str(check).lower()}}}\n"
            "checks:\n"
            "  - {name: orders, kind: sql, component: orders, query: select count(*) from orders, "
            'expect: "> 0"}\n'
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


@pytest.fixture(scope="module")
def stanza(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backed]:
    with backed(Path("/tmp")) as made:
        made.order(3)
        made.backup()
        yield made


@pytest.fixture
def site(tmp_path: Path, stanza: Backed) -> Iterator[Site]:
    made = Site(tmp_path, stanza)
    yield made
    made.app.close()


@pytest.fixture
def one_backup(tmp_path: Path) -> Iterator[Site]:
    """The same with a stanza of its own that has one backup."""
    with backed(Path("/tmp")) as stanza:
        stanza.order()
        stanza.backup()
        made = Site(tmp_path, stanza)
        yield made
        made.app.close()


def test_a_drill_rolls_the_newest_backup_forward_and_changes_nothing_in_the_repository(
    site: Site,
) -> None:
    site.stanza.order(2)
    ((count,),) = site.stanza.server.execute("select count(*) from orders", "shop")
    segment = site.stanza.archive()
    before = site.stanza.contents()
    plan = site.plan(
        checks="  - {name: newest, kind: sql, component: orders, "
        f"query: select count(*) from orders, expect: {count}}}\n"
        "  - {name: in a tablespace, kind: sql, component: orders, "
        "query: select count(*) from notes, expect: 1}\n"
    )
    outcome = site.drilled(plan)
    assert [c for c in outcome.evidence.checks if c.verdict is not CheckVerdict.PASSED] == []
    assert outcome.evidence.result == "passed"
    (reached,) = [c for c in outcome.evidence.checks if c.name == "orders is rolled forward"]
    label = site.stanza.info()["backup"][-1]["label"]
    assert reached.observed.startswith(
        f"backup {label} rolled forward to the end of WAL segment {segment}; last transaction at 20"
    )
    assert outcome.restoration is not None
    assert outcome.restoration.restored["orders"].notes == (
        "the source loads the libraries pg_stat_statements; the restored server does not load them",
    )
    newest, *_, ended = site.points(plan)
    assert newest.id == outcome.evidence.point
    assert newest.id.startswith("pgbackrest-")
    assert ended.data_time < newest.data_time
    facts = site.app.read_facts("shop")[0]
    assert facts.newest is not None
    assert facts.newest.data_time == newest.data_time
    assert not any((site.base / "work").glob("run.*"))
    assert site.stanza.contents() == before


def test_exposure_and_points_follow_the_archived_wal_and_attainment_keeps_what_was(
    site: Site,
) -> None:
    plan = site.plan()
    site.stanza.order()
    site.stanza.archive()
    listing(site.services(plan), plan)
    first = site.points(plan)[0]
    site.stanza.order()
    site.stanza.archive()
    seen = listing(site.services(plan), plan)
    newest = site.points(plan)[0]
    assert (seen.added, seen.expired, seen.missing) == ((newest.id,), (), ())
    assert newest.data_time >= first.data_time
    assert first.id not in [p.id for p in site.points(plan)]
    everything = site.app.catalogue.points.of_plan("shop", kept_only=False)
    assert first.id in [p.id for p in everything]


def test_wal_that_arrived_in_the_second_of_the_end_of_a_backup_makes_a_newer_point(
    one_backup: Site,
) -> None:
    stanza = one_backup.stanza
    stanza.order()
    segment = stanza.archive()
    (archived,) = stanza.repository.glob(f"archive/main/*/*/{segment}-*.gz")
    stop = stanza.info()["backup"][-1]["timestamp"]["stop"]
    os.utime(archived, (stop, stop))
    plan = one_backup.plan()
    listing(one_backup.services(plan), plan)
    newest, ended = one_backup.points(plan)
    assert ended.data_time.timestamp() == stop
    assert ended.data_time < newest.data_time < ended.data_time + timedelta(seconds=1)


def test_a_recovery_before_a_time_stops_exactly_there_however_late_the_wal_was_archived(
    site: Site,
) -> None:
    site.stanza.order(10)
    late = site.stanza.archive()
    site.stanza.order(10)
    ((at,),) = site.stanza.server.execute("select clock_timestamp()", "shop")
    ((count,),) = site.stanza.server.execute("select count(*) from orders", "shop")
    site.stanza.order(100)
    site.stanza.archive()
    (archived,) = site.stanza.repository.glob(f"archive/main/*/*/{late}-*.gz")
    os.utime(archived, (at.timestamp() + 1, at.timestamp() + 1))
    target = f'targets: {{standby: {{orders: {{dsn: "{site.stanza.server.dsn("back")}"}}}}}}\n'
    plan = site.plan(more=target)
    services = site.services(plan)
    planned = plan_recovery(services, plan, RecoveryRequest("standby", before=at))
    outcome = recover(services, planned)
    assert outcome.evidence.result == "passed"
    try:
        assert site.stanza.server.execute("select count(*) from orders", "back") == [(count,)]
    finally:
        site.stanza.server.execute("drop database back")
    said = [c.observed for c in outcome.evidence.checks if c.name == "orders is rolled forward"]
    assert format_time(at, seconds=True) in said[0]


def test_a_recovery_before_a_time_that_the_archive_does_not_reach_says_of_when_its_data_is(
    site: Site,
) -> None:
    site.stanza.order(2)
    ((at,),) = site.stanza.server.execute("select max(at) from orders", "shop")
    ((count,),) = site.stanza.server.execute("select count(*) from orders", "shop")
    segment = site.stanza.archive()
    before = at + timedelta(minutes=10)
    (archived,) = site.stanza.repository.glob(f"archive/main/*/*/{segment}-*.gz")
    os.utime(archived, (before.timestamp() + 5,) * 2)
    target = f'targets: {{standby: {{orders: {{dsn: "{site.stanza.server.dsn("late")}"}}}}}}\n'
    plan = site.plan(more=target)
    services = site.services(plan)
    try:
        planned = plan_recovery(services, plan, RecoveryRequest("standby", before=before))
        evidence = recover(services, planned).evidence
        assert evidence.result == "passed"
        assert site.stanza.server.execute("select count(*) from orders", "late") == [(count,)]
    finally:
        site.stanza.server.execute("drop database if exists late")
        os.utime(archived)
    assert evidence.data_time is not None
    assert at.replace(microsecond=0) <= evidence.data_time < before - timedelta(minutes=5)
    (stored,) = site.app.catalogue.evidence.newest("shop", limit=1)
    assert stored.data_time == evidence.data_time


def test_a_recovery_from_an_older_backup_has_commits_of_its_next_segments_too(site: Site) -> None:
    site.stanza.order(5)
    ((at,),) = site.stanza.server.execute("select clock_timestamp()", "shop")
    ((count,),) = site.stanza.server.execute("select count(*) from orders", "shop")
    site.stanza.backup("incr")
    site.stanza.order(5)
    site.stanza.archive()
    target = f'targets: {{standby: {{orders: {{dsn: "{site.stanza.server.dsn("older")}"}}}}}}\n'
    plan = site.plan(more=target)
    listing(site.services(plan), plan)
    try:
        words = ["--config", f"{site.base}/drd.yaml", "recover", "shop", "--target", "standby"]
        assert main([*words, "--before", at.isoformat(), "--yes"]) == 0
        (evidence,) = site.app.catalogue.evidence.newest("shop", limit=1)
        assert site.stanza.server.execute("select count(*) from orders", "older") == [(count,)]
    finally:
        site.stanza.server.execute("drop database if exists older")
    assert evidence.data_time == at
    assert [k.missing for k in site.app.catalogue.health.of_plan("shop")] == [{}]


def test_an_older_backup_is_drilled_as_it_was_at_its_end(site: Site) -> None:
    plan = site.plan()
    listing(site.services(plan), plan)
    ended = site.points(plan)[-1]
    outcome = site.drilled(plan, point=ended.id)
    (reached,) = [c for c in outcome.evidence.checks if c.name == "orders is rolled forward"]
    assert "in its state at the end of the backup" in reached.observed


@contextmanager
def aside(path: Path) -> Iterator[None]:
    """Without this file or directory."""
    away = path.with_name(f"{path.name}.aside")
    path.rename(away)
    try:
        yield
    finally:
        away.rename(path)


def test_a_gap_in_the_wal_stops_the_exposure_and_is_found_and_nothing_lies_beyond_it(
    site: Site,
) -> None:
    plan = site.plan()
    site.stanza.order()
    segment = site.stanza.archive()
    site.stanza.order()
    site.stanza.archive()
    services = site.services(plan)
    listing(services, plan)
    seen = site.points(plan)[0]
    (file,) = site.stanza.repository.glob(f"archive/main/*/*/{segment}-*.gz")
    with aside(file):
        gone = listing(services, plan)
        assert gone.missing == (seen.id,)
        others = [p for p in site.points(plan) if p.id != seen.id]
        assert others
        assert all(p.data_time < seen.data_time for p in others)
        found = {f.code: f for f in examine(services, plan, resolve)}
        assert found["repository-archive"].severity == "error"
        assert "the archive lacks WAL between" in found["repository-archive"].text
    assert listing(services, plan).missing == ()


def test_a_backup_without_its_wal_counts_for_nothing_and_verification_says_so(
    one_backup: Site,
) -> None:
    site = one_backup
    plan = site.plan()
    services = site.services(plan)
    listing(services, plan)
    known = site.points(plan)[-1]
    start = site.stanza.info()["backup"][0]["archive"]["start"]
    (file,) = site.stanza.repository.glob(f"archive/main/*/*/{start}-*.gz")
    label = site.stanza.info()["backup"][0]["label"]
    with aside(site.stanza.repository / f"backup/main/{label}"):
        assert known.id in listing(services, plan).missing
        (said,) = [
            f.text for f in examine(services, plan, resolve) if f.code == "repository-copies"
        ]
        assert f"the repository lacks the directory of backup {label}" in said
        assert site.app.catalogue.points.copy_name(known.id) == label
        theirs = services.open_repository(plan.primary)
        (lacking,) = repository_findings._missing_copies(services, plan, theirs)
        assert lacking.text.startswith(
            f"pgbackrest still lists {known.id} (copy {label}), but the repository lacks the "
            f"directory of backup {label}, although"
        )
    listing(services, plan)
    with aside(file):
        assert known.id in listing(services, plan).missing
        found = {f.code: f for f in examine(services, plan, resolve)}
        assert found["repository-archive"].severity == "error"
        assert "the archive lacks WAL of the newest backup" in found["repository-archive"].text
        failed = verification(services, plan, everything=True)
        assert failed.state is RunState.FAILED
    listing(services, plan)
    site.stanza.order()
    site.stanza.archive()
    assert not [f for f in examine(services, plan, resolve) if f.code == "repository-snapshots"]
    site.stanza.order()
    site.stanza.archive()
    assert verification(services, plan, everything=True).state is RunState.SUCCEEDED
    assert [k.missing for k in site.app.catalogue.health.of_plan("shop")] == [{}]


def test_damage_is_found_by_a_verification_and_fails_a_drill(site: Site) -> None:
    plan = site.plan()
    base = next(site.stanza.repository.glob("backup/main/*F/pg_data/base"))
    file = max(base.rglob("*.gz"), key=lambda p: p.stat().st_size)
    whole = file.read_bytes()
    try:
        file.write_bytes(whole[:2000] + bytes(100) + whole[2100:])
        outcome = verification(site.services(plan), plan, everything=True)
        assert outcome.state is RunState.FAILED
        evidence = site.drilled(plan).evidence
        assert evidence.result == "failed"
        (row,) = [c for c in evidence.checks if c.name == "orders can be restored"]
        assert "pgBackRest restore found damage" in row.observed
    finally:
        file.write_bytes(whole)


def test_backups_of_a_server_without_the_database_of_the_plan_do_not_count(site: Site) -> None:
    site.plan()
    file = site.base / "plans/shop.yaml"
    file.write_text(file.read_text().replace(site.stanza.server.dsn("shop"), "postgresql:///crm"))
    plan = site.app.plans.load(str(file))
    services = site.services(plan)
    listing(services, plan)
    points = site.points(plan)
    assert points
    assert not any(point.complete for point in points)
    (said,) = [f for f in examine(services, plan, resolve) if f.code == "repository-copies"]
    assert "does not contain database crm, but only other, postgres, shop" in said.text
    assert "correct `dsn` of the component" in said.remedy


def test_wrong_pass_renamed_stanza_and_unreachable_repository_are_told_apart(site: Site) -> None:
    plan = site.plan()
    right = site.config.read_text()

    def told(config: str) -> DrdError:
        site.config.write_text(config)
        outcome = site.drilled(plan)
        assert outcome.evidence.result == "inconclusive"
        assert outcome.error is not None
        return outcome.error

    assert site.drilled(plan).evidence.result == "passed"
    wrong = told(right.replace(PASS, "another"))
    assert isinstance(wrong, WrongKey)
    assert PASS not in wrong.message
    away = told(right.replace("repository\n", "elsewhere\n"))
    assert isinstance(away, RepositoryMissing)
    assert away.state == "gone"
    assert "check that its disk is mounted" in str(away.hint)
    s3 = "repo1-type=s3\nrepo1-s3-bucket=b\nrepo1-s3-endpoint=127.0.0.1\nrepo1-storage-port=9\n"
    s3 += "repo1-s3-region=r\nrepo1-s3-key=k\nrepo1-s3-key-secret=s\nio-timeout=1\n"
    s3 += "repo1-s3-uri-style=path\n"
    unreachable = told(right.replace("[global]\n", f"[global]\n{s3}"))
    assert isinstance(unreachable, RepositoryUnreachable)
    site.config.write_text(right)
    renamed = site.plan(stanza="renamed")
    with pytest.raises(RepositoryMissing, match="the repository has no stanza renamed"):
        listing(site.services(renamed), renamed)
    assert [p.complete for p in site.points(site.plan())][:1] == [True]


def test_a_backup_that_is_still_being_made_or_was_broken_off_does_not_count(site: Site) -> None:
    plan = site.plan()
    before = listing(site.services(plan), plan).listed
    whole = next(site.stanza.repository.glob("backup/main/*F"))
    half = whole.with_name("20991231-000000F")
    shutil.copytree(whole, half)
    (half / "backup.manifest").unlink()
    try:
        assert listing(site.services(plan), plan).listed == before
        outcome = verification(site.services(plan), plan, everything=True)
        assert outcome.state is RunState.SUCCEEDED, "pgBackRest's next backup removes it"
    finally:
        shutil.rmtree(half)


def test_a_backup_that_expires_during_a_drill_makes_it_inconclusive_and_raises_no_alert(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = site.plan(more="retention: {last: 1}\n")
    old = site.stanza.info()["backup"][0]["label"]
    site.stanza.backup()
    services = site.services(plan)
    listing(services, plan)
    oldest = min(site.points(plan), key=lambda p: p.data_time)
    restore = AdoptedRepository.restore

    def late(repository: AdoptedRepository, *words: Any, **how: Any) -> Fetched:
        site.stanza.call("expire", f"--set={old}")
        return restore(repository, *words, **how)

    monkeypatch.setattr(AdoptedRepository, "restore", late)
    outcome = drill(services, plan, DrillRequest(oldest.id))
    assert outcome.evidence.result == "inconclusive"
    assert outcome.error is not None
    assert "pgbackrest has removed the copy of restore point" in outcome.error.message
    assert [k.missing for k in site.app.catalogue.health.of_plan("shop")] == [{}]
    monkeypatch.undo()
    assert site.drilled(plan).evidence.result == "passed"


def test_a_drill_that_is_killed_leaves_no_server_no_files_and_no_lock(site: Site) -> None:
    plan = site.plan()
    listing(site.services(plan), plan)
    before = site.stanza.contents()
    words = ["--config", f"{site.base}/drd.yaml", "drill", "shop"]
    roots = run_dirs.roots(site.services(plan))
    for wanted in ("landing/data/global", "server/data/global"):
        with Path(os.devnull).open("wb") as nowhere:
            child = warm.start(words, env=os.environ, log=nowhere.fileno())
        deadline = time.monotonic() + 60
        seen: list[Path] = []
        while not seen and time.monotonic() < deadline and child.poll() is None:
            seen = [p for r in roots for p in r.glob(f"run-*/orders.postgres/{wanted}")]
            time.sleep(0.01)
        child.kill()
        child.wait()
        assert seen
        crash_cleanup.settle(site.services(plan), plan)
        place = str(seen[0].parents[2])
        assert not seen[0].exists()
        assert not [p for p in Path("/proc").glob("[0-9]*") if place in _words_of(p)]
    assert not list((site.base / "cache").rglob("pgbackrest/*"))
    assert site.stanza.contents() == before


@as_root
def test_root_drills_and_recovers_where_a_service_user_owns_the_state(
    short_tmp: Path, stanza: Backed
) -> None:
    short_tmp.chmod(0o755)
    site = Site(short_tmp, stanza)
    try:
        target = stanza.server.dsn("of_root")
        site.plan(more=f'targets: {{standby: {{orders: {{dsn: "{target}"}}}}}}\n')
        user = stanza.user
        for name in ("state", "work", "cache"):
            (short_tmp / name).mkdir(exist_ok=True)
            for path in (short_tmp / name, *(short_tmp / name).rglob("*")):
                os.chown(path, user.uid, user.gid)
        words = ["--config", f"{short_tmp}/drd.yaml"]
        for verb in (["drill", "shop"], ["recover", "shop", "--target", "standby", "--yes"]):
            done = warm.run([*words, *verb], env=os.environ)
            assert done.returncode == 0, done.stdout + done.stderr
            mine = [p for p in (short_tmp / "cache").rglob("*") if p.stat().st_uid == 0]
            assert mine == []
    finally:
        site.app.close()
        shutil.rmtree(root_place(short_tmp / "work"), ignore_errors=True)


def _words_of(process: Path) -> str:
    with suppress(OSError):
        return (process / "cmdline").read_bytes().decode(errors="replace")
    return ""


def test_plan_new_adopt_writes_a_plan_for_a_stanza_whose_drill_passes(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    before = site.stanza.contents()
    words = ["--config", f"{site.base}/drd.yaml", "plan", "new", "--name", "theirs"]
    assert main([*words, "--adopt", str(site.config)]) == 0
    said = capsys.readouterr().out
    assert "of stanza main, WAL up to " in said
    plan = site.app.plans.load("theirs")
    assert sorted(plan.components) == ["shop"]
    assert "no table has rows: [other]" in (site.base / "plans/theirs.yaml").read_text()
    assert plan.retention.last == 9
    checks = {c.name: c.verdict for c in site.drilled(plan).evidence.checks}
    assert {n: v for n, v in checks.items() if n.startswith("shop: ")} == {
        "shop: there are rows": CheckVerdict.PASSED,
        "shop: orders has rows": CheckVerdict.PASSED,
        "shop: notes has rows": CheckVerdict.PASSED,
    }
    text = (site.base / "plans/theirs.yaml").read_text()
    assert 'select max("at") from orders' in text
    assert site.stanza.contents() == before
    assert main([*words, "--adopt", f"{site.config}:nope", "--force"]) == 10
    assert "the repository has no stanza nope" in capsys.readouterr().err


@pytest.mark.parametrize("by", [-1, 1])
def test_doctor_asks_for_a_server_of_exactly_the_version_of_the_stanza(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: int
) -> None:
    plan = site.plan()
    # Before the first listing, too.
    (finding,) = [f for f in examine(site.services(plan), plan, resolve) if f.code == "sandbox"]
    listing(site.services(plan), plan)
    major = int(site.points(plan)[-1].components[0].facts["server_major"])
    assert finding.text.startswith(f"PostgreSQL {major}.")
    assert f" needs PostgreSQL {major}." in finding.text
    programs = tmp_path / f"versions/{major + by}/bin"
    programs.mkdir(parents=True)
    for name in ("postgres", "initdb", "pg_restore"):
        (programs / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {major + by}.1'\n")
        (programs / name).chmod(0o755)
    monkeypatch.setattr(tools, "VERSIONED", tmp_path / "versions")
    (finding,) = [f for f in examine(site.services(plan), plan, resolve) if f.code == "sandbox"]
    assert finding.severity == "error"
    called = "PostgreSQL server of version" if by < 0 else "PostgreSQL"
    assert f"this host has no {called} {major}" in finding.text
    assert "or newer" not in finding.text
    assert finding.remedy == f"apt-get install postgresql-{major}"


@pytest.fixture
def fresh() -> Iterator[PostgresServer]:
    """A server that has none of the tablespaces."""
    with (
        short_directory(Path(os.environ["DRD_TEST_RUN"])) as base,
        postgres_server(base / "pg") as server,
    ):
        yield server


def test_the_page_by_hand_brings_the_database_back_from_the_kit_alone(
    one_backup: Site, fresh: PostgresServer
) -> None:
    """Also when the server's first role is not called postgres, and its user cannot read the
    repository."""
    site, server = one_backup, one_backup.stanza.server
    server.execute("create role other superuser login")
    server.superuser = "other"
    target = f'targets: {{standby: {{orders: {{dsn: "{fresh.dsn("by_hand")}"}}}}}}\n'
    plan = site.plan(more=target)
    listing(site.services(plan), plan)
    identity = pyrage.x25519.Identity.generate()
    words = ["--config", f"{site.base}/drd.yaml", "kit", "export", "shop"]
    kit = site.base / "kit"
    assert main([*words, "--to", str(kit), "--recipient", str(identity.to_public())]) == 0
    armoured = kit.read_bytes().partition(b"\n")[2]
    lines = [line for line in armoured.splitlines() if not line.startswith(b"-----")]
    packed = pyrage.decrypt(base64.b64decode(b"".join(lines)), [identity])
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(site.base, filter="data")
    site.config.unlink()
    script = site.base / "recovery-kit/runbooks/shop/recover-by-hand.sh"
    try:
        fails = script.with_name("fails.sh")
        fails.write_text(script.read_text().replace("\nrestic() {", "\nfalse\nrestic() {"))
        failed = subprocess.run(
            ["bash", str(fails)], capture_output=True, text=True, timeout=120, check=False
        )
        assert failed.returncode == 1
        assert " --username=postgres " in failed.stdout
        directory = _ended_as_said(failed.stdout)
        server.execute('alter role postgres rename to "the maker"')
        site.stanza.order(2)
        site.stanza.archive()
        before = site.stanza.contents()
        if os.geteuid() == 0:
            os.chown(site.stanza.repository, 0, 0)
            site.stanza.repository.chmod(0o700)
        done = subprocess.run(
            ["bash", str(script)], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        assert " --username=the\\ maker " in done.stdout
        assert "\nspace\nThis server lacks the tablespaces above: all tables go to" in done.stdout
        assert fresh.execute("select id from notes", "by_hand") == [(1,)]
        orders = fresh.execute("select count(*) from orders", "by_hand")
        assert orders == server.execute("select count(*) from orders", "shop")
        assert site.stanza.contents() == before
        assert _ended_as_said(done.stdout) != directory
    finally:
        for place in Path("/var/tmp").glob("server.*"):  # what a failed test left
            if str(site.stanza.base) in (place / "pgbackrest.conf").read_text():
                with suppress(OSError):
                    pid = (place / "data/postmaster.pid").read_text().split()[0]
                    os.kill(int(pid), signal.SIGQUIT)
                shutil.rmtree(place, ignore_errors=True)


def _ended_as_said(said: str) -> str:
    """End the server that a script has left running, as it says; return its directory."""
    assert "The restored server still runs, with its data in /var/tmp/server." in said
    (stop,) = [line.strip() for line in said.splitlines() if "pg_ctl stop" in line]
    directory = stop.rpartition(" ")[2]
    assert Path(directory, "data/postmaster.pid").exists()
    given = Path(directory, "data/postmaster.opts").read_text()
    for setting in (
        "listen_addresses=",
        f"unix_socket_directories={directory}",
        "archive_mode=off",
        "shared_preload_libraries=",
        "max_logical_replication_workers=0",
    ):
        assert f'"{setting}"' in given
    subprocess.run(["bash", "-c", stop], check=True, capture_output=True, timeout=60)
    assert not Path(directory).exists()
    return directory


def test_pgbackrest_check_runs_if_the_plan_allows_it_and_each_failure_has_a_remedy(
    one_backup: Site,
) -> None:
    site, server = one_backup, one_backup.stanza.server
    config = site.config.read_text()
    with_time = config.replace("[global]\n", "[global]\narchive-timeout=3\n")

    def found(text: str = with_time, *, check: bool = True) -> dict[str, Any]:
        site.config.write_text(text)
        plan = site.plan(check=check)
        findings = site.services(plan).open_repository(plan.primary).doctor()
        return {f.code: f for f in findings}

    def segment() -> str:
        ((name,),) = server.execute("select pg_walfile_name(pg_current_wal_lsn())")
        return str(name)

    unchecked = site.plan().digest
    assert site.plan(check=True).digest != unchecked
    server.execute("create table written (id int)", "shop")
    before = segment()
    assert "repository-check" not in found(check=False)
    assert segment() == before, "without the key drd changes nothing"

    assert found()["repository-check"].severity == "ok"
    assert segment() != before

    server.execute("alter system set archive_command = 'false # pgbackrest'")
    server.execute("select pg_reload_conf()")
    broken = found()
    assert broken["repository-check"].severity == "error"
    assert "does not arrive in the archive" in broken["repository-check"].text
    assert "archive_command" in broken["repository-check"].remedy
    assert "repository-copies" in broken, "what the copies hold is said all the same"
    server.execute("alter system set archive_command = 'true'")
    server.execute("select pg_reload_conf()")
    assert "does not archive with pgBackRest" in found()["repository-check"].text
    server.execute("alter system reset archive_command")
    server.execute("select pg_reload_conf()")

    port = f"pg1-port={server.port}"
    nowhere = found(with_time.replace(port, "pg1-port=1"))["repository-check"]
    assert "pgBackRest cannot ask the server" in nowhere.text
    server.stop()
    down = found()["repository-check"]
    assert (down.severity, "start the server" in down.remedy) == ("error", True)

    for part in ("archive", "backup"):
        (site.stanza.repository / part / "main").rename(site.stanza.repository / part / "renamed")
    with pytest.raises(RepositoryMissing, match="stanza"):
        found()
