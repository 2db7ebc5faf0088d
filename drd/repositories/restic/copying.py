"""Copy snapshots from another repository: `restic copy`, which stores the id of the source snapshot
in
`original`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from drd.errors import PointGone, RepositoryDamaged, RepositoryError, RepositoryLocked
from drd.ports import OnProgress, Progress
from drd.process import Completed
from drd.repositories.restic import payload
from drd.repositories.restic.errors import failure, is_damage, is_full, is_locking
from drd.repositories.restic.messages import Complaints, Listener, complaints
from drd.repositories.restic.runner import ResticRunner

_PACKS = re.compile(r"\[[\d:]+\]\s+[\d.]+%\s+(\d+) / (\d+) packs copied")
_IGNORED = re.compile(r'Ignoring "([0-9a-f]+)"')

_MANY = 1 << 32  # packs of one snapshot

_ASK_S = 30.0
_ROOM_OF_A_LOCK = 64 * 1024

_SAID = (PointGone, RepositoryLocked, RepositoryDamaged)
"""Errors about which a question whether the repository opens says nothing."""

_BATCH = 500  # ids have 64 characters: this stays far below the longest command line


def copy_from(
    runner: ResticRunner,
    source: ResticRunner,
    ids: Sequence[str],
    *,
    subject: str,
    expected_bytes: int | None,
    deadline_s: float | None,
    on_progress: OnProgress,
) -> None:
    """Copy snapshots in this order; each one appears only after all data that it needs.

    Raises PointGone when the source lacks one of them, after the others were copied: restic itself
    skips it and exits with 0.
    """
    missing: list[str] = []
    for start in range(0, len(ids), _BATCH):
        words = ["copy", *payload.ids(ids[start : start + _BATCH])]

        def work(retry_lock_s: int, words: Sequence[str] = words) -> Completed:
            listener = CopyListener(subject, len(ids), expected_bytes, on_progress)
            done = runner.copy(
                source, words, listener, deadline_s=deadline_s, retry_lock_s=retry_lock_s
            )
            return _check_copied(done, runner, source)

        # restic prints the same for what it cannot read in the destination, which costs no copy.
        ignored = _IGNORED.findall(source.reading(work, runner).stderr)
        missing += [one for one in ignored if one in ids]
    if missing:
        raise PointGone(
            f"the repository at {source.url} lacks {len(missing)} of the snapshots to "
            f"copy: {missing[0][:8]}",
            hint="to see which restore points are incomplete: drd catalogue verify",
        )


def _check_copied(done: Completed, runner: ResticRunner, source: ResticRunner) -> Completed:
    """Raise the error of a copy that failed, about the one of the two repositories that failed."""
    if done.exit_code == 0:
        return done
    said = complaints(done.stderr)
    if is_damage(said.text):  # in the destination, restic reads only indexes
        raise failure(done.exit_code, said, source.url)
    error = failure(done.exit_code, said, f"{runner.url} or {source.url}")
    if is_full(said):
        full = _full_one(said, runner, source)
        raise failure(done.exit_code, said, full.url) if full is not None else error
    if isinstance(error, RepositoryError) and not isinstance(error, _SAID):
        _ask_both(source, runner)
    raise error


def _full_one(said: Complaints, runner: ResticRunner, source: ResticRunner) -> ResticRunner | None:
    """Return the repository whose disk is full. Into the source, restic writes only its lock; None
    if both have room, or do not report it."""
    if not is_locking(said):
        return runner
    room = {one: one.session.place.free_bytes() for one in (source, runner)}
    full = [one for one, free in room.items() if free is not None and free < _ROOM_OF_A_LOCK]
    return full[0] if len(full) == 1 else None


def _ask_both(*runners: ResticRunner) -> None:
    """Raise the error of the first repository that cannot be opened: restic's words about a copy
    do not always say which of the two they mean."""
    for runner in runners:
        runner.capture(["--no-lock", "--no-cache", "cat", "config"], deadline_s=_ASK_S)


class CopyListener(Listener):
    """Reads the text of `copy`, which prints no JSON even with --json: for each snapshot, how many
    packs were copied. It reports no bytes, so the expected bytes are distributed evenly over the
    snapshots.
    """

    def __init__(
        self, subject: str, snapshots: int, expected_bytes: int | None, on_progress: OnProgress
    ) -> None:
        super().__init__(subject, "copy", expected_bytes=expected_bytes, on_progress=on_progress)
        self._snapshots = max(snapshots, 1)
        self._over = 0

    def on_line(self, line: str) -> None:
        match = _PACKS.match(line)
        if match is not None:
            packs, total = int(match[1]), max(int(match[2]), 1)
            self.done = self._over * _MANY + packs
            self._tell(packs / total)
        elif line.startswith("snapshot ") and " saved" in line:
            self._over += 1
            self.done = self._over * _MANY
            self._tell(0.0)

    def _tell(self, share: float) -> None:
        if self._expected is not None:
            done = min(1.0, (self._over + share) / self._snapshots)
            self._on_progress(
                Progress(self._subject, self._phase, int(done * self._expected), self._expected)
            )
