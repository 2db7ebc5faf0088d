"""A mariadb-dump or mysqldump that has begun, and waits until somebody reads its output.

The dump has to begin at the moment of the snapshot, but restic reads it later. So mariadb-dump
writes into a named pipe, where it waits, and the command of the payload passes the pipe on. If
mariadb-dump fails, the payload fails with the message of mariadb-dump.
"""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import suppress
from pathlib import Path

from drd import process
from drd.errors import Cancelled, DrdError
from drd.log import masked
from drd.model.limits import Limits
from drd.process import Child, Command

_PIPE_BYTES = 1 << 20

_SAYS = "-- "
_BEGINS = "-- Starting transaction...\n"
_SAID = 2000

_RELAY = """\
exec 3<"$1/pipe" && : >"$1/taken" && cat <&3 || exit 1
read -r code <"$1/ended" || code=1
[ "$code" = 0 ] || cat "$1/said" >&2
exit "$code"
"""


class HeldDump:
    """A running dump, in a directory of its own, which `close` removes."""

    def __init__(self, command: Command, directory: Path, name: str) -> None:
        self._name = name
        self._directory = directory
        self._over = threading.Event()
        directory.mkdir(mode=0o700)
        os.mkfifo(directory / "pipe", 0o600)
        # Open at both ends, so that nothing is lost before the payload opens it.
        self._held: int | None = os.open(directory / "pipe", os.O_RDWR | os.O_CLOEXEC)
        with suppress(OSError):
            fcntl.fcntl(self._held, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        writer = os.open(directory / "pipe", os.O_WRONLY | os.O_CLOEXEC)
        how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        messages = os.open(directory / "messages", how, 0o600)
        try:
            self._child: Child = process.start(command, stdout=writer, stderr=messages)
        finally:
            os.close(writer)
            os.close(messages)
        self._thread = threading.Thread(target=self._watch, name="drd-held-dump", daemon=True)
        self._thread.start()

    @property
    def payload(self) -> Command:
        """The command that prints the dump."""
        argv = ["/bin/sh", "-c", _RELAY, "sh", str(self._directory)]
        return Command(argv, name=self._name)

    @property
    def exit_code(self) -> int | None:
        """The exit code of mariadb-dump; None while it runs."""
        return self._child.exit_code

    @property
    def has_snapshot(self) -> bool:
        """Whether mariadb-dump (`--verbose`) has printed something after its transaction began."""
        _, begun, then = self._messages().partition(_BEGINS)
        return bool(begun) and _SAYS in then

    def _messages(self) -> str:
        with suppress(OSError):
            return (self._directory / "messages").read_text(encoding="utf-8", errors="replace")
        return ""

    def said(self) -> str:
        """Return the messages of mariadb-dump, without those about its progress."""
        lines = self._messages().splitlines()
        return masked("; ".join(line for line in lines if not line.startswith(_SAYS)))[:_SAID]

    def _watch(self) -> None:
        code, said = 1, ""
        try:
            done = self._child.pump()
            code = done.exit_code
            said = self.said() or done.complaint
        except (DrdError, Cancelled) as error:
            said = str(error)
        finally:
            with suppress(OSError):
                (self._directory / "said").write_text(f"{said}\n", encoding="utf-8")
                passed = self._directory / "ended.new"
                passed.write_text(f"{code if code >= 0 else 128 - code}\n", encoding="ascii")
                passed.rename(self._directory / "ended")
            # The pipe keeps what is in it only while somebody has it open.
            while not (self._directory / "taken").exists() and not self._over.wait(0.05):
                pass
            self._release()

    def _release(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            os.close(held)

    def lower_priority(self, limits: Limits) -> None:
        """Give the program that dumps the priority of the component. Call this when it has begun:
        until then, all commits of the server wait for it."""
        self._child.lower_priority(nice=limits.nice, ionice=limits.ionice)

    def close(self) -> None:
        """End the dump if it runs, and remove its directory."""
        self._over.set()
        self._child.stop()
        self._thread.join()
        for name in ("pipe", "messages", "taken", "said", "ended", "ended.new"):
            (self._directory / name).unlink(missing_ok=True)
        self._directory.rmdir()
