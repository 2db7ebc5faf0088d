"""The copy of a server's log, beside the copy of the restore points: what the tests of all kinds of
log do and assert."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.e2e.copies import offsite_of
from tests.e2e.daemons import Daemon, until
from tests.e2e.logs import LONG, is_complete, log_of, recovered
from tests.e2e.site import PASSWORD, Site


def copy_of_log(site: Site) -> dict[str, Any]:
    copies = log_of(site).get("copies") or [{}]
    return dict(copies[0])


def await_copied(site: Site, running: Daemon, since: str) -> None:
    """Wait until everything that was committed before `since` is in the copy."""

    def copied() -> bool:
        copy = copy_of_log(site)
        return bool(copy.get("reachable")) and is_complete(copy, since)

    until(copied, "the copy of the log", running, **LONG)


def kill_while_copying(running: Daemon) -> None:
    """Kill the receiver, with SIGKILL, while restic copies for it, and wait for another one."""
    started = running.events("receiver.started")
    receiver = started[-1]["pid"]
    end = time.monotonic() + LONG["within_s"]
    while not _copies(receiver):
        assert time.monotonic() < end, "restic has copied nothing"
        time.sleep(0.01)
    os.kill(receiver, signal.SIGKILL)

    def another() -> bool:
        return len(running.events("receiver.started")) > len(started)

    until(another, "another receiver", running, **LONG)


def _copies(parent: int) -> bool:
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            ours = f"\nPPid:\t{parent}\n" in (place / "status").read_text()
            words = (place / "cmdline").read_bytes().split(b"\0")
            if ours and b"copy" in words and words[0].endswith(b"restic"):
                return True
    return False


def hide(site: Site) -> None:
    """Make the copies unreachable."""
    offsite_of(site).parent.rename(site.base / "away")


def show(site: Site) -> None:
    (site.base / "away").rename(offsite_of(site).parent)


def await_trouble(site: Site, running: Daemon) -> None:
    until(lambda: copy_of_log(site).get("trouble"), "the trouble of the copy", running, **LONG)


def destroy_main(site: Site) -> None:
    for place in (site.repository, f"{site.repository}-wal"):
        shutil.rmtree(place)


def assert_a_wrong_log_is_read_from_the_copy(site: Site, *, last: str) -> None:
    """The main repository delivers its log, and only the kind sees that it is not the server's."""
    _store_wrong_logs(site)
    to = ("recover", "shop", "--target", "standby", "--overwrite", "--no-undo", "--yes")
    done = site.drd(*to, "--to-last", "--json")
    assert {c["name"]: c["observed"] for c in done.json["checks"]}["orders"] == last
    said = " ".join(done.err.split())
    assert "drd reads the log of server from repository offsite" in said
    assert "drd could not use the log in repository primary" in said
    refused = site.drd(*to, "--to-last", "--repository", "primary", code=None)
    assert refused.code != 0
    assert "--point ID" in refused.err


def _store_wrong_logs(site: Site) -> None:
    """Store each snapshot of the log again, with other data in the middle of its largest files:
    segments of WAL are all of one size, and a recovery needs only those since the base backup."""
    there = ["restic", "-r", f"{site.repository}-wal", "--no-cache"]
    around = {**os.environ, "RESTIC_PASSWORD": PASSWORD}

    def restic(*words: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            [*there, *words], capture_output=True, env=around, cwd=cwd, check=True, text=True
        )
        return done.stdout

    for snapshot in json.loads(restic("snapshots", "--json")):
        log = site.base / "wrong" / snapshot["id"][:8]
        restic("restore", snapshot["id"], "--target", str(log))
        sizes = {f: f.stat().st_size for f in log.rglob("*") if f.is_file()}
        for largest in [f for f, size in sizes.items() if size == max(sizes.values())]:
            data = bytearray(largest.read_bytes().rstrip(b"\0"))
            middle = len(data) // 2
            data[middle : middle + 64] = bytes(byte ^ 0xFF for byte in data[middle : middle + 64])
            largest.write_bytes(data.ljust(sizes[largest], b"\0"))
        tags = [word for tag in snapshot["tags"] for word in ("--tag", tag)]
        restic("backup", "--host", snapshot["hostname"], *tags, ".", cwd=log)
        restic("forget", snapshot["id"])


def assert_all_is_told_of_the_copy(site: Site) -> None:
    shown = site.drd("points", "shop", "--repository", "offsite").out
    assert "server can be recovered to any time from 20" in shown
    assert "server can be recovered from offsite alone" in site.drd("points", "shop").out
    unknown = site.drd("points", "shop", "--repository", "other", code=2).err
    assert "offsite, primary" in unknown
    said = " ".join(site.drd("doctor", "shop", code=None).out.split())
    assert "drd copies the log of server to repository offsite" in said
    plan = site.drd("status", "shop", "--json", code=None).json["plans"][0]
    [copy] = plan["copies"]
    component = plan["components"][0]
    newest = site.drd("points", "shop", "--json").json["points"][0]["data_time"]
    assert newest < copy["data_time"] <= component["data_time"]


def assert_recovered_from_the_copy(site: Site, before: str, *, orders: str, last: str) -> None:
    """With the main repository gone, the copy alone leads to each transaction: named, or because
    nothing else is left."""
    named = ("--repository", "offsite")
    assert recovered(site, *named, "--before", before)[0] == orders
    assert recovered(site, *named, "--to-last")[0] == last
    assert recovered(site, "--to-last")[0] == last
