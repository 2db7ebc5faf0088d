"""Store one snapshot, and refuse it if it is not complete."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from drd import log
from drd.errors import (
    DumpFailed,
    ImplausibleDump,
    RepositoryError,
    SnapshotIncomplete,
    SourceMissing,
)
from drd.model.limits import Limits
from drd.model.snapshot import StoredSnapshot
from drd.ports import EarlierIncomplete, OnProgress, Stream, Tree, no_progress
from drd.process import MEMORY_HINT, Completed
from drd.repositories.restic.earlier import parent_words, require_taken_over
from drd.repositories.restic.errors import failure
from drd.repositories.restic.maintenance import snapshots
from drd.repositories.restic.messages import Complaints, Listener, complaints
from drd.repositories.restic.payload import backup_words, ids, stdin_words, tree_words
from drd.repositories.restic.runner import ResticRunner

SMALL_S = 300.0
"""Deadline for a text of some megabytes at most, over a slow line."""


def store_stream(
    runner: ResticRunner,
    stream: Stream,
    words: Sequence[str],
    *,
    subject: str,
    limits: Limits,
    deadline_s: float | None,
    on_progress: OnProgress,
) -> StoredSnapshot:
    """Store a stream. Raises DumpFailed with the producer's last words, and ImplausibleDump for an
    empty stream, whose snapshot is forgotten.
    """
    words = [*words, *stdin_words(stream.filename)]

    def work(retry_lock_s: int) -> StoredSnapshot:
        listener = Listener(
            subject, "backup", expected_bytes=stream.expected_bytes, on_progress=on_progress
        )
        result = runner.pipe(
            stream.command,
            words,
            listener,
            limits=limits,
            deadline_s=deadline_s,
            retry_lock_s=retry_lock_s,
        )
        if result.consumer is not None and result.consumer.exit_code not in (0, 3):
            # The producer died because the pipe broke.
            return _check_stored(runner, result.consumer, listener)
        if result.consumer is None or result.producer.exit_code != 0:
            _forget_again(runner, listener)
            hint = MEMORY_HINT if result.producer.killed else ""
            raise DumpFailed(
                f"{stream.command.title} {result.producer.failure}",
                hint=hint,
                output=result.producer.stderr,
            )
        if not listener.summary.get("total_bytes_processed"):
            # restic 0.18 exits with 3 and has made a snapshot of an empty file.
            _forget_again(runner, listener)
            raise ImplausibleDump(
                f"{stream.command.title} exited with 0 but printed nothing, so no snapshot "
                "was kept",
                hint="run the command by hand to see why.",
            )
        return _check_stored(runner, result.consumer, listener)

    return runner.locking(work)


_STORED_AGAIN = "not found in the repository index; storing the file again"


def store_tree(
    runner: ResticRunner,
    tree: Tree,
    words: Sequence[str],
    *,
    subject: str,
    limits: Limits,
    deadline_s: float | None,
    on_progress: OnProgress,
) -> StoredSnapshot:
    """Store a directory tree. Raises SnapshotIncomplete, which names the files that could not be
    read.

    If a file below the tree's paths was deleted before restic reached it, this is not an error. If
    one of the paths themselves is missing, this is an error.
    """
    more, stdin = tree_words(tree)
    if tree.earlier is not None:
        words = [*words, *parent_words(tree.earlier)]
    cwd = Path(tree.below) if tree.below else None

    def work(retry_lock_s: int) -> StoredSnapshot:
        listener = Listener(
            subject, "backup", expected_bytes=tree.expected_bytes, on_progress=on_progress
        )

        def run(*parent: str) -> Completed:
            return runner.run(
                [*words, *parent, *more],
                listener,
                stdin=stdin,
                limits=limits,
                deadline_s=deadline_s,
                retry_lock_s=retry_lock_s,
                cwd=cwd,
            )

        done = run()
        if (
            tree.earlier is None
            and done.exit_code == 1
            and not listener.summary
            and _is_parent_unreadable(complaints(done.stderr))
        ):
            done = run(_parent_option(runner, subject, words, tree))
        try:
            require_taken_over(runner, tree, done, listener)
        except EarlierIncomplete:
            _forget_again(runner, listener)
            raise
        if done.exit_code == 3 and _is_all_stored(complaints(done.stderr), tree):
            done = replace(done, exit_code=0)
        return _check_stored(runner, done, listener)

    return runner.locking(work)


def _is_parent_unreadable(said: Complaints) -> bool:
    """Return whether restic failed on an earlier snapshot that cannot be read, while it searched
    for the parent.
    """
    return said.last.startswith("error loading snapshot")


def _parent_option(runner: ResticRunner, subject: str, words: Sequence[str], tree: Tree) -> str:
    """Return the option that names the parent snapshot, so that unchanged files are not read again;
    without it restic reads everything.
    """
    host = next(w.partition("=")[2] for w in words if w.startswith("--host="))
    listing = snapshots(runner, host=host, tags=(), fresh=False)
    paths = sorted(str(Path(tree.below) / path) for path in tree.paths)
    before = [s for s in listing if sorted(s.paths) == paths]
    log.get().warning(
        "repository.unreadable",
        repository=runner.url,
        snapshots=sorted(listing.unreadable),
        component=subject,
        remedy="; ".join(
            runner.session.place.removal(f"snapshots/{i}") for i in sorted(listing.unreadable)[:5]
        ),
    )
    return f"--parent={before[-1].id}" if before else "--force"


def _is_all_stored(said: Complaints, tree: Tree) -> bool:
    """Return whether restic complained only about files that disappeared meanwhile, and about lost
    data that it has read and stored again.
    """
    return (
        bool(said.items)
        and not said.skipped
        and all(_STORED_AGAIN in why or _has_vanished(path, why, tree) for path, why in said.items)
    )


def _has_vanished(path: str, why: str, tree: Tree) -> bool:
    return (
        "no such file or directory" in why.lower()
        and path not in tree.paths
        and not os.path.lexists(Path(tree.below) / path)
    )


def store_bytes(
    runner: ResticRunner,
    data: bytes,
    filename: str,
    *,
    host: str,
    tags: Sequence[str],
    time: datetime | None,
) -> StoredSnapshot:
    words = [*backup_words(host, tags, time), *stdin_words(filename)]

    def work(retry_lock_s: int) -> StoredSnapshot:
        listener = Listener(filename, "backup", on_progress=no_progress)
        done = runner.run(
            words, listener, stdin=data, deadline_s=SMALL_S, retry_lock_s=retry_lock_s
        )
        return _check_stored(runner, done, listener)

    return runner.locking(work)


def _check_stored(runner: ResticRunner, done: Completed, listener: Listener) -> StoredSnapshot:
    """Parse the summary. `added_bytes` is what the repository grew by, compressed and encrypted
    (restic's `data_added_packed`).
    """
    said = complaints(done.stderr)
    snapshot = str(listener.summary.get("snapshot_id", ""))
    unread = [path for path, _ in said.items] + list(said.skipped)
    if done.exit_code == 1 and "all source directories/files do not exist" in said.text:
        raise SourceMissing(f"none of the paths exists: {', '.join(said.skipped)}")
    if done.exit_code == 3 or (done.exit_code == 0 and said.skipped):
        reasons = [f"{path} ({why.rpartition(': ')[2]})" for path, why in said.items[:5]]
        named = ", ".join(reasons + list(said.skipped[:5])) or said.last
        raise SnapshotIncomplete(
            f"drd could not read {max(len(unread), 1)} of the files: {named}",
            snapshot=snapshot,
            unread=unread,
            hint="give the user that runs drd the right to read these files, or exclude them in "
            "the plan.",
        )
    if done.exit_code != 0:
        raise failure(done.exit_code, said, runner.url)
    if not snapshot:
        raise RepositoryError(
            "restic reported success (exit code 0) but made no snapshot",
            hint="run the backup again; if that fails, too, see what restic printed: drd run "
            "show RUN",
        )
    summary = listener.summary
    return StoredSnapshot(
        snapshot=snapshot,
        bytes=int(summary.get("total_bytes_processed", 0)),
        added_bytes=int(summary.get("data_added_packed", summary.get("data_added", 0))),
        files=int(summary.get("total_files_processed", 0)),
    )


def _forget_again(runner: ResticRunner, listener: Listener) -> None:
    """Forget a snapshot that must not stay, without waiting for locks of others: it has no
    manifest, so nothing takes it for a copy, and retention removes it later.
    """
    snapshot = listener.summary.get("snapshot_id")
    if snapshot:
        try:
            runner.capture(["forget", *ids([str(snapshot)])])
        except RepositoryError as error:
            log.get().warning("snapshot.left", snapshot=snapshot, error=str(error))
