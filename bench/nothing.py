"""Runs that do nothing, for measuring the daemon: executed here, in the bench's process.

The daemon starts a process for each, which only reports the run to us and waits. The catalogue's
own code claims the run and records its outcome, as in `drd worker`.
"""

from __future__ import annotations

import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drd.catalogue.sql_catalogue import SqlCatalogue
    from drd.model.plan import Plan
    from drd.model.run import Run
    from drd.model.snapshot import RestorePoint

ASK = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(sys.argv[2].encode() + b"\\n")
s.recv(1)
"""
"""The program that replaces a worker: the smallest that Python can start."""

_DAEMON = """
import sys
from drd.daemon import workers
workers.PROGRAM = (sys.executable, "-IS", "-c", {ask!r}, {socket!r})
from drd.cli.main import main
sys.exit(main(["daemon"]))
"""


def daemon_argv(socket: Path) -> list[str]:
    """Return `drd daemon` with another command for runs."""
    return [sys.executable, "-c", _DAEMON.format(ask=ASK, socket=str(socket))]


@contextmanager
def served(socket: Path, url: str, plan: Plan) -> Iterator[None]:
    """Execute every requested run; all plans are like `plan`."""
    from drd.catalogue.sql_catalogue import open_catalogue

    catalogue = open_catalogue(url, create=False)

    class Asked(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            carry_out(catalogue, plan, self.rfile.readline().decode().strip())

    with socketserver.UnixStreamServer(str(socket), Asked) as server:
        server.request_queue_size = 64
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            catalogue.close()


def carry_out(catalogue: SqlCatalogue, plan: Plan, run: str) -> None:
    from drd.model.run import RunKind, RunState
    from drd.model.run_details import ReadinessDetail

    found = catalogue.runs.get(run)
    mine = _named(plan, found)
    began = datetime.now(UTC)
    owned = catalogue.runs.begin(
        mine, found.kind, trigger=found.trigger, at=began, subject=found.subject,
        claim=run,
    )  # fmt: skip
    if found.kind is RunKind.BACKUP:
        catalogue.points.record(_point(mine, run, began), owned=owned)
    looked = found.kind is RunKind.READINESS
    detail = ReadinessDetail(findings=()) if looked else None
    catalogue.runs.finish(owned, RunState.SUCCEEDED, at=datetime.now(UTC), detail=detail)


def _named(plan: Plan, run: Run) -> Plan:
    from dataclasses import replace

    return replace(plan, name=run.plan, digest=run.plan_digest)


def _point(plan: Plan, run: str, at: datetime) -> RestorePoint:
    from drd.model.snapshot import ComponentSnapshot, RestorePoint

    return RestorePoint(
        id=run,
        plan=plan.name,
        data_time=at,
        available_at=datetime.now(UTC),
        complete=True,
        plan_digest=plan.digest,
        components=tuple(
            ComponentSnapshot(
                c.name, c.kind, "captured", data_time=at, snapshot="0" * 64, bytes=5_000,
                added_bytes=100, duration_s=0.0,
            )
            for c in plan.components.values()
        ),
        repositories={"primary": "0" * 64},
    )  # fmt: skip
