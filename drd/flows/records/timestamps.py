"""Time stamps of the records (RFC 3161): requested with the anchors; kept here, in the repositories
beside the anchors, and in exports. If an authority does not answer, this prevents nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from drd import timestamping
from drd.errors import DrdError, UsageError
from drd.exhaustion import system_reason
from drd.flows.records.anchors import Open, Place, Result
from drd.flows.records.export import STAMPS
from drd.flows.records.noted import NOTED
from drd.model.chain import Fault
from drd.model.checkpoint import HOST
from drd.model.text import escaped
from drd.model.timestamps import FILE, INSTALL, TAG, Authority, Stamp, Stamped, is_due
from drd.model.units import format_time
from drd.modes import read_regular
from drd.ports import Catalogue
from drd.timestamping import NoStamp

HashOf = Callable[[int], str | None]
"""Returns the hash of the entry with a number; None if there is none."""

MISSING = f"the library for time stamps is missing: {INSTALL}"
_MOST_READ = 10_000
_LARGEST, _LARGEST_CA = 1 << 16, 16 << 20
_DIGITS = 16

CA = "ca.pem"
"""In an export: the certificates by which its writer has checked the stamps."""


class Stamping:
    """The result of requesting a stamp of the newest entry from the authority: the stamp that was
    `made`, if one was due; else the `error`, if there was one. Without an authority, nothing is
    requested."""

    def __init__(self, catalogue: Catalogue, authority: Authority | None, now: datetime) -> None:
        self._catalogue = catalogue
        self._authority = authority
        self.made: Stamp | None = None
        self.error = ""
        if authority is not None:
            try:
                self.made = _made(catalogue, authority, now)
            except NoStamp as error:
                self.error = f"drd did not get a time stamp from {authority.url}: {error}"

    def store(self, wanted: Iterable[Place], open_repository: Open) -> None:
        """Store the newest stamp beside the anchors of these repositories, if it is not there
        yet."""
        newest = next(iter(self._catalogue.stamps.newest(1)), None)
        if newest is None or self._authority is None:
            return
        for place in wanted:
            try:
                repository = open_repository(place.spec)
                if not repository.snapshots(host=HOST, tags=list(newest.tags), fresh=True):
                    repository.store_bytes(newest.response, FILE, host=HOST, tags=newest.tags)
            except DrdError as error:
                self.error = self.error or (
                    f"drd could not read a time stamp from {place.name}: {error.message}"
                )

    def noted(self, results: Iterable[Result]) -> dict[str, object]:
        """Return the facts to note about the authority, in the same form as for a repository: after
        an error, drd asks it again soon."""
        if self._authority is None:
            return {}
        seq = max((result.seq for result in results), default=0)
        said = {"place": self._authority.url, "seq": seq, "error": self.error, "forked": False}
        return {self._authority.url: said}

    def document(self) -> dict[str, object] | None:
        """Return the document for `--json`; None if there is no authority."""
        entry = self.made.seq if self.made is not None else None
        said: dict[str, object] = {"entry": entry, "error": self.error or None}
        return said if self._authority is not None else None


def _made(catalogue: Catalogue, authority: Authority, now: datetime) -> Stamp | None:
    """Have the newest entry stamped, if it is due. Raises NoStamp."""
    head = catalogue.records.head()
    newest = next(iter(catalogue.stamps.newest(1)), None)
    if head is None or not is_due(newest, head.seq, authority.every_s, now):
        return None
    if not timestamping.IS_INSTALLED:
        raise NoStamp(MISSING)
    response = timestamping.ask(authority.url, head.header.message(), _roots(authority.ca))
    made = Stamp(head.seq, head.header.hash, now, authority.url, response)
    catalogue.stamps.keep(made)
    return made


def _roots(file: str) -> bytes:
    try:
        with Path(file).open("rb") as opened:
            return opened.read(_LARGEST_CA)
    except OSError as error:
        raise NoStamp(
            f"cannot read {file}, which records.timestamp.ca names: {system_reason(error)}"
        ) from None


def failing(catalogue: Catalogue, authority: Authority) -> str:
    """Return why the last try got no time stamp; empty if it got one, or if none was due."""
    known = catalogue.queue.noted(NOTED)
    places = known[1].get("places", {}) if known is not None else {}
    return str(places.get(authority.url, {}).get("error") or "")


def found(
    wanted: Iterable[Place],
    open_repository: Open,
    hash_of: HashOf,
    here: Iterable[Stamp] = (),
) -> list[Stamp]:
    """Return the time stamps in these repositories that name entries of this chain, without stamps
    of entries for which this host has a stamp `here`. A repository that cannot be read is left out;
    the anchors name it."""
    stamps, known = [], {(one.seq, one.hash) for one in here}
    for place in wanted:
        try:
            repository = open_repository(place.spec)
            for snapshot in repository.snapshots(host=HOST, tags=[TAG], fresh=True):
                seq, digest = _named(snapshot.tags)
                if seq and (seq, digest) not in known and hash_of(seq) == digest:
                    data = repository.read_file(snapshot.id, FILE)
                    stamps.append(Stamp(seq, digest, snapshot.time, place.name, data))
        except DrdError:
            continue
    return stamps


def _named(tags: Iterable[str]) -> tuple[int, str]:
    for tag in tags:
        word, _, rest = tag.partition(".")
        seq, _, digest = rest.partition(".")
        if word == "stamp" and seq.isdecimal() and len(seq) < _DIGITS:
            return int(seq), digest
    return 0, ""


def hashes_in(catalogue: Catalogue) -> HashOf:
    """Return what finds the hash of an entry in the catalogue, as its content has it."""

    def hash_of(seq: int) -> str | None:
        try:
            return catalogue.records.get(seq).header.hash
        except UsageError:
            return None

    return hash_of


def judged(stamps: Iterable[Stamp], ca: str | None, hash_of: HashOf) -> Stamped:
    """Check stamps against the entries, by the certificates in the file `ca`."""
    each: dict[tuple[int, bytes], Stamp] = {}
    for one in stamps:
        each.setdefault((one.seq, one.response), one)
    done = Stamped(count=len(each))
    if not each:
        return done
    try:
        roots = _trusted(ca)
    except NoStamp as error:
        done.unchecked = str(error)
        return done
    for one in sorted(each.values(), key=lambda s: s.seq):
        _judge(one, roots, hash_of(one.seq), done)
    return done


def _trusted(ca: str | None) -> bytes:
    if not timestamping.IS_INSTALLED:
        raise NoStamp(MISSING)
    if ca is None:
        raise NoStamp(
            "drd does not know which authority to trust: name a file with its certificates: "
            "--timestamp-ca FILE"
        )
    return _roots(ca)


def _judge(one: Stamp, roots: bytes, digest: str | None, done: Stamped) -> None:
    other = one.hash and one.hash != digest
    try:
        at = timestamping.checked(one.response, one.hash if other else digest or "", roots)
    except NoStamp as error:
        done.wrong.append(f"the time stamp of entry {one.seq} proves nothing: {error}")
        return
    if other:
        text = (
            f"the time stamp of {format_time(at, seconds=True)} does not fit entry {one.seq}: the "
            "chain was rewritten"
        )
        done.faults.append(Fault(one.seq, "timestamp", text))
    else:
        done.proven.append((one, at))


def for_export(catalogue: Catalogue, authority: Authority | None) -> dict[str, bytes]:
    """Return the files with the time stamps for an export, by their names."""
    files = {stamp.file: stamp.response for stamp in catalogue.stamps.newest(_MOST_READ)}
    if files and authority is not None:
        with suppress(NoStamp):
            files[CA] = _roots(authority.ca)
    return files


def in_export(place: Path) -> list[Stamp]:
    """Return the stamps beside an export; empty if there are none. Raises UsageError."""
    directory = (place if place.is_dir() else place.parent) / STAMPS
    stamps = []
    try:
        for file in sorted(directory.glob("entry-*.tsr"))[:_MOST_READ]:
            number = file.stem.removeprefix("entry-")
            if not number.isdecimal() or len(number) >= _DIGITS or file.is_symlink():
                continue
            data = read_regular(file, _LARGEST + 1)
            if len(data) <= _LARGEST:
                at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
                stamps.append(Stamp(int(number), "", at, str(file), data))
    except OSError as error:
        raise UsageError(
            f"cannot read {escaped(str(directory))}: {system_reason(error)}",
            hint="name the directory that drd records export has written.",
        ) from error
    return stamps
