"""The commands that the documentation shows are run as they stand there, in their order."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests import warm
from tests.e2e.copies import copied_site
from tests.e2e.runbook_site import run_id, runbook_site, traced, until, waits_for
from tests.e2e.site import Site, make_sqlite, make_tree
from tests.servers import PostgresServer, S3Server, postgres_server

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(
    r"(<!-- not tested: [^>]+ -->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)


def commands(page: str, heading: str = "") -> str:
    """The bash blocks of a page, or of what stands under one heading, without those marked."""
    text = (ROOT / page).read_text()
    if heading:
        text = text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    found = [
        body for mark, language, body in _BLOCK.findall(text) if language == "bash" and not mark
    ]
    assert found, f"{page} {heading}: no commands"
    return "".join(found)


def bash(script: str, directory: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=script,
        capture_output=True,
        text=True,
        errors="backslashreplace",
        cwd=directory,
        env={**os.environ, **environment},
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


# --- recovery without drd ---------------------------------------------------------------------

_PLAN = """
components:
  orders-db: {{kind: postgres, dsn: {dsn}}}
  sessions: {{kind: sqlite, path: {base}/sessions.db}}
  gateway: {{kind: files, paths: [{base}/etc]}}
"""

_DATABASE = """
set role "the owner";
create table customers (id bigserial primary key, name text);
insert into customers (name) select 'customer ' || g from generate_series(1, 1000) g;
create table "order""s of 東京" (id int references customers, extra jsonb);
insert into "order""s of 東京" select g, '{"a": 1}' from generate_series(1, 500) g;
create view named as select name from customers;
grant select on customers to reader;
"""


def dumped(server: PostgresServer, database: str) -> str:
    """pg_dump's text, without its random keys."""
    argv = [f"{server.bin_dir}/pg_dump", "--create", "-d", server.dsn(database)]
    text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return "\n".join(line for line in text.splitlines() if not re.match(r"\\(un)?restrict ", line))


ROLES = """
select rolname, rolcanlogin, rolpassword from pg_authid
 where rolname in ('the owner', 'reader') order by 1
"""


@pytest.fixture
def source(short_tmp: Path) -> PostgresServer:
    """The database of a service, with its owner and a reader who has a password."""
    with postgres_server(short_tmp / "pg") as server:
        server.execute("create role \"the owner\"; create role reader login password 'for reports'")
        server.execute('create database orders owner "the owner"')
        server.execute("alter database orders set timezone to 'Asia/Tokyo'")
        server.execute(_DATABASE, "orders")
        yield server


def section(page: str, number: str) -> str:
    return next(
        line.removeprefix("## ")
        for line in (ROOT / page).read_text().splitlines()
        if line.startswith(f"## {number}")
    )


def test_everything_comes_back_by_hand(short_tmp: Path, source: PostgresServer) -> None:
    site = Site(short_tmp)
    make_sqlite(short_tmp / "sessions.db")
    make_tree(short_tmp / "etc")
    Path(os.fsdecode(bytes(short_tmp / "etc") + b"/caf\xe9")).write_text("not UTF-8\n")
    site.plan(_PLAN.format(base=short_tmp, dsn=f'"{source.dsn("orders")}"'), name="orders-api")
    site.drd("backup", "orders-api")
    before, roles = dumped(source, "orders"), source.execute(ROLES)

    page = "docs/recovery-without-drd.md"
    numbers = {n: commands(page, section(page, n)) for n in "123456"}
    script = "\n".join(
        [
            numbers["1"],
            numbers["2"],
            f"COMPONENT=orders-db\n{numbers['3']}",
            f"COMPONENT=sessions\n{numbers['4']}",
            f"COMPONENT=gateway\n{numbers['5']}",
            numbers["6"],
        ]
    )
    with postgres_server(short_tmp / "pg2") as empty:
        told = bash(
            script,
            short_tmp,
            {
                "RESTIC_REPOSITORY": site.repository,
                "RESTIC_PASSWORD_FILE": str(short_tmp / "secrets/restic"),
                "RESTIC_CACHE_DIR": str(short_tmp / "restic-cache"),
                "PLAN": "orders-api",
                "PGHOST": str(empty.socket_dir),
                "PGPORT": str(empty.port),
                "PGUSER": empty.superuser,
                "PATH": f"{empty.bin_dir}:{os.environ['PATH']}",
            },
        )
        assert dumped(empty, "orders") == before
        assert empty.execute(ROLES) == roles
    assert "public.customers: 1000 rows" in told
    assert "./drd.db" in told
    back = short_tmp / "recovered"
    assert _sqlite_dump(back / "restored.sqlite") == _sqlite_dump(short_tmp / "sessions.db")
    tree = back / "tree" / (short_tmp / "etc").relative_to("/")
    subprocess.run(["diff", "-r", "--no-dereference", short_tmp / "etc", tree], check=True)
    assert (back / "digests").read_text().count("\n") == 2


def _sqlite_dump(file: Path) -> bytes:
    return subprocess.run(["sqlite3", file, ".dump"], capture_output=True, check=True).stdout


def test_a_wrong_count_stops_the_recovery_by_hand(short_tmp: Path, source: PostgresServer) -> None:
    """The loop at the end of section 3, shown a database in which a row is missing."""
    site = Site(short_tmp)
    body = "components:\n  orders-db: {kind: postgres, dsn: " + f'"{source.dsn("orders")}"' + "}\n"
    site.plan(body, name="orders-api")
    source.execute("create materialized view a_view as select id from customers", "orders")
    site.drd("backup", "orders-api")
    source.execute("delete from customers where id = 1000", "orders")
    source.execute("refresh materialized view a_view", "orders")
    page = "docs/recovery-without-drd.md"
    loop = commands(page, section(page, "3")).split("psql -X -q -d", 1)[1].split("\n", 1)[1]
    script = commands(page, section(page, "1")) + commands(page, section(page, "2")) + loop
    environment = {
        "RESTIC_REPOSITORY": site.repository,
        "RESTIC_PASSWORD_FILE": str(short_tmp / "secrets/restic"),
        "RESTIC_CACHE_DIR": str(short_tmp / "restic-cache"),
        "PLAN": "orders-api",
        "COMPONENT": "orders-db",
        "PGHOST": str(source.socket_dir),
        "PGPORT": str(source.port),
        "PGUSER": source.superuser,
    }
    with pytest.raises(AssertionError, match="customers: 999 rows, expected 1000"):
        bash(script, short_tmp, environment)


# --- README -----------------------------------------------------------------------------------


def test_the_first_plan_of_the_readme_works(
    short_tmp: Path, postgres: PostgresServer, s3: S3Server
) -> None:
    site = Site(short_tmp)
    make_tree(short_tmp / "nginx")
    postgres.execute("create database readme")
    postgres.execute("create table orders as select generate_series(1, 100) as id", "readme")
    bucket = f"readme-{secrets.token_hex(4)}"
    s3.create_bucket(bucket)
    script = commands("README.md", "Your first plan, in ten minutes")
    for shown, here in {
        "/etc/drd": str(short_tmp),
        "/etc/nginx": str(short_tmp / "nginx"),
        "postgresql:///orders": postgres.dsn("readme"),
        "s3:https://s3.example.com/acme-dr/orders-api": s3.repository(bucket, "orders-api"),
        "YOUR-KEY-ID": s3.access_key,
        "YOUR-SECRET-KEY": s3.secret_key,
    }.items():
        assert shown in script
        script = script.replace(shown, here)
    told = bash(
        script,
        short_tmp,
        {
            "DRD_CONFIG": str(site.base / "drd.yaml"),
            "CREDENTIALS_DIRECTORY": str(short_tmp / "credentials"),
            "PATH": f"{warm.program(os.environ)}:{os.environ['PATH']}",
        },
    )
    assert "1 plan: 1 ok" in told
    assert re.search(r"^orders-api +ok ", told, re.MULTILINE)
    assert ((short_tmp / "credentials/orders-api-restic").stat().st_mode & 0o777) == 0o600


# --- copies -----------------------------------------------------------------------------------


def test_the_page_on_copies_is_followed(short_tmp: Path) -> None:
    site = copied_site(short_tmp, name="orders-api")
    site.drd("backup", "orders-api")
    told = bash(
        commands("docs/copies.md"),
        short_tmp,
        {
            "DRD_CONFIG": str(site.base / "drd.yaml"),
            "PATH": f"{warm.program(os.environ)}:{os.environ['PATH']}",
        },
    )
    assert (
        "orders-api: repository offsite: 1 restore point copied; this repository contains 1 "
        "restore point"
    ) in told
    assert "0 restore points added to the catalogue, 1 already in it" in told
    assert "repository primary is sound: drd read all data of this repository" in told
    assert (site.base / "back/shop.db").exists()


# --- recovery ---------------------------------------------------------------------------------

_RUNBOOK = """
runbook:
  - {{name: data, restore: all, rollback: [{trace}, data]}}
  - {{name: go-ahead, approve: {{by: commander}}}}
  - {{name: warm-up, command: {{run: [{trace}, warm-up]}}}}
  - {{name: switch-the-line, manual: {{do: "switch the line at {base} to {port}", by: hands}}}}
"""


def test_the_page_on_recovery_is_followed(short_tmp: Path) -> None:
    site = runbook_site(short_tmp, 1, _RUNBOOK)
    dry, place, single, whole, one, having, show, skip, approve, done, undo, rollback = (
        line.replace("orders-api", "shop") for line in commands("docs/recovery.md").splitlines()
    )
    told = bash(dry, short_tmp, _drd(site))
    assert "waits for commander" in told
    assert "overwrites the data of production" in bash(place, short_tmp, _drd(site))
    single = single.replace("shop-db", "db").replace("orders-db", "db")
    assert "beside     the existing data" in bash(single, short_tmp, _drd(site))
    point = site.drd("points", "shop", "--json").json["points"][0]["point"]
    finding = f"{whole}\n{one}\n{having}".replace("7c1e", point).replace("shop-db", "db")
    assert bash(finding.replace("orders-db", "db"), short_tmp, _drd(site)).count(point) > 3
    child = site.start("recover", "shop", "--target", "standby", "--yes")
    try:
        until(lambda: waits_for(site, "go-ahead"), "it waits")
        run, environment = run_id(site), _drd(site)
        said = f"{show}\n{skip}\n{approve}".replace("4f2a", run)
        assert "for commander" in bash(said, short_tmp, environment)
        until(lambda: waits_for(site, "switch-the-line"), "it waits")
        bash(done.replace("4f2a", run), short_tmp, environment)
        out, err = child.communicate(timeout=120)
    finally:
        child.kill()
    assert child.returncode == 5, err  # the plan has no check that looks at data
    assert b"warm-up: skipped" in out
    told = bash(f"{undo}\n{rollback}".replace("4f2a", run), short_tmp, environment)
    assert "would roll back  step data" in told
    assert traced(site) == ["data"]


def _drd(site: Site) -> dict[str, str]:
    return {
        **site.env(),
        "DRD_CONFIG": str(site.base / "drd.yaml"),
        "PATH": f"{warm.program(os.environ)}:{os.environ['PATH']}",
    }


# --- what the pages point at -----------------------------------------------------------------

PAGES = sorted(
    str(p.relative_to(ROOT)) for p in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if not target.startswith(("http", "../../")):
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_exists(page: str) -> None:
    """`drd/…`, `tests/…`, `docs/…` in backticks."""
    for name in re.findall(
        r"`((?:drd|tests|docs|plans|demo|bench)/[\w/.-]+)`", (ROOT / page).read_text()
    ):
        assert (ROOT / name).exists(), f"{page}: {name}"


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_a_page_names_exists(page: str) -> None:
    """`drd VERB` in backticks, and in blocks at the beginning of a line or after a prompt."""
    from drd.cli.command_line import VERBS

    text = (ROOT / page).read_text()
    shown = re.findall(r"`drd ([a-z]+)", re.sub(_BLOCK, "", text))
    for _, _, block in _BLOCK.findall(text):
        shown += re.findall(r"^(?:\$ |.*root +)?drd ([a-z]+)", block, re.MULTILINE)
    assert not [verb for verb in shown if verb not in VERBS]


def test_nothing_says_to_install_the_package_of_that_name_from_pypi() -> None:
    """There `drd` is somebody else's package."""
    wrong = re.compile(r"pip3? install[^&`\n]*[ '\"]drd(\[|==|[\s'\"`]|$)", re.MULTILINE)
    files = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("drd/**/*.py")]
    assert wrong.search("/opt/drd/bin/pip install --upgrade drd\n")
    assert wrong.search("pip install 'drd[apprise]'")
    assert [f.name for f in files if wrong.search(f.read_text())] == []


def test_page_of_commands_has_every_exit_code() -> None:
    from drd.errors import DrdError

    def below(kind: type[DrdError]) -> set[int]:
        return {kind.exit_code}.union(*(below(child) for child in kind.__subclasses__()))

    text = (ROOT / "docs/commands.md").read_text()
    shown = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert below(DrdError) | {0, 3, 4} <= shown
