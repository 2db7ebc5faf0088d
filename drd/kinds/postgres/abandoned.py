"""End a temporary server, with all that it leaves on the host: also one that a killed drd left."""

from __future__ import annotations

import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path

from drd.kinds.postgres.connection import PASSFILE
from drd.kinds.servers import end_servers


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
    """End the processes of a server's directory, remove it and its sockets; return the pids. Its
    content belongs to the server's user, which may have run code of the data: no link in it is
    followed.
    """
    data = base.parent.resolve() / base.name / "data"
    pids = end_servers(data, b"postgres", ask=signal.SIGQUIT)
    sockets = base / "sockets"
    with suppress(OSError):
        place, user = sockets.readlink(), base.lstat().st_uid
        ours = place.name.startswith("drd-") and place.parent == Path(tempfile.gettempdir())
        # The server's user could have put another link there: nothing goes but its own.
        if ours and place.lstat().st_uid == user and not place.is_symlink():
            shutil.rmtree(place, ignore_errors=True)
    shutil.rmtree(base, ignore_errors=True)
    return pids
