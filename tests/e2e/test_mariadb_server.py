"""A whole MariaDB server from backup to recovery: all that it has comes back, also by hand, and
nothing of it reaches out."""

from __future__ import annotations

import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drd.config.plan_file import plan_of_text
from drd.kinds.mariadb.physical.settings import ServerTarget
from drd.kinds.registry import by_hand_of
from drd.kit import stops_by_hand
from drd.kit.document import Commands
from tests.e2e.site import Site
from tests.e2e.test_docs import commands, section
from tests.e2e.test_mariadb_kind import bash
from tests.servers import MariadbServer, mariadb_server, short_directory

PLAN = """
components:
  server: {{kind: mariadb-server, dsn: {dsn}, data_dir: {data}, fingerprint: digest}}
targets:
  standby: {{server: {{data_dir: {back}}}}}
checks:
  - {{name: rows as at backup, kind: rows, component: server}}
  - {{name: orders, kind: sql, component: server, query: select count(*) from orders, expect: 300}}
  - {{name: people, kind: sql, component: server, database: 'the people',
     query: select sum(n) from people, expect: within 1%}}
"""

SHOP = """
create table orders (n int primary key)
insert into orders select seq from seq_1_to_300
create table notes (n int) engine=aria
insert into notes values (1), (2)
create table old (n int) engine=myisam
insert into old values (7)
create table seats (n int) engine=memory
insert into seats values (1)
create view views as select * from orders
create sequence numbers
create procedure twice() select 2
create trigger t before insert on orders for each row set new.n = new.n + 1
create event e on schedule every 1 second do insert into notes values (3)
create user clerk@localhost identified by 'secret'
grant select on shop.* to clerk@localhost
create database `the people`
create table `the people`.people as select seq as n from seq_1_to_9
insert into mysql.plugin values ('elsewhere', 'elsewhere.so')
"""


@pytest.fixture(scope="module")
def server() -> Iterator[MariadbServer]:
    with (
        short_directory(Path(os.environ["DRD_TEST_RUN"])) as base,
        mariadb_server(base / "m", options=("--log-bin=log", "--server-id=7")) as server,
    ):
        server.execute("create database shop")
        server.execute(*SHOP.strip().splitlines(), database="shop")
        yield server


@pytest.fixture
def site(server: MariadbServer, short_tmp: Path) -> Site:
    site = Site(short_tmp / "s")
    back = short_tmp / "back"
    back.mkdir()
    owner = (server.directory / "data").stat()
    os.chown(back, owner.st_uid, owner.st_gid)
    data = server.directory / "data"
    site.plan(PLAN.format(dsn=server.dsn("shop"), data=data, back=back / "data"))
    return site


def _ask(server: MariadbServer, sql: str) -> list[object]:
    return [value for (value,) in server.execute(sql, database="shop")]


def test_everything_of_a_server_comes_back_in_an_empty_directory(
    server: MariadbServer, site: Site, short_tmp: Path
) -> None:
    doctor = " ".join(site.drd("doctor", "shop").out.split())
    assert "the login may copy and read the whole server" in doctor
    made = site.drd("backup", "shop", "--json").json["components"][0]
    assert made["bytes"] > 10 << 20
    again = site.drd("backup", "shop", "--json").json["components"][0]
    assert again["added_bytes"] < made["bytes"] / 10  # the directory deduplicates
    server.execute("delete from `the people`.people where n = 9")  # the drill has the backup's
    drilled = " ".join(site.drd("drill", "shop").out.split())
    assert "0 differ" in drilled
    assert "a table of the engine MEMORY" in drilled
    assert "elsewhere" in drilled
    server.execute("insert into `the people`.people values (9)")
    told = " ".join(site.drd("recover", "shop", "--target", "standby", "--yes").out.split())
    assert "1 enabled event will run" in told
    with mariadb_server(short_tmp / "back") as restored:
        _assert_as_it_was(restored)
    assert (short_tmp / "back/data/ibdata1").exists()
    site.assert_clean()
    _assert_back_by_hand(site, server, short_tmp / "back/by-hand")


def _assert_as_it_was(restored: MariadbServer) -> None:
    assert _ask(restored, "select count(*) from orders") == [300]
    assert _ask(restored, "select sum(n) from notes") == [3]
    assert _ask(restored, "select n from old") == [7]
    assert _ask(restored, "select count(*) from seats") == [0]
    assert _ask(restored, "select count(*) from views") == [300]
    assert _ask(restored, "call twice()") == [2]
    assert _ask(restored, "select next value for numbers") == [1]
    assert _ask(restored, "select sum(n) from `the people`.people") == [45]
    assert _ask(restored, "select event_name from information_schema.events") == ["e"]
    assert _ask(restored, "select trigger_name from information_schema.triggers") == ["t"]
    assert any("`clerk`" in str(g) for g in _ask(restored, "show grants for clerk@localhost"))


def _assert_back_by_hand(site: Site, server: MariadbServer, directory: Path) -> None:
    """The printed commands bring the same back, and compare it. A later shell finds the server that
    they started, and ends it."""
    file = site.base / "plans/shop.yaml"
    component = plan_of_text(file.read_text(), file).components["server"]
    target = ServerTarget.model_validate({"data_dir": str(directory)})
    printed = by_hand_of("mariadb-server")(component, target, place="", resolve=str)
    script = "\n".join(p.commands for p in printed.passages)
    later = "\n".join(p.commands for p in printed.passages if p.always)
    if server.user is not None:
        script, later = (
            text.replace("mysql -- ", "nobody -- ")
            .replace("-u mysql", "-u nobody")
            .replace("chown -R mysql:", "chown -R nobody:")
            for text in (script, later)
        )
    page = "docs/recovery-without-drd.md"
    opened = "\n".join(commands(page, section(page, n)) for n in "12")
    seen = f"{printed.ask} 'select count(*) from views'"
    facts = "fact server binlog_file; fact server gtid_binlog_pos"
    elsewhere = f"{printed.database}='the people' {printed.ask} 'select sum(n) from people'"
    said = bash(f"{opened}\n{script}\n{elsewhere}\n{seen}\n{facts}", site, COMPONENT="server")
    assert "\n45\n" in said
    assert "shop.orders: 300 rows" in said
    assert "log.000001\n0-7-" in said
    _, function = stops_by_hand.begin("shop", {"server": printed})
    assert isinstance(function, Commands)
    here = 'KIT=$PWD/kit; mkdir -p kit/recovered; ln -sfn "$PWD" kit/recovered/shop'
    ended = "stop_servers; kill -0 $SERVER 2>/dev/null || echo the server has ended; stop_servers"
    closed = "stat -c %a $RUN"
    said = bash(
        f"{opened}\n{later}\n{elsewhere}\n{here}\n{function.text}\n{closed}\n{ended}",
        site,
        COMPONENT="server",
    )
    assert said.splitlines()[-3:] == ["45", "700", "the server has ended"]
    said = bash(f"{opened}\n{later}\n{elsewhere}\nstop_server\n{closed}", site, COMPONENT="server")
    assert said.splitlines()[-2:] == ["45", "700"]  # started anew


OPENED = {
    ".": 0o750, "mysql": 0o750, "shop": 0o755, "ibdata1": 0o660, "shop/orders.ibd": 0o640
}  # fmt: skip


def test_a_server_is_recovered_in_place_and_back(server: MariadbServer, site: Site) -> None:
    site.drd("backup", "shop")
    server.execute("delete from shop.orders where n > 100")
    here = ("recover", "shop", "--in-place", "--overwrite", "--yes")
    refused = site.drd(*here, code=1)
    assert "must end before drd replaces" in refused.err
    server.stop()
    data = server.directory / "data"
    for name, mode in OPENED.items():
        (data / name).chmod(mode)
    done = site.drd(*here, "--json").json
    assert done["result"] == "passed"
    modes = {name: stat.S_IMODE((data / name).stat().st_mode) for name in OPENED}
    assert modes == OPENED, "who could read the files of before can read these"
    server.start()
    assert _ask(server, "select count(*) from orders") == [300]
    running = site.drd("undo", done["run"], "--yes", code=1)
    assert "a MariaDB server runs in" in running.err
    server.stop()
    site.drd("undo", done["run"], "--yes")
    server.start()
    assert _ask(server, "select count(*) from orders") == [100]
    server.stop()
    site.drd("undo", done["run"], "--redo", "--yes")
    site.drd("done", done["run"], "--yes")
    server.start()
    assert _ask(server, "select count(*) from orders") == [300]
    assert [p.name for p in server.directory.iterdir() if "drd" in p.name] == []
    site.assert_clean()


def _killed_when(site: Site, seen: Callable[[], object], *words: str) -> None:
    """Kill a command as soon as something is there."""
    started = site.start(*words)
    end = time.monotonic() + 120
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.005)
    started.send_signal(signal.SIGKILL)
    assert started.wait(60) == -signal.SIGKILL


@pytest.mark.kills
def test_what_dies_in_the_middle_leaves_nothing_and_goes_on(
    server: MariadbServer, site: Site, short_tmp: Path
) -> None:
    work = site.base / "work"
    _killed_when(site, lambda: list(work.glob("run-*/*/copy/data/ibdata1")), "backup", "shop")
    server.execute("create table shop.later (n int)", "drop table shop.later")  # nothing is locked
    site.drd("backup", "shop")
    back = short_tmp / "back"
    # For root, what lands is one directory further down.
    running = (".drd_*/tree/server/data", ".drd_*/server/data")
    there = ("recover", "shop", "--target", "standby", "--yes")
    _killed_when(site, lambda: [p for g in running for p in back.glob(g)], *there)
    assert not (back / "data").exists()
    (run,) = [r["run"] for r in site.runs() if r["kind"] == "recovery"]
    site.drd("resume", run, "--yes")
    assert [p.name for p in back.iterdir()] == ["data"]
    _killed_when(site, lambda: list(work.glob("run-*/*/server/data/ibtmp1")), "drill", "shop")
    assert "passed" in site.drd("drill", "shop").out
    site.assert_clean()
