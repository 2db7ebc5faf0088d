"""Maintain a repository: initialise, list, forget, prune."""

from __future__ import annotations

import re
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from drd.errors import (
    RepositoryError,
    RepositoryLocked,
    RepositoryMissing,
    SecretUnavailable,
)
from drd.model import strict
from drd.model.location import is_local
from drd.ports import Listing, Pruned, SnapshotInfo
from drd.repositories import init_lock
from drd.repositories.restic import payload
from drd.repositories.restic.errors import judge
from drd.repositories.restic.messages import Complaints, Listener
from drd.repositories.restic.runner import ResticRunner
from drd.secrets import EDGES_HINT, edges

COUNT_S = 600.0
"""Deadline for `stats`, which reads every index."""
_LOCK_S = 30.0
"""Deadline for one lock; restic repeats it for minutes if it cannot write."""

_BATCH = 500  # ids have 64 characters: this stays far below the longest command line

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SIZE = re.compile(rf"([\d.]+) ({'|'.join(_UNITS)})$")

_UNREADABLE = re.compile(
    r'Ignoring "([^"\s]+)": (?!.*(?:no such|not exist))(?:failed to load snapshot \w+: )?(.*)'
)
# A snapshot that another process forgets while we list is not damage.

_MOST_WORDS = 100_000
"""The largest number of tags, or of paths, in one snapshot."""


def identity(runner: ResticRunner) -> str | None:
    """Return the repository's id, read without a lock: it is never written again."""
    try:
        return str(runner.ask(lambda library: library.cat.config(), "--no-lock")["id"])
    except RepositoryMissing:
        runner.session.place.preflight(writing=False)  # a missing bucket is a different error
        return None


def try_to_lock(runner: ResticRunner) -> bool:
    """Have restic write a lock and remove it. Returns whether it was tried: not while somebody else
    has locked the repository. Raises RepositoryError if drd cannot write there."""
    try:
        runner.capture(["list", "keys"], deadline_s=_LOCK_S)
    except RepositoryLocked:
        return False
    return True


def initialise(runner: ResticRunner, chunker_from: ResticRunner | None) -> str:
    """Initialise the repository. With the chunker parameters of another repository the same data
    makes the same chunks, so that copies deduplicate. Removes keys that a killed `init` left.
    """
    place, spec = runner.session.place, runner.session.spec
    cut_off = edges(runner.session.password(), spec.password)
    if cut_off is not None:
        raise SecretUnavailable(
            f"the password of the new repository {spec.name} ({spec.password.describe()}) "
            f"{cut_off}",
            hint=EDGES_HINT,
        )
    runner.ready()  # write nothing to a place that fails its preflight
    with init_lock.init_lock(place):
        known = identity(runner)  # another process may have been quicker
        if known is not None:
            return known
        place.remove("keys", place.unfinished_keys())
        try:
            made = _initialise(runner, chunker_from)
        except RepositoryError as error:
            if type(error) is RepositoryError and not place.by_file:
                # restic may end before it has passed on what rclone said.
                place.try_to_make()
            raise
    if not place.by_file:
        _require_open(runner)
    return made


def _require_open(runner: ResticRunner) -> None:
    """Check that a new repository opens. Such a place has no lock against a second process that
    initialises it at the same time."""
    try:
        identity(runner)
    except RepositoryError as error:
        raise RepositoryError(
            f"drd cannot open the new repository at {runner.url}: {error.message}",
            hint="another process may have made a repository at this place at the same "
            "time. drd has stored no backup there yet: remove everything at this "
            "place, or give the plan another path.",
        ) from error


def _initialise(runner: ResticRunner, chunker_from: ResticRunner | None) -> str:
    if chunker_from is None:
        return str(runner.ask(lambda library: library.init(repository_version=2)))
    if is_local(chunker_from.url):
        return _init_like(runner, chunker_from.url, chunker_from.session.password())
    # restic accepts one set of keys for S3, and one login for most other servers, and the two
    # repositories may need different ones. So the parameters are copied through an empty repository
    # on this host.
    with tempfile.TemporaryDirectory(prefix="drd-chunker-") as directory:
        seed, password = str(Path(directory, "seed")), secrets.token_hex(32)
        env = {
            "RESTIC_REPOSITORY": seed,
            "RESTIC_PASSWORD": password,
            "RESTIC_FROM_PASSWORD": chunker_from.session.password(),
        }
        chunker_from.ask(
            lambda library: library.init(copy_chunker_params=True, from_repo=chunker_from.url),
            env=env,
        )
        return _init_like(runner, seed, password)


def _init_like(runner: ResticRunner, other: str, password: str) -> str:
    return str(
        runner.ask(
            lambda library: library.init(
                repository_version=2, copy_chunker_params=True, from_repo=other
            ),
            env={"RESTIC_FROM_PASSWORD": password},
        )
    )


def snapshots(
    runner: ResticRunner, *, host: str | None, tags: Sequence[str], fresh: bool
) -> Listing:
    """List snapshots. Also returns the snapshots that restic skips because it cannot read them."""
    unreadable: dict[str, str] = {}

    def hear(said: Complaints) -> None:
        unreadable.clear()
        unreadable.update(_UNREADABLE.findall(said.text))

    def work(retry_lock_s: int) -> Listing:
        listed = runner.ask(
            lambda library: library.snapshots(host=host, tags=list(tags)),
            *(["--no-cache"] if fresh else []),
            hear=hear,
            retry_lock_s=retry_lock_s,
        )
        listing = []
        for item in listed:
            try:
                listing.append(_info(item))
            except strict.UnexpectedValue as error:
                unreadable[str(item.get("id", ""))[:64]] = str(error)
        return Listing(sorted(listing, key=lambda s: s.time), unreadable)

    return runner.reading(work, ignore_foreign_lock=True)


def _info(item: Mapping[str, object]) -> SnapshotInfo:
    """Convert one snapshot. Raises Refused for what restic never writes: anyone who has the key may
    store anything.
    """

    def texts(key: str) -> tuple[str, ...]:
        return tuple(strict.each(_word, item.get(key) or [], key, most=_MOST_WORDS))

    told = strict.mapping(item.get("summary") or {}, "summary", most=_MOST_WORDS)
    return SnapshotInfo(
        id=strict.snapshot_id(item.get("id"), "id"),
        time=strict.time(item.get("time"), "time"),
        host=strict.text(item.get("hostname") or "", "hostname"),
        tags=texts("tags"),
        paths=texts("paths"),
        original=strict.maybe(strict.snapshot_id, item.get("original") or None, "original"),
        tree=strict.maybe(strict.snapshot_id, item.get("tree") or None, "tree") or "",
        bytes=strict.count(told.get("total_bytes_processed") or 0, "total_bytes_processed"),
        ended_at=strict.maybe(strict.time, told.get("backup_end") or None, "backup_end"),
    )


def _word(value: object, place: str) -> str:
    return strict.text(value, place, most=4 * strict.LONGEST_TEXT)


def forget(runner: ResticRunner, ids: Sequence[str]) -> None:
    """Forget snapshots; ignores ids that are gone already, so it is idempotent."""
    for start in range(0, len(ids), _BATCH):
        batch = payload.ids(ids[start : start + _BATCH])
        runner.locking(lambda wait, b=batch: runner.capture(["forget", *b], retry_lock_s=wait))  # type: ignore[misc]


def prune(
    runner: ResticRunner, *, max_repack_bytes: int | None, deadline_s: float | None
) -> Pruned:
    words = ["prune"]
    if max_repack_bytes is not None:
        words.append(f"--max-repack-size={max_repack_bytes}")

    def work(retry_lock_s: int) -> Pruned:
        listener = PruneListener()
        done = runner.run(words, listener, deadline_s=deadline_s, retry_lock_s=retry_lock_s)
        judge(done, runner.url)
        return Pruned(listener.sentence, listener.removed_bytes)

    return runner.locking(work)


class PruneListener(Listener):
    """Reads the text of `prune`, which prints no JSON even with --json."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, str] = {}

    def on_line(self, line: str) -> None:
        key, colon, value = line.partition(":")
        if colon:
            self._said[key.strip()] = value.strip()

    @property
    def sentence(self) -> str:
        removed = self._said.get("total prune", "nothing")
        remaining = self._said.get("remaining", "an unknown amount")
        return (
            f"removed {_plain(removed)} of unused data; the repository now has {_plain(remaining)}"
        )

    @property
    def removed_bytes(self) -> int:
        """The bytes removed, with the three decimals that restic prints."""
        match = _SIZE.search(self._said.get("total prune", ""))
        return round(float(match[1]) * 1024 ** _UNITS.index(match[2])) if match else 0


def _plain(text: str) -> str:
    blobs, slash, size = " ".join(text.split()).partition(" / ")
    return f"{size} ({blobs})" if slash else blobs


def size_bytes(runner: ResticRunner) -> int:
    def work(retry_lock_s: int) -> int:
        answer = runner.ask(
            lambda library: library.stats(mode="raw-data"),
            deadline_s=COUNT_S,
            retry_lock_s=retry_lock_s,
        )
        return int(answer["total_size"])

    return runner.reading(work)
