"""Instant drills of a whole PostgreSQL server: it starts on the mounted restore point, and reads
what the checks ask for."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drd.process.mounts import mounted
from drd.process.private import root_place
from tests import light_repository
from tests.e2e.copies import OFFSITE_PASSWORD, offsite_of, write_plan
from tests.e2e.site import Site
from tests.servers import PostgresServer, postgres_server, short_directory
from tests.user_support import as_root

pytestmark = as_root

PLAN = """
components:
  server: {{kind: postgres-cluster, dsn: "{dsn}"}}
drill: {{restore: instant, every: 7d}}
checks:
  - {{name: orders, kind: sql, component: server, query: "{query}", expect: "300"}}
"""
QUERY = "select count(*) from orders"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with (
        short_directory(Path(os.environ["DRD_TEST_RUN"])) as base,
        postgres_server(base / "pg") as server,
    ):
        (server.directory / "fast").mkdir()
        owner = server.data_dir.stat()
        os.chown(server.directory / "fast", owner.st_uid, owner.st_gid)
        server.execute(f"create tablespace fast location '{server.directory}/fast'")
        server.execute("create database shop")
        server.execute(
            "create table orders tablespace fast as select g as n from generate_series(1, 300) g;"
            "create table never_asked as select repeat('x', 1000) from generate_series(1, 20000)",
            "shop",
        )
        yield server


@pytest.fixture(scope="module")
def proven(server: PostgresServer) -> Iterator[Site]:
    """A site whose plan has had its whole drill: the next ones are instant."""
    with short_directory(Path(os.environ["DRD_TEST_RUN"])) as base:
        site = Site(base / "s")
        _write(site, server)
        site.drd("backup", "shop")
        done = site.drd("drill", "shop", "--json").json
        assert done["rta_s"] is not None
        assert done["instant"] is None
        assert "no whole restore of this plan has passed yet" in _row(done, "restores everything")
        yield site


def _write(site: Site, server: PostgresServer, query: str = QUERY) -> None:
    site.plan(PLAN.format(dsn=server.dsn("shop"), query=query))


def _row(document: dict[str, object], name: str) -> str:
    rows = document["checks"]
    assert isinstance(rows, list)
    return str(next(r["observed"] for r in rows if name in r["name"]))


def _ours(site: Site) -> list[str]:
    """Mounts of this site's instant drills: other tests drill at the same time."""
    places = (Path(m.place) for m in mounted() if m.source == "drd-instant")
    ours = (site.base, root_place(site.base / "work"))
    return [str(place) for place in places if any(map(place.is_relative_to, ours))]


def _servers(site: Site) -> list[str]:
    """Mounts over which a server runs."""
    there = "changes/data/postmaster.pid"
    return [place for place in _ours(site) if (Path(place).parent / there).exists()]


def _killed_when(site: Site, seen: Callable[[], object], *, with_mounter: bool = False) -> None:
    """Kill a drill as soon as something is there."""
    started = site.start("drill", "shop")
    _wait(seen)
    if with_mounter:
        assert _kill(started.pid, "instant/program.py")
    started.send_signal(signal.SIGKILL)
    assert started.wait(60) == -signal.SIGKILL


def _kill(parent: int, words: str) -> bool:
    """Kill the children of a process that have these words in their command line."""
    found = False
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            argv = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if words in argv and f"\nPPid:\t{parent}\n" in (entry / "status").read_text():
                os.kill(int(entry.name), signal.SIGKILL)
                found = True
    return found


def _wait(ready: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_an_instant_drill_reads_what_is_asked_for_and_says_how_much(proven: Site) -> None:
    done = proven.drd("drill", "shop", "--json").json
    assert done["result"] == "passed"
    assert done["rta_s"] is None
    instant = done["instant"]
    [reading] = instant["readings"]
    assert 0 < reading["share"] < 0.6  # without the table of 20 MB that nobody asked for
    assert reading["whole_bytes"] - reading["read_bytes"] > 20 << 20
    assert instant["projected_rta_s"] > 0
    unread = _row(done, "all files of server are as at backup")
    assert "of the other files it compared only names and sizes" in unread
    assert _row(done, "orders") == "300"
    shown = proven.drd("evidence", "show", done["evidence"]).out
    assert "not measured: computed from this drill and the whole drill" in " ".join(shown.split())
    status = proven.drd("status", "shop", "--json").json
    [plan] = status["plans"]
    assert plan["rto"]["actual_s"] is not None  # of the whole drill
    points = proven.drd("points", "shop", "--json").json["points"]
    assert points[0]["proven_by"] != done["evidence"]
    assert _ours(proven) == []
    proven.assert_clean()


def test_a_killed_drill_leaves_no_mount_no_program_and_no_overlay(proven: Site) -> None:
    _killed_when(proven, lambda: _ours(proven))
    _wait(lambda: not _ours(proven))  # the mounter notices it
    _killed_when(proven, lambda: _servers(proven))
    _wait(lambda: not _ours(proven))
    _killed_when(proven, lambda: _servers(proven), with_mounter=True)
    assert _ours(proven)  # nobody is left who could
    done = proven.drd("drill", "shop").out
    assert "instant drill, checks answered" in done
    assert _ours(proven) == []
    proven.assert_clean()


def test_an_instant_drill_reads_from_the_copy_what_is_damaged_in_the_first_repository(
    server: PostgresServer, short_tmp: Path
) -> None:
    """The damage shows only when the files are read: the mount itself is sound."""
    site = _copied(server, short_tmp, QUERY)
    for pack in _data_packs(site):
        pack.chmod(0o600)
        pack.write_bytes(pack.read_bytes().translate(_OTHER))
    done = site.drd("drill", "shop", "--json").json
    assert (done["result"], bool(done["instant"])) == ("passed", True)
    assert _row(done, "server can be fetched from repository primary")
    assert _ours(site) == []
    told = " ".join(site.drd("status", "shop", code=None).out.split())
    assert "primary" in told
    assert "damaged" in told
    site.assert_clean(settled=False)


def test_a_check_that_meets_damage_is_repeated_with_the_copy(
    server: PostgresServer, short_tmp: Path
) -> None:
    """The server starts on sound files; only the table that a check asks for is damaged."""
    asked = "select 300 from (select count(repeat) from never_asked) as counted"
    site = _copied(server, short_tmp, asked)
    _damage_table(site, server, "never_asked")
    done = site.drd("drill", "shop", "--json").json
    assert (done["result"], bool(done["instant"])) == ("passed", True)
    assert _row(done, "orders") == "300"
    assert _row(done, "server can be fetched from repository primary")
    assert _ours(site) == []
    told = " ".join(site.drd("status", "shop", code=None).out.split())
    assert "damaged" in told
    offsite_of(site).rename(site.base / "away")
    alone = site.drd("drill", "shop", "--json", code=None).json
    assert alone["result"] == "failed", alone
    assert _ours(site) == []
    site.assert_clean(settled=False)


def _copied(server: PostgresServer, base: Path, query: str) -> Site:
    """A site with a copy, whose plan has had its whole drill."""
    site = Site(base)
    offsite_of(site).parent.mkdir()
    light_repository.begin(offsite_of(site), OFFSITE_PASSWORD)
    body = PLAN.format(dsn=server.dsn("shop"), query=query)
    write_plan(site, body.replace("{", "{{").replace("}", "}}"))
    site.drd("backup", "shop")
    site.drd("copy", "shop")
    assert site.drd("drill", "shop", "--json").json["rta_s"] is not None
    return site


def _damage_table(site: Site, server: PostgresServer, table: str) -> None:
    """Damage what the repository has of this table and of no other file."""
    path = server.execute(f"select pg_relation_filepath('{table}')", "shop")[0][0]
    uses: dict[str, set[bool]] = {}
    for blobs, ours in _files(site, str(path)):
        for blob in blobs:
            uses.setdefault(blob, set()).add(ours)
    damaged = 0
    for file, blobs in _packs(site):
        data = bytearray(file.read_bytes())
        for blob in blobs:
            if uses.get(blob["id"]) == {True}:
                there = slice(blob["offset"], blob["offset"] + blob["length"])
                data[there] = data[there].translate(_OTHER)
                damaged += 1
        file.chmod(0o600)
        file.write_bytes(data)
    assert damaged


def _files(site: Site, path: str) -> Iterator[tuple[list[str], bool]]:
    """The blobs of each file in the repository, and whether it is this one."""
    waiting = [s["tree"] for s in json.loads(site.restic("snapshots", "--json"))]
    name = Path(path).name
    while waiting:
        for node in json.loads(site.restic("cat", "blob", waiting.pop()))["nodes"]:
            if node["type"] == "dir":
                waiting.append(node["subtree"])
            elif node["type"] == "file":
                yield node.get("content") or [], node["name"] == name


_OTHER = bytes(255 - byte for byte in range(256))


def _data_packs(site: Site) -> list[Path]:
    """The files of the repository that have data of files, and no directories."""
    found = [file for file, blobs in _packs(site) if {b["type"] for b in blobs} == {"data"}]
    assert found
    return found


def _packs(site: Site) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """Each file of the repository with data, and the blobs in it."""
    for index in site.restic("list", "index").split():
        for pack in json.loads(site.restic("cat", "index", index))["packs"]:
            yield Path(site.repository, "data", pack["id"][:2], pack["id"]), pack["blobs"]


def test_a_drill_whose_repository_is_not_served_any_more_is_inconclusive(proven: Site) -> None:
    started = proven.start("drill", "shop", "--json")
    _wait(lambda: _ours(proven))
    assert _kill(started.pid, "--owner-root")
    code = started.wait(120)
    newest = proven.drd("evidence", "list", "shop", "--json").json["evidence"][0]
    assert (code, newest["result"]) == (5, "inconclusive"), newest
    assert "was not readable until the end of the drill" in newest["reason"]
    assert _ours(proven) == []
    assert "passed" in proven.drd("drill", "shop").out
    proven.assert_clean()
