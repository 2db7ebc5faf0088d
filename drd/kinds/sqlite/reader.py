"""Query a database file of a drill through a process behind a fence.

The answers of this process are not trusted, because the file is not: they are JSON, their form is
checked, and anything else is an error of the source.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from drd import process
from drd.errors import (
    DeadlineExceeded,
    DrdError,
    SandboxUnavailable,
    SourceError,
    SourceUnreachable,
)
from drd.model.snapshot import DatabaseFingerprint, Fingerprint, TableState
from drd.process import Child, Command, Fence

_PACKAGE = Path(__file__).resolve().parents[2]
_BARE = ("drd", "drd.kinds", "drd.kinds.sqlite", "drd.process")
_BOOT = f"""
import sys, types
for name in {_BARE!r}:
    sys.modules[name] = package = types.ModuleType(name)
    package.__path__ = [{str(_PACKAGE.parent)!r} + "/" + name.replace(".", "/")]
from drd.kinds.sqlite.fenced_process import main
main()
"""
"""Code that finds the packages by their paths: the directory above them cannot be listed behind the
fence. The imports of the packages themselves (settings, all of drd.process) would take longer than
reading a small database, so the packages stay empty. Only the standard library can be imported.
"""

_CHECK = "the file may be damaged: run `PRAGMA integrity_check` in sqlite3."
_LARGEST = 256 << 20
_MORE_S = 30.0
"""How many seconds a process may exceed its own time limit before it is ended."""

_ERRORS = {e.__name__: e for e in (DeadlineExceeded, SourceError, SourceUnreachable)}
_TURN_MS = 200


class SqliteReader:
    """One process for all questions, started by `start` or by the first question. Safe in several
    threads.
    """

    def __init__(self, fence: Fence) -> None:
        self._fence = fence
        self._child: Child | None = None
        self._to = -1
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the process while the caller does other work."""
        with self._lock:
            self._started()

    def close(self) -> None:
        with self._lock:
            child, self._child = self._child, None
            if child is None:
                return
            os.close(self._to)
            child.stop(grace_s=0.5)
            if child.popen.stdout is not None:
                child.popen.stdout.close()

    # questions

    def require_sound(self, path: Path, *, called: Path) -> None:
        self._ask("sound", path, called=str(called))

    def properties(self, path: Path) -> Mapping[str, Any]:
        answer = self._ask("properties", path)
        return answer if isinstance(answer, dict) else {}

    def scalar(self, path: Path, query: str, *, timeout_s: float) -> Any:
        answer = self._ask("scalar", path, timeout_s=timeout_s, query=query)
        if not isinstance(answer, int | float | str | None):
            raise _nonsense(path)
        return answer

    def execute(self, path: Path, statements: str, *, timeout_s: float) -> int:
        answer = self._ask("execute", path, timeout_s=timeout_s, statements=statements)
        if not isinstance(answer, int):
            raise _nonsense(path)
        return answer

    def fingerprint(self, path: Path, *, digests: bool, budget_s: float) -> Fingerprint:
        data = self._ask("fingerprint", path, digests=digests, budget_s=budget_s)
        try:
            return _fingerprint(data)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _nonsense(path) from error

    # the process

    def _ask(self, do: str, path: Path, timeout_s: float | None = None, **more: Any) -> Any:
        question = {"do": do, "path": str(path), "timeout_s": timeout_s, **more}
        with self._lock:
            child = self._started()
            try:
                os.write(self._to, f"{json.dumps(question)}\n".encode())
                line = _line(child, timeout_s + _MORE_S if timeout_s is not None else None)
            except BrokenPipeError:
                line = b""
            if not line:
                raise self._ended(path)
        try:
            answer = json.loads(line)
            if "error" in answer:
                kind = _ERRORS.get(answer["error"], SourceError)
                raise kind(str(answer["message"]), hint=str(answer["hint"]))
            return answer["value"]
        except (KeyError, RecursionError, TypeError, ValueError) as error:
            raise _nonsense(path) from error

    def _started(self) -> Child:
        if self._child is None:
            reads, self._to = os.pipe2(os.O_CLOEXEC)
            nothing = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            try:
                argv = (sys.executable, "-I", "-S", "-c", _BOOT)
                command = Command(argv, cwd=Path("/"), drop_capabilities=True, fence=self._fence)
                self._child = process.start(command, stdin=reads, stderr=nothing)
            except BaseException:
                os.close(self._to)
                raise
            finally:
                os.close(reads)
                os.close(nothing)
        return self._child

    def _ended(self, path: Path) -> DrdError:
        child = self._child
        code = child.stop() if child is not None else 0
        self._child = None
        with suppress(OSError):
            os.close(self._to)
        if failures := self._fence.sandbox.failures():
            return SandboxUnavailable(
                "drd cannot set up the fence of the process that opens "
                f"{path.name}: {'; '.join(failures)}"
            )
        if code > 0 or code == -signal.SIGKILL:
            # It never came up, or the host had no memory for it: that says nothing about the file.
            return SandboxUnavailable(
                f"the process that opens {path.name} {process.ended(code)}",
                hint="check that the user that runs drd can start drd's Python, and that the host "
                "has free memory.",
                permanent=code > 0,
            )
        return SourceError(f"the process that read {path.name} {process.ended(code)}", hint=_CHECK)


def reads() -> list[Path]:
    """Return the files of this installation that the process needs."""
    places = {Path(os.path.realpath(p)) for p in (_PACKAGE, sys.prefix, sys.base_prefix)}
    return [p for p in places if p not in (Path("/"), Path("/usr"))]


def _line(child: Child, within_s: float | None) -> bytes:
    """Return the process's next line; empty if it has ended. Raises DeadlineExceeded and Cancelled;
    the process is ended then.
    """
    assert child.popen.stdout is not None
    descriptor, received = child.popen.stdout.fileno(), bytearray()
    over = time.monotonic() + within_s if within_s is not None else None
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLHUP)
    try:
        while True:
            process.check_cancelled()
            if over is not None and time.monotonic() > over:
                raise DeadlineExceeded(
                    "the process that reads the database file did not answer in time"
                )
            if not poll.poll(_TURN_MS):
                continue
            data = os.read(descriptor, 1 << 20)
            received += data
            if not data or len(received) > _LARGEST:
                return b""
            if received.endswith(b"\n"):
                return bytes(received)
    except DrdError:
        child.stop()
        raise


def _fingerprint(data: Mapping[str, Any]) -> DatabaseFingerprint:
    """Read a fingerprint as `DatabaseFingerprint.to_json` writes it. Raises for any other shape."""
    tables = {}
    for name, (rows, digest) in data["tables"].items():
        if not isinstance(rows, int) or not isinstance(digest, str | None):
            raise TypeError
        tables[str(name)] = TableState(rows, digest)
    return DatabaseFingerprint(
        "digest" if data["mode"] == "digest" else "counts",
        tables,
        {str(k): str(v) for k, v in data["not_reached"].items()},
        dict(data["properties"]),
        others={str(k): str(v) for k, v in data.get("others", {}).items()},
    )


def _nonsense(path: Path) -> SourceError:
    return SourceError(f"the process that read {path.name} sent an invalid answer", hint=_CHECK)
