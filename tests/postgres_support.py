"""Backing up and bringing back a PostgreSQL component without a repository, for tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from drd import process
from drd.errors import DumpFailed
from drd.kinds.postgres.kind import PostgresKind
from drd.kinds.postgres.settings import PostgresSettings, PostgresTarget
from drd.model.plan import Component
from drd.model.snapshot import ComponentSnapshot, StoredSnapshot
from drd.ports import Destination, Restored, RestoreOptions, Stream, Workplace, no_progress
from tests.servers import PostgresServer

NAME = "orders-db"
KIND = PostgresKind()

needs_15 = pytest.mark.skipif(
    not Path("/usr/lib/postgresql/15/bin/postgres").exists(),
    reason="Debian has one PostgreSQL; a second, older one (15) is not installed here",
)


def component(dsn: object, **settings: Any) -> Component:
    raw = {"kind": "postgres", "dsn": dsn, **settings}
    return Component(NAME, "postgres", PostgresSettings.model_validate(raw))


def workplace(directory: Path, run: str = "r7c1e") -> Workplace:
    """As the flows make it: passable, and with a user for servers when we are root."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o711)
    return Workplace(directory, run, run_as="postgres" if os.geteuid() == 0 else None)


@dataclass(frozen=True)
class Backup:
    """What a backup run would have kept; the dump as a file."""

    snapshot: ComponentSnapshot
    private: Mapping[str, Any]
    dump: Path


def back_up(what: Component, place: Workplace, dump: Path) -> Backup:
    """Through the gate, as the repository does it. Raises what the source raises, or DumpFailed."""
    source = KIND.source(what, place)
    source.probe()
    with source.open() as capture:
        assert isinstance(capture.payload, Stream)
        writer = process.Command(["sh", "-c", 'exec cat > "$0"', str(dump)])
        result = process.gated_pipe(capture.payload.command, writer)
        if result.producer.exit_code != 0 or result.consumer is None:
            raise DumpFailed(result.producer.complaint, output=result.producer.stderr)
        fingerprint = capture.fingerprint()
        size = dump.stat().st_size
        fingerprint = capture.verify(StoredSnapshot("s1", size, size), fingerprint)
        snapshot = ComponentSnapshot(
            what.name,
            what.kind,
            "captured",
            data_time=capture.data_time,
            snapshot="s1",
            bytes=size,
            facts=dict(capture.facts),
            fingerprint=fingerprint,
        )
        return Backup(snapshot, dict(capture.private), dump)


def restore_components(
    destination: Destination, backup: Backup, *, overwrite: bool = False
) -> Restored:
    findings = destination.preflight(backup.snapshot, overwrite=overwrite)
    assert [f for f in findings if f.failed] == []
    fetch(destination, backup)
    destination.prepare()
    return destination.restore(backup.snapshot, backup.private, on_progress=no_progress)


def fetch(destination: Destination, backup: Backup) -> None:
    shutil.copy(backup.dump, destination.landing() / str(backup.snapshot.facts["filename"]))


def target_of(
    server: PostgresServer,
    place: Workplace,
    *,
    database: str,
    no_owner: bool = False,
    as_owner: bool = False,
    **more: Any,
) -> Destination:
    settings = PostgresTarget.model_validate({"dsn": server.dsn(database), **more})
    options = RestoreOptions(no_owner=no_owner, as_owner=as_owner)
    return KIND.target(component("host=/nowhere"), settings, place, options)


def tool(server: PostgresServer, name: str, *words: str) -> str:
    """What one of the server's own programs prints, without what differs each time."""
    done = subprocess.run(
        [str(server.bin_dir / name), *words], capture_output=True, check=True, text=True
    )
    lines = done.stdout.splitlines()
    return "\n".join(x for x in lines if not x.startswith(("\\restrict", "\\unrestrict", "-- ")))


def as_sql(server: PostgresServer, database: str) -> str:
    """The whole database as pg_dump writes it, its own properties included."""
    return tool(server, "pg_dump", "--create", "--dbname", server.dsn(database))


def globals_as_sql(server: PostgresServer) -> str:
    return tool(server, "pg_dumpall", "--globals-only", "--dbname", server.dsn())
