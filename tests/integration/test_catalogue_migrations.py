"""The tables come to the version of the code, with what is in them."""

from __future__ import annotations

import json
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from drd.catalogue import (  # noqa: F401 (they fill the metadata)
    daemon_tables,
    malformed,
    migrate,
    record_tables,
    summary_tables,
)
from drd.catalogue.changed import read_changed
from drd.catalogue.engine import Database
from drd.catalogue.migrate import OURS, Schema
from drd.catalogue.sql_catalogue import SqlCatalogue, open_catalogue
from drd.catalogue.summary import read_facts, read_status
from drd.catalogue.tables import metadata
from drd.errors import CatalogueError
from drd.flows.incidents.opening import open_incident
from drd.model.compliance import assess
from drd.model.consistency import Spread
from drd.model.incidents.entries import Author
from drd.model.manifest_signature import TrustedKeys
from drd.model.repositories import Meeting
from drd.model.run import RunKind, StepState
from drd.model.run_details import ReadinessDetail
from drd.model.step_record import RESTORE, step_about
from drd.model.verdicts import Verdict
from tests import light_catalogue
from tests.catalogue_support import (
    at,
    captured,
    fingerprint,
    fresh_url,
    of_the_first_version,
    plan,
    point,
)

NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "@HEAD@"


def upgrade() -> None:
    op.add_column("plans", sa.Column("colour", sa.Text()))
    op.execute("UPDATE plans SET colour = 'of ' || name")
"""
BREAKS = NEXT + '    op.execute("INSERT INTO no_such_table VALUES (1)")\n'


@pytest.fixture(autouse=True)
def _migrated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "_upgrade", light_catalogue.migrated)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return fresh_url(request, tmp_path)


def of_tomorrow(directory: Path, migration: str) -> Schema:
    """Our migrations and one more."""
    scripts = directory / "migrations of 100% tomorrow"
    shutil.copytree(OURS.scripts, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    (scripts / "versions" / "v9999_next.py").write_text(migration.replace("@HEAD@", OURS.head))
    return Schema(scripts, "9999")


def opened(url: str, tmp_path: Path, schema: Schema = OURS) -> SqlCatalogue:
    return open_catalogue(url, create=True, state_dir=tmp_path / "state", schema=schema)


def filled(url: str, tmp_path: Path) -> None:
    catalogue = opened(url, tmp_path)
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    catalogue.points.record(point("p1", at(0), components=[captured(seen=fingerprint(a=1))]))
    catalogue.close()


def copies(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "state").glob("drd.db.before-*"))


def test_migrations_lead_to_the_tables_of_the_code(url: str, tmp_path: Path) -> None:
    catalogue = opened(url, tmp_path)

    with catalogue.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == OURS.head
    catalogue.close()

    config = Config()
    config.set_main_option("script_location", str(OURS.scripts))
    assert ScriptDirectory.from_config(config).get_heads() == [OURS.head]


def test_a_migration_keeps_the_data_and_on_sqlite_a_copy_of_before(
    url: str, tmp_path: Path
) -> None:
    filled(url, tmp_path)

    catalogue = opened(url, tmp_path, of_tomorrow(tmp_path, NEXT))

    assert [p.id for p in catalogue.points.of_plan("orders-api", fingerprints=True)] == ["p1"]
    with catalogue.database.read() as connection:
        assert connection.execute(text("SELECT colour FROM plans")).scalar() == "of orders-api"
    catalogue.close()
    if url.startswith("sqlite"):
        [copy] = copies(tmp_path)
        assert copy.name == "drd.db.before-9999"
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        before = open_catalogue(f"sqlite:///{copy}", create=False)
        assert [p.id for p in before.points.of_plan("orders-api")] == ["p1"]
        before.close()


def test_a_migration_that_fails_leaves_everything_as_it_was(url: str, tmp_path: Path) -> None:
    filled(url, tmp_path)
    broken = of_tomorrow(tmp_path, BREAKS)

    for _ in range(2):
        with pytest.raises(
            CatalogueError, match=r"could not upgrade its catalogue .* to version 9999"
        ):
            opened(url, tmp_path, broken)

    catalogue = opened(url, tmp_path)
    assert [p.id for p in catalogue.points.of_plan("orders-api")] == ["p1"]
    with catalogue.database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    catalogue.close()
    if url.startswith("sqlite"):
        assert [c.name for c in copies(tmp_path)] == ["drd.db.before-9999", "drd.db.before-9999-2"]


def test_a_catalogue_of_a_newer_drd_is_left_alone(url: str, tmp_path: Path) -> None:
    opened(url, tmp_path, of_tomorrow(tmp_path, NEXT)).close()

    with pytest.raises(
        CatalogueError, match="has version 9999, but this drd works only with version " + OURS.head
    ) as raised:
        opened(url, tmp_path)

    assert "install the newer version of drd again" in raised.value.hint
    assert copies(tmp_path) == []


def test_a_command_does_not_upgrade_the_catalogue_of_a_daemon_that_runs(
    url: str, tmp_path: Path
) -> None:
    filled(url, tmp_path)
    tomorrow = of_tomorrow(tmp_path, NEXT)
    former = opened(url, tmp_path)
    with former.lock("daemon", wait_s=0.0):
        with pytest.raises(
            CatalogueError, match="a daemon of an older version of drd is running"
        ) as raised:
            opened(url, tmp_path, tomorrow)
        assert f"needs version {OURS.head} of the catalogue" in raised.value.message
        assert "systemctl restart drd" in raised.value.hint
        assert former.plans.names() == ["orders-api"], "the daemon goes on"
    former.close()
    assert copies(tmp_path) == []

    opened(url, tmp_path, tomorrow).close()


def test_two_processes_do_not_migrate_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state/drd.db"
    filled(url, tmp_path)
    schema = of_tomorrow(tmp_path, NEXT)
    code = (
        "import sys; from pathlib import Path\n"
        "from drd.catalogue.migrate import Schema\n"
        "from drd.catalogue.sql_catalogue import open_catalogue\n"
        "open_catalogue(sys.argv[1], create=True, schema=Schema(Path(sys.argv[2]), '9999')).close()"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, url, str(schema.scripts)],
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for _ in range(4)
    ]
    told = sorted(child.communicate(timeout=60)[1] for child in children)
    assert told[:3] == [""] * 3
    assert told[3].count('"event": "catalogue.migrated"') == told[3].count("\n") == 1

    assert [c.name for c in copies(tmp_path)] == ["drd.db.before-9999"]
    connection = sqlite3.connect(tmp_path / "state" / "drd.db")
    assert connection.execute("SELECT colour FROM plans").fetchall() == [("of orders-api",)]
    connection.close()


def test_alembic_and_the_other_database_driver_are_imported_only_when_used(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/state/drd.db"
    filled(url, tmp_path)
    code = (
        "import sys; from drd.catalogue.sql_catalogue import open_catalogue\n"
        "open_catalogue(sys.argv[1], create=True).close(); "
        "print(sorted({'alembic', 'sqlalchemy.dialects.postgresql'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, url],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=60,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_first_version_comes_to_this_one_with_its_histories(url: str, tmp_path: Path) -> None:
    of_the_first_version(url, tmp_path / "state")

    catalogue = opened(url, tmp_path)

    assert [p.id for p in catalogue.points.of_plan("shop")] == ["aaaaaaaa"]
    with catalogue.database.read() as connection:
        rows = connection.execute(text("SELECT * FROM jobs ORDER BY kind")).mappings().all()
        severity = connection.execute(text("SELECT severity FROM alerts")).scalar()
    assert severity == "warning"
    assert [
        (r["kind"], r["last_run"], r["tries"], r["last_error"], str(r["last_success_at"])[11:16])
        for r in rows
    ] == [
        ("backup", "bbbbbbbb", 1, "why", "00:02"),
        ("drill", "cccccccc", 0, None, "00:06"),
    ]
    catalogue.close()


def test_the_second_version_comes_to_this_one_with_its_drills(url: str, tmp_path: Path) -> None:
    opened(url, tmp_path, Schema(OURS.scripts, "0002")).close()
    database = Database(url)
    when = "2026-11-25T00:00:00.000000+00:00"
    with database.write() as connection:
        connection.execute(
            text(
                "INSERT INTO evidence (id, run, plan, point, scenario, result, plan_digest, "
                "started_at, finished_at, judged, phases, not_rehearsed, restored_bytes) VALUES "
                "('7c1e-d14', 'd14',"
                " 'orders-api', 'p1', 'database-loss', 'passed', 'd1', :at, :at, :yes, '{}',"
                ' \'[["dns", "real"]]\', 5)'
            ),
            {"at": when, "yes": True},
        )
    database.close()

    catalogue = opened(url, tmp_path)

    [found] = catalogue.evidence.newest("orders-api")
    assert (found.id, found.not_rehearsed, found.coverage) == ("7c1e-d14", (("dns", "real"),), None)
    assert catalogue.decisions.of_run("d14") == []
    catalogue.close()
    if url.startswith("sqlite"):
        assert [c.name for c in copies(tmp_path)] == [f"drd.db.before-{OURS.head}"]


_OF_0004 = """
INSERT INTO plans (name, owner, digest, rpo_s, rto_s, window_s, backup_timeout_s, file,
  file_mtime_ns,
  file_size, file_digest, first_loaded_at, loaded_at)
VALUES ('shop', 'us', 'd1', 900, 1800, 86400, 3600, '', 0, 0, '', '@00', '@00');
INSERT INTO points (id, plan, data_time, available_at, complete, plan_digest, bytes)
VALUES ('old', 'shop', '@01', '@02', @true, 'd1', 10), ('new', 'shop', '@03', '@04', @true, 'd1',
  10);
INSERT INTO point_repositories (point, repository, position, manifest, available_at)
VALUES ('old', 'primary', 0, 'm1', NULL), ('old', 'offsite', 1, 'm2', '@03'),
  ('new', 'primary', 0, 'm3', NULL);
INSERT INTO copies (plan, repository, position, copy_of, point, data_time, available_at)
VALUES ('shop', 'offsite', 0, 'primary', 'old', '@01', '@03');
INSERT INTO evidence (id, run, plan, point, scenario, result, plan_digest, started_at, finished_at,
  judged, phases, not_rehearsed, restored_bytes)
VALUES ('e1', 'r1', 'shop', 'old', 'region-loss', 'failed', 'd1', '@04', '@05', @true, '{}', '[]',
  0),
  ('e2', 'r2', 'shop', 'new', 'database-loss', 'passed', 'd1', '@05', '@06', @true, '{}', '[]', 10);
INSERT INTO plan_summary (plan, newest_point, complete_points, failure_tries, last_drill,
  last_passed_drill)
VALUES ('shop', 'new', 2, 0, 'e2', 'e2');
INSERT INTO verifications (plan, repository, parts, next_part, cycle_started_at, error)
VALUES ('shop', 'offsite', 1, 1, '@04', 'packs are damaged');
INSERT INTO runs (id, plan, kind, trigger, state, started_at, finished_at, plan_digest, token,
  owner_host, detail, subject)
VALUES ('v1', 'shop', 'verification', 'manual', 'failed', '@05', '@06', 'd1', 1, 'h',
  '{"affected": ["old"]}', 'offsite')
"""


def test_points_damage_and_drills_of_before_an_upgrade_count_after_it(
    url: str, tmp_path: Path
) -> None:
    """Points, damage and drills, before any plan is loaded again."""
    opened(url, tmp_path, Schema(OURS.scripts, "0004")).close()
    words = _OF_0004.replace("@true", "TRUE")
    for minute in range(7):
        words = words.replace(f"@0{minute}", f"2026-11-25T00:0{minute}:00.000000+00:00")
    database = Database(url)
    with database.write() as connection:
        for statement in words.split(";\n"):
            connection.execute(text(statement))
    database.close()

    opened(url, tmp_path).close()

    [facts] = read_facts(url)
    places = {r.repository: r for r in facts.repositories}
    assert places["primary"].sound is not None
    assert places["primary"].sound.id == "new"
    assert places["offsite"].copy_of == "primary"
    assert (places["offsite"].damage, places["offsite"].sound) == ("packs are damaged", None)
    drilled = {s.scenario: s.last for s in facts.scenarios}
    assert {name: last and last.result for name, last in drilled.items()} == {
        "region-loss": "failed",
        "database-loss": "passed",
    }
    assert drilled["database-loss"] is not None
    assert facts.newest is not None
    assert drilled["database-loss"].data_time == facts.newest.data_time
    assert assess(facts, facts.newest.available_at).verdict is Verdict.BREACHED


_OF_0005 = """
INSERT INTO plans (name, owner, digest, rpo_s, rto_s, window_s, backup_timeout_s, file,
  file_mtime_ns, file_size, file_digest, first_loaded_at, loaded_at)
VALUES ('shop', 'us', 'd1', 900, 1800, 86400, 3600, '', 0, 0, '', '@00', '@00');
INSERT INTO runs (id, plan, kind, trigger, state, started_at, finished_at, plan_digest, token,
  owner_host, detail, error, subject)
VALUES ('l1', 'shop', 'readiness', 'manual', 'failed', '@01', '@02', 'd1', 1, 'h', '@detail',
  'not ready: repository primary: key: wrong password (hint: look (twice).)', ''),
  ('b1', 'shop', 'backup', 'schedule', 'interrupted', '@01', '@02', 'd1', 1, 'h', '{}',
  'the service was stopped, and was killed', '');
INSERT INTO jobs (plan, kind, subject, changed, last_run, last_finished_at, last_state, last_error,
  tries, permanent)
VALUES ('shop', 'readiness', '', 1, 'l1', '@02', 'failed', 'not ready: …', 1, @false),
  ('shop', 'backup', '', 2, 'b1', '@02', 'interrupted', 'the service was stopped', 1, @false),
  ('shop', 'verification', 'primary', 3, 'v1', '@02', 'failed', 'rot', 1, @false);
INSERT INTO verifications (plan, repository, parts, next_part, cycle_started_at, error)
VALUES ('shop', 'primary', 1, 1, '@01', 'rot');
INSERT INTO plan_summary (plan, complete_points, failure_tries, failed_run)
VALUES ('shop', 0, 1, 'b1');
INSERT INTO repository_health (plan, repository, position, url, damage, damaged_since)
VALUES ('shop', 'primary', 0, '/srv/r', '@damage', '@01');
INSERT INTO evidence (id, run, plan, point, scenario, result, plan_digest, started_at, finished_at,
  judged, phases, not_rehearsed, restored_bytes, unproven)
VALUES ('e1', 'r1', 'shop', NULL, 'database-loss', 'passed', 'd1', '@01', '@02', @false, '{}', '[]',
  0, '[["db", "not compared: no check looked at it"], ["conf", "not compared: torn"]]');
INSERT INTO alerts (id, plan, kind, subject, state, since, message)
VALUES ('a1', 'shop', 'repository-unreachable', 'repository primary: key', 'firing', '@02', 'm'),
  ('a2', 'shop', 'not-ready', 'kit missing', 'firing', '@02', 'm'),
  ('a3', 'shop', 'rpo', '', 'firing', '@02', 'm')
"""
_FOUND = {"remedy": "look", "allows": "not ready", "proof": False, "exception": None}


def test_an_upgrade_converts_sentences_to_codes(url: str, tmp_path: Path) -> None:
    opened(url, tmp_path, Schema(OURS.scripts, "0005")).close()
    named = {
        "repository primary: key": "wrong password (hint: look)",
        "drill region-loss": "never rehearsed",
        "kit missing": "none",
    }
    detail = {
        "readiness": "not ready",
        "findings": [
            {"name": name, "severity": "error", "evidence": text, **_FOUND}
            for name, text in named.items()
        ],
    }
    damage = "the repository at /srv/r is damaged: data of 2 directories is gone; restore point p1"
    words = _OF_0005.replace("@false", "FALSE").replace("@detail", json.dumps(detail))
    words = words.replace("@damage", f"{damage} cannot come back (hint: mend it)")
    for minute in range(3):
        words = words.replace(f"@0{minute}", f"2026-11-25T00:0{minute}:00.000000+00:00")
    database = Database(url)
    with database.write() as connection:
        for statement in words.split(";\nINSERT"):
            connection.exec_driver_sql(
                ("" if statement.strip().startswith("INSERT") else "INSERT") + statement
            )
    database.close()

    catalogue = opened(url, tmp_path)

    [facts] = read_facts(url)
    assert facts.unready is not None
    assert facts.unready.readiness == "not ready"
    assert [(f.code, f.subject, f.name, f.text) for f in facts.unready.findings] == [
        ("repository-key", "primary", "repository primary: key", "wrong password"),
        ("drill", "region-loss", "drill region-loss", "never rehearsed"),
        ("unnamed", "kit missing", "kit missing", "none"),
    ]
    assert facts.failures is not None
    assert facts.failures.code == "service-stopped"
    assert facts.repositories[0].damage == "data of 2 directories is gone"
    assert catalogue.health.of_plan("shop")[0].repair == "none"
    assert {a.id: a.code for a in facts.alerts} == {
        "a1": "repository-key",
        "a2": "unnamed",
        "a3": "",
    }
    [drill] = catalogue.evidence.newest("shop")
    assert [(u.component, u.code) for u in drill.unproven] == [
        ("db", "no-check"),
        ("conf", "not-compared"),
    ]
    codes = {j.kind: j.last_error_code for j in catalogue.queue.jobs()}
    assert codes["backup"] == "service-stopped"
    assert codes["verification"] == "repository-damaged"
    [run] = catalogue.runs.newest("shop", kind=RunKind.READINESS)
    assert run.error == "not ready: repository primary: key: wrong password"
    assert run.detail.remedy == "look (twice)."
    assert isinstance(run.detail, ReadinessDetail)
    codes = [judged.finding.code for judged in run.detail.findings or ()]
    assert codes == ["repository-key", "drill", "unnamed"]
    assert [f["code"] for f in run.detail.to_json()["findings"]] == codes
    catalogue.close()


_OF_0006 = """
INSERT INTO runs (id, plan, kind, "trigger", state, plan_digest, token, owner_host, detail)
VALUES ('r1', 'shop', 'recovery', 'manual', 'running', 'd1', 1, 'db1', '{}');
INSERT INTO steps (run, name, position, kind, state, attempt, started_at, result)
VALUES ('r1', 'preflight', 0, 'preflight', 'succeeded', 1, '@01', '{}'),
  ('r1', 'restore', 1, 'restore', 'succeeded', 1, '@01', '{}'),
  ('r1', 'restore orders-db', 2, 'restore', 'succeeded', 1, '@01', '{}'),
  ('r1', 'capture files', 3, 'capture', 'running', 1, '@01', '{}'),
  ('r1', 'rollback start-web', 4, 'rollback', 'failed', 2, '@01', '{}'),
  ('r1', 'forget in offsite', 5, 'forget', 'succeeded', 1, '@01', '{}'),
  ('r1', 'copy p1 and 3 older', 6, 'copy', 'succeeded', 1, '@01', '{}'),
  ('r1', 'copy drd', 7, 'copy', 'succeeded', 1, '@01', '{}'),
  ('r1', 'capture', 8, 'command', 'succeeded', 1, '@01', '{}')
"""


def executed(url: str, statements: str) -> None:
    for minute in range(3):
        statements = statements.replace(f"@0{minute}", f"2026-11-25T00:0{minute}:00.000000+00:00")
    database = Database(url)
    with database.write() as connection:
        for statement in statements.split(";\n"):
            connection.execute(text(statement))
    database.close()


def test_an_upgrade_gives_each_step_the_subject_that_its_name_had(url: str, tmp_path: Path) -> None:
    opened(url, tmp_path, Schema(OURS.scripts, "0006")).close()
    executed(url, _OF_0006)

    catalogue = opened(url, tmp_path)

    records = catalogue.steps.of_run("r1")
    assert {r.name: r.subject for r in records} == {
        "preflight": "",
        "restore": "",
        "restore orders-db": "orders-db",
        "capture files": "files",
        "rollback start-web": "start-web",
        "forget in offsite": "offsite",
        "copy p1 and 3 older": "p1",
        "copy drd": "drd",
        "capture": "",
    }
    restored = step_about(records, RESTORE, "orders-db")
    assert restored is not None
    assert restored.name == "restore orders-db"
    assert step_about(records, RESTORE, "files") is None
    catalogue.close()


def test_steps_are_read_that_an_earlier_drd_writes_after_the_upgrade(
    url: str, tmp_path: Path
) -> None:
    opened(url, tmp_path, Schema(OURS.scripts, "0006")).close()
    runs, steps = _OF_0006.split(";\n")
    executed(url, runs)
    catalogue = opened(url, tmp_path)
    executed(url, steps)
    executed(url, "UPDATE steps SET error = 'exited with 3\nremedy: look.' WHERE kind = 'rollback'")

    records = catalogue.steps.of_run("r1")

    restored = step_about(records, RESTORE, "orders-db")
    undone = step_about(records, "rollback", "start-web")
    assert restored is not None
    assert undone is not None
    assert restored.state is StepState.SUCCEEDED
    assert (undone.error, undone.remedy) == ("exited with 3", "look.")
    assert {r.subject for r in records if r.kind == RESTORE} == {"", "orders-db"}
    catalogue.close()


_OF_0007 = """
INSERT INTO plans (name, owner, digest, rpo_s, rto_s, window_s, backup_timeout_s, file,
  file_mtime_ns, file_size, file_digest, first_loaded_at, loaded_at, load_error)
VALUES ('shop', 'o', 'd1', 60, 60, 60, 60, 'f', 1, 1, 'f1', '@00', '@00',
  'f:3: rpo: no\nf:7: rto: no');
INSERT INTO runs (id, plan, kind, "trigger", state, plan_digest, token, owner_host, detail, error)
VALUES ('r1', 'shop', 'backup', 'manual', 'failed', 'd1', 1, 'db1', '{"permanent": true}',
  'db: pg_dump exited with 1: refused; conf: gone\nis it running?\nremedy: a.\nremedy: b.'),
  ('r2', 'shop', 'recovery', 'manual', 'failed', 'd1', 1, 'db1', '{}',
  '2 problems block this recovery:\n  a is full\n  b is gone\nremedy: make room.'),
  ('r3', 'shop', 'copy', 'manual', 'failed', 'd1', 1, 'db1', '{}', 'cancelled');
INSERT INTO steps (run, name, position, kind, state, attempt, started_at, result, error)
VALUES ('r1', 'capture db', 0, 'capture', 'failed', 1, '@01', '{}', 'gone\nremedy: create it.'),
  ('r1', 'repository', 1, 'preflight', 'failed', 1, '@01', '{}', 'cancelled');
INSERT INTO jobs (plan, kind, subject, tries, permanent, changed, last_error)
VALUES ('shop', 'backup', '', 1, @false, 1, 'db: gone\nremedy: create it.');
INSERT INTO points (id, plan, data_time, available_at, complete, plan_digest, bytes)
VALUES ('p1', 'shop', '@01', '@01', @false, 'd1', 0);
INSERT INTO component_snapshots (point, component, position, plan, available_at, kind, state,
  bytes, added_bytes, duration_s, error, facts, observations)
VALUES ('p1', 'db', 0, 'shop', '@01', 'sqlite', 'failed', 0, 0, 0, 'gone\nremedy: create it.',
  '{}', '{}');
INSERT INTO component_summary (plan, component, position, kind, error)
VALUES ('shop', 'db', 0, 'sqlite', 'gone\nremedy: create it.');
INSERT INTO evidence (id, run, plan, scenario, result, plan_digest, started_at, finished_at,
  judged, phases, not_rehearsed, restored_bytes, reason)
VALUES ('e1', 'r1', 'shop', 'database-loss', 'inconclusive', 'd1', '@01', '@02', @false, '{}',
  '[]', 0, 'no initdb\nremedy: set bin_dir.');
INSERT INTO channels (name, kind, tries, error)
VALUES ('mail', 'smtp', 2, 'refused\nremedy: see to it.'), ('hook', 'webhook', 0, NULL);
INSERT INTO verifications (plan, repository, parts, next_part, cycle_started_at, error)
VALUES ('shop', 'primary', 4, 1, '@01', 'damaged\nremedy: repair it.');
INSERT INTO daemon_state (key, at, value)
VALUES ('refused', '@01', '{"web": {"mtime_ns": 1, "size": 1, "error": "w:1: a\\nw:2: b"}}')
"""


def test_an_upgrade_takes_remedies_out_of_errors(url: str, tmp_path: Path) -> None:
    opened(url, tmp_path, Schema(OURS.scripts, "0007")).close()
    executed(url, _OF_0007.replace("@false", "FALSE"))

    catalogue = opened(url, tmp_path)

    runs = {r.id: (r.error, r.detail.remedy) for r in map(catalogue.runs.get, ("r1", "r2", "r3"))}
    assert runs == {
        "r1": ("db: pg_dump exited with 1: refused; conf: gone\nis it running?", "a.\nb."),
        "r2": ("2 problems block this recovery: a is full; b is gone", "make room."),
        "r3": ("cancelled", None),
    }
    assert catalogue.runs.get("r1").detail.permanent
    assert [(s.error, s.remedy) for s in catalogue.steps.of_run("r1")] == [
        ("gone", "create it."),
        ("cancelled", ""),
    ]
    assert [j.last_error for j in catalogue.queue.jobs()] == ["db: gone"]
    [component] = catalogue.points.get("shop", "p1").components
    assert (component.error, component.remedy) == ("gone", "create it.")
    [drill] = catalogue.evidence.newest("shop")
    assert (drill.reason, drill.remedy) == ("no initdb", "set bin_dir.")
    assert {c.name: (c.error, c.remedy) for c in catalogue.outbox.channels()} == {
        "mail": ("refused", "see to it."),
        "hook": (None, ""),
    }
    reading = catalogue.copies.reading("shop", "primary")
    assert reading is not None
    assert reading.error == "damaged"
    [facts] = read_facts(url)
    assert facts.load_error == "f:3: rpo: no (and 1 more)"
    assert [c.error for c in facts.components] == ["gone"]
    assert read_status(url).refused["web"].error == "w:1: a (and 1 more)"
    catalogue.close()


_MALFORMED_0007 = """
INSERT INTO plans (name, owner, digest, rpo_s, rto_s, window_s, backup_timeout_s, file,
  file_mtime_ns, file_size, file_digest, first_loaded_at, loaded_at)
VALUES ('shop', 'o', 'd1', 60, 60, 60, 60, 'f', 1, 1, 'f1', '@00', '@00');
INSERT INTO runs (id, plan, kind, "trigger", state, plan_digest, token, owner_host, detail, error)
VALUES ('r1', 'shop', 'backup', 'manual', 'failed', 'd1', 1, 'db1', 'no JSON', 'gone
remedy: a.');
INSERT INTO steps (run, name, position, kind, state, attempt, started_at, result, error)
VALUES ('r1', 'capture db', 0, 'capture', 'failed', 1, '@01', '{}', 'remedy: a.
remedy: b.');
INSERT INTO daemon_state (key, at, value) VALUES ('refused', '@01', '{"web": [1]}')
"""


def test_malformed_rows_stop_no_upgrade_and_are_named_after_it(url: str, tmp_path: Path) -> None:
    before = opened(url, tmp_path, Schema(OURS.scripts, "0007"))
    executed(url, _MALFORMED_0007)
    assert malformed.find(before.database, anew=True) is None, "its tables are of before"
    before.close()

    catalogue = opened(url, tmp_path)

    [step] = catalogue.steps.of_run("r1")
    assert (step.error, step.remedy) == ("remedy: a.\nremedy: b.", "")
    assert "runs.detail (of id 'r1') is 'no JSON'" in str(malformed.find(catalogue.database))
    catalogue.close()


def test_a_migration_that_meets_an_error_of_its_own_says_that_nothing_was_changed(
    url: str, tmp_path: Path
) -> None:
    filled(url, tmp_path)
    stumbles = of_tomorrow(tmp_path, NEXT + '    raise KeyError("colour")\n')
    with pytest.raises(
        CatalogueError, match=r"could not upgrade its catalogue .* to version 9999"
    ) as raised:
        opened(url, tmp_path, stumbles)
    assert raised.value.hint.startswith("nothing was changed")
    opened(url, tmp_path).close()


_OF_0009 = """
INSERT INTO runs (id, plan, kind, "trigger", state, plan_digest, token, owner_host, detail)
VALUES ('r1', 'shop', 'drill', 'manual', 'succeeded', 'd1', 1, 'db1', '{}');
INSERT INTO evidence (id, run, plan, scenario, result, plan_digest, started_at, finished_at,
  judged, phases, not_rehearsed, restored_bytes)
VALUES ('e1', 'r1', 'shop', 'database-loss', 'passed', 'd1', '@01', '@02', @false, '{}', '[]', 0);
INSERT INTO checks (evidence, position, name, verdict, observed, expected, part, looked_at_data)
VALUES ('e1', 0, 'orders', 'passed', '312,044', '> 0', @false, TRUE),
  ('e1', 1, 'newest', 'passed', '4m before the data time', 'within 1h', @false, TRUE),
  ('e1', 2, 'share', 'passed', '-1,200.5', 'within 10% of 1,300', @false, TRUE),
  ('e1', 3, 'rows', 'passed', '12 tables', 'as at backup', @false, TRUE),
  ('e1', 4, 'name', 'passed', 'a', '== a', @false, TRUE)
"""


def test_an_upgrade_gives_checks_the_figures_that_were_in_texts(url: str, tmp_path: Path) -> None:
    opened(url, tmp_path, Schema(OURS.scripts, "0009")).close()
    executed(url, _OF_0009.replace("@false", "FALSE"))

    catalogue = opened(url, tmp_path)

    [drill] = catalogue.evidence.newest("shop")
    assert [(c.name, c.figure, c.bound) for c in drill.checks] == [
        ("orders", "312044", True),
        ("newest", None, False),
        ("share", "-1200.5", False),
        ("rows", None, False),
        ("name", None, True),
    ]
    catalogue.close()


def test_an_upgrade_gives_rows_the_id_that_their_repository_has(url: str, tmp_path: Path) -> None:
    of_the_first_version(url, tmp_path / "state")
    open_catalogue(
        url, create=False, state_dir=tmp_path / "state", schema=Schema(OURS.scripts, "0004")
    ).close()
    schedule = {"jobs": [{"kind": "prune", "subject": "primary", "repositories": ["/srv/shop"]}]}
    database = Database(url)
    with database.write() as connection:
        connection.execute(
            text("UPDATE plans SET schedule = :s WHERE name = 'shop'"), {"s": json.dumps(schedule)}
        )
        connection.execute(text("DELETE FROM repositories"))
        connection.execute(
            text("INSERT INTO repositories (url, repository_id) VALUES ('/srv/shop', :i)"),
            {"i": "0a" * 32},
        )
    database.close()
    catalogue = open_catalogue(url, create=False, state_dir=tmp_path / "state")
    database = Database(url)
    with database.read() as connection:
        rows = connection.execute(
            text("SELECT repository, repository_id FROM point_repositories ORDER BY repository")
        ).all()
    database.close()
    assert ("primary", "0a" * 32) in [tuple(row) for row in rows]
    assert [p.id for p in catalogue.points.of_plan("shop")] == ["aaaaaaaa"]
    catalogue.close()


def test_catalogues_of_the_other_tests_have_the_tables_of_the_migrations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def schema(name: str) -> list[tuple[str, ...]]:
        file = tmp_path / name / "state/drd.db"
        opened(f"sqlite:///{file}", tmp_path / name).close()
        with closing(sqlite3.connect(file)) as connection:
            version = connection.execute("SELECT version_num FROM alembic_version").fetchall()
            return [*connection.execute("SELECT type, name, sql FROM sqlite_master"), *version]

    by_migrations = schema("migrated")
    monkeypatch.setattr(migrate, "_upgrade", light_catalogue._upgrade)
    assert schema("light") == by_migrations


_OF_0012 = """
INSERT INTO records (seq, at, actor_kind, actor_name, came, subject, kind, digest, previous, hash,
  key, signature)
VALUES (1, '@01', 'person', 'anna', 'terminal', 'shop/p1', 'hold', 'd', '', 'h', '', '');
INSERT INTO record_bodies (seq, salt, body) VALUES (1, 's', '{}')
"""


def test_an_upgrade_adds_incidents_to_a_chain_that_stays(url: str, tmp_path: Path) -> None:
    opened(url, tmp_path, Schema(OURS.scripts, "0012")).close()
    executed(url, _OF_0012)

    catalogue = opened(url, tmp_path)

    before = list(catalogue.records.read())
    assert [e.header.subject for e in before] == ["shop/p1"]
    assert catalogue.incidents.newest(closed=True) == []
    known = read_changed(url, None)
    open_incident(catalogue, Author("anna", at(2)), "orders leak")
    assert read_changed(url, known.seq).seq > known.seq, "the status learns of it"
    assert not read_changed(url, known.seq).everything, "no trigger is missing"
    assert list(catalogue.records.read())[:-1] == before
    catalogue.close()


_OF_0014 = """
INSERT INTO trusted_keys (key, public, after) VALUES ('', '', 7);
INSERT INTO trusted_keys (key, public, after) VALUES ('0123456789abcdef', 'cHVibGlj', 7)
"""


def test_an_upgrade_keeps_the_keys_of_a_kit(url: str, tmp_path: Path) -> None:
    opened(url, tmp_path, Schema(OURS.scripts, "0014")).close()
    executed(url, _OF_0014)

    catalogue = opened(url, tmp_path)

    assert catalogue.signatures.trusted() == TrustedKeys({"0123456789abcdef": "cHVibGlj"}, 7)
    catalogue.close()


def test_an_upgrade_lets_encrypted_bodies_be_opened(url: str, tmp_path: Path) -> None:
    opened(url, tmp_path, Schema(OURS.scripts, "0016")).close()
    executed(url, _OF_0012.replace("1, 's'", "1, 'sealed'"))
    database = Database(url)
    change = text("UPDATE record_bodies SET salt = '00' WHERE salt = 'sealed'")

    opened(url, tmp_path).close()

    with database.write() as connection:
        assert connection.execute(change).rowcount == 1
    with database.engine.connect() as connection:
        with pytest.raises(DatabaseError, match="only removed after a signed redaction"):
            connection.execute(text("UPDATE record_bodies SET body = '{}'"))
        connection.rollback()
    database.close()


_OF_0018 = """
INSERT INTO plans (name, owner, digest, rpo_s, rto_s, window_s, backup_timeout_s, file,
  file_mtime_ns, file_size, file_digest, first_loaded_at, loaded_at)
VALUES ('orders-api', 'anna', 'd1', 900, 1, 8640000, 1, '', 0, 0, '', '@01', '@01')
"""


def test_an_upgrade_has_no_description_until_a_plan_is_loaded_again(
    url: str, tmp_path: Path
) -> None:
    opened(url, tmp_path, Schema(OURS.scripts, "0018")).close()
    executed(url, _OF_0018)

    catalogue = opened(url, tmp_path)

    def told() -> tuple[str, str]:
        [facts] = read_facts(url, "orders-api")
        return facts.owner, facts.description

    assert told() == ("anna", "")
    described = replace(plan(), description="Takes orders\n  and " + "pays " * 200)
    catalogue.plans.load(described, file_digest="d", at=at(5))
    owner, description = told()
    assert owner == "payments team"
    assert description.startswith("Takes orders and pays pays")
    assert description.endswith("…")
    assert len(description) <= 500
    catalogue.close()


def test_an_upgrade_keeps_the_text_of_a_plan_when_it_is_loaded_again(
    url: str, tmp_path: Path
) -> None:
    opened(url, tmp_path, Schema(OURS.scripts, "0021")).close()
    executed(url, "INSERT INTO plan_sources (plan, text) VALUES ('orders-api', 'plan: orders-api')")

    catalogue = opened(url, tmp_path)

    assert catalogue.plans.texts("orders-api") == {}
    assert catalogue.queue.accepted("orders-api") == "plan: orders-api"
    catalogue.plans.load(replace(plan(), resolved={"plan": "x"}), file_digest="d", at=at(5))
    assert catalogue.plans.texts("orders-api") == {"d1": {"plan": "x"}}
    catalogue.close()


def test_an_upgrade_gives_copies_of_before_no_time_at_which_they_were_added(
    url: str, tmp_path: Path
) -> None:
    opened(url, tmp_path, Schema(OURS.scripts, "0019")).close()
    executed(
        url, "INSERT INTO copies (plan, repository, position, copy_of) VALUES ('p', 'o', 0, 'r')"
    )

    catalogue = opened(url, tmp_path)

    with catalogue.database.read() as connection:
        [row] = connection.execute(text("SELECT repository, added_at FROM copies")).all()
    assert tuple(row) == ("o", None)
    catalogue.close()


def test_points_of_before_an_upgrade_have_no_groups(url: str, tmp_path: Path) -> None:
    opened(url, tmp_path, Schema(OURS.scripts, "0020")).close()
    names = "id, plan, data_time, available_at, complete, plan_digest, bytes"
    executed(
        url,
        f"INSERT INTO points ({names}) VALUES ('p1', 'orders-api', "
        "'2026-11-01T00:00:00.000000+00:00', '2026-11-01T00:00:00.000000+00:00', true, 'd', 1)",
    )

    catalogue = opened(url, tmp_path)

    point = catalogue.points.get("orders-api", "p1")
    assert (point.complete, point.consistency) == (True, ())
    spreads = (Spread(("orders-db", "sessions"), 5.0, 0.25),)
    catalogue.points.record(replace(point, consistency=spreads))
    assert catalogue.points.get("orders-api", "p1").consistency == spreads
    catalogue.close()


def test_an_upgrade_takes_every_drill_of_before_for_one_that_restored_everything(
    url: str, tmp_path: Path
) -> None:
    opened(url, tmp_path, Schema(OURS.scripts, "0021")).close()
    names = "id, run, plan, scenario, result, plan_digest, started_at, finished_at, rta_s, judged"
    executed(
        url,
        f"INSERT INTO evidence ({names}, phases, not_rehearsed, restored_bytes) VALUES ('e', 'r', "
        "'p', 'database-loss', 'passed', 'd', '@01', '@02', 3.5, true, '{}', '[]', 7)",
    )

    catalogue = opened(url, tmp_path)

    [drill] = catalogue.evidence.newest("p")
    assert (drill.rta_s, drill.instant) == (3.5, None)
    catalogue.close()


def test_an_upgrade_lets_the_rpo_of_the_plan_count_for_all_until_one_has_its_own(
    url: str, tmp_path: Path
) -> None:
    opened(url, tmp_path, Schema(OURS.scripts, "0023")).close()
    executed(url, _OF_0018)
    executed(
        url,
        "INSERT INTO component_summary (plan, component, position, kind) VALUES "
        "('orders-api', 'orders-db', 0, 'postgres')",
    )

    catalogue = opened(url, tmp_path)

    def told() -> tuple[float, dict[str, float | None]]:
        [facts] = read_facts(url, "orders-api")
        return facts.points_within_s, {c.component: c.rpo_s for c in facts.components}

    assert told() == (900.0, {"orders-db": None})
    before = plan()
    own = replace(before.components["orders-db"], rpo_s=300.0)
    stricter = replace(
        before,
        components={**before.components, "orders-db": own},
        backup=replace(before.backup, rpo_s=300.0),
    )
    catalogue.plans.load(stricter, file_digest="d", at=at(5))
    within_s, found = told()
    assert (within_s, found["orders-db"]) == (300.0, 300.0)
    assert set(found.values()) == {300.0, None}
    catalogue.plans.load(before, file_digest="d", at=at(6))
    within_s, found = told()
    assert (within_s, set(found.values())) == (before.objectives.rpo_s, {None})
    catalogue.close()


def test_an_upgrade_keeps_states_of_repositories_until_the_plan_is_loaded_again(
    url: str, tmp_path: Path
) -> None:
    opened(url, tmp_path, Schema(OURS.scripts, "0024")).close()
    executed(url, _OF_0018)
    place = plan().primary.url
    executed(
        url,
        "INSERT INTO repository_health (plan, repository, position, url, lost, lost_since, "
        f"lost_says) VALUES ('orders-api', 'primary', 0, '{place}', 'shut', '@01', 'closed')",
    )

    catalogue = opened(url, tmp_path)

    def lost() -> str | None:
        return catalogue.health.of_plan("orders-api")[0].lost

    assert lost() == "shut"
    catalogue.health.record_state(place, Meeting("ok"), at(2), "any secrets")
    assert lost() is None
    catalogue.plans.load(plan(), file_digest="d", at=at(3))
    catalogue.repositories.record(place, "0a" * 32, at(3))
    catalogue.health.record_state(place, Meeting("shut"), at(4), "any secrets")
    assert lost() is None
    catalogue.health.record_state(place, Meeting("shut"), at(5), plan().primary.opened_with)
    assert lost() == "shut"
    catalogue.close()
