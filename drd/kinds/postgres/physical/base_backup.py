"""Copy the files of a running server with pg_basebackup, and read what it says of the copy."""

from __future__ import annotations

import hashlib
import json
import re
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from drd import process
from drd.errors import DrdError, SourceError, SourceUnreachable
from drd.kinds.file_system import keeping_room
from drd.kinds.postgres.address import Address
from drd.kinds.postgres.connection import connect
from drd.kinds.postgres.physical.manifest import DATA, SPACES
from drd.kinds.postgres.server import says_no_space
from drd.kinds.postgres.tools import PostgresPrograms
from drd.log import masked
from drd.model.limits import UNLIMITED, Limits
from drd.process import Command
from drd.process.command import at_priority

MANIFEST = "backup_manifest"
LABEL = "backup_label"
INCREMENTAL = "INCREMENTAL."
_HEADER = struct.Struct("=III")
_BLOCK = 8192
_LABEL_BYTES = 1 << 16
_POLL_S = 0.25

_STILL_COPIES = """
SELECT 1 FROM pg_catalog.pg_stat_progress_basebackup p
  JOIN pg_catalog.pg_stat_activity a USING (pid)
 WHERE a.application_name = %s
   AND p.phase NOT IN ('waiting for wal archiving to finish', 'transferring wal files')"""

_HBA = "no pg_hba.conf entry"
_SENDERS = ("max_wal_senders", "max_replication_slots", "replication slots are in use")
_RIGHT = ("permission denied to start WAL sender", "REPLICATION attribute", "must be superuser or")
_DAMAGED = ("checksum error", "checksum verification fail", "checksum mismatch")
_ABOUT_EARLIER = re.compile(r"summari[sz]|incremental|manifest", re.IGNORECASE)
_STARTED = re.compile(r"START WAL LOCATION: ([0-9A-F]+/[0-9A-F]+) ")
_SINCE = re.compile(r"INCREMENTAL FROM LSN: ([0-9A-F]+/[0-9A-F]+)")
_TIMELINE = re.compile(r"START TIMELINE: (\d+)")


class IncrementRefused(SourceError):
    """The server makes no incremental copy since the earlier one. A full copy can still succeed."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to copy, and how. `locations` has the directory of each tablespace on the server, by its
    id. `into` is the directory for the copy. `called` is the name of drd's session. `since` is the
    manifest of an earlier copy: then the copy has only the changes since that copy. The copy must
    end within `left_s` seconds. The program runs at the priority of `limits`."""

    address: Address
    environment: Mapping[str, str]
    programs: PostgresPrograms
    locations: Mapping[str, str]
    checkpoint: str
    into: Path
    called: str
    since: Path | None = None
    left_s: float | None = None
    limits: Limits = UNLIMITED


@dataclass(frozen=True, slots=True)
class BaseBackup:
    """A finished copy of a server. At the time `still_at`, the server was still copying, so the
    copy contains everything that was committed before this time. The copy has the state of the
    position `end_lsn` in the WAL. `bytes` is the size of its files, `whole` that of the server.
    An incremental copy has what has changed `since` a position; empty for a full one."""

    still_at: datetime
    system_identifier: str
    timeline: int
    start_lsn: str
    end_lsn: str
    manifest_digest: str
    bytes: int
    whole: int
    since: str


def copy(order: Order) -> BaseBackup:
    """Make the copy. Raises SourceError with the message of pg_basebackup; the caller then removes
    what was copied until then."""
    data = order.into / DATA
    (order.into / SPACES).mkdir()
    with _watched(order) as still:
        limits = order.limits
        command = at_priority(_command(order, data), nice=limits.nice, ionice=limits.ionice)
        # A server may send more than it says, or grow meanwhile.
        done = process.run(command, on_tick=keeping_room(order.into, "pg_basebackup", SourceError))
    if done.exit_code != 0:
        raise _failure(order, masked(done.complaint))
    return _described(data, still.at)


def _command(order: Order, data: Path) -> Command:
    words = [
        order.programs.path("pg_basebackup"),
        f"--pgdata={data}",
        "--format=plain",
        "--wal-method=stream",
        f"--checkpoint={order.checkpoint}",
        "--manifest-checksums=SHA256",
        "--no-sync",
        "--no-password",
        f"--label={order.called}",
    ]
    if order.since is not None:
        words.append(f"--incremental={order.since}")
    for oid, location in order.locations.items():
        there, here = _escaped(location), _escaped(str(order.into / SPACES / oid))
        words.append(f"--tablespace-mapping={there}={here}")
    params = {**order.address.params, "application_name": order.called}
    params.pop("dbname", None)
    address = Address(params, order.address.password)
    words.append(f"--dbname={address.conninfo}")
    return Command(
        words,
        env={**order.environment, "LC_ALL": "C"},
        deadline_s=order.left_s,
        name="pg_basebackup",
        writes=(order.into,),  # the server names the files and links that pg_basebackup makes
        more_time="check the load of the server, and whether it waits for something "
        "(pg_stat_activity). If the copy needs the time, raise `backup.timeout` in the plan.",
    )


def _escaped(path: str) -> str:
    return path.replace("=", "\\=")


class _Still:
    """The last time at which drd saw that the server was still copying."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC)


@contextmanager
def _watched(order: Order) -> Iterator[_Still]:
    """Check again and again whether the server still copies files. When it has copied them, it ends
    the backup, and nobody knows exactly when."""
    still, over = _Still(), threading.Event()

    def watch() -> None:
        with suppress(DrdError, psycopg.Error), connect(order.address) as connection:
            while not over.wait(_POLL_S):
                now = datetime.now(UTC)
                if connection.execute(_STILL_COPIES.encode(), [order.called]).fetchone():
                    still.at = now

    watcher = threading.Thread(target=watch, name="drd-watch-backup", daemon=True)
    watcher.start()
    try:
        yield still
    finally:
        over.set()
        watcher.join()


def _failure(order: Order, said: str) -> SourceError:
    user = order.address.params.get("user", "USER")
    text = f"pg_basebackup failed: {said}"
    if order.since is not None and _ABOUT_EARLIER.search(said):
        return IncrementRefused(text, hint="make a full copy: `incremental: off`.")
    if _HBA in said:
        return SourceError(
            text,
            hint=f"add a line to pg_hba.conf of the server: host replication {user} ADDRESS "
            f"scram-sha-256 (for a socket: local replication {user} peer). Then reload the "
            "configuration: SELECT pg_reload_conf();",
        )
    if any(words in said for words in _RIGHT):
        return SourceError(text, hint=f'run as a superuser: ALTER ROLE "{user}" REPLICATION;')
    if any(words in said for words in _SENDERS):
        return SourceError(
            text,
            hint="raise max_wal_senders and max_replication_slots of the server: a backup needs "
            "two connections and one temporary slot.",
        )
    if any(words in said for words in _DAMAGED):
        return SourceError(
            f"pg_basebackup found damaged pages in the server: {said}",
            hint="the server itself has damaged data, so drd did not store this backup. Read the "
            "log of the server, and restore what is damaged from an earlier restore point.",
            permanent=True,
        )
    if says_no_space(said):
        return SourceError(
            text,
            hint=f"free space in {order.into.parent}, or set work_dir to a larger disk: a backup "
            "first copies the whole server there.",
        )
    return SourceUnreachable(text, hint="check the log of the server, then try again.")


def _described(data: Path, still_at: datetime) -> BaseBackup:
    try:
        written = (data / MANIFEST).read_bytes()
        known = json.loads(written)
        (ranges,) = known["WAL-Ranges"]
        label = (data / LABEL).read_text("utf-8", "replace")[:_LABEL_BYTES]
        started, timeline = _STARTED.search(label), _TIMELINE.search(label)
        assert started is not None
        assert timeline is not None
        return BaseBackup(
            still_at,
            str(known["System-Identifier"]),
            int(timeline[1]),
            started[1],
            str(ranges["End-LSN"]),
            hashlib.sha256(written).hexdigest(),
            _size(known, data),
            _whole(known, data),
            since[1] if (since := _SINCE.search(label)) else "",
        )
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise SourceError(
            f"drd cannot read the manifest that pg_basebackup wrote: {type(error).__name__}",
            hint="use pg_basebackup of PostgreSQL 17 or newer, and try again.",
        ) from error


def _size(known: Mapping[str, Any], data: Path) -> int:
    """Return the size of all files in bytes, with the WAL, which the manifest does not list."""
    wal = sum(p.stat().st_size for p in (data / "pg_wal").iterdir() if p.is_file())
    return wal + sum(int(file["Size"]) for file in known["Files"])


def _whole(known: Mapping[str, Any], data: Path) -> int:
    """Return the size in bytes of the server that the copy is of: an incremental copy has only the
    changed blocks of a file, and begins with the number of blocks that the whole file has."""
    left_out = 0
    for file in known["Files"]:
        path, size = data / str(file.get("Path", "")), int(file["Size"])
        if path.name.startswith(INCREMENTAL) and size >= _HEADER.size:
            with path.open("rb") as opened:
                _, _, blocks = _HEADER.unpack(opened.read(_HEADER.size))
            left_out += blocks * _BLOCK - size
    return max(0, _size(known, data) + left_out)
