"""Find out whether a dump ends like a complete one, without reading the dump in Python.

A `tee` in the pipe copies the dump into a named pipe; `tail` keeps its last bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from drd.errors import ImplausibleDump
from drd.process import Command, find_tool

_SPACE = 256
"""The white space after the ending that does not count, in bytes."""

_SCRIPT = """\
set -o pipefail
umask 077
most=$1 pipe=$2 end=$3
shift 3
rm -f -- "$pipe" && mkfifo -- "$pipe" || exit
tail -c "$most" -- "$pipe" >"$end" &
"$@" | tee -- "$pipe"
code=$?
wait
exit "$code"
"""
"""A shell script. If the dump fails, the exit code of the script is that of the dump."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The last bytes of a dump, and the bytes that are expected there. They are in the run's
    workplace."""

    expected: str
    directory: Path

    @property
    def _file(self) -> Path:
        return self.directory / "ending"

    @property
    def _pipe(self) -> Path:
        return self.directory / "ending.pipe"

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Remove the last bytes after the body."""
        try:
            yield
        finally:
            for path in (self._file, self._pipe):
                path.unlink(missing_ok=True)

    def watching(self, dump: Command) -> Command:
        """Return the command that dumps, and keeps the last bytes."""
        bash = find_tool("bash", package="bash")
        most = len(self.expected.encode()) + _SPACE
        words = (bash, "-c", _SCRIPT, "bash", str(most), str(self._pipe), str(self._file))
        return replace(dump, argv=(*words, *dump.argv), name=dump.title)

    def require(self, component: str) -> None:
        """Raise ImplausibleDump if a dump that was stored has another ending."""
        ending = self._file.read_bytes() if self._file.exists() else b""
        if ending.rstrip().endswith(self.expected.rstrip().encode()):
            return
        raise ImplausibleDump(
            f"the dump of {component} does not end with {self.expected!r}, although its command "
            "ended with exit 0",
            hint="the dump may be incomplete. Run the command by hand and check the end "
            "of its output. If the output is complete, correct `ends_with` of "
            f"component {component}.",
        )
