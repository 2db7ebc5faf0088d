"""Plans, points and evidence for tests of the catalogue, and programs that use one elsewhere."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from drd.catalogue.engine import Database
from drd.catalogue.migrate import OURS, Schema
from drd.catalogue.sql_catalogue import SqlCatalogue, open_catalogue
from drd.model.plan import Component, DrillPolicy, Objectives, Plan, RepositorySpec, SecretRef
from drd.model.policies import BackupPolicy, RetentionPolicy
from drd.model.run import CheckResult, CheckVerdict, DrillResult, Evidence
from drd.model.snapshot import (
    ComponentSnapshot,
    DatabaseFingerprint,
    Fingerprint,
    RestorePoint,
    TableState,
)

if TYPE_CHECKING:  # programs of tests import this module, and need neither
    import pytest

    from tests.servers import PostgresServer

T0 = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """So many minutes after the tests' noon."""
    return T0 + timedelta(minutes=minutes)


def plan(
    name: str = "orders-api",
    *,
    rpo_s: float = 900.0,
    window_s: float = 90 * 86400.0,
    components: Sequence[str] = ("orders-db", "gateway"),
    file: str = "",
    digest: str = "d1",
    proof: str = "",
) -> Plan:
    return Plan(
        name=name,
        owner="payments team",
        description="",
        objectives=Objectives(rpo_s, 1800.0, window_s),
        components={c: Component(c, "files", None) for c in components},
        repositories={"primary": RepositorySpec("primary", "/srv/r", SecretRef("env", "P"))},
        backup=BackupPolicy(every_s=300.0),
        retention=RetentionPolicy(),
        checks=(),
        runbook=(),
        targets={},
        drill=DrillPolicy(every_s=7 * 86400.0),
        digest=digest,
        proof=proof or f"proof of {digest}",
        file=file,
    )


def fingerprint(**rows: int) -> DatabaseFingerprint:
    return DatabaseFingerprint("counts", {n: TableState(c) for n, c in rows.items()})


def captured(
    component: str = "orders-db",
    *,
    data_time: datetime = T0,
    size: int = 1000,
    seen: Fingerprint | None = None,
) -> ComponentSnapshot:
    return ComponentSnapshot(
        component=component,
        kind="files",
        state="captured",
        data_time=data_time,
        snapshot="5a" * 32,
        bytes=size,
        added_bytes=10,
        duration_s=1.5,
        facts={"paths": ["/etc/nginx"]},
        observations={"newest order": 42},
        fingerprint=seen,
    )


def failed(component: str = "gateway", error: str = "no such directory") -> ComponentSnapshot:
    return ComponentSnapshot(component=component, kind="files", state="failed", error=error)


def point(
    id: str,  # noqa: A002 - the model's word
    data_time: datetime,
    *,
    available_at: datetime | None = None,
    plan: str = "orders-api",
    components: Sequence[ComponentSnapshot] = (),
    complete: bool = True,
    **more: Any,
) -> RestorePoint:
    return RestorePoint(
        id=id,
        plan=plan,
        data_time=data_time,
        available_at=available_at or data_time + timedelta(minutes=1),
        complete=complete,
        plan_digest="d1",
        components=tuple(components) or (captured(data_time=data_time),),
        repositories={"primary": f"manifest-of-{id}"},
        **more,
    )


def evidence(
    id: str = "7c1e-d14",  # noqa: A002
    *,
    finished_at: datetime = T0,
    result: DrillResult = DrillResult.PASSED,
    **more: Any,
) -> Evidence:
    found = Evidence(
        id=id,
        run="0badcafe",
        plan="orders-api",
        point="p1",
        scenario="database-loss",
        result=result,
        plan_digest="d1",
        started_at=finished_at - timedelta(seconds=10),
        finished_at=finished_at,
        rpa_s=63.0,
        rta_s=9.6,
        judged=True,
        phases={"fetch_s": 2.1, "restore_s": 6.4},
        checks=(
            CheckResult("rows", "orders-db", CheckVerdict.PASSED, "14 tables", "0 differ"),
            CheckResult(
                "owners",
                None,
                CheckVerdict.NOT_RUN,
                "not root",
                "",
                part=True,
                looked_at_data=False,
            ),
        ),
        not_rehearsed=(("switch-dns", "would move real traffic"),),
        restored_bytes=612,
    )
    return replace(found, **more)


@contextmanager
def program(
    code: str, *arguments: str, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A Python program of its own, killed at the end if it is still there."""
    child = subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + code, *arguments],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.communicate()


PREAMBLE = """
import sys
from drd.catalogue.sql_catalogue import open_catalogue
from drd.errors import AlreadyRunning
from drd.model.run import RunKind, RunState
from tests.catalogue_support import at, captured, plan, point
url = sys.argv[1]
"""


def fresh_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of the kind that `request.param` names; PostgreSQL only starts for those
    who ask for it."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/drd.db"
    server = request.getfixturevalue("postgres")
    name = f"catalogue_{secrets.token_hex(4)}"
    server.execute(f"create database {name}")
    return _url(server, name)


class Catalogues:
    """Catalogues without a row, for tests that do not ask how a catalogue is made: on SQLite a copy
    of one that was made once, on PostgreSQL the same one each time, emptied."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._versions: dict[str, str] = {}

    def in_file(self, file: Path) -> str:
        ready = self._directory / "drd.db"
        if not ready.exists():
            opened(f"sqlite:///{ready}", self._directory).close()
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ready, file)
        return f"sqlite:///{file}"

    def in_server(self, server: PostgresServer) -> str:
        name = f"catalogue_of_{os.getpid()}"
        url = _url(server, name)
        if name in self._versions:
            server.execute(_END_SESSIONS.format(name))
            server.execute(_EMPTY.format(self._versions[name]), name)
        else:
            server.execute(f"create database {name}")
            opened(url, self._directory).close()
            ((self._versions[name],),) = server.execute("select * from alembic_version", name)
        return url


_END_SESSIONS = """
select pg_terminate_backend(pid, 10000) from pg_stat_activity
 where datname = '{}' and backend_type = 'client backend'"""

_EMPTY = """
do $$ declare one record; begin
  set local session_replication_role = replica;
  for one in select oid::regclass as name from pg_class
              where relnamespace = 'public'::regnamespace and relkind = 'r'
  loop execute 'delete from ' || one.name; end loop;
  insert into alembic_version values ('{}');
end $$"""


def _url(server: PostgresServer, name: str) -> str:
    return server.dsn(name).replace("postgresql://", "postgresql+psycopg://", 1)


def opened(url: str, tmp_path: Path) -> SqlCatalogue:
    return open_catalogue(url, create=True, state_dir=tmp_path / "state")


_FIRST_ROWS = """
INSERT INTO plans (name, owner, digest, rpo_s, rto_s, window_s, backup_timeout_s, file,
    file_mtime_ns, file_size, file_digest, first_loaded_at, loaded_at)
  VALUES ('shop', 'us', 'd', 900, 1800, 86400, 3600, '/p.yaml', 0, 0, 'f', '@00', '@00');
INSERT INTO runs (id, plan, kind, "trigger", state, started_at, finished_at, plan_digest, token,
    owner_host, detail, error) VALUES
  ('aaaaaaaa', 'shop', 'backup', 'manual', 'succeeded', '@01', '@02', 'd', 1, 'h', '{}', NULL),
  ('bbbbbbbb', 'shop', 'backup', 'manual', 'failed', '@03', '@04', 'd', 1, 'h', '{}', 'why'),
  ('cccccccc', 'shop', 'drill', 'manual', 'succeeded', '@05', '@06', 'd', 1, 'h', '{}', NULL),
  ('dddddddd', 'shop', 'drill', 'manual', 'running', '@07', NULL, 'd', 1, 'h', '{}', NULL);
INSERT INTO points (id, plan, data_time, available_at, complete, plan_digest, bytes)
  VALUES ('aaaaaaaa', 'shop', '@01', '@02', @true, 'd', 5);
INSERT INTO point_repositories (point, repository, position, manifest)
  VALUES ('aaaaaaaa', 'primary', 0, 'm');
INSERT INTO alerts (id, plan, kind, subject, state, since, message)
  VALUES ('eeeeeeee', 'shop', 'rpo', '', 'firing', '@05', 'late');
"""


def of_the_first_version(url: str, state_dir: Path) -> None:
    """A catalogue as drd 0.1.0 left it: the plan shop, its runs, the point aaaaaaaa, an alert."""
    schema = Schema(OURS.scripts, "0001")
    open_catalogue(url, create=True, state_dir=state_dir, schema=schema).close()
    words = _FIRST_ROWS.replace("@true", "TRUE")
    for minute in range(8):
        words = words.replace(f"@0{minute}", f"2026-11-25T00:0{minute}:00.000000+00:00")
    database = Database(url)
    with database.write() as connection:
        for statement in words.split(";\n"):
            if statement.strip():
                connection.execute(text(statement))
    database.close()


def unguarded(connection: Connection) -> None:
    """Remove from a file what keeps people from changing the records by accident."""
    query = "SELECT name FROM sqlite_master WHERE type='trigger' AND tbl_name LIKE 'record%'"
    for trigger in connection.execute(text(query)).scalars().all():
        connection.execute(text(f"DROP TRIGGER {trigger}"))
