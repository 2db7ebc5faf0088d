"""The versions of a plan, from its runs and restore points: when each version was used, which
drills proved it, and what changed since the version before. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from drd.model.proof import proof_hash
from drd.model.run import DrillResult, Evidence, Run
from drd.model.snapshot import RestorePoint
from drd.model.text import shortened

_LONGEST = 120
"""How many characters of a value are shown."""


@dataclass(slots=True)
class Version:
    """A version of a plan. `first` is the first known run that used it. `points` are the restore
    points that were made with it, and `drills` the passed drills that prove it, both newest last.
    `resolved` is its text with defaults; None if neither the catalogue nor a restore point has
    it."""

    digest: str
    since: datetime
    until: datetime
    first: Run | None = None
    points: list[RestorePoint] = field(default_factory=list)
    drills: list[Evidence] = field(default_factory=list)
    resolved: Mapping[str, Any] | None = None
    in_force: bool = False

    def saw(self, at: datetime) -> None:
        self.since, self.until = min(self.since, at), max(self.until, at)


def versions(
    runs: Iterable[Run], points: Iterable[RestorePoint], in_force: str, now: datetime
) -> list[Version]:
    """Return the versions, the oldest first. The version with the hash `in_force` is the last, even
    if no run has used it until `now`."""
    by_hash: dict[str, Version] = {}

    def seen(digest: str, at: datetime) -> Version:
        version = by_hash.setdefault(digest, Version(digest, at, at))
        version.saw(at)
        return version

    for point in sorted(points, key=lambda one: one.data_time):
        if point.plan_digest:
            seen(point.plan_digest, point.data_time).points.append(point)
    for run in runs:
        if run.plan_digest and run.started_at is not None:
            version = seen(run.plan_digest, run.started_at)
            first = version.first.started_at if version.first is not None else None
            if first is None or run.started_at < first:
                version.first = run
    by_hash.setdefault(in_force, Version(in_force, now, now))
    for version in by_hash.values():
        version.in_force = version.digest == in_force
    return sorted(by_hash.values(), key=lambda one: (one.in_force, one.since))


def prove(found: Sequence[Version], evidence: Iterable[Evidence], runs: Iterable[Run]) -> None:
    """Add to each version the passed drills that prove it: drills that ran with this version, and
    drills with the same proof hash (only keys changed that a drill does not prove)."""
    used = {run.id: run.plan_digest for run in runs}
    proofs = {v.digest: proof_hash(v.resolved) for v in found if v.resolved is not None}
    for one in sorted(evidence, key=lambda each: each.finished_at):
        if one.target is None and one.result is DrillResult.PASSED:
            for version in found:
                if version.digest in (used.get(one.run), one.plan_digest) or (
                    proofs.get(version.digest) == one.plan_digest
                ):
                    version.drills.append(one)


def read_texts(
    found: Sequence[Version], read: Callable[[RestorePoint], Mapping[str, Any] | None]
) -> None:
    """Read the text of each version that does not have one yet. `read` returns the text from the
    manifest of a restore point, None if it cannot; the newest point is tried first."""
    for version in found:
        for point in reversed(version.points):
            if version.resolved is None:
                version.resolved = read(point)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield what changed between two texts, a line for each key: `+ KEY: VALUE`, `- KEY: VALUE`,
    `~ KEY: OLD -> NEW`. Items of a list are shown by name if they have one:
    `checks[rows].query`."""
    old, new = dict(_flat(before, "")), dict(_flat(after, ""))
    for key in sorted(old.keys() | new.keys()):
        if key not in old:
            yield f"+ {key}: {_value(new[key])}"
        elif key not in new:
            yield f"- {key}: {_value(old[key])}"
        elif old[key] != new[key]:
            yield f"~ {key}: {_value(old[key])} -> {_value(new[key])}"


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _flat(each, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple) and any(isinstance(each, Mapping) for each in value):
        names = [each.get("name") if isinstance(each, Mapping) else None for each in value]
        by_name = all(names) and len(set(map(str, names))) == len(names)
        for number, each in enumerate(value):
            yield from _flat(each, f"{path}[{names[number] if by_name else number + 1}]")
    else:
        yield path, list(value) if isinstance(value, tuple) else value


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return shortened(text, _LONGEST)
