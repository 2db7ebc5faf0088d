"""Check whether the content of a repository can still be read."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from drd import log
from drd.errors import DeadlineExceeded, RepositoryDamaged, SnapshotsUnreadable
from drd.model.text import counted
from drd.repositories.restic.errors import DAMAGED_HINT, MORE_TIME, failure, repair_of
from drd.repositories.restic.messages import Complaints, Listener, complaints
from drd.repositories.restic.payload import ids
from drd.repositories.restic.runner import ResticRunner

_PACK = re.compile(r"\bpack ([0-9a-f]{64})\b")
_TREE = re.compile(r"^(?:tree|id) ([0-9a-f]{64})\b")
_OF_SNAPSHOT = re.compile(r"failed to load snapshot ([0-9a-f]{8,64})")
_MOST_PARTS = 100
"""The largest number of damaged files that drd searches in snapshots. If there are more, drd does
not report which snapshots are affected.
"""
_SNAPSHOT = re.compile(rb'(?:"snapshot":"|belongs to snapshot )([0-9a-f]{64})\b')


def check(runner: ResticRunner, *, read_subset: str | None, deadline_s: float | None) -> None:
    """Run `restic check` without a lock, so that a backup never waits for it. Data that a prune
    removes meanwhile looks like damage; so damage is reported only when it is still there under a
    lock.

    restic lists snapshots before it reads the index, and a backup writes them in the opposite
    order: a new snapshot is either left out or complete.
    """
    words = ["check", "--json"]
    if read_subset is not None:
        words.append(f"--read-data-subset={read_subset}")
    ends = None if deadline_s is None else time.monotonic() + deadline_s
    try:
        _check(runner, ["--no-lock", *words], deadline_s, 0)
    except RepositoryDamaged as error:
        # The caller gets the error; this line is for the journal.
        log.get().info("repository.suspected", repository=runner.url, said=error.message)
        runner.reading(lambda wait: _check(runner, words, _remaining_s(ends), wait))
        log.get().info("repository.sound", repository=runner.url)


def _check(
    runner: ResticRunner, words: Sequence[str], deadline_s: float | None, retry_lock_s: int
) -> None:
    done = runner.run(words, Listener(), deadline_s=deadline_s, retry_lock_s=retry_lock_s)
    said = complaints(done.stderr)
    # Check the exit code first: a locked repository is reported with an error count as well.
    if done.exit_code == 1 and "repository contains errors" in said.text:
        log.get().info("repository.check_said", repository=runner.url, said=said.text[:4000])
        raise _damage(runner, said)
    if done.exit_code != 0:
        raise failure(done.exit_code, said, runner.url)


def _damage(runner: ResticRunner, said: Complaints) -> RepositoryDamaged:
    first = next((line for line in said.lines if line.strip()), said.last)
    packs = list(dict.fromkeys(_PACK.findall(said.text)))
    wrong = [line for line in said.lines if line.strip().startswith("error")]
    if wrong and not packs and all(_OF_SNAPSHOT.search(line) for line in wrong):
        # Anyone with write access can write garbage without the password; it does not mean other
        # damage.
        named = ", ".join(dict.fromkeys(m[1][:8] for m in map(_OF_SNAPSHOT.search, wrong) if m))
        return SnapshotsUnreadable(
            f"snapshots at {runner.url} cannot be read: {named}. The data of all other "
            "snapshots is not damaged",
            hint="remove the files of these snapshots: `drd catalogue verify` prints the commands.",
        )
    trees = list(dict.fromkeys(m[1] for line in said.lines if (m := _TREE.match(line.strip()))))
    what = f"restic reports {_short(first)}" if wrong and first in wrong else _short(first)
    if len(packs) > 1:
        what += f", and {counted(len(packs) - 1, 'more file is', 'more files are')} damaged"
    repair = repair_of(first)
    if trees and not packs:
        what, repair = (
            f"the data of {counted(len(trees), 'directory', 'directories')} is missing",
            "none",
        )
    told = len(packs) + len(trees) <= _MOST_PARTS and not any(map(_names_no_snapshot, wrong))
    return RepositoryDamaged(
        f"the repository at {runner.url} is damaged: {what}",
        hint=DAMAGED_HINT,
        parts=packs if told else (),
        trees=trees if told else (),
        damage=what,
        repair=repair,
    )


def _names_no_snapshot(line: str) -> bool:
    """Return whether the line is an error of restic's that does not name which snapshots it
    affects."""
    return not (line.strip().startswith("error for tree ") or _PACK.search(line))


def _short(line: str) -> str:
    """Return the beginning of restic's sentence: blob addresses follow."""
    return line.strip().partition(": [")[0].rstrip(":")[:300]


def _remaining_s(ends: float | None) -> float | None:
    if ends is None:
        return None
    left_s = ends - time.monotonic()
    if left_s <= 0:
        raise DeadlineExceeded("restic check did not finish in time", hint=MORE_TIME)
    return left_s


def snapshots_with(
    runner: ResticRunner, parts: Sequence[str], trees: Sequence[str] = (), *, deadline_s: float
) -> frozenset[str]:
    """Return the snapshots that need one of these files or directories, and the snapshots that
    restic cannot read completely. Raises the children of RepositoryError.
    """
    snapshots: set[str] = set()
    for option, wanted in (("--pack", parts), ("--tree", trees)):
        if wanted:
            words = ["--no-lock", "find", "--json", option, *ids(wanted)]
            told, _ = runner.capture(words, deadline_s=deadline_s)
            # restic prints errors between its JSON lines.
            snapshots |= {snapshot.decode() for snapshot in _SNAPSHOT.findall(told)}
    return frozenset(snapshots)
