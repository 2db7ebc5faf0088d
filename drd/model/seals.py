"""Seals: the digest of a manifest, kept by the host that stored it or by a recovery kit, so that a
replaced manifest is recognised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from drd.model import strict
from drd.model.snapshot import Manifest, RestorePoint

_TREE = ":tree"
"""The suffix of the name under which the tree of a component's snapshot is noted; no manifest's
name has it.
"""


@dataclass(frozen=True, slots=True)
class Seal:
    """A restore point as it was stored. `digest` is the sha256 of its manifest's bytes, empty for
    points from before there were seals. `manifests` has the manifest's snapshot by repository name.
    `snapshots` has the snapshot of each captured component. Once the point was copied, it also has
    the tree of each, as `COMPONENT:tree` (`:tree` for the manifest), because a copy has another id.
    """

    point: str
    digest: str = ""
    manifests: Mapping[str, str] = field(default_factory=dict)
    snapshots: Mapping[str, str] = field(default_factory=dict)

    def broken_by(self, manifest: Manifest) -> str | None:
        """Say why this manifest is not the sealed one; None if it is."""
        point = manifest.point
        if point.id != self.point:
            return f"it belongs to restore point {point.id}"
        if self.digest:
            return None if manifest.digest == self.digest else "its content differs"
        # What restic calls a snapshot says what is in it.
        if any(
            self.manifests.get(name) == snapshot for name, snapshot in point.repositories.items()
        ):
            return None
        known = {c: snapshot for c, snapshot in self.snapshots.items() if not c.endswith(_TREE)}
        if known != snapshots_of(point):
            return "it names other snapshots"
        return None

    def tree_of(self, snapshot: str) -> str | None:
        """Return the tree of a snapshot, by its first id; None if it was not noted."""
        component = next((c for c, snapshot_id in self._named() if snapshot_id == snapshot), None)
        return None if component is None else self.snapshots.get(f"{component}{_TREE}")

    def is_true(self, first: str, tree: str, *, is_manifest: bool) -> bool:
        """Return whether a snapshot can be what its tags say: the snapshot `first` of this point,
        or a copy of it. True if its tree was not noted.
        """
        if is_manifest and _TREE in self.snapshots and first not in self.manifests.values():
            return False
        return self.tree_of(first) in (None, tree)

    def with_trees(self, trees: Mapping[str, str]) -> Seal:
        """Add trees by the first ids of their snapshots. Trees that were noted before stay."""
        known = {
            f"{c}{_TREE}": trees[snapshot] for c, snapshot in self._named() if trees.get(snapshot)
        }
        return replace(self, snapshots={**known, **self.snapshots})

    def _named(self) -> Iterator[tuple[str, str]]:
        """The snapshots by component; those of the manifest under the empty name."""
        yield from (("", snapshot) for snapshot in self.manifests.values())
        yield from (
            (c, snapshot) for c, snapshot in self.snapshots.items() if not c.endswith(_TREE)
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "point": self.point,
            "digest": self.digest,
            "manifests": dict(self.manifests),
            "snapshots": dict(self.snapshots),
        }


def snapshots_of(point: RestorePoint) -> dict[str, str]:
    return {c.component: c.snapshot for c in point.components if c.snapshot is not None}


def seal_of(point: RestorePoint, digest: str = "") -> Seal:
    return Seal(point.id, digest, dict(point.repositories), snapshots_of(point))


def seal_from_json(value: Any, place: str) -> Seal:
    """Read a seal. Raises Refused."""
    raw = strict.mapping(value, place)
    digest = strict.text(strict.member(raw, "digest", place), f"{place}.digest")
    return Seal(
        strict.point_id(strict.member(raw, "point", place), f"{place}.point"),
        strict.digest(digest, f"{place}.digest") if digest else "",
        strict.by_key(
            strict.snapshot_id, strict.member(raw, "manifests", place), f"{place}.manifests"
        ),
        strict.by_key(
            strict.snapshot_id, strict.member(raw, "snapshots", place), f"{place}.snapshots"
        ),
    )


@dataclass(frozen=True, slots=True)
class KitBase:
    """The recovery kit from which this host has a plan. `listed` says whether the kit had a list of
    its restore points: older kits have none, and then a point cannot be distinguished from a forged
    one.
    """

    made_at: datetime
    listed: bool
