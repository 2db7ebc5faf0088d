"""Whether what a repository holds can still be read."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from drd import log
from drd.errors import DeadlineExceeded, RepositoryDamaged, SnapshotsUnreadable
from drd.repositories.restic.door import Door
from drd.repositories.restic.messages import Complaints, Listener, complaints
from drd.repositories.restic.payload import ids
from drd.repositories.restic.trouble import DAMAGED_HINT, failure

_PACK = re.compile(r"\bpack ([0-9a-f]{64})\b")
_TREE = re.compile(r"^(?:tree|id) ([0-9a-f]{64})\b")
_OF_SNAPSHOT = re.compile(r"failed to load snapshot ([0-9a-f]{8,64})")
_MOST_PARTS = 100
"""Damaged files that are looked for in snapshots: of more nobody tells what they cost."""
_SNAPSHOT = re.compile(rb'(?:"snapshot":"|belongs to snapshot )([0-9a-f]{64})\b')


def check(door: Door, *, read_subset: str | None, deadline_s: float | None) -> None:
    """Without a lock, so that a backup never waits for it. What a prune takes away meanwhile looks
    like damage; so damage is only believed when it is there under a lock as well.

    restic lists snapshots before it reads the index, and a backup writes them the other way
    round: what is new is either left out or whole.
    """
    words = ["check", "--json"]
    if read_subset is not None:
        words.append(f"--read-data-subset={read_subset}")
    ends = None if deadline_s is None else time.monotonic() + deadline_s
    try:
        _check(door, ["--no-lock", *words], deadline_s, 0)
    except RepositoryDamaged as error:
        # Whoever asked is told by the error; this is for the journal.
        log.get().info("repository.suspected", repository=door.url, said=error.message)
        door.reading(lambda wait: _check(door, words, _left(ends), wait))
        log.get().info("repository.sound", repository=door.url)


def _check(door: Door, words: Sequence[str], deadline_s: float | None, retry_lock_s: int) -> None:
    done = door.run(words, Listener(), deadline_s=deadline_s, retry_lock_s=retry_lock_s)
    said = complaints(done.stderr)
    # The exit code first: a locked repository is reported with an error count as well.
    if done.exit_code == 1 and "repository contains errors" in said.text:
        log.get().info("repository.check_said", repository=door.url, said=said.text[:4000])
        raise _damage(door, said)
    if done.exit_code != 0:
        raise failure(done.exit_code, said, door.url)


def _damage(door: Door, said: Complaints) -> RepositoryDamaged:
    first = next((line for line in said.lines if line.strip()), said.last)
    packs = list(dict.fromkeys(_PACK.findall(said.text)))
    wrong = [line for line in said.lines if line.strip().startswith("error")]
    if wrong and not packs and all(_OF_SNAPSHOT.search(line) for line in wrong):
        # Garbage takes no password to write; it says nothing about what else is there.
        named = ", ".join(dict.fromkeys(m[1][:8] for m in map(_OF_SNAPSHOT.search, wrong) if m))
        return SnapshotsUnreadable(
            f"snapshots at {door.url} cannot be read: {named}; all data that the others need is "
            "sound",
            hint="remove the objects: `drd catalogue verify` says how.",
        )
    trees = list(dict.fromkeys(m[1] for line in said.lines if (m := _TREE.match(line.strip()))))
    what = _short(first) + (f" and {len(packs) - 1} more files" if len(packs) > 1 else "")
    if trees and not packs:
        what = f"data of {_directories(len(trees))} is gone"
    told = len(packs) + len(trees) <= _MOST_PARTS and not any(map(_is_unplaced, wrong))
    return RepositoryDamaged(
        f"the repository at {door.url} is damaged: {what}",
        hint=DAMAGED_HINT,
        parts=packs if told else (),
        trees=trees if told else (),
    )


def _directories(count: int) -> str:
    return "1 directory" if count == 1 else f"{count:,} directories"


def _is_unplaced(line: str) -> bool:
    """An error of restic's that names nothing by which the snapshots can be found that it costs."""
    return not (line.strip().startswith("error for tree ") or _PACK.search(line))


def _short(line: str) -> str:
    """The beginning of restic's sentence: what follows are addresses of blobs."""
    return line.strip().partition(": [")[0].rstrip(":")[:300]


def _left(ends: float | None) -> float | None:
    if ends is None:
        return None
    left_s = ends - time.monotonic()
    if left_s <= 0:
        raise DeadlineExceeded("the check did not finish in its time", hint="raise the timeout.")
    return left_s


def snapshots_with(
    door: Door, parts: Sequence[str], trees: Sequence[str] = (), *, deadline_s: float
) -> frozenset[str]:
    """The snapshots that need one of these files or directories, and those that restic cannot walk
    through. Raises RepositoryError's children."""
    found: set[str] = set()
    for option, wanted in (("--pack", parts), ("--tree", trees)):
        if wanted:
            words = ["--no-lock", "find", "--json", option, *ids(wanted)]
            told, _ = door.capture(words, deadline_s=deadline_s)
            # restic prints what it cannot load amid its JSON.
            found |= {snapshot.decode() for snapshot in _SNAPSHOT.findall(told)}
    return frozenset(found)
