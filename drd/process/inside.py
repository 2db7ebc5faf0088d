"""Start a program in a container, and end it there when drd ends. A program of its own, with the
standard library only: drd starts it as `inside.py ENGINE CONTAINER FEED LIST FORGET WORD…`.

The engine's `exec` passes no signal on, and a killed client leaves the program running. So a shell
in the container reads the input of `exec`: first the variables (secrets reach neither an argument
nor the engine's own records), then the lines of a list, then the content of FEED. After that, the
end of its input means that drd has ended, and the shell ends the program.

The variables of the container whose names begin with a word of FORGET do not reach the program:
they are for the container's own clients, and could lead drd's to another server.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

NAMES = "DRD_INSIDE"
"""The variable that names the variables for the program in the container."""

PATIENCE_S = 4.0
"""Seconds for the program in the container to end; drd itself waits a second longer."""

_CHUNK = 1 << 18
_MARKS = ("DRD_RUN", "DRD_STATE_ID")

# The shell leaves no child: it waits for the program and for the shell that watches its input, and
# that one for its own children. Else the first process of the container would become their parent.
# That is often the server itself, and PostgreSQL takes a child that a signal ended for a crashed
# process of its own: it restarts, and all sessions are lost. So TERM and PIPE go to all, but TERM
# ends only the program, and USR1 makes the shell beside the program kill it.
# The program starts when the shell that watches has said by a line that PIPE can end it.
SHELL = r"""
size=$1 list=$2 forget=$3; shift 3
while read -r l name; do
  name=${name#-x } name=${name%%=*}
  case $name in *[!A-Za-z0-9_]*) continue;; esac
  for l in $forget; do case $name in "$l"*) unset "$name";; esac; done
done <<END
$(export -p)
END
while IFS= read -r l && [ -n "$l" ]; do export "$l"; done
if [ -n "$list" ]; then
  f=$(mktemp /dev/shm/drd.XXXXXX 2>/dev/null || mktemp) || exit 125
  exec 4>"$f"; rm -f "$f"
  while IFS= read -r l && [ -n "$l" ]; do printf '%s\n' "$l"; done >&4
fi
trap : PIPE TERM USR1
exec 3<&0
{ trap 'exit 0' PIPE
  echo; if [ "$size" -gt 0 ]; then head -c "$size" <&3; fi
  exec >/dev/null; trap - PIPE; while read -r l <&3; do :; done
  trap 'exit 0' PIPE; trap '' TERM USR1; kill -TERM 0; sleep 5; kill -USR1 0
} | { t= p=; trap t=y TERM; trap '[ -z "$p" ] || kill -KILL "$p"' USR1
  read -r l; exec 5<&0
  "$@" <&5 3<&- 5<&- & p=$!; exec 2>/dev/null; [ -z "$t" ] || kill "$p"
  while wait "$p"; code=$?; kill -0 "$p"; do :; done
  trap '' PIPE; kill -PIPE 0; exit "$code"; }
exit "$?"
"""

LISTED = "/dev/fd/4"
"""The path of the list for the program in the container. Its file has no name any more."""


def main() -> int:
    engine, container, feed, listed, forget, *words = sys.argv[1:]
    stop_read, stop_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.signal(signal.SIGTERM, lambda *_: os.write(stop_write, b"x"))
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    content = os.open(feed, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC) if feed else None
    size = 0 if content is None else os.fstat(content).st_size
    begin, environment = _beginning(listed)
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    argv = [engine, "exec", "-i", container, "/bin/sh", "-c", SHELL, "drd"]
    argv += [str(size), "list" if listed else "", forget, *words]
    child = subprocess.Popen(argv, stdin=read_end, env=environment)
    os.close(read_end)
    os.set_blocking(write_end, False)
    _Feeding(child, write_end, stop_read, begin, content).run()
    code = child.wait()
    return code if code >= 0 else 128 - code


def _beginning(listed: str) -> tuple[bytes, dict[str, str]]:
    """Return what the shell reads first, and the environment of the engine's client."""
    environment = dict(os.environ)
    lines = []
    for name in environment.pop(NAMES, "").split():
        value = environment[name] if name in _MARKS else environment.pop(name)
        if "\n" in value:
            sys.exit(f"the value of {name} has a line end, which drd cannot pass to a container")
        lines.append(f"{name}={value}\n")
    begin = "".join([*lines, "\n"]).encode("utf-8", "surrogateescape")
    if listed:
        lines_of_list = filter(None, Path(listed).read_bytes().split(b"\n"))
        begin += b"".join(line + b"\n" for line in lines_of_list) + b"\n"
    return begin, environment


class _Feeding:
    """Writes the input until the client of the engine ends, or drd asks to stop."""

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        write_end: int,
        stop: int,
        begin: bytes,
        content: int | None,
    ) -> None:
        self._child = child
        self._out: int | None = write_end
        self._stop = stop
        self._left = begin
        self._content = content

    def run(self) -> None:
        ended = os.pidfd_open(self._child.pid)
        limit: float | None = None
        while True:
            waiting = select.poll()
            waiting.register(ended, select.POLLIN)
            if limit is None:
                waiting.register(self._stop, select.POLLIN)
            if self._out is not None:
                waiting.register(self._out, select.POLLOUT if self._has_more() else 0)
            left = None if limit is None else max(0.0, limit - time.monotonic()) * 1000
            ready = dict(waiting.poll(left))
            if ended in ready:
                return
            if not ready:
                self._child.kill()
                return
            if self._stop in ready:
                self._close()
                limit = time.monotonic() + PATIENCE_S
            elif self._out in ready:
                self._write()

    def _has_more(self) -> bool:
        if not self._left and self._content is not None:
            self._left = os.read(self._content, _CHUNK)
            if not self._left:
                os.close(self._content)
                self._content = None
        return bool(self._left)

    def _write(self) -> None:
        assert self._out is not None
        if not self._has_more():
            self._close()  # nobody reads any more
            return
        try:
            self._left = self._left[os.write(self._out, self._left) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._close()

    def _close(self) -> None:
        if self._out is not None:
            os.close(self._out)
            self._out = None


if __name__ == "__main__":
    sys.exit(main())
