"""A real `drd daemon` on a site, ended with the test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests import warm
from tests.e2e.site import Site

QUICK = """
components:
  conf: {{kind: files, paths: [{base}/etc]}}
checks:
  - {{name: configuration, kind: files, component: conf}}
backup: {{{backup}}}
{more}
"""


class Daemon:
    """One daemon process and what it and its workers log, after what those before it did."""

    def __init__(self, site: Site, *, cold: bool = False) -> None:
        self.site = site
        self.log = site.base / "daemon.log"
        with self.log.open("ab") as log:
            self._before = log.tell()
            self.process = warm.start(["daemon"], env=site.env(), log=log.fileno(), cold=cold)

    def events(self, name: str = "") -> list[dict[str, Any]]:
        text = self.log.read_bytes()[self._before :].decode()
        found = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        return [e for e in found if name in ("", e["event"])]

    def is_started(self) -> bool:
        return bool(self.events("daemon.started"))

    def reload(self) -> None:
        before = len(self.events("daemon.reloaded"))
        self.process.send_signal(signal.SIGHUP)
        until(lambda: len(self.events("daemon.reloaded")) > before, "the reload")

    def stop(self, number: signal.Signals = signal.SIGTERM, *, timeout_s: float = 60) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
        return self.process.wait(timeout_s)

    def end(self) -> None:
        """Stop it, as gently as it lets us."""
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@contextmanager
def daemon(site: Site, *, cold: bool = False) -> Iterator[Daemon]:
    running = Daemon(site, cold=cold)
    try:
        until(running.is_started, "the daemon's start", running)
        yield running
    finally:
        running.end()


def until(
    done: Callable[[], Any], what: str, running: Daemon | None = None, *, within_s: float = 60
) -> Any:
    limit = (asked_at := time.monotonic()) + within_s
    while not (found := done()):
        took_s = time.monotonic() - asked_at
        assert running is None or running.process.poll() is None, running.log.read_text()
        assert time.monotonic() < limit, f"waited in vain for {what}: {done()}"
        time.sleep(max(0.05, 4 * took_s))
        asked_at = time.monotonic()
    return found


def quick_plan(
    site: Site, backup: str = "every: 2s", *, name: str = "shop", more: str = "", rpo: str = "60s"
) -> None:
    """A plan of one small tree."""
    body = QUICK.format(base=site.base, backup=backup, more=more)
    site.plan(body, name=name, rpo=rpo)


def rows(site: Site, what: str = "*", where: str = "1=1") -> list[tuple[Any, ...]]:
    """Of the runs, by the file alone: oldest first, and those that nobody began yet last."""
    if not Path(f"{site.base}/state/drd.db").exists():
        return []
    return site.catalogue(
        f"select {what} from runs where {where} order by started_at is null, started_at, id"
    )


def overlapping(site: Site) -> list[tuple[Any, ...]]:
    """Pairs of runs of one plan and kind that were carried out at the same time."""
    return site.catalogue(
        "select a.id, b.id from runs a join runs b on a.plan = b.plan and a.kind = b.kind"
        " and a.subject = b.subject and a.id < b.id"
        " where a.started_at < b.finished_at and b.started_at < a.finished_at"
    )


class WallClock:
    """The clock of drd in a site, also of what runs already. restic, a Go program, does not see
    it."""

    def __init__(self, site: Site) -> None:
        # One file for all tests of this process, whose drd is then forked from one interpreter.
        self.file = Path(os.environ["DRD_TEST_RUN"]) / f"clock-{os.getpid()}"
        [library] = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
        self.set(0)
        site.environment |= {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            # A fork inherits what its parent has kept for up to a second: a clock set before it.
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Else each thread that waits for Python's lock asks for the time again and again.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }

    def set(self, ahead_s: int) -> None:
        """To so many seconds ahead of the true time."""
        self._ahead = timedelta(seconds=ahead_s)
        there = self.file.with_suffix(".new")
        there.write_text(f"{ahead_s:+d}\n")
        there.replace(self.file)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead


def early(site: Site, every_s: Mapping[tuple[str, str], float]) -> list[tuple[Any, ...]]:
    """Runs that the schedule began before their time: less than `every_s` of their plan and kind
    after the one before. Retries, and what people start, have times of their own."""
    found = []
    for (plan, kind), period_s in every_s.items():
        began = rows(
            site,
            "id, julianday(started_at) * 86400, trigger",
            f"started_at is not null and plan = '{plan}' and kind = '{kind}'",
        )
        found += [
            (run, plan, kind, at - before)
            for (_, before, _), (run, at, trigger) in pairwise(began)
            if trigger in ("schedule", "catch-up") and at - before < period_s - 0.01
        ]
    return found


# --- what is told, and disks ----------------------------------------------------------------


def tell_a_script(site: Site) -> Path:
    """A channel that writes every message to the file returned."""
    told = site.base / "told"
    config = site.base / "drd.yaml"
    config.write_text(
        f'{config.read_text()}notify:\n  - {{kind: exec, command: [sh, -c, "cat >> {told}"]}}\n'
    )
    return told


def text_of(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


# --- who works for a site -------------------------------------------------------------------


def workers(site: Site) -> list[int]:
    """Processes that carry out a run of the daemon's."""
    return sorted(p for p, words in site.processes().items() if " -m drd worker " in words)


def children(site: Site) -> list[int]:
    """What those started: restic, servers of sandboxes."""
    return sorted(p for p, words in site.processes().items() if " -m drd " not in words)


# --- what the catalogue claims --------------------------------------------------------------


def unkept(site: Site, *plans: str) -> list[str]:
    """What the catalogue says is there and restic does not list: points, and backups that
    succeeded. For plans with local repositories."""
    found = []
    for plan in plans:
        claimed = site.catalogue(
            "select p.id, r.manifest from points p join point_repositories r on r.point = p.id"
            " where p.plan = ? and p.forgotten_at is null",
            plan,
        )
        listed = _listed(site, plan)
        found += [
            f"point {point} of {plan}" for point, manifest in claimed if manifest not in listed
        ]
        found += [
            f"the point of run {run} of {plan}"
            for (run,) in site.catalogue(
                "select id from runs where plan = ? and kind = 'backup' and state = 'succeeded'"
                " and id not in (select id from points)",
                plan,
            )
        ]
    return found


def unsealed(site: Site, *plans: str) -> list[str]:
    """Snapshots that belong to no restore point, of runs that are over."""
    found = []
    for plan in plans:
        over = {run for (run,) in rows(site, "id", "finished_at is not null")}
        by_run: dict[str, list[dict[str, Any]]] = {}
        for snapshot in _listed(site, plan).values():
            [run] = [t[4:] for t in snapshot["tags"] if t.startswith("run:")]
            if "component:drd" not in snapshot["tags"]:
                by_run.setdefault(run, []).append(snapshot)
        found += [
            f"{len(snapshots)} snapshots of run {run} of {plan}"
            for run, snapshots in by_run.items()
            if run in over and not any("manifest" in s["tags"] for s in snapshots)
        ]
    return found


def _listed(site: Site, plan: str) -> dict[str, dict[str, Any]]:
    text = (site.base / f"plans/{plan}.yaml").read_text()
    url = next(w.split("url:")[1].strip() for w in text.splitlines() if "url:" in w)
    listed = site.restic("-r", url, "--no-lock", "snapshots", "--json", "--host", plan)
    return {s["id"]: s for s in json.loads(listed)}
