"""`drd plan` as people and scripts call it."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from drd import process
from drd.cli.main import main
from drd.config.json_schema import plan_schema
from drd.config.plan_file import load_plan
from drd.config.problems import as_name
from drd.flows.host import containers
from drd.kinds import running_servers
from drd.kinds.files import discovery as files_discovery
from drd.kinds.mariadb import discovery as mariadb_discovery
from drd.kinds.postgres.discovery import found as find_postgres
from drd.kinds.redis import discovery as redis_discovery
from drd.kinds.sqlite import discovery as sqlite_discovery
from drd.registry import KINDS
from tests.config_support import EXAMPLES, GOOD, changed
from tests.servers import PostgresServer

Output = pytest.CaptureFixture[str]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A drd.yaml with a plans directory, used by every command of the test."""
    (tmp_path / "plans").mkdir()
    (tmp_path / "drd.yaml").write_text(f"state: sqlite:///{tmp_path}/drd.db\n")
    monkeypatch.setenv("DRD_CONFIG", str(tmp_path / "drd.yaml"))
    monkeypatch.delenv("PGHOST", raising=False)
    # What else this host has; tests/unit/test_plan_new_finds.py looks at that.
    monkeypatch.setattr(files_discovery, "GATEWAYS", ())
    monkeypatch.setattr(sqlite_discovery, "written_files", dict)
    monkeypatch.setattr(redis_discovery, "_running", list)
    monkeypatch.setattr(mariadb_discovery, "_sockets", lambda: iter(()))
    monkeypatch.setattr(running_servers, "_program", lambda _: "")
    monkeypatch.setattr(process, "running_containers", list)
    monkeypatch.setattr(containers, "notes", list)
    return tmp_path


def plan(home: Path, text: str = GOOD, name: str = "shop.yaml") -> Path:
    path = home / "plans" / name
    path.write_text(text)
    return path


def run(*words: str | Path) -> int:
    return main(["plan", *map(str, words)])


def document(out: Output) -> Any:
    """The one JSON document on stdout; nothing on stderr."""
    captured = out.readouterr()
    assert captured.err == ""
    found = json.loads(captured.out)
    assert next(iter(found)) == "schema"
    assert found["schema"] == 1
    return found


# --- check ------------------------------------------------------------------------------------


def test_check_without_a_name_checks_every_plan(home: Path, capsys: Output) -> None:
    plan(home)
    plan(home, changed("plan: shop", "plan: market").replace("rto: 1h", "rto: 30m"), "market.yaml")
    assert run("check") == 0
    assert capsys.readouterr().out == (
        "market: ok (3 components, RPO 1h, RTO 30m)\nshop: ok (3 components, RPO 1h, RTO 1h)\n"
    )


def test_check_by_name_and_by_file(home: Path, capsys: Output) -> None:
    plan(home)
    assert run("check", "shop", EXAMPLES / "orders-api.yaml") == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        "shop",
        "orders-api",
    ]


def test_check_prints_file_line_path_and_hint(home: Path, capsys: Output) -> None:
    path = plan(home, changed("kind: sqlite", "kind: sqllite").replace("rto: 1h", "rot: 1h"))
    assert run("check") == 2
    assert capsys.readouterr().out == (
        f'{path}:2: objectives.rot: unknown key "rot"\nHINT: did you mean "rto"?\n'
        f'{path}:8: components.store.kind: unknown kind "sqllite"\nHINT: did you mean "sqlite"?\n'
    )


def test_check_shows_warnings_and_exits_with_0(home: Path, capsys: Output) -> None:
    path = plan(home, changed("drill: {every: 7d}\n", ""))
    assert run("check") == 0
    out = capsys.readouterr().out
    assert f"{path}:1: warning: drill: the plan has no drill schedule" in out
    assert "HINT: add for example `drill: {every: 7d}`." in out
    assert out.endswith("shop: ok (3 components, RPO 1h, RTO 1h, 1 warning)\n")


def test_check_warns_of_a_misspelt_plan_that_this_one_depends_on(
    home: Path, capsys: Output
) -> None:
    plan(home)
    text = changed("plan: shop", "plan: market") + "depends_on: [shopp, payment-provider]\n"
    path = plan(home, text, "market.yaml")
    assert run("check", "market") == 0
    out = capsys.readouterr().out
    line = text.splitlines().index("depends_on: [shopp, payment-provider]") + 1
    assert f'{path}:{line}: warning: depends_on[0]: there is no plan "shopp": an incident' in out
    assert "payment-provider" not in out, "another service needs no plan"


def test_quiet_check_says_only_what_is_wrong(home: Path, capsys: Output) -> None:
    plan(home, changed("drill: {every: 7d}\n", ""))
    assert run("check", "--quiet") == 0
    assert capsys.readouterr().out == ""


def test_check_as_json_lists_the_problems_of_all_plans(home: Path, capsys: Output) -> None:
    path = plan(home, changed("rto: 1h", "rto: 1"))
    plan(home, changed("plan: shop", "plan: market"), "market.yaml")
    assert run("check", "--json") == 2
    assert document(capsys) == {
        "schema": 1,
        "ok": False,
        "problems": [
            {
                "file": str(path),
                "line": 2,
                "path": "objectives.rto",
                "message": "1 is not a duration",
                "hint": "write a number and a unit, like 15m or 7d.",
            }
        ],
        "warnings": [],
    }


def test_check_of_sound_plans_as_json(home: Path, capsys: Output) -> None:
    plan(home, changed("drill: {every: 7d}\n", ""))
    assert run("check", "--json", "shop") == 0
    found = document(capsys)
    assert (found["ok"], found["problems"]) == (True, [])
    assert [w["path"] for w in found["warnings"]] == ["drill"]


def test_check_finds_two_plans_of_one_name(home: Path, capsys: Output) -> None:
    shop = plan(home)
    copy = plan(home, "# of shop\n" + GOOD.lstrip(), name="a-copy.yaml")
    assert run("check", "--json") == 2
    (problem,) = document(capsys)["problems"]
    assert (problem["file"], problem["line"]) == (str(copy), 2)
    assert (
        problem["message"]
        == f'{shop} has the plan name "shop", too: drd loads neither of these files'
    )


def test_check_without_any_plan_says_how_to_begin(home: Path, capsys: Output) -> None:
    assert run("check") == 2
    assert capsys.readouterr().err == (
        f"drd: there is no plan in {home}/plans\nHINT: write a plan with `drd plan new`.\n"
    )


def test_check_of_an_unknown_plan_as_json_suggests_the_nearest_name(
    home: Path, capsys: Output
) -> None:
    plan(home)
    assert run("check", "shpo", "--json") == 2
    assert document(capsys)["error"] == {
        "message": f'there is no plan "shpo" in {home}/plans',
        "hint": "did you mean shop?",
        "exit": 2,
    }


def test_check_writes_nothing(home: Path, capsys: Output) -> None:
    plan(home)
    before = sorted(home.rglob("*"))
    assert run("check") == 0
    assert run("show", "shop") == 0
    assert sorted(home.rglob("*")) == before


# --- show and schema --------------------------------------------------------------------------


def test_show_can_be_loaded_again_and_is_the_same_plan(home: Path, capsys: Output) -> None:
    before = load_plan(plan(home)).plan
    assert run("show", "shop") == 0
    out = capsys.readouterr().out
    assert before.digest[:12] in out.splitlines()[0]
    assert "timezone: UTC" in out
    assert load_plan(plan(home, out)).plan.digest == before.digest


def test_show_as_json_has_seconds_and_the_hash(home: Path, capsys: Output) -> None:
    path = plan(home)
    assert run("show", "shop", "--json") == 0
    found = document(capsys)
    assert (found["plan"], found["file"]) == ("shop", str(path))
    assert found["resolved"]["objectives"] == {"rpo_s": 3600, "rto_s": 3600, "window_s": 7776000}
    assert found["digest"] == load_plan(path).plan.digest


def test_show_of_a_broken_plan_is_an_error(home: Path, capsys: Output) -> None:
    path = plan(home, changed("plan: shop", "plan: shop\nx: 1"))
    assert run("show", "shop") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f'drd: {path}:2: x: unknown key "x"\nHINT: ')


def test_schema_is_printed(capsys: Output) -> None:
    assert run("schema") == 0
    assert json.loads(capsys.readouterr().out) == plan_schema()


def test_reference_is_printed(capsys: Output) -> None:
    assert run("schema", "--markdown") == 0
    assert capsys.readouterr().out.startswith("# Plan reference\n")


# --- new --------------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "Shop Data.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table t (x)")
    return path


def test_new_plan_passes_check_and_says_what_is_next(
    home: Path, database: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/drd.service")
    assert run("new", "--no-postgres", "--sqlite", database, "--files", "/etc", home / "plans") == 0
    out = capsys.readouterr().out
    file = home / "plans/shop-data.yaml"
    assert out.startswith(f"wrote {file}\n")
    for word in ("shop-data-restic", "shop-data-s3-id", "drd plan check shop-data", "openssl"):
        assert word in out
    assert "mkdir -p /etc/drd/credentials\n" in out, "systemd's own directory takes no new ones"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", f"{home}/my secrets")
    assert run("new", "--force", "--no-postgres", "--sqlite", database, "--files", "/etc") == 0
    assert f"mkdir -p '{home}/my secrets'\n" in capsys.readouterr().out
    assert (
        run(
            "new",
            "--force",
            "--no-postgres",
            "--sqlite",
            database,
            "--files",
            "/etc",
            home / "plans",
        )
        == 0
    )
    assert run("check") == 0
    loaded = load_plan(file)
    assert loaded.warnings == []
    assert {n: c.kind for n, c in loaded.plan.components.items()} == {
        "shop-data": "sqlite",
        "configuration": "files",
        "plans": "files",
    }
    assert file.read_text().startswith("# yaml-language-server: $schema=plan.schema.json\n")
    assert file.read_text().count("\n#") > 3


def uncommented(text: str) -> str:
    """The plan with the examples that it has as comments, from their first line on."""
    lines, inside = [], False
    for line in text.splitlines():
        inside = bool(line) and (inside or line in ("#targets:", "#runbook:"))
        lines.append(line.removeprefix("#") if inside else line)
    return "\n".join(lines)


def test_the_examples_of_a_new_plan_are_valid_without_their_comment_signs(
    home: Path, database: Path, capsys: Output
) -> None:
    words = ["--sqlite", database, "--files", "/etc", "--name", "shop", "--output", "-"]
    for dsn in (
        "postgresql://app@db1:5433/orders?sslmode=require",
        "host=/run/pg dbname='my db' user=a",
        "postgresql://u:secret@db1/billing",
        "service=stock",
    ):
        words += ["--postgres", dsn]
    assert run("new", *words) == 0
    text = capsys.readouterr().out
    file = plan(home, uncommented(text))
    found = load_plan(file)
    assert [w for w in found.warnings if "bucket" not in w.message] == []
    (target,) = found.plan.targets.values()
    assert list(target.components) == list(found.plan.components)
    places = yaml.safe_load(file.read_text())["targets"]["standby"]
    assert [value for place in places.values() for value in place.values()] == [
        "postgresql://app@db1:5433/orders_standby?sslmode=require",
        "host=/run/pg user=a dbname='my db_standby'",
        {"credential": "billing-standby-dsn"},
        "service=stock dbname=database_standby",
        "/srv/standby/shop-data.db",
        "/srv/standby/configuration",
    ]
    assert [step.kind for step in found.plan.runbook] == ["stop", "restore", "check", "start"]
    without = load_plan(plan(home, text)).plan
    assert (without.targets, [s.kind for s in without.runbook]) == ({}, ["restore", "check"])


def test_a_service_that_has_a_database_open_is_stopped_and_started_by_a_new_plan(
    home: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_discovery, "units_using", lambda _: ("web.service", "job.service"))
    assert run("new", "--no-postgres", "--sqlite", database) == 0
    found = load_plan(home / "plans/shop-data.yaml").plan
    assert [step.name for step in found.runbook] == [
        "stop-web", "stop-job", "data", "checks", "start-job", "start-web",
    ]  # fmt: skip
    monkeypatch.setattr(sqlite_discovery, "units_using", lambda _: ())
    monkeypatch.setattr(files_discovery, "units_using", lambda _: ("log.service",))
    words = ("--no-postgres", "--sqlite", database, "--files", "/etc")
    assert run("new", *words, "--force") == 0
    file = home / "plans/shop-data.yaml"
    assert [step.kind for step in load_plan(file).plan.runbook] == ["restore", "check"]
    assert "log.service" in uncommented(file.read_text())


def test_new_plan_keeps_a_live_database_out_of_the_files(
    home: Path, database: Path, capsys: Output
) -> None:
    assert run("new", "--no-postgres", "--sqlite", database, "--files", home, "--output", "-") == 0
    written = yaml.safe_load(capsys.readouterr().out)
    assert written["components"][as_name(home.name)]["exclude"][:2] == [
        str(database),
        f"{database}-wal",
    ]


def test_new_plan_overwrites_nothing_without_force(
    home: Path, database: Path, capsys: Output
) -> None:
    file = home / "mine.yaml"
    file.write_text("precious")
    words = ("new", "--no-postgres", "--sqlite", database, "--output", file, "--name", "mine")
    assert run(*words) == 2
    assert file.read_text() == "precious"
    assert capsys.readouterr().err == (
        f"drd: {file} exists already\n"
        "HINT: choose another --output or --name, or overwrite it with --force.\n"
    )
    assert run(*words, "--force") == 0
    assert load_plan(file).plan.name == "mine"
    assert [p.name for p in home.iterdir() if p.name.startswith(".")] == []


def test_password_of_a_connection_string_becomes_a_credential(home: Path, capsys: Output) -> None:
    dsn = "postgresql://shop:hunter2secret@db.example.com/shop"
    assert run("new", "--postgres", dsn) == 0
    captured = capsys.readouterr()
    text = (home / "plans/shop.yaml").read_text()
    assert "hunter2secret" not in text + captured.out + captured.err
    assert "dsn: {credential: shop-dsn}" in text
    assert re.search(r"shop-dsn +the connection string", captured.out)


def test_connection_string_without_a_password_stands_as_text(home: Path, capsys: Output) -> None:
    assert run("new", "--postgres", "host=/run/pg dbname=shop", "--repository", "/srv/backup") == 0
    plan = load_plan(home / "plans/shop.yaml").plan
    assert plan.components["shop"].settings.dsn.value == "host=/run/pg dbname=shop"  # type: ignore[attr-defined]
    assert (plan.primary.url, plan.primary.s3.access_key) == ("/srv/backup", None)


def test_new_plan_of_nothing_begins_with_the_configuration(home: Path, capsys: Output) -> None:
    assert run("new", "--no-postgres", "--name", "host") == 0
    loaded = load_plan(home / "plans/host.yaml")
    assert [c.kind for c in loaded.plan.components.values()] == ["files"]


def test_new_plan_begins_only_with_kinds_that_can(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    class Files:
        SPEC = replace(KINDS["files"], starting=None)

    monkeypatch.setitem(sys.modules, "tests.files_without_a_beginning", Files)
    monkeypatch.setitem(KINDS._own, "files", "tests.files_without_a_beginning:SPEC")
    assert run("new", "--kind", "files", "/etc") == 2
    assert capsys.readouterr().err == (
        "drd: drd plan new cannot write components of kind files\n"
        "HINT: write the component into the plan by hand: docs/plan-reference.md lists its keys.\n"
    )
    for option, *place in (["--files", "/etc"], ["--no-files"]):
        assert run("new", "--no-postgres", "--output", "-", option, *place) == 2
        assert f"unknown option {option}\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["--sqlite", "/etc/passwd"], "/etc/passwd is not a SQLite database", "--files"),
        (["--files", "/nowhere"], "/nowhere does not exist", "an existing file"),
        (
            ["--name", "My Shop"],
            '"My Shop" is not a valid name of a plan',
            '"my-shop" is allowed',
        ),
        (
            ["--repository", "backups"],
            "--repository: 'backups' is not a valid URL of a repository",
            "absolute path",
        ),
        (["--repository", "s3:https://h"], "--repository: the URL has no bucket", "s3:https"),
        (["--output", "/nowhere/x.yaml"], "cannot write /nowhere/x.yaml", "--output FILE"),
    ],
)
def test_plan_new_refuses_impossible_components(
    home: Path, *, words: list[str], message: str, hint: str, capsys: Output
) -> None:
    assert run("new", "--no-postgres", *words) == 2
    fact, remedy = capsys.readouterr().err.splitlines()
    assert fact.startswith(f"drd: {message}")
    assert hint in remedy
    assert list((home / "plans").iterdir()) == []


def test_new_makes_the_directory_of_the_plans(home: Path, capsys: Output) -> None:
    (home / "plans").rmdir()
    words = ("new", "--no-postgres", "--files", "/etc/hostname", "--name", "first")
    assert run(*words) == 0
    assert f"made the directory {home}/plans" in capsys.readouterr().err
    (home / "plans/first.yaml").unlink()
    (home / "plans").rmdir()
    (home / "plans").touch()
    assert run(*words) == 2
    told = capsys.readouterr().err
    assert f"cannot make the directory {home}/plans: file exists" in told
    assert f"HINT: sudo mkdir -p {home}/plans" in told


ODD = 'new "odd" näme'


@pytest.fixture
def databases(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", str(postgres.socket_dir))
    monkeypatch.setenv("PGUSER", "postgres")


def test_databases_behind_a_local_socket_are_found(
    home: Path, postgres: PostgresServer, databases: None, capsys: Output
) -> None:
    for name in ("planshop", ODD):
        quoted = name.replace('"', '""')
        postgres.execute(f'create database "{quoted}"')
        postgres.execute("create table t (x int)", database=name)
    assert run("new", "--name", "found") == 0
    components = load_plan(home / "plans/found.yaml").plan.components
    assert {"planshop", "new-odd-name"} <= set(components)
    dsn = components["planshop"].settings.dsn.value  # type: ignore[attr-defined]
    assert dsn.startswith(f"postgresql:///planshop?host={postgres.socket_dir}")


def test_without_psql_a_server_is_noticed_and_nothing_breaks(
    postgres: PostgresServer, databases: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    databases, notes = find_postgres()
    assert databases == []
    assert "psql is not installed" in " ".join(notes)


def test_server_that_lets_nobody_in_is_noted(
    postgres: PostgresServer, databases: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGUSER", "nobody-by-this-name")
    notes = [n for n in find_postgres()[1] if str(postgres.socket_dir) in n]
    assert notes
    assert "refused the connection" in notes[0]


def test_a_host_without_a_postgresql_server_is_not_a_note_of_a_plan(
    home: Path, database: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setattr("drd.kinds.postgres.discovery._sockets", lambda _: iter(()))
    assert run("new", "--sqlite", database, "--output", "-") == 0
    assert "PostgreSQL server" not in capsys.readouterr().out
    assert run("new", "--output", "-") == 0
    assert "drd found no database, and none was given" in capsys.readouterr().out


def test_help_has_examples(capsys: Output) -> None:
    with pytest.raises(SystemExit) as caught:
        run("--help")
    assert caught.value.code == 0
    assert "drd plan new --name orders-api" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("sftp:me@nas:/b", ["mine-sftp-key", "mine-sftp-known-hosts"]),
        ("rest:https://nas:8000/b/", []),
        ("b2:my-bucket:b", ["mine-b2-account-id", "mine-b2-account-key"]),
        ("azure:box:/b", []),
        ("gs:my-bucket:/b", []),
        ("rclone:box:b", ["mine-rclone-config"]),
    ],
)
def test_new_plan_asks_for_what_the_place_of_the_repository_needs(
    home: Path, capsys: Output, url: str, asked: list[str]
) -> None:
    words = ("new", "--no-postgres", "--files", "/etc/hostname", "--name", "mine")
    assert run(*words, "--repository", url) == 0
    assert load_plan(home / "plans/mine.yaml").plan.primary.url == url
    out = capsys.readouterr().out
    assert re.findall(r"^ +(mine-\S+) ", out, re.MULTILINE) == [
        "mine-restic",
        *asked,
    ]


def test_check_names_all_secret_files_that_this_host_lacks_at_once(
    home: Path, capsys: Output
) -> None:
    (home / "one").write_text("x")
    components = "".join(
        f"  {name}: {{kind: postgres, dsn: {{file: {home}/{file}}}}}\n"
        for name, file in (("a", "one"), ("b", "two"), ("c", "three"), ("d", "no-disk/four"))
    )
    plan(home, changed("components:\n", f"components:\n{components}"))
    assert run("check", "--json", "shop") == 0
    lacks = [w for w in document(capsys)["warnings"] if "lacks" in w["message"]]
    assert [w["message"] for w in lacks] == [
        f"this host lacks 2 secret files of this plan: {home}/three, {home}/two"
    ]


def test_check_names_the_files_of_authorities_that_this_host_lacks(
    home: Path, capsys: Output
) -> None:
    (home / "there.pem").write_text("x")
    components = "".join(
        f"  {name}: {{kind: valkey, url: 'rediss://h/', ca_cert: {home}/{file}}}\n"
        for name, file in (("a", "there.pem"), ("b", "gone.pem"), ("c", "no-disk/gone.pem"))
    )
    text = changed("components:\n", f"components:\n{components}")
    rest = f"rest: {{user: u, password: {{env: PW}}, ca_cert: {home}/rest.pem}}"
    url = "url: s3:https://s3.example.com/bucket/shop\n"
    assert text.count(url) == 1
    text = text.replace(url, f"url: rest:https://nas:8000/b/\n    {rest}\n")
    plan(home, text)
    assert run("check", "--json", "shop") == 0
    lacks = [w for w in document(capsys)["warnings"] if "lacks" in w["message"]]
    said = "so drd cannot check the certificate of the server"
    assert [(w["path"], w["message"]) for w in lacks] == [
        ("repositories.primary", f"this host lacks the file {home}/rest.pem, {said}"),
        ("components.b", f"this host lacks the file {home}/gone.pem, {said}"),
    ]
