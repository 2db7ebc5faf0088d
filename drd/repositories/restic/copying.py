"""Copy snapshots from another repository: `restic copy`, which stores the id of the source snapshot
in
`original`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from drd.errors import PointGone
from drd.ports import OnProgress, Progress
from drd.process import Completed
from drd.repositories.restic import payload
from drd.repositories.restic.errors import failure, is_damage
from drd.repositories.restic.messages import Listener, complaints
from drd.repositories.restic.runner import ResticRunner

_PACKS = re.compile(r"\[[\d:]+\]\s+[\d.]+%\s+(\d+) / (\d+) packs copied")
_IGNORED = re.compile(r'Ignoring "([0-9a-f]+)"')

_MANY = 1 << 32  # packs of one snapshot

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
    """restic does not always say which of two repositories it means."""
    if done.exit_code == 0:
        return done
    said = complaints(done.stderr)
    if is_damage(said.text):  # in the destination, restic reads only indexes
        raise failure(done.exit_code, said, source.url)
    raise failure(done.exit_code, said, f"{runner.url} or {source.url}")


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
