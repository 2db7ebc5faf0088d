"""End a temporary server, with everything that it leaves on the host; also a server that a killed
drd left."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from drd.kinds import servers
from drd.kinds.postgres.connection import PASSFILE


def sweep(directory: Path) -> list[str]:
    """End the server that a killed drd left in a workplace directory, and remove its files. Its
    processes are recognised by their program and working directory: no recorded pid is trusted.
    """
    notes = []
    base, landing = directory / "server", directory / "landing"
    if base.is_dir() and not base.is_symlink():
        pids = end_server(base)
        notes.append(
            f"ended the abandoned PostgreSQL server in {base} (pid {pids[0] if pids else '-'})"
        )
    if landing.is_dir():
        shutil.rmtree(landing, ignore_errors=True)
        notes.append(f"removed the download in {landing}")
    (directory / PASSFILE).unlink(missing_ok=True)
    return notes


def end_server(base: Path) -> list[int]:
    """End only the server, in the same way; return the pids of its processes."""
    return servers.end_server(base, b"postgres", ask=signal.SIGQUIT)
