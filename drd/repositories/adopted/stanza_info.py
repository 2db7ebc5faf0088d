"""Read `pgbackrest info`: whoever can write to the repository can have written it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from drd.errors import RepositoryDamaged
from drd.model import strict

LABEL = re.compile(r"\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?")
SEGMENT = re.compile(r"[0-9A-F]{24}")
_VERSION = re.compile(r"\d{1,2}(?:\.\d{1,2})?")
_LSN = re.compile(r"[0-9A-F]{1,8}/[0-9A-F]{1,8}")
_LARGEST_ID = (1 << 64) - 1
_MOST = 100_000

_CONTROLS = dict.fromkeys((*range(10), *range(11, 32), 127), " ")

OK, NO_PATH, NO_BACKUPS, NO_DATA = 0, 1, 2, 3
"""Codes of the status of a stanza that drd knows."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A finished backup. `first` to `last` are the WAL segments that make it consistent; `lsn` is
    where it begins. `archive` is the directory of its WAL, like `17-1`; `needs` are the labels of
    backups that contain files of this backup."""

    label: str
    version: str
    archive: str
    system: int
    first: str
    last: str
    lsn: int
    stopped_at: datetime
    bytes: int
    stored_bytes: int
    needs: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class StanzaInfo:
    """What pgBackRest says about a stanza: `backups`, oldest first; `refused` has, by label, why
    other backups do not count. `system` identifies the oldest server of the stanza. `status` and
    `message` are about the repository that was asked."""

    status: int
    message: str
    system: int = 0
    backups: Sequence[Backup] = ()
    refused: Mapping[str, str] | None = None
    failed: Sequence[str] = ()
    """Labels of the backups in which pgBackRest itself found errors."""


def parsed(printed: bytes, stanza: str, repo: int) -> StanzaInfo:
    """Raises RepositoryDamaged for what pgBackRest does not print."""
    try:
        return _parsed(printed, stanza, repo)
    except strict.UnexpectedValue as error:
        raise RepositoryDamaged(
            f"drd cannot read what pgBackRest prints about stanza {stanza}: {error}",
            hint="to see what pgBackRest prints, run: pgbackrest info --output=json",
        ) from error


def databases(printed: bytes, stanza: str, label: str) -> Mapping[str, int]:
    """Return the databases in a backup with their object ids, from `info --set`."""
    try:
        whole = _of_stanza(printed, stanza)
        rows = strict.array(strict.member(whole, "backup"), "backup", most=_MOST)
        row = strict.mapping(rows[0] if rows else None, "backup.0")
        if strict.member(row, "label", "backup.0") != label:
            raise strict.refuse("backup.0.label", f"is not {label}", row["label"])
        known = strict.array(row.get("database-ref") or [], "backup.0.database-ref", most=_MOST)
        return dict(_database(value, f"database-ref.{n}") for n, value in enumerate(known))
    except strict.UnexpectedValue as error:
        raise RepositoryDamaged(
            f"drd cannot read what pgBackRest prints about backup {label}: {error}",
            hint=f"to see what pgBackRest prints, run: pgbackrest info --output=json --set={label}",
        ) from error


def _database(value: Any, place: str) -> tuple[str, int]:
    row = strict.mapping(value, place)
    name = strict.text(strict.member(row, "name", place), f"{place}.name", most=1024)
    return name, strict.count(strict.member(row, "oid", place), f"{place}.oid")


def _of_stanza(printed: bytes, stanza: str) -> Mapping[str, Any]:
    # A message about a wrong key has the bytes that it could not read.
    text = printed.decode("utf-8", "replace").strip().translate(_CONTROLS)
    whole = strict.document(f'{{"info":{text}}}'.encode(), "the output")
    rows = strict.array(whole["info"], "info", most=_MOST)
    if len(rows) != 1:
        raise strict.refuse("info", f"contains {len(rows)} stanzas, but drd asked for one")
    row = strict.mapping(rows[0], "info.0")
    if strict.member(row, "name", "info.0") != stanza:
        raise strict.refuse("info.0.name", f"is not {stanza}", row["name"])
    return row


def _parsed(printed: bytes, stanza: str, repo: int) -> StanzaInfo:
    row = _of_stanza(printed, stanza)
    status, message = _status(row, repo)
    if status not in (OK, NO_BACKUPS):
        return StanzaInfo(status, message)
    servers = _servers(row, repo)
    backups: dict[str, Backup] = {}
    refused: dict[str, str] = {}
    failed: list[str] = []
    every = strict.array(strict.member(row, "backup"), "backup", most=_MOST)
    for n, value in enumerate(every):
        place = f"backup.{n}"
        name = place
        try:
            raw = strict.mapping(value, place)
            name = strict.matching(strict.member(raw, "label", place), place, LABEL, "label")
            if _repo_of(raw, place) != repo:
                continue
            if name in backups:
                raise strict.refuse(place, "is given twice", name)
            if raw.get("error") not in (False, None):
                failed.append(name)
                refused[name] = "pgBackRest found damaged pages when it made the backup"
                continue
            backups[name] = _backup(raw, name, servers, place)
        except strict.UnexpectedValue as error:
            refused[name] = str(error)
    ordered = sorted(backups.values(), key=lambda b: (b.stopped_at, b.label))
    oldest = min(servers, default=0)
    system = servers[oldest][1] if servers else 0
    return StanzaInfo(status, message, system, ordered, refused, failed)


def _repo_of(raw: Mapping[str, Any], place: str) -> int:
    of = strict.mapping(strict.member(raw, "database", place), f"{place}.database")
    return strict.count(strict.member(of, "repo-key", place), f"{place}.database.repo-key")


def _status(row: Mapping[str, Any], repo: int) -> tuple[int, str]:
    repositories = strict.array(strict.member(row, "repo"), "repo", most=_MOST)
    for n, value in enumerate(repositories):
        place = f"repo.{n}"
        one = strict.mapping(value, place)
        if strict.member(one, "key", place) == repo:
            status = strict.mapping(strict.member(one, "status", place), place)
            code = strict.count(strict.member(status, "code", place), f"{place}.status.code")
            message = strict.member(status, "message", place)
            return code, strict.text(message, f"{place}.status.message", most=1 << 20)
    raise strict.refuse("repo", f"does not have repository {repo}")


def _servers(row: Mapping[str, Any], repo: int) -> Mapping[int, tuple[str, int]]:
    """Return version and system id of the servers that the stanza had, by their number."""
    servers = {}
    for n, value in enumerate(strict.array(strict.member(row, "db"), "db", most=1000)):
        place = f"db.{n}"
        one = strict.mapping(value, place)
        if strict.member(one, "repo-key", place) != repo:
            continue
        number = strict.count(strict.member(one, "id", place), f"{place}.id")
        version = strict.matching(
            strict.member(one, "version", place), f"{place}.version", _VERSION, "version"
        )
        system = strict.member(one, "system-id", place)
        servers[number] = (
            version, strict.count(system, f"{place}.system-id", most=_LARGEST_ID)
        )  # fmt: skip
    return servers


def _backup(
    raw: Mapping[str, Any], label: str, servers: Mapping[int, tuple[str, int]], place: str
) -> Backup:
    of = strict.mapping(strict.member(raw, "database", place), f"{place}.database")
    number = strict.count(strict.member(of, "id", place), f"{place}.database.id")
    if number not in servers:
        raise strict.refuse(f"{place}.database.id", "is not a server of the stanza", number)
    version, system = servers[number]
    wal = strict.mapping(strict.member(raw, "archive", place), f"{place}.archive")
    first, last = (
        strict.matching(strict.member(wal, key, place), f"{place}.archive.{key}", SEGMENT, "WAL")
        for key in ("start", "stop")
    )
    lsn = strict.mapping(strict.member(raw, "lsn", place), f"{place}.lsn")
    begins = strict.matching(strict.member(lsn, "start", place), f"{place}.lsn", _LSN, "LSN")
    high, _, low = begins.partition("/")
    times = strict.mapping(strict.member(raw, "timestamp", place), f"{place}.timestamp")
    sizes = strict.mapping(strict.member(raw, "info", place), f"{place}.info")
    stored = strict.mapping(strict.member(sizes, "repository", place), f"{place}.info.repository")
    return Backup(
        label,
        version,
        f"{version}-{number}",
        system,
        first,
        last,
        (int(high, 16) << 32) + int(low, 16),
        moment(strict.member(times, "stop", place), f"{place}.timestamp.stop"),
        strict.count(strict.member(sizes, "size", place), f"{place}.info.size"),
        strict.count(stored.get("delta", 0), f"{place}.info.repository.delta"),
        _needed(raw, place),
    )


def _needed(raw: Mapping[str, Any], place: str) -> Sequence[str]:
    labels = strict.array(raw.get("reference") or [], f"{place}.reference", most=_MOST)
    return [strict.matching(x, f"{place}.reference", LABEL, "label") for x in labels]


def names_in(printed: bytes) -> frozenset[str]:
    """Return the names in a directory of the repository, from `repo-ls`. Raises
    RepositoryDamaged."""
    try:
        return frozenset(strict.document(printed, "the output"))
    except strict.UnexpectedValue as error:
        raise RepositoryDamaged(
            f"drd cannot read pgBackRest's listing of the repository: {error}",
            hint="to see what pgBackRest prints, run: pgbackrest repo-ls --output=json",
        ) from error


def moment(value: Any, place: str) -> datetime:
    """Read seconds since 1970."""
    seconds = strict.number(value, place, most=7e9)
    return strict.time(datetime.fromtimestamp(seconds, UTC).isoformat(), place)
