"""Restore snapshots: everything that was requested, or nothing."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from drd.errors import (
    Cancelled,
    DrdError,
    RepositoryDamaged,
    TargetNotEmpty,
    TargetUnwritable,
)
from drd.exhaustion import by_name, place_of
from drd.model.limits import Limits
from drd.ports import Fetched, OnProgress
from drd.process import Completed
from drd.repositories.restic.errors import DAMAGED_HINT, failure, is_damage
from drd.repositories.restic.messages import Complaints, Listener, complaints
from drd.repositories.restic.payload import ids, literal
from drd.repositories.restic.runner import ResticRunner
from drd.repositories.restic.short_files import Shortfall, SnapshotQuestions, settle

_TARGET = re.compile(
    r"no space left on device|disk quota exceeded|read-only file system|file name too long"
    r"|operation not permitted|permission denied|operation not supported|file too large",
    re.IGNORECASE,
)
_DEVICE = re.compile(r"mknod .*: operation not permitted\Z", re.DOTALL)


def restore(
    runner: ResticRunner,
    snapshot: str,
    into: Path,
    *,
    include: Sequence[str],
    brief: bool,
    sparse: bool,
    limits: Limits,
    deadline_s: float | None,
    on_progress: OnProgress,
) -> Fetched:
    """Write the snapshot below `into`; on any error remove what was written there.

    restic waits a fifth of a second for its own lock, so a `brief` restore works without one. Data
    that a prune removes meanwhile looks like damage, so damage is reported only under a lock.

    Raises RepositoryDamaged, TargetUnwritable when the target failed, and TargetNotEmpty before
    anything is written: drd could not tell existing files from restored ones.
    """
    if any(into.iterdir()):
        raise TargetNotEmpty(
            f"{place_of(into)} is not empty", hint="restore into an empty directory."
        )
    words = ["restore", "--json", f"--target={into}"]
    words += ["--sparse"] if sparse else []
    words += [f"--include={os.fsdecode(literal(path))}" for path in include]
    words += ids([snapshot])

    def work(retry_lock_s: int, *lockless: str) -> Fetched:
        listener = Listener(snapshot[:8], "fetch", on_progress=on_progress)
        try:
            done = runner.run(
                [*lockless, *words],
                listener,
                limits=limits,
                deadline_s=deadline_s,
                retry_lock_s=retry_lock_s,
            )
            told = SnapshotQuestions(runner, snapshot, retry_lock_s, lockless)
            return _check_restored(told, done, listener, into, part=bool(include))
        except BaseException:
            empty_directory(into)
            raise

    if brief:
        with suppress(RepositoryDamaged):
            return work(0, "--no-lock")
    return runner.reading(work, ignore_foreign_lock=True)


def _check_restored(
    told: SnapshotQuestions, done: Completed, listener: Listener, into: Path, *, part: bool
) -> Fetched:
    said = complaints(done.stderr)
    devices = _devices(done, said)
    if done.exit_code != 0 and not devices:
        raise _trouble(told.runner, done, said, into)
    items = said.items if not devices else ()
    summary = listener.summary
    total, restored = (int(summary.get(k, 0)) for k in ("total_bytes", "bytes_restored"))
    files, files_restored = (int(summary.get(k, 0)) for k in ("total_files", "files_restored"))
    files -= len(devices)
    if restored < total and not items:
        torn = settle(told, into, Shortfall(files - files_restored, total - restored, part))
        if torn:
            return Fetched(restored, torn, devices)
    # restic counts the directories above the requested paths as restored, but not in the total.
    if items or restored != total or files_restored < files:
        raise RepositoryDamaged(
            f"restic restored {files_restored} of {files} files and {restored} of {total} bytes",
            hint=DAMAGED_HINT,
        )
    if files == 0 and not any(into.iterdir()):
        raise RepositoryDamaged(
            "the snapshot does not contain any of the requested paths",
            hint="choose another restore point (drd points PLAN).",
        )
    return Fetched(restored, devices=devices)


def _devices(done: Completed, said: Complaints) -> tuple[str, ...]:
    """Return the device nodes that this user may not make, if restic complained of nothing else. A
    file or pipe never takes this call."""
    if done.exit_code != 1 or not all(_DEVICE.match(text) for _, text in said.items):
        return ()
    return tuple(dict.fromkeys(path for path, _ in said.items))


def _trouble(
    runner: ResticRunner, done: Completed, said: Complaints, into: Path
) -> DrdError | Cancelled:
    if done.exit_code != 1 or not said.items:
        return failure(done.exit_code, said, runner.url)
    names = ", ".join(dict.fromkeys(path for path, _ in said.items[:10]))
    reason, place = by_name(said.items[0][1]), place_of(into)
    if not any(is_damage(text) for _, text in said.items) and all(
        _TARGET.search(text) for _, text in said.items
    ):
        return TargetUnwritable(
            f"cannot write {names} below {place}: {reason.rpartition(': ')[2]}",
            hint=f"check the space and the rights in {place}, or restore to another place.",
        )
    return RepositoryDamaged(f"cannot restore {names}: {reason}", hint=DAMAGED_HINT)


def read_file(runner: ResticRunner, snapshot: str, filename: str) -> bytes:
    """Read one small file exactly; output of a failed restic is ignored.

    Works without a lock, for which restic waits a fifth of a second each time. Data that a prune
    removes meanwhile looks like damage, so damage is reported only under a lock.
    """
    words = ["dump", *ids([snapshot]), "/" + filename.lstrip("/")]
    try:
        return runner.capture(["--no-lock", *words])[0]
    except RepositoryDamaged:
        return runner.reading(
            lambda wait: runner.capture(words, retry_lock_s=wait)[0], ignore_foreign_lock=True
        )


def save_file(runner: ResticRunner, snapshot: str, filename: str, into: Path, most: int) -> None:
    """Write one whole file to `into`, but never more than `most` bytes, even if the snapshot
    contains more."""
    words = ["dump", *ids([snapshot]), "/" + filename.lstrip("/")]

    def work(retry_lock_s: int) -> None:
        with into.open("xb") as answer:
            try:
                runner.capture_into(
                    answer, words, most=most, deadline_s=None, retry_lock_s=retry_lock_s
                )
            except BaseException:
                into.unlink()
                raise

    runner.reading(work, ignore_foreign_lock=True)


def empty_directory(path: Path) -> None:
    """Remove everything in `path`; do not follow links."""
    for entry in path.iterdir():
        if entry.is_symlink() or not entry.is_dir():
            entry.unlink()
        else:
            _make_writable(entry)
            shutil.rmtree(entry)


def _make_writable(directory: Path) -> None:
    """Make directories writable: restored ones may deny writing even to their owner."""
    directory.chmod(0o700)
    for parent, names, _ in os.walk(directory):
        for name in names:
            inner = Path(parent, name)
            if not inner.is_symlink():
                inner.chmod(0o700)
