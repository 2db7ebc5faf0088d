"""Read the index of a recovery kit, which may be anybody's: only what drd writes is accepted."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TypeVar

from drd.model import strict
from drd.model.drill_facts import Unproven
from drd.model.kit import (
    KIT_SCHEMA,
    KitComponent,
    KitDrill,
    KitFailure,
    KitFile,
    KitFormerKey,
    KitIndex,
    KitPlan,
    KitPoint,
    KitRecords,
    KitRepository,
    KitSecret,
)
from drd.model.plan import SecretRef
from drd.model.run import DrillResult
from drd.model.seals import seal_from_json
from drd.model.text import escaped

T = TypeVar("T")

_MOST = 100_000
_MOST_FILES = 1_000_000
_MOST_DRILLS = 1_000
_EVIDENCE = re.compile(r"[0-9a-z-]{1,80}")
_RUN = re.compile(r"[0-9a-f]{8}")
_LINE = 400
_SOURCES: tuple[Literal["file", "env", "credential", "command", "text"], ...] = (
    "file", "env", "credential", "command", "text",
)  # fmt: skip


def index_from_json(data: Any) -> KitIndex:
    """Return the inverse of `to_json`. Raises ValueError for anything that drd does not write."""
    raw = strict.mapping(data, "the index")
    schema = strict.count(strict.member(raw, "schema"), "schema")
    if schema != KIT_SCHEMA:
        raise strict.UnexpectedValue(
            f"the kit has schema {schema}, but this drd reads schema {KIT_SCHEMA}"
        )
    return KitIndex(
        made_at=strict.time(strict.member(raw, "made_at"), "made_at"),
        host=strict.text(strict.member(raw, "host"), "host"),
        config=strict.maybe(inner_name, strict.member(raw, "config"), "config"),
        config_dir=strict.absolute_path(strict.member(raw, "config_dir"), "config_dir"),
        plans=tuple(strict.each(_plan, strict.member(raw, "plans"), "plans", most=_MOST)),
        secrets=tuple(strict.each(_secret, strict.member(raw, "secrets"), "secrets", most=_MOST)),
        files={
            strict.absolute_path(path, "a path in files"): name
            for path, name in strict.by_key(
                inner_name, strict.member(raw, "files"), "files", most=_MOST
            ).items()
        },
        versions=strict.by_key(strict.text, strict.member(raw, "versions"), "versions", most=100),
        digests=strict.by_key(
            strict.digest, strict.member(raw, "digests"), "digests", most=_MOST_FILES
        ),
        # Those that are older have none.
        programs=tuple(strict.each(_program, raw.get("programs", []), "programs", most=_MOST)),
        records=strict.maybe(_records, raw.get("records"), "records"),
        config_file=strict.maybe(strict.absolute_path, raw.get("config_file"), "config_file"),
    )


def inner_name(value: Any, place: str) -> str:
    """Require the name of a file of the kit: a path below its directory."""
    name = strict.text(value, place)
    if any(part in ("", ".", "..") for part in name.split("/")):
        raise strict.refuse(place, "is not a file of a kit", name)
    return name


def _plan(value: Any, place: str) -> KitPlan:
    raw = strict.mapping(value, place)
    seals = raw.get("seals")
    return KitPlan(
        strict.name(strict.member(raw, "name", place), f"{place}.name"),
        strict.text(strict.member(raw, "digest", place), f"{place}.digest", most=80),
        inner_name(strict.member(raw, "file", place), f"{place}.file"),
        tuple(
            strict.each(
                _repository, strict.member(raw, "repositories", place), f"{place}.repositories"
            )
        ),
        tuple(strict.each(_point, strict.member(raw, "points", place), f"{place}.points")),
        tuple(strict.each(strict.text, strict.member(raw, "missing", place), f"{place}.missing")),
        tuple(strict.each(strict.text, raw.get("needs", []), f"{place}.needs")),
        None if seals is None else tuple(strict.each(seal_from_json, seals, f"{place}.seals")),
        strict.maybe(partial(strict.text, most=80), raw.get("proof"), f"{place}.proof"),
        tuple(strict.each(_drill, raw.get("drills", []), f"{place}.drills", most=_MOST_DRILLS)),
    )


def reads_back(drill: KitDrill) -> bool:
    """Return whether a drill that a catalogue has can be in a kit: one wrong value in it would make
    the whole kit unreadable."""
    try:
        return _drill(drill.to_json(), "drill") == drill
    except strict.UnexpectedValue:
        return False


def _drill(value: Any, place: str) -> KitDrill:
    raw = strict.mapping(value, place)

    def read(reader: Callable[[Any, str], T], key: str) -> T:
        return reader(strict.member(raw, key, place), f"{place}.{key}")

    def maybe(reader: Callable[[Any, str], T], key: str) -> T | None:
        return read(partial(strict.maybe, reader), key)

    def few(reader: Callable[[Any, str], T], key: str) -> tuple[T, ...]:
        return tuple(read(partial(strict.each, reader, most=_MOST_DRILLS), key))

    return KitDrill(
        read(partial(strict.matching, pattern=_EVIDENCE, what="id of evidence"), "evidence"),
        read(partial(strict.matching, pattern=_RUN, what="id of a run"), "run"),
        maybe(strict.point_id, "point"),
        read(_line, "scenario"),
        read(partial(strict.one_of, known=tuple(map(str, DrillResult))), "result"),
        read(_line, "proof"),
        read(strict.time, "started_at"),
        read(strict.time, "finished_at"),
        maybe(strict.number, "rpa_s"),
        maybe(strict.number, "rta_s"),
        read(strict.flag, "judged"),
        maybe(strict.time, "data_time"),
        read(strict.count, "restored_bytes"),
        few(_failure, "failed"),
        few(_unproven, "unproven"),
    )


def _failure(value: Any, place: str) -> KitFailure:
    raw = strict.mapping(value, place)
    return KitFailure(
        strict.name(strict.member(raw, "component", place), f"{place}.component"),
        _line(strict.member(raw, "why", place), f"{place}.why"),
        strict.flag(strict.member(raw, "of_data", place), f"{place}.of_data"),
    )


def _unproven(value: Any, place: str) -> Unproven:
    words = list(strict.each(_line, value, place, most=3))
    if len(words) != 3:
        raise strict.refuse(place, "does not have three texts")
    return Unproven(*words)


def _line(value: Any, place: str) -> str:
    return escaped(strict.text(value, place, most=_LINE))


def _repository(value: Any, place: str) -> KitRepository:
    raw = strict.mapping(value, place)
    return KitRepository(
        strict.name(strict.member(raw, "name", place), f"{place}.name"),
        strict.text(strict.member(raw, "url", place), f"{place}.url"),
        strict.maybe(strict.digest, strict.member(raw, "id", place), f"{place}.id"),
        strict.maybe(strict.name, raw.get("copy_of"), f"{place}.copy_of"),
    )


def _secret(value: Any, place: str) -> KitSecret:
    raw = strict.mapping(value, place)
    return KitSecret(
        inner_name(strict.member(raw, "file", place), f"{place}.file"),
        _reference(strict.member(raw, "reference", place), f"{place}.reference"),
        strict.text(strict.member(raw, "use", place), f"{place}.use"),
    )


def _records(value: Any, place: str) -> KitRecords:
    raw = strict.mapping(value, place)
    return KitRecords(
        strict.digest(strict.member(raw, "chain", place), f"{place}.chain"),
        strict.count(strict.member(raw, "seq", place), f"{place}.seq"),
        strict.digest(strict.member(raw, "hash", place), f"{place}.hash"),
        strict.time(strict.member(raw, "at", place), f"{place}.at"),
        strict.text(strict.member(raw, "key", place), f"{place}.key", most=16),
        strict.text(strict.member(raw, "public", place), f"{place}.public", most=100),
        tuple(strict.each(_former_key, raw.get("former", []), f"{place}.former", most=_MOST)),
    )


def _former_key(value: Any, place: str) -> KitFormerKey:
    raw = strict.mapping(value, place)
    return KitFormerKey(
        strict.text(strict.member(raw, "key", place), f"{place}.key", most=16),
        strict.text(strict.member(raw, "public", place), f"{place}.public", most=100),
        strict.time(strict.member(raw, "replaced_at", place), f"{place}.replaced_at"),
        strict.count(strict.member(raw, "replaced_seq", place), f"{place}.replaced_seq"),
    )


def _program(value: Any, place: str) -> KitFile:
    raw = strict.mapping(value, place)
    return KitFile(
        strict.absolute_path(strict.member(raw, "path", place), f"{place}.path"),
        inner_name(strict.member(raw, "file", place), f"{place}.file"),
        strict.count(strict.member(raw, "mode", place), f"{place}.mode", most=0o7777),
    )


def _point(value: Any, place: str) -> KitPoint:
    raw = strict.mapping(value, place)
    return KitPoint(
        strict.point_id(strict.member(raw, "id", place), f"{place}.id"),
        strict.time(strict.member(raw, "data_time", place), f"{place}.data_time"),
        strict.time(strict.member(raw, "available_at", place), f"{place}.available_at"),
        strict.flag(strict.member(raw, "complete", place), f"{place}.complete"),
        strict.maybe(strict.text, strict.member(raw, "proven_by", place), f"{place}.proven_by"),
        tuple(
            strict.each(
                strict.name, strict.member(raw, "repositories", place), f"{place}.repositories"
            )
        ),
        tuple(
            strict.each(_component, strict.member(raw, "components", place), f"{place}.components")
        ),
    )


def _component(value: Any, place: str) -> KitComponent:
    raw = strict.mapping(value, place)
    return KitComponent(
        strict.name(strict.member(raw, "component", place), f"{place}.component"),
        strict.name(strict.member(raw, "kind", place), f"{place}.kind"),
        strict.maybe(
            strict.snapshot_id, strict.member(raw, "snapshot", place), f"{place}.snapshot"
        ),
        strict.maybe(strict.time, strict.member(raw, "data_time", place), f"{place}.data_time"),
        strict.count(strict.member(raw, "bytes", place), f"{place}.bytes"),
        strict.by_key(strict.count, raw.get("summary", {}), f"{place}.summary", most=100),
        strict.text(raw.get("version", ""), f"{place}.version"),
    )


def _reference(value: Any, place: str) -> SecretRef:
    raw = strict.mapping(value, place)
    source = strict.one_of(strict.member(raw, "source", place), f"{place}.source", _SOURCES)
    text = strict.member(raw, "value", place)
    if isinstance(text, list):
        words = tuple(strict.each(strict.text, text, f"{place}.value", most=1000))
        return SecretRef(next(s for s in _SOURCES if s == source), words)
    return SecretRef(next(s for s in _SOURCES if s == source), strict.text(text, f"{place}.value"))
