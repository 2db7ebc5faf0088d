"""Copies that a command lists and another one restores."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from statistics import median
from typing import IO, Any

from drd.errors import (
    PointGone,
    RepositoryDamaged,
    RepositoryError,
    RepositoryUnreachable,
)
from drd.exhaustion import by_name
from drd.model import strict
from drd.model.adopted import READ_UP_TO, Adopted, CommandTool
from drd.model.clock import FAR_AHEAD
from drd.model.finding import Finding
from drd.model.finding_codes import ADOPTED
from drd.model.plan import RepositorySpec, SecretRef
from drd.model.units import format_size, format_time, from_rfc3339
from drd.ports import OnProgress, Progress
from drd.ports.adopted import (
    MOST_COPIES,
    CopyDamaged,
    ForeignCopies,
    ForeignCopy,
    FoundFile,
    Landing,
    ReadToEnd,
)
from drd.process import Command, Completed
from drd.registry import KINDS
from drd.repositories.adopted import afar, cut_off, one_database, pg_archive, rclone_object
from drd.repositories.adopted.cut_off import Looked
from drd.repositories.adopted.rclone_object import RcloneObject
from drd.repositories.adopted.running import keeping_room, require_program, run_into

LIST_S = 120.0
LIST_BYTES = 4 << 20
"""How many bytes the output of a list command may have. drd reads no more."""

_NAME = re.compile(r"(?!-)[A-Za-z0-9_.:@+=,~%-]{1,200}(?:/[A-Za-z0-9_.:@+=,~%-]{1,200}){0,15}")
_MOST_LINES = 100_000
_MOST_AHEAD = 10
"""How many copies drd tells that are dated in the future."""
_MOST_TOLD = 10
"""The number of refused lines and copies that drd names."""
_SHRUNK_TO, _FLOOR = 0.1, 4096
"""Below this share of the usual size a file is no copy; files smaller than the second may shrink by
any factor."""


def is_copy_name(text: str) -> bool:
    """Return whether drd accepts a name for a copy."""
    return bool(_NAME.fullmatch(text)) and not {".", ".."} & set(text.split("/"))


def open_tool(
    spec: RepositorySpec,
    adopted: Adopted,
    *,
    cache_dir: Path,  # noqa: ARG001 - nothing is cached
    resolve: Callable[[SecretRef], str],
    program: str | None,  # noqa: ARG001 - the plan names the programs
) -> CommandCopies:
    """Implements `OpenTool`."""
    assert adopted.command is not None
    return CommandCopies(spec, adopted.command, resolve, _database(adopted), adopted.read_up_to)


class CommandCopies:
    """Implements `ForeignTool`."""

    def __init__(
        self,
        spec: RepositorySpec,
        tool: CommandTool,
        resolve: Callable[[SecretRef], str],
        database: str | None = None,
        read_up_to: int = READ_UP_TO,
    ) -> None:
        self._spec = spec
        self._tool = tool
        self._resolve = resolve
        self._database = database
        self._read_up_to = read_up_to

    def cold(self, cache: Path) -> CommandCopies:  # noqa: ARG002 - nothing is cached
        return self

    def preflight(self) -> None:
        """The listing shows whether the place answers."""

    def probe(self) -> str | None:
        return self.identity()

    def identity(self) -> str | None:
        """The plan's name for the place: a changed word of a command is no other place."""
        return hashlib.sha256(self._spec.url.encode()).hexdigest()

    def copies(self) -> ForeignCopies:
        with tempfile.TemporaryFile() as answer:
            done = self._run("list", self._tool.list, answer, LIST_S)
            if done.exit_code != 0:
                raise RepositoryUnreachable(
                    f"the command that lists the copies of {self._spec.name} {done.failure}",
                    hint=by_hand(self._tool.list),
                )
            answer.seek(0)
            printed = answer.read()
        listed_copies = _parsed(printed)
        is_file = not any("${into}" in word for word in self._tool.restore)
        listed_copies = _plausible(listed_copies) if is_file else listed_copies
        if self._database is not None:
            listed_copies = one_database.of_one_database(
                listed_copies, self._plain_file, self._database
            )
        return _told(listed_copies)

    def find(self, copy: ForeignCopy, path: str) -> FoundFile | None:  # noqa: ARG002 - one file
        return self._looked(copy).found(FoundFile(True, copy.bytes, None, 0o600, 0, 0))

    def _looked(self, copy: ForeignCopy) -> Looked:
        if rclone_object.reads_whole(self._tool.restore):
            return afar.looked(self._object(copy))
        file, is_plain = self._file_of(copy)
        if file is None:
            return Looked()
        seen = cut_off.of_path(file, copy.bytes)
        if is_plain:
            return seen
        # What the file holds is not what lands, but zeros are in no archive.
        return seen.of_archive()._replace(head=b"" if seen.head.strip(b"\0") else seen.head)

    def read_to_end(
        self,
        copy: ForeignCopy,
        path: str,  # noqa: ARG002 - one file
        seconds: float,
        on_progress: OnProgress,
    ) -> ReadToEnd:
        if rclone_object.reads_whole(self._tool.restore):
            if copy.bytes > self._read_up_to:
                return afar.too_large(self._read_up_to)
            return afar.read_to_end(self._object(copy), seconds, on_progress)
        file, _ = self._file_of(copy)
        assert file is not None
        try:
            return cut_off.path_to_its_end(file, copy.bytes, seconds, on_progress)
        except OSError as error:
            raise RepositoryUnreachable(
                f"drd cannot read {file}: {error.strerror}",
                hint="check the file. drd tries again at the next listing.",
            ) from error

    def _object(self, copy: ForeignCopy) -> RcloneObject:
        def run(words: Sequence[str], output: IO[bytes], most: int, seconds: float) -> Completed:
            return self._run("restore", list(words), output, seconds, most=most)

        return RcloneObject(copy.name, copy.bytes, self._words(copy), run)

    def _words(self, copy: ForeignCopy) -> list[str]:
        return [word.replace("${copy}", copy.name) for word in self._tool.restore]

    def _plain_file(self, copy: ForeignCopy) -> Path | None:
        file, is_plain = self._file_of(copy)
        return file if is_plain else None

    def _file_of(self, copy: ForeignCopy) -> tuple[Path | None, bool]:
        """Return the file that `restore` reads, if that is plain (`tar --file=/DIRECTORY/${copy}`),
        and whether it prints the file as it is (`cat /DIRECTORY/${copy}`)."""
        named = [word.rpartition("=")[2] for word in self._tool.restore if "${copy}" in word]
        if len(named) != 1 or not named[0].startswith("/"):
            return None, False
        path = Path(named[0].replace("${copy}", copy.name))
        match self._tool.restore:
            case [program, _]:
                return path, Path(program).name == "cat"
        return path, False

    def fetch(
        self,
        copy: ForeignCopy,
        what: Landing,
        into: Path,
        *,
        deadline_s: float | None,
        on_progress: OnProgress,
    ) -> int:
        words = self._words(copy)
        deadline_s = min(deadline_s or self._tool.timeout_s, self._tool.timeout_s)
        if what.paths:
            size = self._fetch_tree(copy, words, into, deadline_s)
            self._require_unchanged(copy)
            return size
        target = into / what.called
        with target.open("xb") as file:

            def tick() -> None:
                size = os.fstat(file.fileno()).st_size
                on_progress(Progress(what.called, "fetch", size, what.bytes))

            try:
                done = self._run(
                    "restore",
                    words,
                    file,
                    deadline_s,
                    most=what.bytes,
                    on_tick=tick,
                    too_long=_UNFINISHED,
                )
                size = os.fstat(file.fileno()).st_size
                self._require_fetched(done, copy, size)
                self._require_unchanged(copy)
            except BaseException:
                target.unlink()
                raise
        return size

    def _fetch_tree(
        self, copy: ForeignCopy, words: list[str], into: Path, deadline_s: float
    ) -> int:
        words = [word.replace("${into}", str(into)) for word in words]
        room = keeping_room(into, f"the command that restores copy {copy.name}")
        with tempfile.TemporaryFile() as answer:
            done = self._run("restore", words, answer, deadline_s, on_tick=room)
        if done.exit_code != 0 or not any(into.iterdir()):
            raise CopyDamaged(
                f"the command that restores copy {copy.name} {by_name(done.failure)}"
                if done.exit_code != 0
                else f"the command that restores copy {copy.name} wrote nothing",
                hint=by_hand([by_name(word) for word in words]),
            )
        return copy.bytes

    def _require_unchanged(self, copy: ForeignCopy) -> None:
        """Raise CopyDamaged if the tool has written to the copy since it was listed. One that
        it has removed meanwhile was restored whole."""
        for now in self.copies().copies:
            if now.name == copy.name and now.id != copy.id:
                raise CopyDamaged(
                    f"copy {copy.name} changed while it was restored: {_state(copy)} when it was "
                    f"listed, now {_state(now)}",
                    hint=_UNFINISHED,
                )

    def _require_fetched(self, done: Completed, copy: ForeignCopy, size: int) -> None:
        if done.exit_code != 0:
            raise PointGone(
                f"the command that restores copy {copy.name} {done.failure}",
                hint="check with the tool whether it still has this copy, or choose "
                "another restore point: drd points PLAN",
            )
        if size != copy.bytes:
            raise CopyDamaged(
                f"the command that restores copy {copy.name} printed {size:,} bytes, but the list "
                f"says {copy.bytes:,}",
                hint=_UNFINISHED,
            )

    def check(self, read_subset: str | None, deadline_s: float | None) -> None:  # noqa: ARG002
        if not self._tool.verify:
            return
        with tempfile.TemporaryFile() as answer:
            limit_s = min(deadline_s or self._tool.timeout_s, self._tool.timeout_s)
            done = self._run("verify", self._tool.verify, answer, limit_s)
        if done.exit_code != 0:
            raise RepositoryDamaged(
                f"the command that verifies the copies of {self._spec.name} {done.failure}",
                hint=by_hand(self._tool.verify),
            )

    def size_bytes(self) -> int:
        return sum(copy.bytes for copy in self.copies().copies)

    def versions(self) -> Mapping[str, str]:
        return {}

    def doctor(self) -> list[Finding]:
        tool = self._tool
        findings = []
        for key, words in (("list", tool.list), ("restore", tool.restore), ("verify", tool.verify)):
            try:
                if words:
                    require_program(key, words)
            except RepositoryError as error:
                name = self._spec.name
                findings.append(Finding(ADOPTED, "error", name, error.message, error.hint))
        return findings

    def _run(
        self,
        key: str,
        words: tuple[str, ...] | list[str],
        output: IO[bytes],
        deadline_s: float,
        *,
        most: int = LIST_BYTES,
        on_tick: Callable[[], None] = lambda: None,
        too_long: str = "",
    ) -> Completed:
        """Run the command that stands under a key of the plan. See `run_into`."""
        require_program(key, words)
        secrets = {name: self._resolve(ref) for name, ref in self._tool.env}
        command = Command(
            list(words), env=secrets, deadline_s=deadline_s, drop_capabilities=True, leash="always"
        )
        return run_into(
            command,
            output,
            most,
            on_tick=on_tick,
            too_long=too_long,
            too_much=CopyDamaged if too_long else RepositoryError,  # of a file of known size
        )


def _database(adopted: Adopted) -> str | None:
    """Return the database that the plan names; None if its dumps do not say theirs."""
    for component in adopted.components:
        if KINDS[component.kind].begins == pg_archive.MAGIC:
            return KINDS[component.kind].served_as(component.settings)
    return None


_UNFINISHED = (
    "the copy is cut off, or still being written: choose another restore point, and let `list` "
    "leave out copies that are not finished."
)


def _state(copy: ForeignCopy) -> str:
    return f"{copy.bytes:,} bytes of {format_time(copy.ended_at, seconds=True)}"


def by_hand(words: Sequence[str]) -> str:
    """Return the remedy for a command of the plan that failed."""
    return f"run this command by hand: {shlex.join(words)}"


def _parsed(printed: bytes) -> ForeignCopies:
    """Read the listing: one JSON object in each line. A line that is none is refused alone, and so
    is a name with different times or sizes: somebody may have put a line into the name of a file.
    """
    copies: dict[str, ForeignCopy] = {}
    refused: dict[str, str] = {}
    twice: set[str] = set()
    lines = printed.splitlines()
    if len(lines) > _MOST_LINES:
        refused[f"lines {_MOST_LINES + 1:,} to {len(lines):,} of the list"] = (
            f"drd reads only the first {_MOST_LINES:,} lines: let `list` leave out old copies"
        )
    for number, line in enumerate(lines[:_MOST_LINES], start=1):
        if not line.strip():
            continue
        try:
            copy = _copy(strict.document(line, f"line {number}"))
        except strict.UnexpectedValue as error:
            refused.setdefault(f"line {number} of the list", str(error))
            continue
        if copies.setdefault(copy.name, copy).id != copy.id:
            twice.add(copy.name)
    for name in sorted(twice):
        del copies[name]
        refused[f"copy {name}"] = "it is listed twice, with different times or sizes"
    ordered = sorted(copies.values(), key=lambda c: c.ended_at)
    latest = datetime.now(UTC) + FAR_AHEAD
    ahead = [copy for copy in ordered if copy.ended_at > latest]  # never used, so never in the way
    usable = ordered[: len(ordered) - len(ahead)]
    left_out = max(0, len(usable) - MOST_COPIES)
    return ForeignCopies([*usable[-MOST_COPIES:], *ahead[:_MOST_AHEAD]], refused, left_out)


def _told(found: ForeignCopies) -> ForeignCopies:
    """Return the first refused lines, and the number of the others: a list may have a hundred
    thousand wrong lines."""
    refused = dict(islice(found.refused.items(), _MOST_TOLD))
    return replace(found, refused=refused, untold=len(found.refused) - len(refused))


def _plausible(found: ForeignCopies) -> ForeignCopies:
    """Refuse files that are far smaller than those before: the other tool may have been killed, or
    its disk full. The third small one in a row is the usual size."""
    sizes = [copy.bytes for copy in found.copies]
    refused = dict(found.refused)
    sound = []
    for n, copy in enumerate(found.copies):
        usual = median(sizes[n - 3 : n]) if n >= 3 else 0
        if usual >= _FLOOR and copy.bytes < _SHRUNK_TO * usual:
            refused[f"copy {copy.name}"] = (
                f"it has {format_size(copy.bytes)}, but earlier copies have "
                f"{format_size(int(usual))}: it may be cut off"
            )
        else:
            sound.append(copy)
    return replace(found, copies=sound, refused=refused)


def _copy(raw: Mapping[str, Any]) -> ForeignCopy:
    name = strict.matching(strict.member(raw, "name"), "name", _NAME, "name of a copy")
    if not is_copy_name(name):
        raise strict.refuse("name", "leads to another directory", name)
    at = _time(strict.member(raw, "time"))
    size = strict.count(strict.member(raw, "bytes"), "bytes")
    if size == 0:
        raise strict.refuse("bytes", "is 0: an empty file is not a copy", name)
    identity = hashlib.sha256(f"{name}\0{at.isoformat()}\0{size}".encode()).hexdigest()
    return ForeignCopy(identity, name, at, at, size)


def _time(value: Any) -> datetime:
    """Read RFC 3339, or seconds since 1970."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = strict.number(value, "time", most=7e9)
        return strict.time(datetime.fromtimestamp(seconds, UTC).isoformat(), "time")
    text = strict.text(value, "time", most=64)
    try:
        return strict.time(from_rfc3339(text).isoformat(), "time")
    except ValueError:
        raise strict.refuse("time", "is not a time", text) from None
