"""Read manifests from a repository strictly, and compare them with what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from drd.errors import DrdError, ManifestRefused
from drd.exhaustion import text_of
from drd.extension_faults import FOREIGN, fault
from drd.flows.repository import listings
from drd.flows.services import Services
from drd.model import strict
from drd.model.clock import FAR_AHEAD
from drd.model.copy_names import COPY, TO_READ
from drd.model.manifest import RequireWritten, manifest_from_bytes, refused
from drd.model.plan import Plan
from drd.model.snapshot import MANIFEST_FILE, ComponentSnapshot, Manifest, RestorePoint
from drd.ports import KindFactory, Repository, SnapshotInfo
from drd.registry import KINDS


def written_rule(kinds: KindFactory) -> RequireWritten:
    """Return the kinds' rules for components and their private parts."""

    def require_written(row: ComponentSnapshot, private: Mapping[str, Any]) -> None:
        try:
            kind = kinds(row.kind)
        except DrdError:
            raise strict.UnexpectedValue(
                f"component {row.component} has the kind {row.kind}, which this version of "
                "drd does not know"
            ) from None
        try:
            kind.require_written(row, private)
        except strict.UnexpectedValue:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            failed = fault(error, row.component, KINDS.extension(row.kind))
            said = f"{row.component}: {type(error).__name__}: {text_of(error)}"
            raise strict.UnexpectedValue(failed.message if failed else said) from None
        except FOREIGN as error:
            failed = fault(error, row.component, KINDS.extension(row.kind))
            if failed is None:
                raise
            raise strict.UnexpectedValue(failed.message) from None

    return require_written


def read_point(
    services: Services,
    repository: Repository,
    manifest: SnapshotInfo,
    plan: str,
    *,
    now: datetime | None = None,
) -> RestorePoint:
    """Return the restore point of `plan` that a manifest snapshot describes; `now` is recorded as
    the time since which a copy is known. Raises ManifestRefused, also if the manifest is about
    another point or plan, or differs from its seal."""
    return read_manifest(services, repository, manifest, plan, now=now).point


def read_manifest(
    services: Services,
    repository: Repository,
    manifest: SnapshotInfo,
    plan: str,
    *,
    now: datetime | None = None,
    sealed: bool = True,
) -> Manifest:
    """Return the whole manifest, read like `read_point`. Without `sealed`, it may differ from its
    seal."""
    read = manifest_from_bytes(
        repository.read_file(manifest.id, MANIFEST_FILE),
        repository=repository.name,
        snapshot=manifest.id,
        available_at=manifest.time,
        copied_at=now if manifest.original is not None else None,
        require_written=written_rule(services.kinds),
    )
    point, run = read.point, listings.run_of(manifest)
    if point.plan != plan or manifest.host != plan:
        raise refused(_called(manifest, repository), ValueError(f"it belongs to plan {point.plan}"))
    if point.id != run:
        raise refused(
            _called(manifest, repository),
            ValueError(f"it belongs to restore point {point.id}, but its tag says {run}"),
        )
    if sealed:
        require_sealed(services, read, repository.name)
    return read


def require_sealed(services: Services, manifest: Manifest, repository: str) -> None:
    """Raise ManifestRefused when a manifest differs from the manifest that this host stored, or
    from the list in the kit that this host was made from. A manifest without a seal is checked by
    `drd.flows.restore.kit_origin`."""
    point = manifest.point
    seal = services.catalogue.origins.seal(point.plan, point.id)
    broken = seal.broken_by(manifest) if seal is not None else None
    broken = broken or services.row_trust.broken_by(manifest)
    if broken is not None:
        raise _another(f"the manifest of restore point {point.id} in {repository}", broken)


def _called(manifest: SnapshotInfo, repository: Repository) -> str:
    return f"manifest {manifest.id[:8]} in {repository.name}"


def require_sound(kinds: KindFactory, point: RestorePoint, plan: Plan) -> None:
    """Raise ManifestRefused when the catalogue has a value about a point that drd does not write:
    it may come from a manifest that an older drd read, or from a replica out of a repository."""
    require_written = written_rule(kinds)
    try:
        strict.point_id(point.id, "its id")
        for row in point.components:
            if row.snapshot is None:
                continue
            strict.name(row.component, "a component's name")
            strict.snapshot_id(row.snapshot, f"the snapshot of {row.component}")
            require_written(row, {})
            named = plan.components.get(row.component)
            if named is not None and named.kind != row.kind:
                raise strict.UnexpectedValue(
                    f"component {row.component} has kind {row.kind} in the restore point, but kind "
                    f"{named.kind} in the plan"
                )
        for name, manifest in point.repositories.items():
            strict.snapshot_id(manifest, f"the manifest in {name}")
    except strict.UnexpectedValue as error:
        raise refused(f"restore point {point.id} as the catalogue describes it", error) from None


def is_ahead(point: RestorePoint, now: datetime) -> bool:
    """Return whether a point is dated in the future. Such a copy of another tool is not used, since
    it would hide all others."""
    return max(point.data_time, point.available_at) > now + FAR_AHEAD


def require_same(manifest: Manifest, point: RestorePoint, repository: str) -> None:
    """Raise ManifestRefused when the manifest in a repository is not the point's, as the catalogue
    knows it. A partial point has its own facts and fingerprints."""
    there = {c.component: c for c in manifest.point.components}
    called = f"the manifest of restore point {point.id} in {repository}"
    if (manifest.point.id, manifest.point.plan) != (point.id, point.plan):
        raise _another(called, "this manifest belongs to another restore point")
    for row in point.components:
        other = there.get(row.component)
        if row.snapshot is None:
            continue
        if other is None or (other.snapshot, other.kind) != (row.snapshot, row.kind):
            raise _another(
                called, f"this manifest names another snapshot of component {row.component}"
            )
        if _compared(other.facts) != _compared(row.facts):
            raise _another(called, f"this manifest has other facts about component {row.component}")


def _compared(facts: Mapping[str, Any]) -> dict[str, Any]:
    """A partial point has only the requested paths, and the catalogue has the name of another
    tool's copy without secrets, and whether drd has read the dump."""
    return {k: v for k, v in facts.items() if k not in ("paths", COPY, TO_READ)}


def _another(called: str, why: str) -> ManifestRefused:
    return ManifestRefused(
        f"{called} is not the manifest that drd stored: {why}",
        hint="use another restore point or repository, and find out who else has the password of "
        "this repository.",
        repair="none",
    )
