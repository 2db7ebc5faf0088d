"""The command that dumps a database from an exported snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from drd.errors import ToolTooOld
from drd.kinds.postgres.connection import Address
from drd.kinds.postgres.tools import Programs
from drd.process import Command

LOCK_WAIT_MS = 60_000
"""How long pg_dump waits for a table that somebody changes; then the dump fails and is retried."""

Compression = Literal["none", "zstd", "gzip"]


@dataclass(frozen=True, slots=True)
class DumpOrder:
    """Which database, from which snapshot. A standby cannot read unlogged tables."""

    address: Address
    snapshot: str
    compression: Compression
    standby: bool
    environment: Mapping[str, str]


def dump_command(programs: Programs, order: DumpOrder) -> Command:
    """pg_dump in custom format to stdout: owners, grants, large objects, everything."""
    argv = [
        programs.path("pg_dump"),
        "--format=custom",
        f"--compress={_compression(programs, order.compression)}",
        f"--snapshot={order.snapshot}",
        f"--lock-wait-timeout={LOCK_WAIT_MS}",
    ]
    if order.standby:
        argv.append("--no-unlogged-table-data")
    argv.append(f"--dbname={order.address.conninfo}")
    return Command(argv, env=order.environment, name="pg_dump")


def _compression(programs: Programs, wanted: Compression) -> str:
    if wanted == "none":
        return "0"
    if wanted == "gzip":
        return "5"
    if programs.major < 16:
        raise ToolTooOld(
            f"pg_dump {programs.version} does not know the compression zstd",
            hint="apt-get install postgresql-client-17, or set compression to none or gzip.",
        )
    return "zstd:1"
