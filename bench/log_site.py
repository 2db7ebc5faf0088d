"""A place whose server's WAL drd receives: a plan, a load by pgbench, and what arrived when."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import measure
from bench.workshop import Workshop
from drd.model.log import batch_of
from tests.servers import PostgresServer
from tests.servers.child import tied_to_us

PLAN = "log"
LOAD = "load"
_CLIENTS, _SCALE = 4, 3
_WITHIN_S = 300.0

_MORE = """\
backup: {{every: 24h}}
drill: {{every: 30d}}
checks:
  - {{name: markers, kind: sql, component: server, database: {load},
      query: select count(*) from markers, expect: ">= 0"}}
targets: {{standby: {{server: {{data_dir: "{back}"}}}}}}
"""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A snapshot of the log: at `at` it was in the repository, with the log up to `end`."""

    at: float
    end: int


class LogSite:
    """One plan with a log, in a place of its own, so that its daemon looks after nothing else."""

    def __init__(self, home: Path, server: PostgresServer, every: str) -> None:
        home.mkdir()
        self.workshop = Workshop(home, server)
        self.server = server
        server.execute("alter system set max_slot_wal_keep_size = '8GB'")
        server.execute("select pg_reload_conf()")
        server.execute(f"drop database if exists {LOAD} with (force)")
        server.execute(f"create database {LOAD}")
        filling = self._pgbench("-i", "-q", "-s", str(_SCALE))
        measure.run(filling, self.workshop.environment)
        server.execute("create table markers (n int primary key)", LOAD)
        self.repository = self.workshop.new_repository()
        dsn = self.workshop.conninfo.replace("dbname=shop", "dbname=postgres")
        self.workshop.write_plan(
            PLAN,
            self.repository,
            f'server: {{kind: postgres-cluster, dsn: "{dsn}", checkpoint: fast, incremental: off, '
            f"wal: {{every: {every}}}}}",
            _MORE.format(load=LOAD, back=home / "back"),
        )

    def _pgbench(self, *words: str) -> list[str]:
        return self.workshop.client("pgbench", *words, LOAD)

    @contextmanager
    def load(self, per_s: int) -> Iterator[None]:
        """Keep so many transactions of pgbench a second going."""
        words = self._pgbench(
            "-n", "-c", str(_CLIENTS), "-T", "36000", "--rate", str(per_s), "-M", "prepared"
        )
        with self.started(words):
            yield

    @contextmanager
    def started(
        self, words: Sequence[str], more: Mapping[str, str] | None = None
    ) -> Iterator[None]:
        """Run a program for as long as the body runs."""
        log = self.workshop.home / "programs.log"
        with log.open("ab") as said:
            process = subprocess.Popen(
                tied_to_us(words, death_signal="TERM"), stdin=subprocess.DEVNULL, stdout=said,
                stderr=said, env={**self.workshop.environment, **(more or {})},
            )  # fmt: skip
        try:
            yield
            if process.poll() is not None:
                raise measure.BenchFailed(f"{words[0]} ended:\n{log.read_text()[-3000:]}")
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def end(self) -> int:
        """The position at which the server writes."""
        text = str(self.server.execute("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn")[0][0])
        return int(text)

    @property
    def log_repository(self) -> Path:
        return self.repository.with_name(f"{self.repository.name}-wal")

    def arrivals(self) -> list[Arrival]:
        """Return what is in the repository of the log, the oldest first."""
        place = self.log_repository
        if not (place / "config").is_file():  # drd has not finished making it
            return []
        # The time of the file: restic gives it its name when it is complete.
        times = {p.name: p.stat().st_mtime for p in (place / "snapshots").iterdir()}
        words = ["restic", "snapshots", "--json", "--no-lock"]
        listed = json.loads(measure.run(words, self.workshop.restic(place)).output)
        found = [(s["id"], batch_of(s["id"], s["tags"])) for s in listed if s["id"] in times]
        return sorted((Arrival(times[i], b.end.position) for i, b in found), key=lambda a: a.at)

    def await_arrival(self, end: int) -> None:
        """Wait until the repository has the log up to a position."""
        self._await(lambda: any(a.end >= end for a in self.arrivals()), "the WAL")

    def await_reachable(self) -> None:
        """Wait until a base backup leads to the log."""

        def reachable() -> bool:
            logs = json.loads(self.workshop.drd("points", PLAN).output)["logs"]
            return any(one["reachable"] for one in logs)

        self._await(reachable, "a base backup")

    def _await(self, is_done: Callable[[], bool], what: str) -> None:
        limit = time.monotonic() + _WITHIN_S
        while not is_done():
            if time.monotonic() > limit:
                said = (self.workshop.home / "programs.log").read_text()[-3000:]
                raise measure.BenchFailed(f"waited in vain for {what}:\n{said}")
            time.sleep(1)
