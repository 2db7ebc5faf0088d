"""Programs that run in a container. The engine here is a script that starts them on this host in a
session of their own, as an engine does; tests/e2e/test_containers.py has a real one."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest

from drd import process
from drd.config.plan_file import plan_of_text
from drd.errors import (
    ConfigError,
    NotSupported,
    SourceError,
    SourceUnreachable,
    ToolMissing,
    ToolTooOld,
)
from drd.kinds.mariadb import discovery_inside
from drd.kinds.mariadb.address import address_of as mariadb_address
from drd.kinds.mariadb.grants import grants as mariadb_grants
from drd.kinds.mariadb.tools import client
from drd.kinds.postgres.address import address_of
from drd.kinds.postgres.connection import write_password_file
from drd.kinds.postgres.grants import grants as postgres_grants
from drd.kinds.postgres.tools import programs_for
from drd.kinds.redis.programs import cli_program
from drd.kinds.registry import by_hand_of
from drd.kit.programs import KitPrograms
from drd.model.plan import SecretRef
from drd.ports.grants import Logins
from drd.process import Command, Container

_ENGINE = """\
#!/bin/sh
printf '%s\\n' "$@" >>{base}/arguments
tr '\\0' '\\n' </proc/self/environ >>{base}/environment
if [ "$1" != exec ]; then
  cat {base}/inspected 2>/dev/null && exit 0
  echo no such container >&2; exit 125
fi
shift 4
exec setsid -w {shell} "$@"
"""
_INIT = """\
import ctypes, os, subprocess, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
main = subprocess.Popen(sys.argv[2:], start_new_session=True).pid
code, left = 0, []
while True:
    try:
        pid, status = os.wait()
    except ChildProcessError:
        break
    if pid == main:
        code = os.waitstatus_to_exitcode(status)
    else:
        left.append(f"{os.waitstatus_to_exitcode(status)}\\n")
with open(sys.argv[1], "a") as file:
    file.write("".join(left) + "ended\\n")
sys.exit(code if code >= 0 else 128 - code)
"""
"""The first process of a container: it becomes the parent of every process that has lost its own,
and writes how each of these ended."""
BOX = Container("podman", "shop-db")


@pytest.fixture(params=["dash", "bash"])
def engine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "podman"
    program.write_text(_ENGINE.format(base=tmp_path, shell=request.param))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def test_variables_lists_and_input_reach_the_program_and_no_secret_an_argument(
    engine: Path,
) -> None:
    dump, listed = engine / "dump", engine / "list"
    dump.write_bytes(os.urandom(3_000_000))
    listed.write_text("1; 2 3 TABLE a\n4; 5 6 TABLE b c\n")
    script = 'echo "$PGPASSWORD"; cat "$0" "$0"; sha256sum; exit 7'
    command = Command(["sh", "-c", script, process.LIST], env={"PGPASSWORD": "s 'e\"c$ret"})
    done = process.run(process.inside(command, BOX, feed=dump, listed=listed))
    digest = subprocess.run(["sha256sum"], stdin=dump.open("rb"), capture_output=True, check=True)
    assert done.exit_code == 7
    assert done.stdout == f"s 'e\"c$ret\n{listed.read_text() * 2}{digest.stdout.decode()}"
    assert done.stderr == ""
    assert "ret" not in (engine / "arguments").read_text().split("-c\n")[0]
    assert "c$ret" not in (engine / "arguments").read_text()
    assert "c$ret" not in (engine / "environment").read_text()


def test_programs_that_end_at_once_do_not_leave_drd_waiting(engine: Path) -> None:
    del engine
    for _ in range(40):
        assert process.run(process.inside(Command(["true"], deadline_s=60), BOX)).exit_code == 0


def test_variables_of_the_container_for_its_own_clients_do_not_reach_the_program(
    engine: Path,
) -> None:
    own = 'PGHOSTADDR=192.0.2.1 MYSQL_HOST=x LANG=C.UTF-8 ODD="a\nexport PG;odd=1\nb c"'
    script = (engine / "podman").read_text().replace("exec setsid", f"export {own}\nexec setsid")
    (engine / "podman").write_text(script)
    shown = ["sh", "-c", 'echo "$PGHOSTADDR,$MYSQL_HOST,$LANG,$ODD,$PGPASSWORD"']
    command = Command(shown, env={"PGPASSWORD": "own"})
    done = process.run(process.inside(command, BOX, forget=("PG",)))
    assert (done.stdout, done.stderr) == (",x,C.UTF-8,a\nexport PG;odd=1\nb c,own\n", "")
    done = process.run(process.inside(command, BOX, forget=("PG", "MYSQL_")))
    assert done.stdout.startswith(",,C.UTF-8,")


def test_a_pinned_container_is_asked_by_its_id_and_has_to_keep_its_name(engine: Path) -> None:
    running = '[{"Id": "%s", "State": {"Running": true}}]'
    (engine / "inspected").write_text(running % ("a1" * 32))
    box = process.pinned(BOX)
    process.require_same(box)
    assert (box.id, str(box)) == ("a1" * 32, str(BOX))
    process.run(process.inside(Command(["true"]), box))
    process.run(process.shell_in(box, "true"))
    asked = (engine / "arguments").read_text().splitlines()
    assert asked.count("exec") == asked.count("a1" * 32) == 2
    (engine / "inspected").write_text(running % ("b2" * 32))
    with pytest.raises(SourceUnreachable, match="that of a1a1a1a1a1a1, and is now that of b2b2b2"):
        process.require_same(box)
    (engine / "inspected").unlink()
    with pytest.raises(SourceUnreachable, match="podman no longer shows a1a1a1a1a1a1, which was"):
        process.image_of(box)
    with pytest.raises(SourceUnreachable, match="does not show the container shop-db"):
        process.require_same(box)


def test_a_program_that_does_not_read_its_input_ends_as_it_wants(engine: Path) -> None:
    dump = engine / "dump"
    dump.write_bytes(bytes(3_000_000))
    done = process.run(process.inside(Command(["head", "-c", "3"]), BOX, feed=dump))
    assert (done.exit_code, done.stderr) == (0, "")


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_the_client_ends_the_program(engine: Path, end: signal.Signals) -> None:
    command = Command(["sh", "-c", f"echo $$ >{engine}/pid; exec sleep 600"])
    child = process.start(process.inside(command, BOX))
    pid = _number(engine / "pid")
    os.kill(child.pid, end)
    child.wait()
    limit = time.monotonic() + 30
    while process.process_alive(pid, None):
        assert time.monotonic() < limit
        time.sleep(0.01)


def _number(file: Path) -> int:
    limit = time.monotonic() + 30
    while not file.exists() or not file.read_text().strip():
        assert time.monotonic() < limit
        time.sleep(0.01)
    return int(file.read_text())


@pytest.fixture
def first(engine: Path) -> Path:
    """What the first process of the container writes, a line `ended` after each `exec`."""
    (engine / "init.py").write_text(_INIT)
    first = f"setsid {sys.executable} -I -S {engine}/init.py {engine}/first"
    script = (engine / "podman").read_text().replace("exec setsid -w", f"exec 5<&0; {first}")
    (engine / "podman").write_text(f"{script.rstrip()} <&5 5<&- & wait $!\n")
    return engine / "first"


def _first(file: Path, ends: int = 1) -> list[str]:
    """The processes that had lost their parent, after so many programs have ended."""
    limit = time.monotonic() + 60
    while not file.exists() or file.read_text().split().count("ended") < ends:
        assert time.monotonic() < limit
        time.sleep(0.01)
    return [line for line in file.read_text().split() if line != "ended"]


def test_a_program_that_ends_leaves_no_process_to_the_first_one_of_the_container(
    engine: Path, first: Path
) -> None:
    """This is often PostgreSQL: it restarts if a child of it ended by a signal."""
    dump = engine / "dump"
    dump.write_bytes(bytes(3_000_000))
    for words, feed in ((["true"], None), (["cat"], dump), (["head", "-c", "3"], dump)):
        assert process.run(process.inside(Command(words), BOX, feed=feed)).exit_code == 0
    killed = process.run(process.inside(Command(["sh", "-c", "kill -9 $$"]), BOX))
    assert killed.exit_code == 128 + 9
    assert _first(first, 4) == []


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("begin", ["", 'trap "" TERM; '], ids=["ends", "has to be killed"])
def test_the_end_of_drd_leaves_no_process_to_the_first_one_of_the_container(
    engine: Path, first: Path, begin: str, end: signal.Signals
) -> None:
    command = Command(["sh", "-c", f"{begin}echo $$ >{engine}/pid; exec sleep 600"])
    child = process.start(process.inside(command, BOX))
    pid = _number(engine / "pid")
    os.kill(child.pid, end)
    child.wait()
    assert _first(first) == []
    assert not process.process_alive(pid, None)


@pytest.mark.parametrize("tools", [["perl"], ["bash", "cat"]], ids=["perl", "bash"])
@pytest.mark.parametrize("closes", ["server", "drd"])
def test_a_relayed_connection_leaves_no_process_to_the_first_one_of_the_container(
    engine: Path, first: Path, tools: list[str], closes: str
) -> None:
    programs = engine / "programs"
    programs.mkdir()
    for tool in tools:
        (programs / tool).symlink_to(str(shutil.which(tool)))
    script = (engine / "podman").read_text()
    for shell in ("dash", "bash"):
        script = script.replace(f' {shell} "$@"', f' {shutil.which(shell)} "$@"')
    script = script.replace("exec 5<&0; setsid", f"exec 5<&0; {shutil.which('setsid')}")
    (engine / "podman").write_text(script.replace("shift 4", f"shift 4; export PATH={programs}"))
    data = os.urandom(1_000_000)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                sent = threading.Thread(target=connection.sendall, args=[data])
                sent.start()
                got = b""
                while len(got) < len(data):
                    got += connection.recv(65536)
                assert got == data
                sent.join()
                if closes == "drd":
                    assert connection.recv(1) == b""

        answering = threading.Thread(target=answer)
        answering.start()
        name = process.relay(BOX, "127.0.0.1", server.getsockname()[1]).name
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"\0{name}")
            sending = threading.Thread(target=client.sendall, args=[data])
            sending.start()
            got = b""
            while len(got) < len(data):
                got += client.recv(65536)
            sending.join()
            assert got == data
            if closes == "server":
                assert client.recv(1) == b""
        answering.join(60)
        assert not answering.is_alive()
    assert _first(first) == []


def test_only_this_process_can_use_a_relay(engine: Path) -> None:
    del engine
    name = process.relay(BOX, "127.0.0.1", 1).name
    script = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1].replace('@', "
        "chr(0))); sys.exit(len(s.recv(1)))"
    )
    words = ["python3", "-c", script, f"@{name}"]
    assert subprocess.run(words, check=False).returncode == 0
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(f"host=@{name} port=1 dbname=x user=x connect_timeout=20")


def test_why_a_container_cannot_be_used_is_said(engine: Path) -> None:
    with pytest.raises(SourceUnreachable, match="does not show the container shop-db: no such"):
        process.image_of(BOX)
    (engine / "inspected").write_text('[{"State": {"Running": false}}]')
    for running in ("true", "false"):  # as docker and as podman say it
        paused = f'[{{"State": {{"Running": {running}, "Paused": true}}}}]'
        (engine / "inspected").write_text(paused)
        with pytest.raises(SourceUnreachable, match="is paused") as caught:
            process.image_of(BOX)
        assert "podman unpause shop-db" in caught.value.hint
    (engine / "inspected").write_text('[{"State": {"Running": false}}]')
    with pytest.raises(SourceUnreachable, match="the container shop-db of podman does not run"):
        process.image_of(BOX)
    (engine / "inspected").write_text(
        '[{"State": {"Running": true}, "ImageName": "postgres:17", "ImageDigest": "sha256:ab"}]'
    )
    assert process.image_of(BOX).facts == {"image": "postgres:17", "image_digest": "sha256:ab"}


def test_programs_of_a_container_are_found_by_their_version(engine: Path) -> None:
    for major in (15, 17):
        place = engine / f"pg/{major}"
        place.mkdir(parents=True)
        (place / "pg_dump").write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {major}.3'\n")
        (place / "pg_dump").chmod(0o755)
    found = programs_for(17, "pg_dump", bin_dir=str(engine / "pg/17"), inside=BOX)
    assert (found.version, found.path("pg_dump")) == ("17.3", str(engine / "pg/17/pg_dump"))
    with pytest.raises(
        ToolTooOld, match=r"pg_dump 15\.3 in the container shop-db of podman is older"
    ):
        programs_for(17, "pg_dump", bin_dir=str(engine / "pg/15"), inside=BOX)
    with pytest.raises(ToolMissing, match="there is no pg_dump in the container"):
        programs_for(17, "pg_dump", bin_dir="/nowhere", inside=BOX)


@pytest.mark.parametrize(
    ("dsn", "said"),
    [
        ("postgresql:///shop", "names no user"),
        ("postgresql://u@a,b/shop", "does not name one host"),
        ("postgresql://u@/shop?host=@abstract", "does not name one host"),
        ("postgresql://u@a/shop?sslmode=require", "has sslmode=require"),
    ],
)
def test_addresses_with_which_drd_cannot_connect_through_a_container(dsn: str, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        address_of(SecretRef("text", dsn), BOX)


def test_an_address_is_that_of_the_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", "/somewhere/else")
    monkeypatch.setenv("PGPASSWORD", "of this host")
    secret = tmp_path / "dsn"
    secret.write_text("postgresql://u:pass%20word@/shop")
    address = address_of(SecretRef("file", str(secret)), BOX)
    assert (address.params["host"], address.password) == ("/var/run/postgresql", "pass word")
    assert address.named.endswith("in the container shop-db of podman")
    assert write_password_file(address, tmp_path) == {"PGPASSWORD": "pass word"}
    assert "host=@:drd-" in address.dialled
    assert "pass" not in address.dialled


_PLAN = """\
plan: shop
objectives: {{rpo: 15m, rto: 30m}}
components:
  db: {{{component}, in: {inside}}}
repositories:
  primary: {{url: /srv/repo, password: {{credential: restic}}}}
"""
_DATABASE = "kind: postgres, dsn: postgresql://u@/shop"


@pytest.mark.parametrize(
    ("component", "inside", "said"),
    [
        ("kind: files, paths: [/etc]", "{container: a, engine: podman}", "kind files does not run"),
        (_DATABASE, "{container: -it, engine: podman}", "-it"),
        (_DATABASE, "{container: a, engine: lxc}", "lxc"),
        (_DATABASE, "{container: a}", "engine is missing"),
        ("kind: redis, url: 'rediss://h:1'", "{container: a, engine: docker}", "rediss:"),
        (
            "kind: valkey, url: 'redis://h:1', dir: /d, method: save",
            "{container: a, engine: docker}",
            "`save` does not work with `in`",
        ),
    ],
)
def test_plan_check_refuses_what_cannot_run_in_a_container(
    component: str, inside: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_of_text(_PLAN.format(component=component, inside=inside), Path("/x/shop.yaml"))
    assert said in str(caught.value.problems)


def test_a_kit_names_the_engine_and_the_image(engine: Path) -> None:
    text = _PLAN.format(component=_DATABASE, inside="{container: shop-db, engine: podman}")
    plan = plan_of_text(text, Path("/x/shop.yaml"))
    needs = KitPrograms().take(plan)
    assert needs == ("podman, with the container shop-db (this host does not know its image)",)
    (engine / "inspected").write_text(
        '[{"State": {"Running": true}, "ImageName": "postgres:17", "ImageDigest": "sha256:ab"}]'
    )
    needs = KitPrograms().take(plan)
    assert needs == ("podman, with the container shop-db of the image postgres:17, sha256:ab",)


def test_programs_of_mariadb_and_valkey_are_found_in_a_container(engine: Path) -> None:
    for name, said in (
        ("mariadb", "mariadb from 11.8.3-MariaDB, client 15.2"),
        ("redis-cli", "redis-cli 8.0.2"),
    ):
        (engine / name).write_text(f"#!/bin/sh\necho '{said}'\n")
        (engine / name).chmod(0o755)
    found = client(str(engine), BOX)
    assert (found.version, found.path, found.inside) == ("11.8.3", str(engine / "mariadb"), BOX)
    assert cli_program("valkey", str(engine), BOX) == str(engine / "redis-cli")
    with pytest.raises(ToolMissing, match="there is no mariadb of MariaDB in the container"):
        client("/nowhere", BOX)
    with pytest.raises(ToolMissing, match="there is no redis-cli in the container"):
        cli_program("redis", "/nowhere", BOX)


@pytest.mark.parametrize(
    ("dsn", "said"),
    [("mariadb:///shop", "names no user"), ("mariadb://u@h/shop?ssl=on", "asks for TLS")],
)
def test_addresses_of_mariadb_with_which_drd_cannot_connect_through_a_container(
    dsn: str, said: str
) -> None:
    with pytest.raises(SourceError, match=said):
        mariadb_address(SecretRef("text", dsn), BOX)


def test_databases_of_mariadb_in_a_container_are_read_from_what_a_script_prints() -> None:
    printed = "s/run/a.sock\n73686F70\ns/tmp/b.sock\nrefused\ns/tmp/c.sock\n"
    first, second, third = discovery_inside._servers(BOX, printed)
    assert (first.socket, first.refused) == ("/run/a.sock", False)
    assert [(one.name, one.is_empty) for one in first.databases] == [("shop", False)]
    assert (second.socket, second.databases, second.refused) == ("/tmp/b.sock", [], True)
    assert (third.databases, third.refused) == ([], False)
    assert list(discovery_inside._servers(BOX, "")) == []


_TWO = """\
plan: shop
objectives: {rpo: 15m, rto: 30m}
components:
  db: {kind: postgres, dsn: 'postgresql://drd@/shop', in: {container: shop-db, engine: podman}}
  other: {kind: postgres, dsn: 'postgresql://drd@/shop', in: {container: b, engine: docker}}
  carts: {kind: mariadb, dsn: 'mariadb://drd@/carts', in: {container: carts, engine: docker}}
repositories:
  primary: {url: /srv/repo, password: {credential: restic}}
"""


def test_rights_and_a_recovery_by_hand_name_the_container() -> None:
    components = plan_of_text(_TWO, Path("/x/shop.yaml")).components
    db, other, carts = components.values()
    logins = Logins("drd", "root")
    assert postgres_grants([db], {}, logins).program == (
        "podman exec -i shop-db psql -X -q -h /var/run/postgresql -p 5432 -d postgres "
        "-U postgres -f -"
    )
    with pytest.raises(NotSupported, match="cannot reach several PostgreSQL servers"):
        postgres_grants([db, other], {}, logins)
    assert "docker exec -i carts " in mariadb_grants([carts], {}, logins).program
    for component in components.values():
        first = by_hand_of(component.kind)(component, None, place="", resolve=str).passages[0]
        assert f"The plan restores {component.name} into the container" in first.text
        assert first.commands.startswith(f"fact {component.name} container")
