"""Check the server of a target for a database's needs: its locale, and space."""

from __future__ import annotations

import ipaddress
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg

from drd.errors import TargetError
from drd.kinds.postgres.cluster import Cluster
from drd.kinds.postgres.connection import words
from drd.kinds.postgres.quoting import literal
from drd.model.finding import Finding, Severity
from drd.model.snapshot import ComponentSnapshot
from drd.model.units import format_size

_ANYWHERE = ("c", "posix")

_TRY = "CREATE COLLATION pg_temp.drd_probe (PROVIDER = libc, LC_COLLATE = {}, LC_CTYPE = {})"

_UNKNOWN = "22023"
"""The SQLSTATE for a locale that the server's host does not have."""


def missing_locale(cluster: Cluster, locale: Mapping[str, Any]) -> str:
    """Return what is missing if the server does not have the collation of the saved database.
    Raises TargetError if it does not have it; if the login may not find out, the restore will.
    """
    names = " and ".join(dict.fromkeys((locale["collate"], locale["ctype"])))
    connection = cluster.admin()
    if locale["provider"] == "icu":
        query = "SELECT 1 FROM pg_catalog.pg_collation WHERE collprovider = 'i' LIMIT 1"
        if connection.execute(query).fetchone() is None:
            raise TargetError(
                "the target's server has no ICU, but the database needs ICU to sort text",
                hint="use a server with ICU.",
            )
    if not {locale["collate"].lower(), locale["ctype"].lower()} <= set(_ANYWHERE):
        sql = _TRY.format(literal(locale["collate"]), literal(locale["ctype"]))
        with suppress(_Known), connection.transaction():
            try:
                connection.execute(sql.encode())
            except psycopg.Error as error:
                if error.sqlstate != _UNKNOWN:
                    raise _Known from error
                raise TargetError(
                    f"the target's server does not have the locale {names}: {words(error)}",
                    hint=f"on the host of the server: add {names} to /etc/locale.gen, run "
                    "locale-gen, and restart PostgreSQL.",
                ) from error
            raise _Known  # only tried
    return f"{names} exists"


class _Known(Exception):
    """Raised to roll the attempt back."""


def server_room(
    cluster: Cluster, name: str, snapshot: ComponentSnapshot, workplace: Path
) -> list[Finding]:
    """Check whether the disk of a server on this host has space for the database, and for the dump
    if both are on the same disk. Empty for servers on other hosts, and for logins that may not find
    out.

    The source's size includes wasted space: less than that is a warning, less than the dump's
    content an error.
    """
    size = int(snapshot.facts.get("database_bytes", 0))
    with suppress(psycopg.Error, OSError):
        row = cluster.one("SHOW data_directory")
        directory = Path(str(row[0])) if row is not None else None
        if directory is None or not _is_here(cluster) or not directory.is_dir():
            return []
        same_disk = os.stat(directory).st_dev == os.stat(workplace).st_dev  # noqa: PTH116
        dump = snapshot.bytes if same_disk else 0
        free = shutil.disk_usage(directory).free
        enough = free > size + dump
        detail = f"{format_size(free)} free in {directory}, {format_size(size + dump)} needed"
        hint = "" if enough else "free space on the disk of the target's server."
        fits = free > max(size // 2, snapshot.bytes) + dump
        severity: Severity = "ok" if enough else "warning" if fits else "error"
        return [Finding("target-room", severity, name, detail, hint)]
    return []


def _is_here(cluster: Cluster) -> bool:
    host = cluster.admin().info.host
    if host.startswith("/") or host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False
