"""A real `drd daemon` on a site, ended with the test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
    """One daemon process and what it logs."""

    def __init__(self, site: Site, *, prefix: tuple[str, ...] = ()) -> None:
        self.site = site
        self.log = site.base / "daemon.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*prefix, *site.argv("daemon")],
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=site.env(),
                start_new_session=True,
            )

    def events(self, name: str = "") -> list[dict[str, Any]]:
        lines = self.log.read_text().splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return [e for e in found if name in ("", e["event"])]

    def reload(self) -> None:
        before = len(self.events("daemon.reloaded"))
        self.process.send_signal(signal.SIGHUP)
        until(lambda: len(self.events("daemon.reloaded")) > before, "the reload")

    def stop(self, number: signal.Signals = signal.SIGTERM, *, timeout_s: float = 60) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
        return self.process.wait(timeout_s)


@contextmanager
def daemon(site: Site, *, prefix: tuple[str, ...] = ()) -> Iterator[Daemon]:
    running = Daemon(site, prefix=prefix)
    try:
        until(lambda: bool(running.events("daemon.started")), "the daemon's start", running)
        yield running
    finally:
        try:
            running.stop()
        except subprocess.TimeoutExpired:
            os.killpg(running.process.pid, signal.SIGKILL)
            running.process.wait()
            raise


def until(
    done: Callable[[], Any], what: str, running: Daemon | None = None, *, within_s: float = 60
) -> Any:
    limit = time.monotonic() + within_s
    while not (found := done()):
        assert running is None or running.process.poll() is None, running.log.read_text()
        assert time.monotonic() < limit, f"waited in vain for {what}"
        time.sleep(0.05)
    return found


def quick_plan(
    site: Site, backup: str = "every: 2s", *, name: str = "shop", more: str = "", rpo: str = "60s"
) -> None:
    """A plan of one small tree."""
    body = QUICK.format(base=site.base, backup=backup, more=more)
    site.plan(body, name=name, rpo=rpo)


def rows(site: Site, what: str = "*", where: str = "1=1") -> list[tuple[Any, ...]]:
    """Of the runs, oldest first, by the file alone."""
    if not Path(f"{site.base}/state/drd.db").exists():
        return []
    return site.catalogue(f"select {what} from runs where {where} order by started_at, id")


def overlapping(site: Site) -> list[tuple[Any, ...]]:
    """Pairs of runs of one plan and kind that were carried out at the same time."""
    return site.catalogue(
        "select a.id, b.id from runs a join runs b on a.plan = b.plan and a.kind = b.kind"
        " and a.subject = b.subject and a.id < b.id"
        " where a.started_at < b.finished_at and b.started_at < a.finished_at"
    )
