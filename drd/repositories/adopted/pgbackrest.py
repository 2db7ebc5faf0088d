"""The backups of a stanza of pgBackRest, and the states that its WAL leads to."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from drd import process
from drd.errors import PointGone, RepositoryDamaged
from drd.model.adopted import Adopted, Stanza
from drd.model.finding import Finding
from drd.model.finding_codes import BACKUP_ERRORS
from drd.model.plan import RepositorySpec, SecretRef
from drd.model.text import counted, escaped, some
from drd.ports import OnProgress, Progress
from drd.ports.adopted import (
    MOST_COPIES,
    ForeignCopies,
    ForeignCopy,
    FoundFile,
    Landing,
    NotInCopy,
    ReadToEnd,
    ServerState,
)
from drd.repositories.adopted import landed, stanza_info, wal
from drd.repositories.adopted.archive_finding import archive_finding
from drd.repositories.adopted.stanza_check import check_finding
from drd.repositories.adopted.stanza_info import Backup, StanzaInfo
from drd.repositories.adopted.stanza_program import StanzaProgram
from drd.repositories.adopted.wal import Archive

DATA, SPACES = "data", "tablespaces"
"""What is restored: the directory of the server, with its WAL in pg_wal, and its tablespaces."""

_AT_ONCE = 4
_MOST_STATES = 5000
_A_MOMENT = timedelta(microseconds=1)


def open_tool(
    spec: RepositorySpec,
    adopted: Adopted,
    *,
    cache_dir: Path,
    resolve: Callable[[SecretRef], str],
    program: str | None,  # noqa: ARG001 - that is restic
) -> StanzaCopies:
    """Implements `OpenTool`."""
    assert adopted.stanza is not None
    return StanzaCopies(
        spec.name, adopted.stanza, StanzaProgram(spec.name, adopted.stanza, resolve, cache_dir)
    )


class StanzaCopies:
    """Implements `ForeignTool`: each backup is a copy, as it was at its end; and the newest, rolled
    forward to the last archived WAL, is one more."""

    def __init__(self, name: str, stanza: Stanza, program: StanzaProgram) -> None:
        self._name = name
        self._stanza = stanza
        self._program = program
        self._lock = threading.Lock()
        self._databases: dict[str, Mapping[str, int]] = {}
        self._lines: dict[tuple[str, int], frozenset[int]] = {}

    def cold(self, cache: Path) -> StanzaCopies:
        return StanzaCopies(self._name, self._stanza, self._program.cold(cache))

    def preflight(self) -> None:
        """Do nothing: the listing will show whether the repository answers."""

    def probe(self) -> str | None:
        return self.identity()

    def identity(self) -> str | None:
        """Return the identity of one server's stanza: its oldest server never changes."""
        info = self._info()
        said = f"pgbackrest {self._stanza.name} {info.system}"
        return hashlib.sha256(said.encode()).hexdigest()

    def copies(self) -> ForeignCopies:
        info = self._info()
        archives = self._archives(info.backups)
        refused = dict(info.refused or {})
        sound: list[Backup] = []
        there = self._names(f"backup/{self._stanza.name}") if info.backups else frozenset()
        for backup in info.backups:
            lost = [name for name in (backup.label, *backup.needs) if name not in there]
            if lost:
                refused[backup.label] = f"the repository lacks the directory of backup {lost[0]}"
            elif self._chain(backup, archives[backup.archive], backup.last):
                sound.append(backup)
            else:
                refused[backup.label] = (
                    f"the archive lacks WAL of the backup ({backup.first} to {backup.last})"
                )
        ended = [_at_its_end(b, archives[b.archive]) for b in sound]
        states: list[ForeignCopy] = []
        for n, backup in enumerate(sound):
            following = sound[n + 1] if n + 1 < len(sound) else None
            states += self._states(backup, archives[backup.archive], following)
        copies = ended[-MOST_COPIES:]
        if sound and states and states[-1].server and states[-1].name.startswith(sound[-1].label):
            copies.append(states.pop())
        return ForeignCopies(
            copies, refused, max(0, len(ended) - MOST_COPIES), states[-_MOST_STATES:]
        )

    def _states(
        self, backup: Backup, archive: Archive, following: Backup | None
    ) -> Iterator[ForeignCopy]:
        """Yield the states after the backup, one for each segment, up to the one after the
        next backup, however late it was archived: a commit may follow the backup's last segment
        before the time at which pgBackRest calls it finished. Each state is later than the one
        before, though times in the repository are whole seconds."""
        reached, complete = backup.stopped_at, False
        walk = archive.walk(backup.first, "", self._lines_of(backup, archive))
        for n, segment in enumerate(walk, start=1):
            if complete:
                reached = max(reached + _A_MOMENT, archive.segments[segment])
                yield _rolled(backup, archive, segment, n, reached)
            complete = complete or segment == backup.last
            if following is not None and _is_past(following, backup, segment, reached):
                return

    def _chain(self, backup: Backup, archive: Archive, last: str) -> Sequence[str]:
        """Return the segments from the beginning of a backup; none, if `last` is not reached."""
        chain = archive.chain(backup.first, last, self._lines_of(backup, archive))
        return chain if not last or (chain and chain[-1] == last) else ()

    def _lines_of(self, backup: Backup, archive: Archive) -> frozenset[int]:
        newest = max(archive.histories, default=0)
        if newest <= wal.timeline(backup.first):
            return frozenset()
        return self._line(backup.archive, newest)

    def _line(self, archive: str, newest: int) -> frozenset[int]:
        """Return the timelines that lead to the newest one."""
        with self._lock:
            known = self._lines.get((archive, newest))
        if known is None:
            path = f"archive/{self._stanza.name}/{archive}/{newest:08X}.history"
            history = self._program.answer(["repo-get", path]).decode("utf-8", "replace")
            known = wal.ancestors(history, newest)
            with self._lock:
                self._lines[archive, newest] = known
        return known

    def _info(self) -> StanzaInfo:
        printed = self._program.answer(["info", "--output=json"])
        info = stanza_info.parsed(printed, self._stanza.name, self._stanza.repo)
        if info.status in (stanza_info.NO_PATH, stanza_info.NO_DATA):
            if not self._names() & {"archive", "backup"}:
                self._program.no_repository()
            self._program.no_stanza(info.message)
        if info.status not in (stanza_info.OK, stanza_info.NO_BACKUPS):
            self._program.judge(info.message)
        return info

    def _names(self, *path: str) -> frozenset[str]:
        return stanza_info.names_in(self._program.answer(["repo-ls", "--output=json", *path]))

    def _archives(self, backups: Sequence[Backup]) -> Mapping[str, Archive]:
        archives = {}
        for name in dict.fromkeys(b.archive for b in backups):
            size = wal.segment_size(b for b in backups if b.archive == name)
            path = f"archive/{self._stanza.name}/{name}"
            printed = self._program.answer(["repo-ls", "--recurse", "--output=json", path])
            archives[name] = wal.archive(printed, size)
        return archives

    def find(self, copy: ForeignCopy, path: str) -> FoundFile | None:
        """Return a database of the server. Each gets the size of all databases together, because
        single sizes are not known."""
        there = self.databases(copy)
        if path in there:
            return FoundFile(True, copy.bytes, None, 0o600, 0, 0)
        raise NotInCopy(
            f"backup {_state(copy).backup} does not contain database {path}, but only "
            f"{some([escaped(name) for name in sorted(there)]) or 'the databases of the system'}",
            hint="correct `dsn` of the component, or `url` if the stanza is another server's.",
        )

    def system(self, copy: ForeignCopy) -> int:
        """Return the id of the server that was backed up."""
        label = _state(copy).backup
        return next((b.system for b in self._info().backups if b.label == label), 0)

    def databases(self, copy: ForeignCopy) -> Mapping[str, int]:
        """Return the databases in a backup, with their object ids."""
        label = _state(copy).backup
        with self._lock:
            known = self._databases.get(label)
        if known is None:
            printed = self._program.answer(["info", "--output=json", f"--set={label}"])
            known = stanza_info.databases(printed, self._stanza.name, label)
            with self._lock:
                self._databases[label] = known
        return known

    def fetch(
        self,
        copy: ForeignCopy,
        what: Landing,
        into: Path,
        *,
        deadline_s: float | None,
        on_progress: OnProgress,
    ) -> int:
        # All databases: with --db-include the files of the others are empty, and WAL about them
        # ends the replay.
        state = _state(copy)
        deadline_s = min(deadline_s or self._stanza.timeout_s, self._stanza.timeout_s)
        data, spaces = into / DATA, into / SPACES
        for directory in (data, spaces):
            directory.mkdir(0o700)
        landed.require_inside(self._program, self._stanza.name, state.backup)
        words = [
            "restore", f"--set={state.backup}", f"--pg1-path={data}", "--type=none",
            f"--tablespace-map-all={spaces}", "--reset-pg1-host", *landed.NOTHING_ELSE,
        ]  # fmt: skip
        code, _, said = self._program.run(words, deadline_s=deadline_s, writes=(data, spaces))
        if code != 0:
            self._program.fail("restore", said)
        landed.require_closed(data, spaces)
        on_progress(Progress(what.server, "fetch", copy.bytes, copy.bytes + state.wal_bytes))
        self._fetch_wal(copy, what.server, data, deadline_s, on_progress)
        return copy.bytes + state.wal_bytes

    def _fetch_wal(
        self,
        copy: ForeignCopy,
        name: str,
        data: Path,
        deadline_s: float,
        on_progress: OnProgress,
    ) -> None:
        state = _state(copy)
        backup = next((b for b in self._info().backups if b.label == state.backup), None)
        if backup is None:
            raise self._gone(f"backup {state.backup}")
        archive = self._archives([backup])[backup.archive]
        last = state.rolled_to or backup.last
        chain = self._chain(backup, archive, last)
        if not chain:
            raise self._gone(f"WAL from {backup.first} to {last}")
        lines = sorted(t for t in archive.histories if t <= wal.timeline(last))
        wanted = [*(f"{t:08X}.history" for t in lines), *chain]
        done = 0
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="drd-wal") as pool:

            def one(segment: str) -> None:
                process.check_cancelled()
                to = data / "pg_wal" / segment
                words = ["archive-get", f"--pg1-path={data}", segment, str(to)]
                code, _, said = self._program.run(words, deadline_s=deadline_s, writes=(data,))
                if code == 1:
                    raise self._gone(f"WAL segment {segment}")
                if code != 0:
                    self._program.fail("archive-get", said)

            for _ in pool.map(one, wanted):
                done += 1
                got = min(done * archive.size, state.wal_bytes)
                on_progress(Progress(name, "fetch", copy.bytes + got, copy.bytes + state.wal_bytes))

    def _gone(self, what: str) -> PointGone:
        return PointGone(
            f"the repository {self._name} no longer has {what}",
            hint="check whether pgBackRest has removed this backup (pgbackrest info), or "
            "choose another restore point: drd points PLAN",
        )

    def check(self, read_subset: str | None, deadline_s: float | None) -> None:  # noqa: ARG002
        """Run `pgbackrest verify`, which reads everything, but says nothing if it cannot open the
        repository: so that is checked first. If pgBackRest does not list a backup, it is being made
        or was killed: the next backup removes it."""
        listed = {backup.label for backup in self._info().backups}
        limit_s = min(deadline_s or self._stanza.timeout_s, self._stanza.timeout_s)
        words = ["verify", "--output=text", "--verbose"]
        printed = self._program.answer(words, deadline_s=limit_s).decode("utf-8", "replace")
        lines = [line.strip() for line in printed.splitlines()]
        wrong = [
            line for line in lines
            if "status: invalid" in line or _counts(line)
            or ("status: in-progress" in line and any(label in line for label in listed))
        ]  # fmt: skip
        if "status: error" in lines or wrong:
            raise RepositoryDamaged(
                f"pgbackrest verify found damage in stanza {self._stanza.name}: "
                f"{'; '.join(wrong[:6]) or self._unusable() or 'pgbackrest does not say where'}",
                hint="to see all damage: pgbackrest verify --output=text. Make a full "
                "backup, and find out what damaged the repository.",
            )
        lost = self.copies().refused
        if lost:
            label, why = next(iter(lost.items()))
            raise RepositoryDamaged(
                f"{counted(len(lost), 'backup')} of stanza {self._stanza.name} cannot be "
                f"restored: {label}: {why}",
                hint="make a full backup, and find out what removed these files.",
            )
        if "status: ok" not in lines:
            raise RepositoryDamaged(
                f"pgbackrest verify printed no result for stanza {self._stanza.name}",
                hint="run the command by hand: pgbackrest verify --output=text --verbose",
            )

    def size_bytes(self) -> int:
        backups = self._info().backups
        archives = self._archives(backups).values()
        return sum(b.stored_bytes for b in backups) + sum(a.stored_bytes for a in archives)

    def versions(self) -> Mapping[str, str]:
        return {"pgBackRest": self._program.version()}

    def read_to_end(
        self,
        copy: ForeignCopy,  # noqa: ARG002 - no backup is a packed dump
        path: str,  # noqa: ARG002
        seconds: float,  # noqa: ARG002
        on_progress: OnProgress,  # noqa: ARG002
    ) -> ReadToEnd:
        return ReadToEnd("whole")

    def doctor(self) -> list[Finding]:
        """Return findings. Nothing writes, except for `pgbackrest check`, which makes the server
        begin a new segment: it needs the plan's permission."""
        version = self._program.version()
        info = self._info()
        name = self._name
        findings = [
            Finding(
                "repository",
                "ok",
                name,
                f"pgBackRest {version} can read stanza {self._stanza.name}",
            )
        ]
        if info.failed:
            findings.append(
                Finding(
                    BACKUP_ERRORS,
                    "error",
                    name,
                    f"pgBackRest found damaged pages while it made {some(info.failed)}: drd "
                    "does not use these backups",
                    "the database itself is damaged: read the log of pgBackRest, check it with "
                    "amcheck, and make a full backup after the repair.",
                )
            )
        if self._stanza.check:
            findings.append(self._checked())
        if info.backups:
            findings.append(self._archive_finding(info.backups[-1]))
        return findings

    def _checked(self) -> Finding:
        return check_finding(self._name, self._stanza.name, self._program.config(), self._program)

    def _archive_finding(self, newest: Backup) -> Finding:
        archive = self._archives([newest])[newest.archive]
        chain = self._chain(newest, archive, "")
        whole = bool(self._chain(newest, archive, newest.last))
        return archive_finding(self._name, newest, archive, chain if whole else ())

    def _unusable(self) -> str:
        """Return what `verify` does not say: which WAL pgBackRest cannot give."""
        archives = self._archives(self._info().backups).values()
        return some([f"{name} {why}" for a in archives for name, why in a.unusable.items()])


def _counts(line: str) -> bool:
    """Return whether a line of `verify` counts something wrong."""
    if not line.startswith(("missing:", "checksum invalid:", "size invalid:", "other:")):
        return False
    return any(not part.rstrip().endswith(": 0") for part in line.split(","))


def _is_past(following: Backup, backup: Backup, segment: str, reached: datetime) -> bool:
    if following.archive != backup.archive or reached <= following.stopped_at:
        return False
    return segment[8:] > following.last[8:]


def _state(copy: ForeignCopy) -> ServerState:
    assert copy.server is not None
    return copy.server


def _identity(*words: object) -> str:
    return hashlib.sha256("\0".join(map(str, words)).encode()).hexdigest()


def _at_its_end(backup: Backup, archive: Archive) -> ForeignCopy:
    segments = max(1, len(archive.chain(backup.first, backup.last)))
    return ForeignCopy(
        _identity(backup.system, backup.label),
        backup.label,
        backup.stopped_at,
        backup.stopped_at,
        backup.bytes,
        server=ServerState(backup.version, backup.label, segments * archive.size),
    )


def _rolled(
    backup: Backup, archive: Archive, last: str, segments: int, at: datetime
) -> ForeignCopy:
    copy = _at_its_end(backup, archive)
    return replace(
        copy,
        id=_identity(backup.system, backup.label, last),
        name=f"{backup.label} to {last}",
        data_time=at,
        ended_at=at,
        server=ServerState(backup.version, backup.label, segments * archive.size, last),
    )
