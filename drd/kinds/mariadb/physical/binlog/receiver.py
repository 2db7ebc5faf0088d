"""Receive the binary log of a running server with mariadb-binlog, which asks the server as a
replica does. The server keeps nothing for drd, and nothing is written on it."""

from __future__ import annotations

import json
import secrets
import shutil
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drd import process
from drd.errors import SourceError, SourceUnreachable
from drd.kinds.mariadb.address import address_of, write_options
from drd.kinds.mariadb.connection import Connection, ServerError, is_lost, words
from drd.kinds.mariadb.physical.binlog.files import (
    PIECE_BYTES,
    head_of,
    number_of,
    piece_name,
    place,
    show,
    split,
)
from drd.kinds.mariadb.physical.binlog.needs import needs
from drd.kinds.mariadb.physical.reach import connect
from drd.kinds.mariadb.physical.settings import ServerSettings
from drd.kinds.mariadb.tools import Program, program
from drd.kinds.server_logs import begun_anew, refused, require_ready
from drd.model.log import LogMark
from drd.ports.logs import LogLost
from drd.process import Child, Command

OPTIONS = "receiver.cnf"
STATE = "state.json"
_HEAD_S = 20.0
_FIRST_ID, _IDS = 1 << 31, 1 << 30
"""The first server id of a receiver of drd, and how many ids there are."""

_GONE = (
    "could not find next log",
    "could not find first log",
    "client requested master to start replication from impossible position",
    "log event entry exceeded",
)
"""The errors of a server that no longer has the next part of its log."""

_FROM_NOW = (
    "drd now receives the log from its newest file, and makes a base backup at once. To see the "
    "times that drd can recover: drd points PLAN"
)

_NOW = "SELECT UTC_TIMESTAMP(6), @@GLOBAL.server_id"


class BinlogSource:
    """Implements `LogSource`."""

    def __init__(self, component: str, settings: ServerSettings) -> None:
        self._component = component
        self._settings = settings

    @contextmanager
    def open(self, directory: Path, name: str) -> Iterator[BinlogReceiver]:
        address = address_of(self._settings.dsn)
        options = directory.parent / OPTIONS
        with connect(address, database=False) as connection:
            try:
                require_ready(needs(connection, self._component))
            except ServerError as error:
                raise _refused(error) from error
            tool = program("mariadb-binlog", self._settings.bin_dir)
            try:
                write_options(address, options, charset=False)
                yield BinlogReceiver(connection, directory, name, tool=tool, options=options)
            finally:
                options.unlink(missing_ok=True)


def _refused(error: ServerError) -> SourceError:
    return refused("binary log", words(error), lost=is_lost(error))


class BinlogReceiver:
    """Implements `LogReceiver`. Each start of mariadb-binlog receives into a directory of its own,
    because mariadb-binlog receives a file from the beginning again: the shorter copy of the file
    stays until the new copy is as long."""

    program = "mariadb-binlog"
    connected = "SHOW PROCESSLIST;"
    dated = True

    def __init__(
        self, connection: Connection, directory: Path, name: str, *, tool: Program, options: Path
    ) -> None:
        self._connection = connection
        self._directory = directory
        self._id = _FIRST_ID + zlib.crc32(name.encode()) % _IDS
        self._tool = tool
        self._options = options
        self._marked = 0
        self.source = str(self._one("SELECT @@GLOBAL.server_id")[0])
        self._state = self._known_state()

    def _rows(self, query: str) -> Sequence[tuple[Any, ...]]:
        try:
            return self._connection.rows(query)
        except ServerError as error:
            raise _refused(error) from error

    def _one(self, query: str) -> tuple[Any, ...]:
        rows = self._rows(query)
        if not rows:
            raise SourceError(
                "the server does not write a binary log any more (log_bin is OFF)",
                hint="write `log_bin` into the configuration of the server again, and restart the "
                "server; or remove `binlog` from the component in the plan.",
            )
        return rows[0]

    def _known_state(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            state = json.loads((self._directory / STATE).read_text(encoding="ascii"))
            if isinstance(state, dict) and {"source", "since", "stage"} <= set(state):
                return state
        return {}

    def _copies(self) -> dict[int, list[Path]]:
        """Return the received copies of each file of the log by its number, the longest last."""
        by_number: dict[int, list[Path]] = {}
        for one in sorted(self._directory.glob("came-*/*")):
            number = number_of(one.name)
            if number is not None:
                by_number.setdefault(number, []).append(one)
        return {n: sorted(files, key=lambda f: f.stat().st_size) for n, files in by_number.items()}

    def _on_server(self) -> dict[int, tuple[str, int]]:
        """Return the name and the size of each file of the server's binary log, by its number."""
        rows = self._rows("SHOW BINARY LOGS")
        numbered = ((number_of(str(row[0])), row) for row in rows)
        return {n: (str(row[0]), int(row[1])) for n, row in numbered if n is not None}

    def require(self) -> None:
        self._require_source(self.source)
        arrived = self._copies()
        if not arrived:
            return
        last = max(arrived)
        size = arrived[last][-1].stat().st_size
        there = self._on_server()
        if last not in there:
            raise LogLost(
                f"the server does not have file {last:06d} of its binary log any more: the file "
                "was purged (binlog_expire_logs_seconds, PURGE BINARY LOGS), or the server started "
                "a new log (RESET MASTER, another server)",
                hint=_FROM_NOW,
            )
        if there[last][1] < size:
            raise self._began_again(last)
        self._require_same(arrived)

    def _require_source(self, source: str) -> None:
        """Raise LogLost if `source`, the server_id of the server now, is not that of the received
        log: a base backup of this server would not lead into this log."""
        known = self._state["source"] if self._state else self.source
        if known != source:
            raise LogLost(
                f"drd has received the binary log of a server with server_id {known}, but the "
                f"server that `dsn` names has server_id {source} now",
                hint="drd now receives the log from its newest file, and makes a base backup at "
                "once. If this is the wrong server, correct `dsn` in the plan. If somebody changed "
                "server_id, nothing else is to be done.",
            )

    def _require_same(self, arrived: dict[int, list[Path]]) -> bool:
        """Return whether all copies of each file are from the same file of the same server; False
        if a copy is too short to show this yet. Raises LogLost if they are not."""
        for number, files in arrived.items():
            heads = [head_of(file) for file in files]
            if any(head is None for head in heads):
                return False
            if len({head.event for head in heads if head is not None}) > 1:
                raise self._began_again(number)
            for shorter in files[:-1]:
                if shorter.stat().st_size == files[-1].stat().st_size or self._is_left(shorter):
                    shorter.unlink(missing_ok=True)
        return True

    def _is_left(self, file: Path) -> bool:
        """Return whether no program writes to this copy any more."""
        return file.parent != max(self._directory.glob("came-*"), default=file.parent)

    def _began_again(self, number: int) -> LogLost:
        return LogLost(
            f"file {number:06d} of the binary log is not the file that drd has received: the "
            "server started a new log (RESET MASTER), was restored to an older state, or is "
            "another server",
            hint=_FROM_NOW,
        )

    def start(self, said: int) -> Child:
        arrived, there = self._copies(), self._on_server()
        number = max(arrived) if arrived else max(there)
        if number not in there:
            self.require()  # raises LogLost with the reason
        runs = [int(p.name.removeprefix("came-")) for p in self._directory.glob("came-*")]
        into = self._directory / f"came-{max(runs, default=0) + 1:08d}"
        into.mkdir(mode=0o700)
        argv = [
            self._tool.path,
            f"--defaults-file={self._options}",
            "--read-from-remote-server",
            "--raw",
            "--stop-never",
            f"--stop-never-slave-server-id={self._id}",
            f"--result-file={into}/",
            "--",
            there[number][0],
        ]
        env = {"LC_ALL": "C"}
        # The server names the files that mariadb-binlog writes: a name with `..` leads elsewhere.
        command = Command(argv, env=env, name=self.program, writes=(into,))
        return process.start(command, stdout=said, stderr=said)

    def lost(self, said: str) -> str:
        return said if any(text in said.lower() for text in _GONE) else ""

    def mark(self) -> LogMark | None:
        at, source = self._one(_NOW)
        assert isinstance(at, datetime)
        self._require_source(str(source))  # SET GLOBAL changes it while the server runs
        status = self._one("SHOW MASTER STATUS")
        number = number_of(str(status[0]))
        if number is None:
            raise SourceError(
                f"the file name of the binary log does not end with a number: "
                f"{str(status[0])[:80]!r}",
                hint="check `log_bin` in the configuration of the server.",
            )
        position = place(number, int(status[1]))
        if position == self._marked:
            return None
        if position < self._marked:
            raise self._began_again(number)
        since = self._since()
        self._marked = position
        return LogMark(position, since, at.replace(tzinfo=UTC))

    def _since(self) -> int:
        """Return the second in which the server made the first received file: it distinguishes the
        log from another one with the same file numbers."""
        if self._state:
            return int(self._state["since"])
        end = time.monotonic() + _HEAD_S
        while True:
            arrived = self._copies()
            head = head_of(arrived[min(arrived)][-1]) if arrived else None
            if head is not None:
                break
            if time.monotonic() > end:
                raise SourceUnreachable(
                    "mariadb-binlog runs, but drd has not received any of the binary log",
                    hint="check the network, and the error log of the server.",
                )
            process.check_cancelled()
            time.sleep(0.05)
        state = {"source": self.source, "since": head.made, "stage": secrets.token_hex(4)}
        new = self._directory / f"{STATE}.new"
        new.write_text(json.dumps(state), encoding="ascii")
        new.replace(self._directory / STATE)
        self._state = state
        return head.made

    def forget_mark(self) -> None:
        """Mark again, whatever has changed."""
        self._marked = 0

    def arrived(self, mark: LogMark) -> bool:
        number, offset = split(mark.position)
        arrived = self._copies()
        if number not in arrived or not self._require_same(arrived):
            return False
        return arrived[number][-1].stat().st_size >= offset

    def stage(self, mark: LogMark, into: Path) -> int:
        last, end = split(mark.position)
        arrived = self._copies()
        first = last
        while first - 1 in arrived:
            first -= 1
        for left in into.iterdir():
            if left.name != self._state["stage"]:
                shutil.rmtree(left)
        stage = into / str(self._state["stage"])
        stage.mkdir(mode=0o700, exist_ok=True)
        wanted = set()
        for number in range(first, last + 1):
            if number not in arrived:
                raise _missing(mark.position, self._directory)
            size = end if number == last else arrived[number][-1].stat().st_size
            wanted |= _cut(arrived[number][-1], number, size, stage)
        for one in list(stage.iterdir()):
            if one.name not in wanted:
                one.unlink()
        return place(first, 0)

    def lines(self, line: int) -> tuple[tuple[int, int], ...]:  # noqa: ARG002 - it has no others
        return ()

    def received_bytes(self) -> int:
        """Return the bytes of the files that are complete: the last one stays in any case."""
        with suppress(FileNotFoundError):
            arrived = self._copies()
            sizes = {number: files[-1].stat().st_size for number, files in arrived.items()}
            return sum(size for number, size in sizes.items() if number != max(sizes))
        return 0

    def drop(self, mark: LogMark) -> None:
        last, _ = split(mark.position)
        for number, files in self._copies().items():
            for file in files if number < last else ():
                file.unlink(missing_ok=True)
        for directory in self._directory.glob("came-*"):
            if self._is_left(directory / "x"):
                with suppress(OSError):  # it is not empty
                    directory.rmdir()

    def begin_anew(self) -> None:
        begun_anew(self._directory, keep=bool(self._copies()))
        self._marked, self._state = 0, {}


def _missing(position: int, directory: Path) -> SourceError:
    return SourceError(
        f"files of the binary log before {show(position)} are missing in {directory}: another "
        "program removed them",
        hint="drd makes a base backup at once, and continues to receive the log. Make sure that "
        "no other program removes files in this directory.",
    )


def _cut(file: Path, number: int, size: int, stage: Path) -> set[str]:
    """Copy a file up to `size` as pieces, and return their names. A piece that is complete stays as
    it is."""
    names = set()
    with file.open("rb") as source:
        for index in range(-(-size // PIECE_BYTES)):
            piece = stage / piece_name(number, index)
            length = min(PIECE_BYTES, size - index * PIECE_BYTES)
            names.add(piece.name)
            if piece.exists() and piece.stat().st_size == length:
                continue
            source.seek(index * PIECE_BYTES)
            piece.unlink(missing_ok=True)
            with piece.open("xb") as copy:
                copied = copy.write(source.read(length))
            if copied < length:
                raise _missing(place(number, size), file.parent)
    return names
