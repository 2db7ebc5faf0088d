"""`drd plan new` finds what the host has, and says what it saw and left out."""

from __future__ import annotations

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from drd.cli import plan_new
from drd.cli.main import main
from drd.config.starter import FoundComponents, Starter, starter
from drd.errors import UsageError
from drd.flows.host import containers
from drd.kinds import running_servers
from drd.kinds.files import discovery as files_discovery
from drd.kinds.mariadb import discovery as mariadb_discovery
from drd.kinds.postgres import discovery as postgres_discovery
from drd.kinds.postgres.discovery import found as find_postgres
from drd.kinds.sqlite import discovery as sqlite_discovery
from drd.model.plan import NAME
from drd.process import container
from tests.repository_support import until
from tests.servers import PostgresServer

Output = pytest.CaptureFixture[str]

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("pragma journal_mode=wal")
connection.execute("create table t (x)")
log = open(sys.argv[1] + ".log", "w")
read = open(sys.argv[2], "rb")
print("open", flush=True)
sys.stdin.read()
"""

FIND = """
import json, sys
from pathlib import Path
from drd.kinds.sqlite import discovery
from drd.process import open_files
if len(sys.argv) > 4:
    discovery.TEMPORARY = ()
discovery.SYSTEMD = Path(sys.argv[1])
unit = sys.argv[3]
open_files.unit_of = lambda pid: unit if pid == int(sys.argv[2]) else ""
wishes, notes = discovery.found()
print(json.dumps([[[w.name, dict(w.keys([], "")), w.units, w.where] for w in wishes], notes]))
"""


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def application(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A program that writes a database and a log, and reads another database."""
    file, other = tmp_path / "shop.db", tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("create table t (x)")
    connection.close()
    words = [sys.executable, "-c", HOLD, str(file), str(other)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        try:
            yield process.pid, file
        finally:
            process.kill()


def find_sqlite(systemd: str, pid: int, unit: str, *more: str) -> tuple[list[list[object]], str]:
    words = [sys.executable, "-c", FIND, systemd, str(pid), unit, *more]
    found = subprocess.run(words, capture_output=True, text=True, check=True)
    wishes, notes = json.loads(found.stdout)
    return wishes, "\n".join(notes)


def test_the_database_that_a_service_writes_is_found(application: tuple[int, Path]) -> None:
    pid, file = application
    shop = ["shop", {"path": str(file)}, ["shop.service"], f"{file} (open by shop.service)"]
    assert find_sqlite("/", pid, "shop.service", "also temporary")[0] == [shop]
    # It is left out, with the reason, in a temporary place, as drd's own, or without a service.
    wishes, notes = find_sqlite("/", pid, "shop.service")
    assert wishes == []
    assert "SQLite files in temporary places: " in notes
    wishes, notes = find_sqlite("/", pid, "drd.service", "also temporary")
    assert wishes == []
    own = re.search(r"SQLite files in which drd keeps its own state: (.*)\.", notes)
    assert own is not None
    assert str(file) in own[1].split(", ")  # beside those of a drd that runs here
    assert find_sqlite("/", pid, "", "also temporary")[0] == []
    # Where systemd does not run, nobody knows services: any program counts.
    places = [w[1] for w in find_sqlite("/nowhere", pid, "", "also temporary")[0]]
    assert {"path": str(file)} in places
    assert {"path": str(file.with_name("other.db"))} not in places


def test_configuration_of_gateways_is_found_and_what_other_packages_left_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("nginx", "apache2", "caddy"):
        (tmp_path / name).mkdir()
    (tmp_path / "nginx/nginx.conf").touch()
    there = (path.replace("/etc", str(tmp_path)) for path in files_discovery.GATEWAYS)
    monkeypatch.setattr(files_discovery, "GATEWAYS", tuple(there))
    (wish,), notes = files_discovery.found()
    assert dict(wish.keys([], ""))["paths"] == [f"{tmp_path}/nginx", f"{tmp_path}/caddy"]
    assert notes == []


def test_clusters_in_other_socket_directories_are_found_and_stopped_ones_named(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = [
        {"version": 17, "cluster": "main", "running": 0, "socketdir": "/var/run/postgresql"},
        {"version": 16, "cluster": "shop", "running": 1, "socketdir": str(postgres.socket_dir)},
    ]
    script(tmp_path / "pg_lsclusters", f"echo '{json.dumps(listed)}'")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("PGHOST", raising=False)
    monkeypatch.setenv("PGUSER", "postgres")
    postgres.execute("create database found_elsewhere")
    postgres.execute("create table t (x int)", database="found_elsewhere")
    wishes, notes = find_postgres()
    (wish,) = [wish for wish in wishes if wish.name == "found_elsewhere"]
    assert f"host={postgres.socket_dir}" in wish.where
    assert notes[0] == (
        "The PostgreSQL cluster 17 main is not running: start it (pg_ctlcluster 17 main start) "
        "and repeat this command, or add its databases with --postgres."
    )


def test_a_running_server_whose_socket_is_elsewhere_is_named_with_its_option(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGHOST", raising=False)
    monkeypatch.setattr(postgres_discovery, "_clusters", list)
    note = (
        f"drd did not ask the PostgreSQL server at {postgres.socket_dir}/.s.PGSQL.{postgres.port} "
        f"(process {postgres.pid}): add its databases with --postgres, for example --postgres "
        f"'postgresql:///DATABASE?host={postgres.socket_dir}&port={postgres.port}'."
    )
    assert note not in find_postgres()[1], "servers of tests pass"
    monkeypatch.setattr(running_servers, "_TEMPORARY", ())
    assert note in find_postgres()[1]
    monkeypatch.setenv("PGHOST", str(postgres.socket_dir))
    assert note not in find_postgres()[1], "drd asked it"


def test_a_server_that_the_plan_has_as_a_whole_is_not_found_again_by_its_databases(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("PGHOST", str(postgres.socket_dir))
    monkeypatch.setattr(postgres_discovery, "_clusters", list)
    monkeypatch.setattr(postgres_discovery, "SOCKET_DIRECTORIES", ())
    monkeypatch.setattr(postgres_discovery, "_databases", lambda *_: ["billing", "booking"])
    monkeypatch.setattr(running_servers, "unit_of", lambda _: "postgresql@17-main.service")
    words = [f"--no-{kind}" for kind in ("sqlite", "mariadb", "redis", "valkey", "files")]
    words += ["--output", "-", "--name", "shop", "--postgres-cluster"]
    for dsn in (
        f"postgresql:///booking?host={postgres.socket_dir}&port={postgres.port}",
        f"host={postgres.socket_dir}/ port={postgres.port} dbname=booking",
    ):
        assert main(["plan", "new", *words, dsn]) == 0
        written, said = capsys.readouterr()
        plan = yaml.safe_load(written)
        assert plan["components"] == {
            "server": {
                "kind": "postgres-cluster",
                "dsn": dsn,
                "data_dir": str(postgres.data_dir),
            }
        }
        stopped = [step["stop"] for step in plan["runbook"] if "stop" in step]
        assert stopped == [{"unit": "postgresql@17-main.service"}]
        assert (
            "billing, booking: the plan contains the whole server at "
            f"{postgres.socket_dir}/.s.PGSQL.{postgres.port}. To dump a database as well, add it "
            "with --postgres."
        ) in " ".join(said.split())
    away = "postgresql://db.example.com/booking"
    assert main(["plan", "new", *words, away]) == 0
    components = yaml.safe_load(capsys.readouterr().out)["components"]
    assert set(components) == {"db", "billing", "booking"}


def test_each_path_that_a_person_names_is_a_component_of_its_name(
    tmp_path: Path, capsys: Output
) -> None:
    """With its own check and its own target: guests' uploads are no configuration."""
    named = ["uploads", "etc/gateway", "a/data", "b/data", "all", "manifest", "2024", "null", "Ü!"]
    words = [f"--no-{kind}" for kind in ("postgres", "sqlite", "mariadb", "redis", "valkey")]
    for name in named:
        (tmp_path / name).mkdir(parents=True)
        words += ["--files", str(tmp_path / name)]
    assert main(["plan", "new", *words, "--output", "-", "--name", "shop"]) == 0
    text = capsys.readouterr().out
    plan = yaml.safe_load(text)
    places = {name: keys["paths"] for name, keys in plan["components"].items()}
    assert list(places.values()) == [[str(tmp_path / name)] for name in named]
    assert list(places)[:4] == ["uploads", "gateway", "a-data", "b-data"]
    assert all(NAME.fullmatch(name) for name in places)
    assert {check["component"] for check in plan["checks"]} == set(places)
    commented = text.partition("#targets:")[2].partition("# A recovery in place")[0]
    targets = yaml.safe_load("targets:" + commented.replace("\n#", "\n"))["targets"]["standby"]
    assert targets == {name: {"path": f"/srv/standby/{name}"} for name in places}


def test_a_path_below_another_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "srv/uploads").mkdir(parents=True)
    words = [str(tmp_path / "srv/uploads"), str(tmp_path / "srv")]
    with pytest.raises(UsageError, match=r"srv/uploads is below --files .*/srv, which") as refused:
        files_discovery.wishes(words)
    assert refused.value.hint == f"leave out --files {tmp_path}/srv/uploads."
    assert [wish.name for wish in files_discovery.wishes(["/etc", "/etc/"])] == ["configuration"]


@pytest.mark.parametrize(
    ("option", "dsn", "key"),
    [
        ("--postgres-cluster", "postgresql://db.example.com/shop", "wal"),
        ("--mariadb-server", "mariadb://db.example.com/shop", "binlog"),
    ],
)
def test_the_log_of_a_whole_server_is_offered_in_a_comment(
    option: str, dsn: str, key: str, tmp_path: Path, capsys: Output
) -> None:
    """Who reads only the plan learns that a recovery need not lose half an hour."""
    words = [f"--no-{kind}" for kind in ("postgres", "sqlite", "mariadb", "redis", "valkey")]
    assert main(["plan", "new", *words, "--no-files", option, dsn, "--name", "shop",
                 "--output", "-"]) == 0  # fmt: skip
    text = capsys.readouterr().out
    line = f"    # {key}: {{every: 30s}}\n"
    before, found, after = text.partition(line)
    assert found
    assert "then a recovery loses only seconds" in " ".join(before[-500:].replace("# ", "").split())
    plan = tmp_path / "shop.yaml"
    plan.write_text(before + line.replace("# ", "") + after)
    assert yaml.safe_load(plan.read_text())["components"]["db"][key] == {"every": "30s"}
    assert main(["plan", "check", str(plan)]) == 0


def test_databases_of_postgresql_without_contents_are_left_out_and_named(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drill of one would prove nothing. What an extension brings is no contents."""
    monkeypatch.setenv("PGHOST", str(postgres.socket_dir))
    monkeypatch.setenv("PGUSER", "postgres")
    monkeypatch.setattr(postgres_discovery, "_clusters", list)
    monkeypatch.setattr(postgres_discovery, "SOCKET_DIRECTORIES", ())
    kinds = {
        "of_tables": "create table t (x int)",
        "of_functions": "create function f() returns int language sql as 'select 1'",
        "of_objects": "select lo_create(0)",
        "it's \\ empty": "select 1",
        "with_extension": "create extension pg_stat_statements",
    }
    for name, statement in kinds.items():
        postgres.execute(f'create database "{name}"')
        postgres.execute(statement, database=name)
    # An owner's own operator must not be used by a superuser who looks.
    postgres.execute(
        "create schema s; create function s.f(name, text) returns bool language plpgsql as "
        "'begin raise exception $$trapped$$; end'; create operator s.!~ (function = s.f, "
        "leftarg = name, rightarg = text); alter database of_tables set search_path = s, "
        "pg_catalog",
        database="of_tables",
    )
    wishes, notes = find_postgres()
    names = [wish.name for wish in wishes if wish.name in kinds]
    assert names == ["of_functions", "of_objects", "of_tables"]
    [note] = [note for note in notes if "left out" in note]
    assert "it's \\ empty" in note
    assert "with_extension" in note
    assert "because they contain no table, function or large object" in note
    about = [dict(wish.keys([], ""))["#"] for wish in wishes]
    assert ["--postgres-cluster" in text for text in about] == [True] + [False] * (len(about) - 1)


def test_paths_that_a_person_names_are_copied_whole() -> None:
    [wish] = files_discovery.wishes(["/etc"])
    assert "exclude" not in dict(wish.keys([], ""))
    assert dict(wish.keys(["/etc/x.db"], ""))["exclude"] == ["/etc/x.db"]


def test_a_running_mariadb_whose_socket_is_elsewhere_is_named_with_its_option(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = short_tmp / "m.sock"
    monkeypatch.setattr(running_servers, "_TEMPORARY", ())
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen()
        process = subprocess.Popen(  # a server has this name and this socket
            ["mariadbd", "600"], executable="/bin/sleep", pass_fds=[listener.fileno()]
        )
        note = (
            f"drd did not ask the MariaDB or MySQL server at {place} (process {process.pid}): add "
            "its databases with --mariadb, for example --mariadb "
            f"'mariadb:///DATABASE?socket={place}'."
        )
        try:
            # Popen returns before the kernel has set the name of the new program.
            until(lambda: Path(f"/proc/{process.pid}/cmdline").read_bytes())
            assert note in mariadb_discovery._on_this_host()[1]
            monkeypatch.setattr(mariadb_discovery, "SOCKETS", (str(place),))
            monkeypatch.setattr(mariadb_discovery, "_databases", lambda *_: None)
            assert note not in mariadb_discovery._on_this_host()[1], "drd asked it"
        finally:
            process.kill()
            process.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a socket of another user")
def test_a_server_of_a_stranger_is_named_and_not_asked(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could ask for a password, and libpq would send what ~/.pgpass has for it."""
    asked = short_tmp / "asked"
    script(short_tmp / "psql", f"echo asked >> {asked}; exit 2")
    script(short_tmp / "pg_lsclusters", "echo '[]'")
    monkeypatch.setenv("PATH", f"{short_tmp}:/usr/bin:/bin")
    monkeypatch.delenv("PGHOST", raising=False)
    monkeypatch.setattr(postgres_discovery, "SOCKET_DIRECTORIES", (str(short_tmp),))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(short_tmp / ".s.PGSQL.5444"))
        os.chown(short_tmp / ".s.PGSQL.5444", 65534, -1)
        wishes, notes = find_postgres()
        assert wishes == []
        (note,) = notes
        assert note == (
            f"drd did not ask the PostgreSQL server at {short_tmp}, port 5444, because it "
            "belongs to user nobody: add its databases with --postgres if you trust that user."
        )
        assert not asked.exists()
        os.chown(short_tmp / ".s.PGSQL.5444", 0, -1)
        assert "refused the connection" in find_postgres()[1][0]
        assert asked.exists()


def test_the_name_of_a_file_ends_no_comment_of_a_plan_and_reaches_no_terminal(
    capsys: Output,
) -> None:
    """YAML ends a line, and so a comment, at characters that no terminal shows."""
    names = [f"/tmp/a{mark}kit: {{required: true}}" for mark in "\x85\u2028\u2029\r\n\x1b"]
    found = FoundComponents(notes=names)
    text = starter("shop", found, "/srv/repository").text
    plain = starter("shop", FoundComponents(), "/srv/repository").text
    assert yaml.safe_load(text).keys() == yaml.safe_load(plain).keys()
    assert text.isascii()
    plan_new._say_what_is_in_it(
        Starter(text, (), "", [("db", "sqlite", names[0])]), found, sys.stdout
    )
    shown = capsys.readouterr().out
    assert shown.replace("\n", "").isprintable()
    assert not [line for line in shown.splitlines() if line.startswith("kit:")]


def test_containers_and_all_that_is_left_out_are_named_in_the_plan_and_on_the_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    script(tmp_path / "docker", 'test "$1 $2" = "ps --format" && echo "web (nginx:1.27)"')
    script(tmp_path / "podman", "echo cannot connect >&2; exit 125")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(container, "_STORAGE", (str(tmp_path), str(tmp_path)))
    monkeypatch.setattr(files_discovery, "GATEWAYS", ("/etc/passwd",))
    monkeypatch.setattr(sqlite_discovery, "written_files", dict)
    others = [f"--no-{kind}" for kind in ("postgres", "sqlite", "mariadb", "redis", "valkey")]
    words = [*others, "--output", "-", "--name", "shop"]
    assert main(["plan", "new", *words]) == 0
    screen = capsys.readouterr()
    assert screen.err.startswith(
        "\nIn the plan:\n"
        "  configuration  files  /etc\n"
        "\nFound, but not in the plan:\n"
        "  - Containers of docker: web (nginx:1.27). drd looked for servers of\n"
        "    PostgreSQL, MariaDB, MySQL, Redis and Valkey in them. Add other servers by\n"
        "    hand (docs/containers.md). To add directories of this host that containers\n"
        "    use, give --files DIRECTORY.\n"
        "  - Containers of podman: unknown, because `podman ps` failed: cannot connect.\n"
        "\nNext:\n"
    )
    assert "\n# - Containers of docker: web (nginx:1.27). drd looked" in screen.out
    assert list(yaml.safe_load(screen.out)["components"]) == ["configuration"]


def test_a_container_whose_image_has_no_name_has_no_empty_brackets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "docker", "exit 125")
    script(tmp_path / "podman", "printf 'crm-db ()\\nweb (nginx:1.27)\\n'")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(container, "_STORAGE", (str(tmp_path), str(tmp_path)))
    (note,) = [note for note in containers.notes() if "podman" in note]
    assert note.startswith("Containers of podman: crm-db, web (nginx:1.27). drd looked for ")


def test_podman_is_not_asked_where_it_has_no_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "podman", "echo 'web (nginx)'")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(container, "_STORAGE", ("/nowhere", "nowhere"))
    assert [note for note in containers.notes() if "podman" in note] == []
