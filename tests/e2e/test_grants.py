"""One script gives the roles of a fresh PostgreSQL server all rights that a plan needs."""

from __future__ import annotations

import getpass
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.site import Site, make_tree
from tests.integration.postgres.test_variants import standby_of
from tests.servers import PostgresServer, postgres_server, short_directory

_SHOP = """
create table orders (id int primary key);
insert into orders select generate_series(1, 100);
alter table orders owner to "the owner";
create schema hidden authorization "the owner";
create table hidden.notes as select 'a' note;
alter table hidden.notes enable row level security;
select lo_from_bytea(0, 'large');
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with (
        short_directory(Path(os.environ["DRD_TEST_RUN"])) as base,
        postgres_server(base / "pg") as server,
    ):
        server.execute("create role \"the owner\" password 'secret'")
        server.execute('create database shop owner "the owner"')
        server.execute(_SHOP, "shop")
        yield server


def test_one_script_gives_every_right_for_backup_drill_and_recovery(
    server: PostgresServer, short_tmp: Path
) -> None:
    site = Site(short_tmp / "host")
    make_tree(site.base / "etc")
    where = f"host={server.socket_dir}&port={server.port}"
    site.plan(f"""
components:
  db: {{kind: postgres, dsn: "postgresql://drd@/shop?{where}"}}
  gateway: {{kind: files, paths: [{site.base}/etc]}}
checks:
  - {{name: rows, kind: rows, component: db}}
targets:
  standby:
    db: {{dsn: "postgresql:///shop_standby?{where}"}}
    gateway: {{path: {site.base}/back}}
""")
    assert "`drd doctor shop --grants` prints" in " ".join(site.drd("doctor", code=1).out.split())
    script = site.drd("doctor", "shop", "--grants").out
    first = script.partition("\n")[0]
    program = re.fullmatch(r"-- Run this command as root: drd doctor shop --grants \| (.*)", first)
    assert program, first
    assert "-- gateway: drd cannot write a script of grants for kind files\n" in script
    for _ in range(2):
        done = _run(program[1], script)
        assert (done.returncode, done.stderr) == (0, "")
    me = getpass.getuser()
    roles = dict(server.execute("select rolname, rolsuper from pg_roles where rolcanlogin"))
    assert roles == {"postgres": True, "drd": False, me: True}

    server.execute("set role \"the owner\"; select lo_from_bytea(0, 'made later')", "shop")
    findings = site.drd("doctor", "--json").json["items"]
    assert [f for f in findings if f["subject"] == "db" and f["severity"] != "ok"] == []
    rights = {f["code"]: f["severity"] for f in findings if f["subject"] == "db"}
    asked = ("rights", "row-security", "large-objects", "role-passwords", "code-of-others")
    assert {code: rights[code] for code in asked} == dict.fromkeys(asked, "ok"), "as role drd"
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    site.drd("recover", "shop", "--target", "standby", "--yes")
    assert server.execute("select count(*) from orders", "shop_standby") == [(100,)]


def test_a_server_without_a_superuser_gives_what_it_can_and_says_what_is_lacking(
    server: PostgresServer, short_tmp: Path
) -> None:
    """As a managed one, whose administrator is no superuser."""
    server.execute("create role admin login createdb createrole")
    server.execute("grant pg_read_all_data to admin with admin option")
    where = f"host={server.socket_dir}&port={server.port}"
    psql = ["psql", "-X", "-q", "-h", str(server.socket_dir), "-p", str(server.port), "-U", "admin"]
    made = "create role app; grant app to admin; create database managed owner app"
    for words in made.split("; "):
        subprocess.run([*psql, "-d", "postgres", "-c", words], check=True)
    server.execute("create table orders as select generate_series(1, 50) id", "managed")
    server.execute("alter table orders owner to app", "managed")
    site = Site(short_tmp / "host")
    site.plan(f"""
components:
  db: {{kind: postgres, dsn: "postgresql://saver@/managed?{where}"}}
checks:
  - {{name: rows, kind: rows, component: db}}
targets:
  standby: {{db: {{dsn: "postgresql://maker@/managed_standby?{where}"}}}}
""")
    script = site.drd("doctor", "shop", "--grants").out
    done = _run(" ".join([*psql, "-d", "postgres", "-f", "-"]), script)
    assert done.returncode == 0, done.stderr
    warnings = [x for x in done.stderr.splitlines() if "WARNING" in x]
    assert len(warnings) == 1, done.stderr
    assert (
        "role maker does not become a superuser, because you (admin) are not a superuser"
        in done.stderr
    )
    assert "HINT:  Recover with --no-owner: then all restored objects belong to" in done.stderr
    roles = (
        "select rolname, rolsuper, rolcreatedb from pg_roles where rolname in ('saver', 'maker')"
    )
    assert sorted(server.execute(roles)) == [("maker", False, True), ("saver", False, False)]
    findings = site.drd("doctor", "shop", "--json").json["items"]
    assert [f for f in findings if f["subject"] == "db" and f["severity"] == "error"] == []
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    site.drd("recover", "shop", "--target", "standby", "--no-owner", "--yes")
    assert server.execute("select count(*) from orders", "managed_standby") == [(50,)]
    server.execute("alter table orders enable row level security", "managed")
    lacking = _run(" ".join([*psql, "-d", "postgres", "-f", "-"]), script).stderr
    assert "row security hides rows from role saver, so its backups fail: " in lacking
    assert "name the owner of the tables as user in the dsn of the plan" in lacking


def test_each_remedy_names_the_script_for_its_own_kind_of_server(
    server: PostgresServer, short_tmp: Path
) -> None:
    site = Site(short_tmp / "host")
    where = f"host={server.socket_dir}&port={server.port}"
    site.plan(f"""
components:
  db: {{kind: postgres, dsn: "postgresql://nobody_yet@/shop?{where}"}}
  all: {{kind: postgres-cluster, dsn: "postgresql://nobody_yet@/postgres?{where}"}}
  store: {{kind: mariadb, dsn: "mariadb://drd@/store?socket=/nowhere.sock"}}
checks:
  - {{name: rows, kind: rows, component: db}}
""")
    told = " ".join(site.drd("doctor", code=1).out.split())
    assert "the script that `drd doctor shop --grants --kind postgres` prints" in told
    assert "--grants`" not in told
    refused = " ".join(site.drd("doctor", "shop", "--grants", code=2).err.split())
    for kind in ("postgres", "postgres-cluster", "mariadb"):
        assert re.search(rf"drd doctor shop --grants --kind {kind}(;|$)", refused), refused
        assert site.drd("doctor", "shop", "--grants", "--kind", kind).out


@pytest.fixture(scope="module")
def managed() -> Iterator[PostgresServer]:
    """Reached by TCP, where each login needs a password."""
    with (
        short_directory(Path(os.environ["DRD_TEST_RUN"])) as base,
        postgres_server(base / "pg", major=17, tcp=True, password="sûper") as server,
    ):
        yield server


_ADMIN = "createdb createrole login password 'of adm'"
_MANAGED = """
components:
  db: {{kind: postgres, dsn: {{file: {dsn}}}}}
checks:
  - {{name: rows, kind: rows, component: db}}
"""


def _managed_site(server: PostgresServer, base: Path, reader: str, database: str) -> Site:
    """With a plan whose login has a password."""
    site = Site(base / "host")
    dsn = site.base / "dsn"
    dsn.parent.mkdir(parents=True, exist_ok=True)
    where = f"host={server.host} port={server.port} dbname={database}"
    dsn.write_text(f"{where} user={reader} password=r")
    dsn.chmod(0o600)
    site.plan(_MANAGED.format(dsn=dsn))
    return site


def _as(
    server: PostgresServer, admin: str, *words: str, script: str = ""
) -> subprocess.CompletedProcess[str]:
    """As the administrator, who is no superuser."""
    where = ["-h", str(server.host), "-p", str(server.port), "-U", admin, "-d", "postgres"]
    return subprocess.run(
        ["psql", "-X", "-q", *where, *words],
        input=script, capture_output=True, text=True, check=False,
        env={**os.environ, "PGPASSWORD": "of adm"},
    )  # fmt: skip


def test_an_administrator_who_cannot_see_passwords_gives_rights_to_a_login_with_one(
    managed: PostgresServer, short_tmp: Path
) -> None:
    managed.execute(f"create role adm {_ADMIN}")
    managed.execute("grant pg_read_all_data to adm with admin true, inherit false")
    assert _as(managed, "adm", "-c", "create database man").returncode == 0
    managed.execute("create table orders as select generate_series(1, 50) id", "man")
    site = _managed_site(managed, short_tmp, "backup", "man")
    script = site.drd("doctor", "shop", "--grants").out
    file = short_tmp / "g.sql"
    file.write_text(script)
    done = _as(managed, "adm", "-f", str(file))
    assert done.returncode == 0, done.stderr
    assert "role backup has no password, but the plan has one" in done.stderr
    assert 'HINT:  Set the password of the plan in psql: \\password "backup"' in done.stderr
    assert _as(managed, "adm", "-c", "alter role backup password 'r'").returncode == 0

    again = _as(managed, "adm", "-f", str(file))
    assert again.returncode == 0, again.stderr
    assert "role adm cannot see whether role backup has a password" in again.stderr
    assert "role backup has no password" not in again.stderr
    findings = site.drd("doctor", "shop", "--json").json["items"]
    assert [f for f in findings if f["subject"] == "db" and f["severity"] == "error"] == []
    site.drd("backup", "shop")
    site.drd("drill", "shop")


def test_an_administrator_who_may_not_grant_pg_read_all_data_gives_what_the_owner_can(
    managed: PostgresServer, short_tmp: Path
) -> None:
    managed.execute(f"create role owner_adm {_ADMIN}; create role app; create role other")
    assert _as(managed, "owner_adm", "-c", "create database own").returncode == 0
    managed.execute("grant app to owner_adm")
    mine = """
        create schema hidden; create table hidden.notes (id serial);
        create view hidden.seen as select 1 a;
        insert into hidden.notes select from generate_series(1, 50)"""
    assert _as(managed, "owner_adm", "-d", "own", "-c", mine).returncode == 0
    managed.execute("create table theirs as select 1 x; alter table theirs owner to app", "own")
    managed.execute("create table foreign_one as select 1 x", "own")
    managed.execute("alter table foreign_one owner to other", "own")
    site = _managed_site(managed, short_tmp, "reader", "own")
    script = site.drd("doctor", "shop", "--grants").out
    done = _as(managed, "owner_adm", "-f", "-", script=script)
    assert done.returncode == 0, done.stderr
    assert "WARNING:  role reader cannot read public.foreign_one\n" in done.stderr
    assert "as the owner (other), or as a role that may grant pg_read_all_data." in done.stderr
    assert "role reader cannot read tables that these roles make later: other\n" in done.stderr
    assert _as(managed, "owner_adm", "-c", "alter role reader password 'r'").returncode == 0
    lacking = site.drd("doctor", "shop", "--json", code=1).json["items"]
    [rights] = [f for f in lacking if f["code"] == "rights" and f["subject"] == "db"]
    assert "cannot read public.foreign_one" in rights["text"]
    assert "`drd doctor shop --grants` prints, as the owner of the tables" in rights["remedy"]

    managed.execute("drop table foreign_one", "own")
    again = _as(managed, "owner_adm", "-f", "-", script=script)
    assert (again.returncode, "cannot read" in again.stderr) == (0, False), again.stderr
    new = "create table newer (id serial); create schema s; create table s.t (id serial)"
    assert _as(managed, "owner_adm", "-d", "own", "-c", new).returncode == 0
    findings = site.drd("doctor", "shop", "--json").json["items"]
    assert [f for f in findings if f["subject"] == "db" and f["severity"] == "error"] == []
    site.drd("backup", "shop")
    site.drd("drill", "shop")


def test_a_standby_names_its_primary_where_the_script_runs(
    server: PostgresServer, short_tmp: Path
) -> None:
    with standby_of(server) as address:
        site = Site(short_tmp / "host")
        dsn = address.replace(f"user={server.superuser}", "user=seer dbname=shop")
        site.plan(f'components:\n  db: {{kind: postgres, dsn: "{dsn}"}}\n')
        script = site.drd("doctor", "shop", "--grants", "--as-service").out
        first, _, program = script.partition("\n")[0].partition(" | ")
        assert first == "-- Run this command as root: drd doctor shop --grants --as-service"
        refused = _run(program, script)
        assert refused.returncode == 3
        told = "this server is a standby, where nobody can give rights. Its primary is host "
        assert f"{told}{server.socket_dir}, port {server.port}\n" in refused.stderr
        primary = f"su postgres -c 'psql -X -q -h {server.socket_dir} -p {server.port} -f -'"
        done = _run(primary, script)
        assert (done.returncode, done.stderr) == (0, "")
        [(superuser,)] = server.execute("select rolsuper from pg_roles where rolname = 'seer'")
        assert superuser, "its recoveries are in place"


def test_a_plan_whose_kinds_have_no_grants_is_refused_by_the_name_of_the_kind(
    short_tmp: Path,
) -> None:
    site = Site(short_tmp / "host")
    make_tree(site.base / "etc")
    site.plan(f"components:\n  gateway: {{kind: files, paths: [{site.base}/etc]}}\n")
    told = site.drd("doctor", "shop", "--grants", code=2)
    assert (
        told.out,
        "gateway: drd cannot write a script of grants for kind files" in told.err,
    ) == ("", True)


def _run(program: str, script: str) -> subprocess.CompletedProcess[str]:
    """As it is printed, which needs root."""
    if os.geteuid() != 0:
        program = re.sub(r"^su postgres -c '(.*)'$", r"\1 -U postgres", program)
    return subprocess.run(
        ["bash", "-c", program], input=script, capture_output=True, text=True, cwd="/", check=False
    )


def test_a_server_without_the_database_gets_the_roles_and_no_error(
    server: PostgresServer, short_tmp: Path
) -> None:
    """As before a recovery on a new host."""
    site = Site(short_tmp / "host")
    where = f"host={server.socket_dir}&port={server.port}"
    site.plan(f"""
components:
  db: {{kind: postgres, dsn: "postgresql://newcomer@/it%27s%20gone?{where}"}}
  shop: {{kind: postgres, dsn: "postgresql://newcomer@/shop?{where}"}}
""")
    script = site.drd("doctor", "shop", "--grants").out
    program = script.partition(" | ")[2].partition("\n")[0]
    done = _run(program, script)
    assert done.returncode == 0, done.stderr
    assert 'WARNING:  database "it\'s gone" is not on this server' in done.stderr
    assert server.execute("select has_database_privilege('newcomer', 'shop', 'connect')") == [
        (True,)
    ]
    assert server.execute("select 1 from pg_roles where rolname = 'newcomer'") == [(1,)]
