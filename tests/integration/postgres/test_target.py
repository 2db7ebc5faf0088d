"""A target keeps what is somebody else's, and a restore that died is done again."""

from __future__ import annotations

import getpass
import os
import pickle
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from drd.errors import TargetError, TargetNotEmpty
from drd.kinds.postgres.settings import PostgresTarget
from drd.model.snapshot import DatabaseFingerprint
from drd.ports import Workplace, no_progress
from tests.conftest import _run_directory
from tests.postgres_support import (
    KIND,
    Backup,
    back_up,
    component,
    fetch,
    needs_15,
    restore_components,
    target_of,
    workplace,
)
from tests.servers import PostgresServer, postgres_server, short_directory


@pytest.fixture(scope="module")
def backup(source_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Backup:
    source_server.execute("CREATE ROLE seller LOGIN CREATEDB PASSWORD 'old'; CREATE ROLE clerk")
    source_server.execute("GRANT clerk TO seller")
    source_server.execute("CREATE DATABASE shop OWNER seller")
    source_server.execute(
        "ALTER DATABASE shop SET work_mem = '9MB'; COMMENT ON DATABASE shop IS 'x'"
    )
    source_server.execute(
        "SET ROLE seller; CREATE SCHEMA app;"
        "CREATE TABLE app.orders AS SELECT n AS id, repeat('x', 200) AS what"
        " FROM generate_series(1, 20000) n; GRANT SELECT ON app.orders TO clerk;"
        "CREATE INDEX ON app.orders (id)",
        "shop",
    )
    with short_directory(_run_directory()) as path:
        file = tmp_path_factory.mktemp("dump") / "dump"
        return back_up(component(source_server.dsn("shop")), workplace(path / "w"), file)


def databases(server: PostgresServer) -> set[str]:
    rows = server.execute("SELECT datname FROM pg_database WHERE NOT datistemplate")
    return {row[0] for row in rows} - {"postgres"}


def orders(server: PostgresServer, database: str = "shop") -> int:
    ((count,),) = server.execute("SELECT count(*) FROM app.orders", database)
    return int(count)


def test_an_empty_database_is_replaced_and_nothing_else_is_left(
    backup: Backup, target_server: PostgresServer, place: Workplace
) -> None:
    target_server.execute("CREATE DATABASE shop")
    target = target_of(target_server, place, database="shop")
    with psycopg.connect(target_server.dsn("shop"), application_name="web"):
        (used,) = target.in_use(backup.snapshot)
    assert used.words == 'database "shop" is in use by 1 session of postgres (web)'
    with psycopg.connect(target_server.dsn("shop"), application_name="drd"):
        (used,) = target.in_use(backup.snapshot)
    assert "(its name is drd: perhaps another command or run of drd)" in used.words
    restored = restore_components(target, backup)
    at, (task,) = target.now_at(backup.snapshot), target.left_to_do(backup.snapshot)
    assert at.places == (f"database {at.address}",)
    assert (at.values["database"], at.values["port"]) == ("shop", str(target_server.port))
    assert task.command == f"vacuumdb --analyze-in-stages --dbname={shlex.quote(str(at.address))}"
    assert target.inspector().scalar("SELECT count(*) FROM app.orders") == 20000
    own = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop' AND state = 'idle'"
    assert target_server.execute(own) == [(1,)]
    assert target.in_use(backup.snapshot) == [], "drd's own session is nobody else's"
    target.close()
    target.close()
    assert restored.differences == ()
    assert databases(target_server) == {"shop"}
    assert orders(target_server) == 20000
    comment = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'shop'"
    assert target_server.execute(comment) == [("x",)]
    assert not (place.directory / "landing").exists()


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("CREATE TABLE a (x int); CREATE TABLE b (x int)", "2 tables"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "1 object"),
        ("SELECT lo_from_bytea(5, 'x')", "1 object"),
        ("CREATE SCHEMA theirs", "1 object"),
    ],
)
def test_a_database_that_holds_something_is_refused(
    backup: Backup, target_server: PostgresServer, place: Workplace, sql: str, said: str
) -> None:
    target_server.execute("CREATE DATABASE shop")
    target_server.execute(sql, "shop")
    target = target_of(target_server, place, database="shop")
    with pytest.raises(TargetNotEmpty) as caught:
        target.preflight(backup.snapshot, overwrite=False)
    assert caught.value.message == f'target database "shop" is not empty ({said})'
    assert "--overwrite" in caught.value.hint
    # Also without a preflight: it may have been filled since.
    fetch(target, backup)
    with pytest.raises(TargetNotEmpty):
        target.restore(backup.snapshot, backup.private, on_progress=no_progress)
    target.close()
    assert databases(target_server) == {"shop"}


def test_a_server_without_the_locale_or_without_room_is_reported_beforehand(
    backup: Backup, target_server: PostgresServer, place: Workplace
) -> None:
    target = target_of(target_server, place, database="shop")
    facts = dict(backup.snapshot.facts)
    assert not any(f.failed for f in target.check_access(backup.snapshot))
    foreign = {**facts["locale"], "collate": "tlh_KX.UTF-8", "provider": "libc"}
    huge = replace(backup.snapshot, facts=facts | {"locale": foreign, "database_bytes": 1 << 60})
    bad = [f for f in target.check_access(huge) if f.failed]
    free = shutil.disk_usage(target_server.data_dir).free
    tight = replace(backup.snapshot, facts=facts | {"database_bytes": free * 3 // 2})
    found = {f.name.partition(": ")[2]: f for f in target.check_access(tight)}
    assert found["target's room"].severity == "warning"
    target.close()
    assert [f.name.partition(": ")[2] for f in bad] == ["locale", "target's room"]
    assert "does not have the locale tlh_KX.UTF-8" in bad[0].text
    assert "locale-gen" in bad[0].remedy
    assert f"free in {target_server.data_dir}, 1048576.0 TiB needed" in bad[1].text
    assert databases(target_server) == set(), "it only looked"


def test_overwrite_replaces_a_database_that_is_in_use(
    backup: Backup, target_server: PostgresServer, place: Workplace
) -> None:
    target_server.execute("CREATE DATABASE shop")
    target_server.execute("CREATE TABLE theirs (x int)", "shop")
    user = psycopg.connect(target_server.dsn("shop"), autocommit=True)
    target = target_of(target_server, place, database="shop")
    restore_components(target, backup, overwrite=True)
    target.close()
    with pytest.raises(psycopg.OperationalError):
        user.execute("SELECT 1")
    user.close()
    assert databases(target_server) == {"shop"}
    assert orders(target_server) == 20000


def test_existing_roles_are_not_altered_and_the_differences_are_reported(
    backup: Backup, target_server: PostgresServer, place: Workplace
) -> None:
    target_server.execute("CREATE ROLE seller NOLOGIN PASSWORD 'new' CONNECTION LIMIT 3")
    before = target_server.execute("SELECT * FROM pg_authid WHERE rolname = 'seller'")
    target = target_of(target_server, place, database="shop")
    restored = restore_components(target, backup)
    target.close()
    assert target_server.execute("SELECT * FROM pg_authid WHERE rolname = 'seller'") == before
    (note,) = [n for n in restored.notes if "seller" in n]
    assert note.startswith(
        "role seller existed already, and drd did not change it; at backup it had CREATEDB, LOGIN"
    )
    assert "another password" in note
    assert "SCRAM" not in str(restored)
    assert target_server.execute("SELECT 1 FROM pg_roles WHERE rolname = 'clerk'") == [(1,)]


def test_without_owners_no_roles_are_restored_and_that_is_noted(
    backup: Backup, target_server: PostgresServer, place: Workplace
) -> None:
    target_server.execute("CREATE ROLE hosted LOGIN CREATEDB")
    settings = {"dsn": target_server.dsn("shop", "hosted")}
    target = target_of(target_server, place, database="shop", no_owner=True, **settings)
    restored = restore_components(target, backup)
    target.close()
    assert restored.differences == ()
    assert {"owners of objects", "grants", "role seller", "role clerk"} <= set(
        restored.not_restored
    )
    assert target_server.execute("SELECT 1 FROM pg_roles WHERE rolname = 'seller'") == []
    assert orders(target_server) == 20000
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'shop'"
    assert target_server.execute(owner) == [("hosted",)]


def test_rights_that_a_target_lacks_are_named_with_what_helps(
    backup: Backup, target_server: PostgresServer, place: Workplace
) -> None:
    def findings(user: str, *, no_owner: bool = False) -> tuple[str, str]:
        settings = {"dsn": target_server.dsn("shop", user)}
        target = target_of(target_server, place, database="shop", no_owner=no_owner, **settings)
        found = target.preflight(backup.snapshot, overwrite=False)
        target.close()
        rights = [f for f in found if f.code == "target-rights"]
        assert all(r.failed == (r.remedy != "" and r.severity != "warning") for r in rights)
        return "\n".join(r.text for r in rights), "\n".join(r.remedy for r in rights)

    target_server.execute("CREATE ROLE weak LOGIN; CREATE ROLE clerk; CREATE ROLE seller")
    nothing = ("user weak may not create databases", 'ALTER ROLE "weak" CREATEDB;')
    assert findings("weak", no_owner=True) == nothing
    assert [text.splitlines()[0] for text in findings("weak")] == list(nothing)
    assert "clerk" in findings("weak")[0], "all at once"
    target_server.execute("ALTER ROLE weak CREATEDB")
    detail, hint = findings("weak")
    assert "clerk" in detail
    assert "--no-owner" in hint
    assert 'GRANT "seller" TO "weak";' in hint
    assert findings("weak", no_owner=True) == ("user weak may create databases", "")
    assert findings("postgres") == ("user postgres is a superuser", "")


def test_findings_that_depend_on_the_user_who_runs_drd_are_marked(
    backup: Backup, target_server: PostgresServer, place: Workplace
) -> None:
    """The service is another user than root, who recovers."""
    me = getpass.getuser()

    def marked(user: str) -> set[tuple[str, str]]:
        where = f"host={target_server.socket_dir}&port={target_server.port}"
        dsn = f"postgresql:///shop?{where}" + (f"&user={user}" if user else "")
        target = target_of(target_server, place, database="shop", dsn=dsn)
        found = target.check_access(backup.snapshot)
        target.close()
        return {(f.code, f.severity) for f in found if f.login}

    assert marked("") == {("target", "error")}, "it may not even log in"
    target_server.execute(f'CREATE ROLE "{me}" LOGIN')
    assert marked("") == {("target-rights", "error")}
    assert marked(me) == set(), "the plan names the user"


@needs_15
def test_preflight_finds_an_older_target_and_a_missing_extension(
    backup: Backup, place: Workplace
) -> None:
    facts = {**backup.snapshot.facts, "extensions": {"plpgsql": "1.0", "postgis": "3.5"}}
    snapshot = replace(backup.snapshot, facts=facts)
    with short_directory(_run_directory()) as path, postgres_server(path, major=15) as server:
        target = target_of(server, place, database="shop")
        bad = {f.name: f for f in target.preflight(snapshot, overwrite=False) if f.failed}
        newer = {**backup.snapshot.facts, "adopted": True, "server_major": 15, "pg_dump_major": 17}
        [read] = [
            f
            for f in target.check_access(replace(backup.snapshot, facts=newer))
            if f.code == "version"
        ]
        target.close()
    assert "15, and pg_restore 15 cannot read a dump of pg_dump 17" in read.text
    assert "Let the other tool dump with pg_dump 15" in read.remedy
    assert set(bad) == {"orders-db: version", "orders-db: extensions"}
    assert "15 is older than the PostgreSQL 17" in bad["orders-db: version"].text
    assert bad["orders-db: extensions"].remedy.endswith("apt-get install postgresql-15-postgis")


def test_a_target_that_cannot_be_reached_is_a_finding(backup: Backup, place: Workplace) -> None:
    settings = PostgresTarget.model_validate({"dsn": "host=/nowhere dbname=shop user=x"})
    target = KIND.target(component("host=/nowhere"), settings, place)
    (finding,) = target.preflight(backup.snapshot, overwrite=False)
    assert finding.failed
    assert finding.remedy
    target.close()


def test_tables_of_a_missing_tablespace_come_back_in_the_default_one(
    source_server: PostgresServer, target_server: PostgresServer, place: Workplace, short_tmp: Path
) -> None:
    directory = source_server.directory / "fast"
    directory.mkdir(exist_ok=True)
    info = source_server.data_dir.stat()
    os.chown(directory, info.st_uid, info.st_gid)
    source_server.execute(f"CREATE TABLESPACE fast LOCATION '{directory}'")
    source_server.execute("CREATE DATABASE spaced TABLESPACE fast")
    source_server.execute("CREATE TABLE t TABLESPACE pg_default AS SELECT 1 AS a", "spaced")
    source_server.execute("CREATE DATABASE spaced2")
    source_server.execute("CREATE TABLE t TABLESPACE fast AS SELECT 1 AS a", "spaced2")
    for name in ("spaced", "spaced2"):
        saved = back_up(component(source_server.dsn(name)), place, short_tmp / name)
        target = target_of(target_server, place, database=name)
        restored = restore_components(target, saved)
        target.close()
        assert target_server.execute("SELECT a FROM t", name) == [(1,)]
        assert restored.differences == ()
        lacks = "tablespace fast does not exist on this server"
        assert any(lacks in note for note in restored.notes)
    # Of a dump that another tool made, nobody has noted the tablespaces.
    facts = {**saved.snapshot.facts, "adopted": True, "tablespaces": []}
    adopted = replace(saved, snapshot=replace(saved.snapshot, facts=facts))
    target = target_of(target_server, place, database="spaced3")
    restored = restore_components(target, adopted)
    target.close()
    assert target_server.execute("SELECT a FROM t", "spaced3") == [(1,)]
    assert any(lacks in note for note in restored.notes)


def test_the_owner_gets_each_extension_in_its_own_schema(
    source_server: PostgresServer, target_server: PostgresServer, place: Workplace, short_tmp: Path
) -> None:
    """Also one that cannot be moved (xml2), one that needs another (earthdistance), and a schema
    that was made for one, with its grants.
    """
    source_server.execute("CREATE ROLE keeper")
    source_server.execute("CREATE DATABASE depot OWNER keeper")
    source_server.execute(
        'CREATE SCHEMA "ext of all"; CREATE SCHEMA "ext of all keeper" AUTHORIZATION keeper;'
        'GRANT USAGE ON SCHEMA "ext of all" TO PUBLIC; CREATE SCHEMA geo AUTHORIZATION keeper;'
        'CREATE EXTENSION xml2 SCHEMA "ext of all"; CREATE EXTENSION cube SCHEMA geo;'
        "CREATE EXTENSION earthdistance SCHEMA public; CREATE EXTENSION pg_trgm SCHEMA public;"
        "CREATE TABLE public.items AS SELECT 'box ' || n AS name FROM generate_series(1, 9) n;"
        "ALTER TABLE public.items OWNER TO keeper;"
        "CREATE INDEX ON public.items USING gin (name public.gin_trgm_ops)",
        "depot",
    )
    saved = back_up(component(source_server.dsn("depot")), place, short_tmp / "dump")
    where = (
        "SELECT e.extname, n.nspname FROM pg_extension e"
        " JOIN pg_namespace n ON n.oid = e.extnamespace ORDER BY 1"
    )
    schemas = "SELECT nspname, nspacl IS NULL FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1"
    target = target_of(target_server, place, database="depot", as_owner=True)
    restored = restore_components(target, saved)
    target.close()
    assert restored.differences == ()
    assert "comments of extensions" in restored.not_restored
    assert target_server.execute(where, "depot") == source_server.execute(where, "depot")
    assert target_server.execute(schemas, "depot") == source_server.execute(schemas, "depot")

    older = {k: v for k, v in saved.private["database"].items() if k != "extension_schemas"}
    before = replace(saved, private={**saved.private, "database": older})
    target = target_of(target_server, place, database="depot2", as_owner=True)
    restored = restore_components(target, before)
    target.close()
    assert set(target_server.execute(where, "depot2")) == {
        ("plpgsql", "pg_catalog"),
        *((name, "public") for name in ("cube", "earthdistance", "pg_trgm", "xml2")),
    }
    assert any("an older drd made this restore point" in words for words in restored.not_restored)


# --- killed and continued --------------------------------------------------------------------

RESTORES = """
import pickle, sys
from pathlib import Path
from tests.postgres_support import *
from drd.kinds.postgres.publish import DatabasePublication
from drd.ports import no_progress
backup, dsn, directory, dies = pickle.loads(Path(sys.argv[1]).read_bytes())
place = workplace(directory)
settings = PostgresTarget(dsn=dsn)
target = KIND.target(component(dsn), settings, place)
target.preflight(backup.snapshot, overwrite=True)
fetch(target, backup)
if dies:
    def die(self, **_):
        print("published", flush=True)
        import time; time.sleep(60)
    DatabasePublication.drop_former = die
print("go", flush=True)
target.restore(backup.snapshot, backup.private, on_progress=no_progress)
"""


def run_and_kill(
    backup: Backup, server: PostgresServer, place: Workplace, file: Path, *, published: bool
) -> None:
    """Restore in another process; kill it with tables half loaded, or just after publishing."""
    job = (backup, server.dsn("shop"), place.directory, published)
    file.write_bytes(pickle.dumps(job))
    child = subprocess.Popen(
        [sys.executable, "-c", RESTORES, str(file)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "go\n"
    if published:
        assert child.stdout.readline() == "published\n"
    else:
        end = time.monotonic() + 20
        while time.monotonic() < end and not {d for d in databases(server) if d.startswith("drd_")}:
            time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()


@pytest.mark.parametrize("published", [False, True])
def test_a_restore_killed_in_the_middle_is_done_again_on_the_same_target(
    backup: Backup,
    target_server: PostgresServer,
    place: Workplace,
    tmp_path: Path,
    published: bool,
) -> None:
    target_server.execute("CREATE DATABASE shop")
    target_server.execute("CREATE TABLE theirs (x int)", "shop")
    run_and_kill(backup, target_server, place, tmp_path / "job", published=published)
    assert len(databases(target_server)) == 2
    # The preflight's step is done: whoever continues does not call it again.
    target = target_of(target_server, place, database="shop")
    target.prepare()
    fetch(target, backup)
    restored = target.restore(backup.snapshot, backup.private, on_progress=no_progress)
    assert any("this run has restored" in n for n in restored.notes) == published
    assert restored.differences == ()
    assert target.inspector().scalar("select count(*) from app.orders") == 20000
    target.close()
    assert databases(target_server) == {"shop"}
    assert list(place.directory.glob("pgpass")) == []


def test_a_run_does_not_use_the_database_of_another_run(
    backup: Backup, target_server: PostgresServer, short_tmp: Path
) -> None:
    first = target_of(target_server, workplace(short_tmp / "a", "run1"), database="shop")
    restore_components(first, backup)
    second = target_of(target_server, workplace(short_tmp / "b", "run12"), database="shop")
    with pytest.raises(TargetNotEmpty):
        second.preflight(backup.snapshot, overwrite=False)
    second.close()
    assert orders(target_server) == 20000
    first.close()


def test_sweeping_a_target_drops_the_working_database(
    backup: Backup, target_server: PostgresServer, place: Workplace
) -> None:
    target = target_of(target_server, place, database="shop")
    target.preflight(backup.snapshot, overwrite=False)
    fetch(target, backup)
    (file,) = (place.directory / "landing").iterdir()
    file.write_bytes(file.read_bytes()[:-500_000])
    with pytest.raises(TargetError, match="the dump of orders-db is cut off"):
        target.restore(backup.snapshot, backup.private, on_progress=no_progress)
    assert len(databases(target_server)) == 1
    target.close()
    assert databases(target_server) == set()


def test_commands_get_the_targets_password_by_a_temporary_file(
    backup: Backup, place: Workplace, short_tmp: Path
) -> None:
    with (
        short_directory(_run_directory()) as path,
        postgres_server(path, major=17, tcp=True, password="s3cret:pass") as server,
    ):
        secret = short_tmp / "dsn"
        secret.write_text(server.dsn("shop", host="127.0.0.1"))
        settings = {"dsn": {"file": str(secret)}}
        target = target_of(server, place, database="shop", **settings)
        restore_components(target, backup)
        inspector = target.inspector()
        assert "s3cret" not in inspector.location + str(dict(inspector.environment))
        asked = subprocess.run(
            ["psql", "-AtXc", "select count(*) from app.orders"],
            env={"PATH": "/usr/bin:/bin", **inspector.environment},
            capture_output=True,
            text=True,
            check=True,
        )
        assert asked.stdout == "20000\n"
        saved = backup.snapshot.fingerprint
        assert isinstance(saved, DatabaseFingerprint)
        found = inspector.fingerprint(saved, 60)
        assert isinstance(found, DatabaseFingerprint)
        assert found.tables == saved.tables
        target.close()
        assert not (place.directory / "pgpass").exists()
