"""The repositories that hold a restore point: each of them can serve a drill or a recovery.

They are tried in the plan's order. If a repository cannot deliver a component, the next one is
used; this is decided for each component separately, before any part of it is restored."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from drd.errors import (
    DrdError,
    NoRestorePoint,
    PointGone,
    RepositoryDamaged,
    RepositoryError,
    SecretUnavailable,
    UsageError,
)
from drd.flows.repository import listings
from drd.flows.repository.manifests import require_same, require_sealed, require_sound, written_rule
from drd.flows.repository.observed_state import note
from drd.flows.repository.signatures import require_same_signature
from drd.flows.repository.substituted import genuine
from drd.flows.services import Services
from drd.model.limits import UNLIMITED
from drd.model.manifest import manifest_from_bytes
from drd.model.plan import Plan, RepositorySpec
from drd.model.snapshot import MANIFEST_FILE, Manifest, RestorePoint
from drd.model.text import either
from drd.ports import Fetched, OnProgress, Repository
from drd.ports.adopted import CopyDamaged
from drd.process import rights
from drd.process.rights import Purpose

T = TypeVar("T")

_NEXT = (RepositoryError, SecretUnavailable)
"""Errors for which another repository would not help."""


def holders(
    plan: Plan, point: RestorePoint, only: Collection[str] | None = None
) -> tuple[RepositorySpec, ...]:
    """Return the plan's repositories that hold the point, limited to `only`. Raises
    NoRestorePoint."""
    holding = tuple(s for name, s in plan.repositories.items() if name in point.repositories)
    if not holding and point.elsewhere:
        raise NoRestorePoint(
            f"restore point {point.id} is only in {former_places(point)}, and plan {plan.name} no "
            "longer names this repository",
            hint="add this repository to the plan again, or choose another point: drd points "
            f"{plan.name}",
        )
    if not holding:
        raise NoRestorePoint(
            f"no repository of plan {plan.name} contains restore point {point.id} (the catalogue "
            f"says: {', '.join(point.repositories) or 'no repository'})",
            hint="read the repositories of the plan again: drd catalogue rebuild "
            f"{plan.name}; or choose another point: drd points {plan.name}",
        )
    allowed = tuple(s for s in holding if only is None or s.name in only)
    if not allowed:
        raise NoRestorePoint(
            f"restore point {point.id} is in {', '.join(s.name for s in holding)}, not in "
            f"{either(only or ())}",
            hint=f"use another point: drd points {plan.name}",
        )
    return allowed


def former_places(point: RestorePoint) -> str:
    """Names of the former repositories of a point that is nowhere else."""
    return " and ".join(
        f"the repository {known[:8] or 'of unknown id'} that was called {name}"
        for name, known in point.elsewhere.items()
    )


def named(plan: Plan, repository: str | None) -> tuple[str, ...] | None:
    """Return the repositories that `--repository` allows; None means all. Raises UsageError."""
    return None if repository is None else (repository_spec(plan, repository).name,)


def usable_repositories(
    plan: Plan, repository: str | None, scenario: str | None
) -> tuple[str, ...] | None:
    """Return the repositories that are left in this scenario, in the plan's order; None means all.
    After a region-loss only copies are left. Raises UsageError if no repository is left."""
    only = named(plan, repository)
    if scenario != "region-loss":
        return only
    copies = tuple(c.name for c in plan.copies if only is None or c.name in only)
    if not copies:
        what = f"repository {only[0]} is not a copy" if only else f"plan {plan.name} has no copy"
        raise UsageError(
            f"in the scenario region-loss only copies are left, but {what}",
            hint="add a repository with `copy_of:` to the plan (docs/copies.md)."
            if not plan.copies
            else f"choose a copy: --repository {plan.copies[0].name}",
        )
    return copies


def repository_spec(plan: Plan, name: str) -> RepositorySpec:
    """Return the plan's repository of that name. Raises UsageError."""
    if name not in plan.repositories:
        known = ", ".join(plan.repositories)
        raise UsageError(
            f"plan {plan.name} has no repository {name!r}",
            hint=f"choose one of the plan's repositories: {known}.",
        )
    return plan.repositories[name]


class Holders:
    """Reads a point from any repository that can deliver it. Safe in several threads."""

    def __init__(
        self,
        services: Services,
        plan: Plan,
        point: RestorePoint,
        *,
        only: Collection[str] | None = None,
        cache: Path | None = None,
    ) -> None:
        """Use only the repositories in `only`. With `cache`, everything is read as by a host that
        has never used a repository. Raises NoRestorePoint when no repository holds the point, and
        ManifestRefused for a point that drd did not write."""
        self.services = services
        self.plan = plan
        self.point = point
        require_sound(services.kinds, point, plan)
        self._specs = holders(plan, point, only)
        self._cache = cache
        self._lock = threading.Lock()
        self._open: dict[str, Repository] = {}
        self._ids: dict[str, dict[str, str]] = {}
        self._reading = threading.Lock()
        self._manifest: Manifest | None = None
        self._out: dict[str, DrdError] = {}
        self.used: dict[str, None] = {}
        """The names of repositories that delivered something, in order."""
        self.passed_over: list[tuple[str, str, DrdError]] = []
        """What was requested, from which repository, and the error because of which another
        repository had to deliver it."""
        self.damaged: dict[str, RepositoryDamaged] = {}
        """What could not be read although it is there, by repository."""

    @property
    def repositories(self) -> list[Repository]:
        """The repositories in the order in which they are tried."""
        return [self._repository(spec) for spec in self._specs]

    @property
    def cache(self) -> Path | None:
        """The cache of a host that has never used a repository, if everything is read so."""
        return self._cache

    def rule_out(self, repository: str, error: DrdError) -> None:
        """Stop using a repository."""
        self._out[repository] = error

    @property
    def ruled_out(self) -> Mapping[str, DrdError]:
        """The repositories that are not used, each with the reason."""
        return dict(self._out)

    def rule_in(self, repository: str) -> None:
        """Use a repository again after all."""
        self._out.pop(repository, None)

    def choose(self, examine: Callable[[Repository], object]) -> None:
        """Begin with the first repository that `examine` accepts, and rule out the repositories
        before it. If `examine` accepts none, raises the error for the first repository."""
        errors: list[DrdError] = []
        for repository in self.repositories:
            try:
                examine(repository)
            except (RepositoryError, SecretUnavailable, NoRestorePoint) as error:
                self.rule_out(repository.name, error)
                errors.append(error)
            else:
                self.rule_in(repository.name)
                return
        raise errors[0]

    def manifest(self) -> Manifest:
        """Read once."""
        with self._reading:
            if self._manifest is None:
                self._manifest = self._first("the manifest", self._read_manifest)
            return self._manifest

    def fetch(
        self,
        component: str,
        snapshot: str,
        into: Path,
        on_progress: OnProgress,
        *,
        include: Sequence[str] = (),
        brief: bool = False,
        sparse: bool = False,
    ) -> Fetched:
        """Write a snapshot, which is named by its first id, below the empty directory `into`; if
        `include` names paths, write only these and what is below them."""

        known = self.plan.components.get(component)
        # A drill, which reads with a cache of its own, may be slow; a recovery may not.
        limits = known.limits if known is not None and self._cache is not None else UNLIMITED

        def restore(repository: Repository) -> Fetched:
            id_there = self._id(repository, snapshot)
            with rights.root(Purpose.OWNERS):
                return repository.restore(
                    id_there,
                    into,
                    include=include,
                    brief=brief,
                    sparse=sparse,
                    limits=limits,
                    on_progress=on_progress,
                )

        return self._first(component, restore)

    def changed(self, component: str, snapshot: str, directory: str) -> Mapping[str, datetime]:
        """When the entries of a directory of a snapshot were last changed."""
        return self._first(
            component, lambda there: there.changed(self._id(there, snapshot), directory)
        )

    def mount(
        self,
        into: Path,
        snapshots: Mapping[str, str],
        on_ready: Callable[[str, Mapping[str, str]], None],
    ) -> None:
        """Show the snapshots of components below `into` until a cancel (`Repository.mount`).
        `on_ready` gets the name of the repository, and the id there of each component's snapshot.
        """
        point = self.point

        def show(repository: Repository) -> None:
            there = {name: self._id(repository, s) for name, s in snapshots.items()}
            tags = [("drd", f"run:{point.id}", f"component:{name}") for name in there]
            # What drd's own user mounts, root could not read.
            with rights.root(Purpose.OWNERS):
                repository.mount(
                    into,
                    host=point.plan,
                    tags=tags,
                    on_ready=lambda: on_ready(repository.name, there),
                )

        self._first("the files", show)

    def show(self, component: str, snapshot: str, attempt: Callable[[Repository, str], T]) -> T:
        """Return the result of the first repository from which the attempt can read a snapshot; it
        gets the repository, and the id of the snapshot there."""
        return self._first(component, lambda there: attempt(there, self._id(there, snapshot)))

    def _first(self, what: str, attempt: Callable[[Repository], T]) -> T:
        """Return the result of the first repository that succeeds. Raises the error of the first if
        none does."""
        errors: list[tuple[str, DrdError]] = []
        for spec in self._specs:
            error = self._out.get(spec.name)
            if error is None:
                try:
                    result = attempt(self._repository(spec))
                except _NEXT as failure:
                    error = failure
                    note(self.services, self._repository(spec), failure)
                    if isinstance(failure, CopyDamaged):
                        pass  # the rest of the repository is not concerned
                    elif isinstance(failure, RepositoryDamaged):
                        self.damaged[spec.name] = failure
                    elif not isinstance(failure, PointGone):
                        self.rule_out(spec.name, failure)
                else:
                    self._note(what, spec.name, errors)
                    return result
            errors.append((spec.name, error))
        first = errors[0][1]
        if len(errors) > 1:
            first.message += "".join(f"; {name}: {e.message}" for name, e in errors[1:])
        raise first

    def _note(self, what: str, name: str, errors: list[tuple[str, DrdError]]) -> None:
        with self._lock:
            self.used[name] = None
            for other, error in errors:
                self.passed_over.append((what, other, error))
        for other, error in errors:
            self.services.warn(
                f"drd read {what} of restore point {self.point.id} from repository {name}, because "
                f"drd could not read it from repository {other}: {error.message}"
            )

    def _repository(self, spec: RepositorySpec) -> Repository:
        with self._lock:
            if spec.name not in self._open:
                opened = self.services.open_repository(spec)
                self._open[spec.name] = opened.cold(self._cache) if self._cache else opened
            return self._open[spec.name]

    def _read_manifest(self, repository: Repository) -> Manifest:
        snapshot = self.point.repositories[repository.name]
        data = repository.read_file(snapshot, MANIFEST_FILE)
        manifest = manifest_from_bytes(
            data,
            repository=repository.name,
            snapshot=snapshot,
            available_at=self.point.available_at,
            require_written=written_rule(self.services.kinds),
        )
        require_sealed(self.services, manifest, repository.name)
        require_same_signature(self.services, manifest, repository.name)
        require_same(manifest, self.point, repository.name)
        self.services.row_trust.pin(manifest)
        return manifest

    def _id(self, repository: Repository, snapshot: str) -> str:
        """Return the id that a snapshot of the point has in a repository."""
        if repository.name not in self.point.copied:
            return snapshot
        with self._lock:
            known = self._ids.get(repository.name)
        if known is None:
            tags = ["drd", f"run:{self.point.id}"]
            snapshots = repository.snapshots(host=self.point.plan, tags=tags)
            known = listings.ids_here(
                genuine(self.services, self.point.plan, repository, snapshots)
            )
            with self._lock:
                self._ids[repository.name] = known
        if snapshot not in known:
            raise PointGone(
                f"repository {repository.name} has no copy of snapshot {snapshot[:8]}",
                hint=f"copy the snapshot there: drd copy {self.point.plan}",
            )
        return known[snapshot]
