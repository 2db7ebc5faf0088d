"""Copy the files of a running server with mariadb-backup, and act in the moment in which it holds
all commits.

mariadb-backup writes a message about each thing that it does, and goes on when it has written it.
drd takes its messages one at a time: while drd acts on one, mariadb-backup waits with the next, and
the locks stay as they are."""

from __future__ import annotations

import fcntl
import os
import re
import select
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from mmap import PAGESIZE
from pathlib import Path

from drd import process
from drd.errors import DeadlineExceeded, SourceError, SourceUnreachable
from drd.kinds.file_system import keeping_room
from drd.kinds.mariadb.physical.readable import unreadable
from drd.kinds.mariadb.server import says_no_space
from drd.kinds.mariadb.tools import Program
from drd.log import masked
from drd.process import Command, Fence
from drd.process.fence import CANNOT

HOLDS_DDL, HOLDS_COMMITS = (
    f"Acquired locks for BACKUP STAGE {stage}" for stage in ("BLOCK_DDL", "BLOCK_COMMIT")
)
"""Messages: from then on no table is created, changed in its form or dropped; and from then on no
row changes. Both last until the end of the copying."""
_DONE = "completed OK!"
_WAIT_S = 300
"""Seconds that mariadb-backup waits for statements of others to end before it begins."""

_KEPT_LINES = 12
_SHOWN = 600
_LONGEST = 4096
_PAGE_DUMP = re.compile(rb"\s*len \d+; hex ")
"""mariadb-backup prints the bytes of a damaged page, with rows of the server in them: such a line
is no message. That of a compressed page can be short."""
_STAMP = re.compile(r"^(\[\d+\] )?\d{4}-\d\d-\d\d +\d+:\d\d:\d\d (\d+ )?(\[\w+\] )?")
_TELLS = re.compile(
    r"error|denied|fail|cannot|can't|could not|corrupt|must be|no space", re.IGNORECASE
)
_PAGE = re.compile(r"corruption detected at page (\d+)")
_FILE = re.compile(r"File (?:\./)?(.+?) seems to be corrupted")
_TABLE = re.compile(r"([\w$]+)/([\w$]+)\.ibd")
"""The file of a table whose name needs no encoding in the name of the file."""
_HARMLESS = re.compile(r"io_uring|falling back to libaio")
"""Said on hosts that do not have or allow io_uring; mariadb-backup goes on without it."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to copy: the server that the file `options` names, with the data directory `data_dir`,
    to the directory `into`, which is empty or does not exist yet, with so many `threads`. The
    program runs behind the `fence`, and must end before the `deadline` on the monotonic clock."""

    tool: Program
    options: Path
    data_dir: str
    into: Path
    threads: int
    fence: Fence | None = None
    deadline: float | None = None


def copy(order: Order, at: Mapping[str, Callable[[], None]]) -> None:
    """Make the copy. The functions of `at` are called at the messages that contain their key, and
    mariadb-backup waits until they return; what they raise ends the copying. Raises SourceError in
    the words of mariadb-backup, and leaves what it has copied to the caller."""
    require_room = keeping_room(order.into.parent, "mariadb-backup", SourceError)

    def tick() -> None:
        _require_time(order.deadline)
        require_room()

    read, write = os.pipe2(os.O_CLOEXEC | os.O_DIRECT)  # each message is a packet of its own
    try:
        try:
            fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PAGESIZE)  # which has room for one
            child = process.start(_command(order), stdout=write, stderr=write)
        finally:
            os.close(write)
        said: deque[str] = deque(maxlen=_KEPT_LINES)
        told: deque[str] = deque(maxlen=_KEPT_LINES)
        waits = dict(at)
        try:
            for line in _lines(read, tick):
                said.append(line)
                if _TELLS.search(line) and not _HARMLESS.search(line):
                    told.append(line)
                for message in [m for m in waits if m in line]:
                    waits.pop(message)()
            code = child.wait(on_tick=tick)  # it has closed its output
        except BaseException:
            child.stop()
            raise
    finally:
        os.close(read)
    if code == CANNOT and order.fence is not None and (why := order.fence.sandbox.failures()):
        raise SourceError(
            f"drd cannot set up the fence of mariadb-backup: {'; '.join(why)}",
            hint="run drd doctor, which sets up a fence and reports which part is missing.",
        )
    if code != 0 or not any(line.endswith(_DONE) for line in said):
        raise _failure(order, told or said)
    if waits:
        raise SourceError(
            f"mariadb-backup {order.tool.version} did not say {next(iter(waits))!r}, so drd "
            "does not know of which moment the copy is",
            hint="use mariadb-backup 11.8 (docs/mariadb.md, What was tested), or back up the "
            "databases with kind mariadb.",
            permanent=True,
        )


def _command(order: Order) -> Command:
    words = [
        order.tool.path,
        f"--defaults-file={order.options}",
        "--backup",
        f"--target-dir={order.into}",
        f"--parallel={order.threads}",
        f"--startup-wait-timeout={_WAIT_S}",
        f"--tmpdir={order.into}",
    ]
    return Command(words, env={"LC_ALL": "C"}, fence=order.fence, name="mariadb-backup")


def _require_time(deadline: float | None) -> None:
    if deadline is not None and time.monotonic() > deadline:
        raise DeadlineExceeded(
            "mariadb-backup did not finish within the time limit of the backup",
            hint="check with SHOW FULL PROCESSLIST whether the server is locked or hangs. If the "
            "copy needs the time, raise `backup.timeout` in the plan.",
        )


def _lines(read: int, tick: Callable[[], None]) -> Iterator[str]:
    """Yield the messages as they come, until the program has closed its output."""
    rest, too_long = b"", False
    while True:
        process.check_cancelled()
        tick()
        if not select.select([read], [], [], 0.2)[0]:
            continue
        data = os.read(read, 1 << 16)
        *lines, rest = (rest + data).split(b"\n")
        for line in lines or ([rest] if rest and not data else []):
            if not too_long and len(line) <= _LONGEST and not _PAGE_DUMP.match(line):
                yield line.decode("utf-8", "backslashreplace").rstrip()
            too_long = False
        if len(rest) > _LONGEST:
            rest, too_long = b"", True
        if not data:
            return


def _failure(order: Order, lines: deque[str]) -> SourceError:
    messages = dict.fromkeys(_STAMP.sub("", line).strip() for line in lines)
    said = masked("; ".join(filter(None, messages))).strip()[-_SHOWN:]
    text = f"mariadb-backup failed: {said or 'it gave no reason'}"
    if "orrupt" in said:
        return _damaged(said)
    if says_no_space(said):
        return SourceError(
            text,
            hint=f"free space in {order.into.parent}, or set work_dir to a larger disk: a backup "
            "first copies the whole server there.",
        )
    refused = unreadable(order.data_dir)
    if refused is not None:
        return SourceError(
            f"mariadb-backup cannot copy the server: {refused.text}", hint=refused.remedy
        )
    if "ccess denied" in said:
        return SourceError(text, hint="run the script that `drd doctor PLAN --grants` prints.")
    return SourceUnreachable(text, hint="check the log of the server, then try again.")


def _damaged(said: str) -> SourceError:
    """Return the error for damaged data of the server, which mariadb-backup has found."""
    page, file = _PAGE.search(said), _FILE.search(said)
    where = f"page {page[1]} of {file[1]}" if page and file else said
    remedy = (
        "the server itself has damaged data, so drd did not store this backup. Restore what is "
        "damaged from an earlier restore point"
    )
    if file is not None and (table := _TABLE.fullmatch(file[1])):
        name = f"{table[1]}.{table[2]}"
        remedy += f": drd recover PLAN --in-place --component COMPONENT --table {name} --into NAME"
    return SourceError(
        f"mariadb-backup found a damaged page in the server: {where}",
        hint=f"{remedy}.",
        permanent=True,
    )
