"""The summary of the status in one file: quick to read in a cold start, updated piece by piece.

The first line says what it is and how long the header is; the header, in JSON, follows; then
compressed pieces for some dozens of plans each, in three parts: the briefs of its plans, which is
all that a screen of healthy plans needs, the facts of those that have none, and the facts of the
others. The name of a plan determines its piece, so a change of one plan costs one piece. A reader
trusts the owner of the file, no further: it is no link, belongs to the owner of its directory or to
root, and everything in it is bounded.
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from json import dumps, loads
from zlib import compress, crc32, decompressobj

from drd import acl
from drd.errors import CatalogueError, DamagedSummary
from drd.flows.status.overview import SUMMARY as NAME
from drd.model.changes import Changed
from drd.model.facts import AlertFacts, PlanFacts, StatusFacts
from drd.model.facts_codec import FORMAT, decode, encode
from drd.model.status_line import Brief, briefs_from, in_advance
from drd.model.status_notes import Told
from drd.named import NamedTuple
from drd.users import group_name, user_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    _T = TypeVar("_T")

MODE = 0o640
_SCHEMA = 1
_MAGIC = b"drd-status"
_FIRST_LINE = 40
_PLANS_A_PIECE = 48
_MOST_BYTES = 64 << 20
_MOST_HEADER = 16 << 20
_MOST_PIECE = 32 << 20
_MOST_UNPACKED = 128 << 20
_MOST_PIECES = 4096
"""Far more than ten thousand plans with long errors need; a file with more is not drd's."""


def _format() -> str:
    """Return the format, which differs if other facts are written."""
    return f"{crc32(f'{FORMAT} {Brief._fields} {Told._fields}'.encode()):08x}"


class Header(NamedTuple):
    """`at` is when the catalogue last confirmed this; `state` and `seq` identify the catalogue and
    the last counted change. `rest` are the facts that are not about single loaded plans.
    """

    at: datetime
    version: str
    state: str
    seq: int
    rest: StatusFacts


_Parts = tuple[bytes, bytes, bytes]


class SummaryFile:
    """A summary as it is on disk; only the requested parts are unpacked. With a plan's name,
    methods read only the piece of this plan. Every method raises DamagedSummary for content that
    drd has not written.
    """

    def __init__(self, header: Header, pieces: list[_Parts]) -> None:
        self.header = header
        self.pieces = pieces
        self._left = _MOST_UNPACKED

    def briefs(self, plan: str | None = None) -> list[Brief | Told]:
        """Return the briefs of the plans that have one."""
        return [b for parts in self._some(plan) for b in self._understood(_briefs, parts[0])]

    def without_brief(self, plan: str | None = None) -> list[PlanFacts]:
        """Return the facts of plans that have no brief."""
        return [f for parts in self._some(plan) for f in self._understood(_facts, parts[1])]

    def facts(self, plans: Collection[str]) -> list[PlanFacts]:
        """Return the facts of these plans, which have a brief."""
        wanted = {piece_of(plan, len(self.pieces)) for plan in plans}
        names = set(plans)
        parts = (self.pieces[number][2] for number in sorted(wanted))
        return [f for part in parts for f in self._understood(_facts, part) if f.plan in names]

    def lines(self) -> Iterator[tuple[dict[str, bytes], dict[str, bytes]]]:
        """Return the lines of briefs and facts of each piece, by plan."""
        for parts in self.pieces:
            briefs, loud, quiet = (self._understood(_lines, part) for part in parts)
            yield briefs, {**loud, **quiet}

    def _some(self, plan: str | None) -> list[_Parts]:
        if plan is None:
            return self.pieces
        return [self.pieces[piece_of(plan, len(self.pieces))]]

    def _understood(self, how: Callable[[bytes], _T], part: bytes) -> _T:
        """Unpack parts; in all no more than a summary can have."""
        return _understood(lambda packed: how(self._unpacked(packed)), part)

    def _unpacked(self, part: bytes) -> bytes:
        if not part:
            return b""

        most = min(_MOST_PIECE, self._left)
        unpacking = decompressobj()
        data = unpacking.decompress(part, most + 1)
        if not unpacking.eof or len(data) > most:
            raise ValueError("its content is too large, or incomplete")
        self._left -= len(data)
        return data


def piece_of(plan: str, pieces: int) -> int:
    """Return the number of the piece with the plan."""
    return crc32(plan.encode()) % pieces


def _understood(how: Callable[[bytes], _T], data: bytes) -> _T:
    try:
        return how(data)
    except (
        ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError,
        zlib.error,
    ) as why:  # fmt: skip
        raise DamagedSummary(f"its content is not valid: {why}") from None


def _rows(data: bytes) -> list[Any]:
    return list(loads(b"[%b]" % data.replace(b"\n", b",")))


def _lines(data: bytes) -> dict[str, bytes]:
    """Return lines by their first value, the plan's name, which needs no escapes."""
    return {line.split(b'"', 2)[1].decode(): line for line in data.split(b"\n") if line}


def _briefs(data: bytes) -> list[Brief | Told]:
    return briefs_from(_rows(data))


def _facts(data: bytes) -> list[PlanFacts]:
    plan_facts = []
    for name, values in _rows(data):
        facts = decode(values)
        if not isinstance(facts, PlanFacts) or facts.plan != name:
            raise ValueError("no facts of a plan")
        plan_facts.append(facts)
    return plan_facts


# --- reading ------------------------------------------------------------------------------------


def read_summary(directory: str) -> SummaryFile:
    """Read the summary in a public directory. Raises FileNotFoundError, PermissionError or another
    OSError if it cannot be read, and DamagedSummary if drd has not written it, or it has another
    version.
    """
    fd = os.open(f"{directory}/{NAME}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb", buffering=0) as file:
        info = os.fstat(fd)
        owners = (0, os.geteuid(), os.stat(directory).st_uid)  # noqa: PTH116 - a cold start
        if not stat.S_ISREG(info.st_mode) or info.st_uid not in owners:
            raise DamagedSummary("the file does not belong to drd's user, or is not a regular file")
        if info.st_mode & 0o022 or info.st_size > _MOST_BYTES:
            raise DamagedSummary("other users can write to the file, or it is too large")
        data = file.read(_MOST_BYTES + 1) or b""
    return _parsed(data)


def _parsed(data: bytes) -> SummaryFile:
    first = data[:_FIRST_LINE].split(b"\n", 1)[0]
    words = first.split(b" ")
    if len(words) != 3 or words[0] != _MAGIC or not words[2].isdigit():
        raise DamagedSummary("the file is not a status file")
    if words[1] != f"{_SCHEMA}.{_format()}".encode():
        raise DamagedSummary("another version of drd has written the file")
    start, length = len(first) + 1, int(words[2])
    if length > _MOST_HEADER or start + length > len(data):
        raise DamagedSummary("it is incomplete")
    header, sizes = _understood(_header, data[start : start + length])
    if len(sizes) > _MOST_PIECES:
        raise DamagedSummary("the file has too many parts")
    pieces, end = [], start + length
    for piece in sizes:
        parts = []
        for size in piece:
            parts.append(data[end : end + size])
            end += size
        pieces.append((parts[0], parts[1], parts[2]))
    if end != len(data) or not pieces:
        raise DamagedSummary("it is incomplete")
    return SummaryFile(header, pieces)


def _header(data: bytes) -> tuple[Header, list[list[int]]]:
    known = loads(data)
    rest = decode(known["rest"])
    at = datetime.fromtimestamp(known["at"], UTC)
    sizes = known["sizes"]
    if not isinstance(rest, StatusFacts) or any(
        len(piece) != 3 or min(piece) < 0 or not all(type(size) is int for size in piece)
        for piece in sizes
    ):
        raise TypeError("no header")
    return Header(at, str(known["version"]), str(known["state"]), int(known["seq"]), rest), sizes


# --- writing ------------------------------------------------------------------------------------


class Summary:
    """A summary that is kept up to date."""

    def __init__(self, version: str) -> None:
        self._version = version
        self.state, self.seq = "", -1
        self._briefs: list[dict[str, bytes]] = [{}]
        self._facts: list[dict[str, bytes]] = [{}]
        self._packed: list[_Parts | None] = [None]
        self._rest = StatusFacts([])

    @staticmethod
    def of(file: SummaryFile, version: str) -> Summary:
        """Continue from an existing file. Raises DamagedSummary."""
        summary = Summary(version)
        header = file.header
        summary.state, summary.seq, summary._rest = header.state, header.seq, header.rest
        lines = list(file.lines())
        summary._briefs = [briefs for briefs, _ in lines]
        summary._facts = [facts for _, facts in lines]
        summary._packed = list(file.pieces)
        return summary

    def __len__(self) -> int:
        return sum(map(len, self._facts))

    def apply(self, changed: Changed, state: str, now: datetime) -> None:
        """Apply the changes in the catalogue `state`."""
        facts = changed.facts
        if changed.everything:
            self._lay_out(len(facts.plans))
            others: Mapping[str, tuple[AlertFacts, ...]] = facts.others
        else:
            names = {*changed.gone, *(f.plan for f in facts.plans)}
            kept = {k: v for k, v in self._rest.others.items() if k not in names}
            others = {**kept, **facts.others}
        for name in changed.gone:
            self._put(name, None, None)
        for plan in facts.plans:
            brief = in_advance(plan, now)
            self._put(plan.plan, _brief_line(brief), _facts_line(plan))
        if not changed.everything and not _PLANS_A_PIECE / 4 < self._share() < _PLANS_A_PIECE * 4:
            self._lay_out_again()
        self.state, self.seq = state, changed.seq
        self._rest = facts._replace(plans=(), others=dict(others))

    def _share(self) -> float:
        """Return the number of plans for each piece; as requested if one piece has all."""
        return len(self) / len(self._facts) if len(self._facts) > 1 else max(len(self), 13)

    def _lay_out(self, plans: int) -> None:
        pieces = max(1, plans // _PLANS_A_PIECE)
        self._briefs = [{} for _ in range(pieces)]
        self._facts = [{} for _ in range(pieces)]
        self._packed = [None] * pieces

    def _lay_out_again(self) -> None:
        briefs = {k: v for piece in self._briefs for k, v in piece.items()}
        facts = {k: v for piece in self._facts for k, v in piece.items()}
        self._lay_out(len(facts))
        for name, line in facts.items():
            self._put(name, briefs.get(name), line)

    def _put(self, name: str, brief: bytes | None, facts: bytes | None) -> None:
        number = piece_of(name, len(self._facts))
        self._packed[number] = None
        for known, line in ((self._briefs[number], brief), (self._facts[number], facts)):
            if line is None:
                known.pop(name, None)
            else:
                known[name] = line

    def to_bytes(self, now: datetime) -> bytes:
        """Return the file's content at `now`."""
        for number, packed in enumerate(self._packed):
            if packed is None:
                self._packed[number] = _packed(self._briefs[number], self._facts[number])

        pieces = [packed for packed in self._packed if packed is not None]
        header = dumps(
            {
                "at": now.timestamp(),
                "version": self._version,
                "state": self.state,
                "seq": self.seq,
                "rest": encode(self._rest),
                "sizes": [[len(part) for part in parts] for parts in pieces],
            }
        ).encode()
        first = f"{_MAGIC.decode()} {_SCHEMA}.{_format()} {len(header)}\n".encode()
        return b"".join([first, header, *(part for parts in pieces for part in parts)])


def _brief_line(brief: Brief | Told | None) -> bytes | None:
    return None if brief is None else _json(brief)


def _facts_line(plan: PlanFacts) -> bytes:
    return _json([plan.plan, encode(plan)])


def _json(value: Any) -> bytes:
    return dumps(value, separators=(",", ":")).encode()


def _packed(briefs: Mapping[str, bytes], facts: Mapping[str, bytes]) -> _Parts:
    loud = [line for name, line in facts.items() if name not in briefs]
    quiet = [line for name, line in facts.items() if name in briefs]
    return _pack(briefs.values()), _pack(loud), _pack(quiet)


def _pack(lines: Collection[bytes]) -> bytes:
    return compress(b"\n".join(lines), 1) if lines else b""


def write_summary(directory: int, data: bytes) -> bool:
    """Replace the file in the open directory in one step: a reader sees the old or the new file. It
    gets the directory's owner, group and access list; return whether any group can read it. The
    file is not synced to disk: after a power failure it is made anew. Raises OSError.
    """
    beside = f".{NAME}.new"
    with suppress(FileNotFoundError):
        os.unlink(beside, dir_fd=directory)  # what a kill left behind
    how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd, given = os.open(beside, how, 0o600, dir_fd=directory), False
    try:
        with os.fdopen(fd, "wb") as file:
            above = os.fstat(directory)
            owner = above.st_uid if os.geteuid() == 0 else -1
            given = any(acl.groups(f"/proc/self/fd/{directory}", acl.DEFAULT, 4))
            with suppress(PermissionError):
                os.fchown(fd, owner, above.st_gid)
                given = True
            if given:
                os.fchmod(fd, MODE)
            file.write(data)
        os.replace(beside, NAME, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside, dir_fd=directory)
        raise
    return given


def unreadable(directory: str, error: Exception) -> CatalogueError:
    """Return the error for a user who may read only the summary, and cannot read it."""
    place = f"{directory}/{NAME}"
    if isinstance(error, PermissionError):
        user, group = _whose(directory)
        return CatalogueError(
            f"only members of the group {group} can read {place}, and user {user} is not a member",
            hint=f"add the user to the group: `sudo adduser {user} {group}`, then log in "
            "again; or run `sudo drd status`. Members of the operators' group can "
            "ask the daemon meanwhile: drd alerts, drd points PLAN, drd runs",
        )
    why = (
        "drd has not written this file yet" if isinstance(error, FileNotFoundError) else str(error)
    )
    return CatalogueError(
        f"cannot read the status {place}: {why}",
        hint="start the daemon, which writes the status: `sudo systemctl start drd`; or "
        "read the status as root: `sudo drd status`",
    )


def _whose(directory: str) -> tuple[str, str]:
    """Return the current user, and the group that may read the directory: names, else numbers."""

    name, group = user_name(os.geteuid()), os.stat(directory).st_gid  # noqa: PTH116
    return name, group_name(next(acl.groups(directory, acl.DEFAULT, 4), group))
