"""Use an opened kit without the host: read its plans, and open repositories with its secrets."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from drd.config.plan_file import plan_of_text
from drd.errors import DrdError, RepositoryDamaged, RepositoryMissing, SecretUnavailable
from drd.kit.archive import Kit
from drd.log import mask
from drd.model.clock import FAR_AHEAD
from drd.model.kit import KitPlan
from drd.model.manifest import manifest_from_bytes
from drd.model.plan import Plan, RepositorySpec, SecretRef
from drd.model.snapshot import MANIFEST_FILE, RestorePoint
from drd.ports import Repository
from drd.repositories import open_repository

_TRIES = 20
"""The number of manifests that are read to find a complete point."""


@dataclass(frozen=True, slots=True)
class OpenedKit:
    """`work` is an empty directory for restic's cache and files that are not secret."""

    kit: Kit
    work: Path

    def plan(self, known: KitPlan) -> Plan:
        """Return the plan. Raises ConfigError if this drd refuses a plan that an earlier one
        accepted.
        """
        return plan_of_text(self.kit.text(known.file), Path(known.file))

    def resolve(self, ref: SecretRef) -> str:
        """Return the secret from the kit. Raises SecretUnavailable."""
        if ref.source == "text":
            return str(ref.value)
        for secret in self.kit.index.secrets:
            if secret.reference == ref:
                value = self.kit.text(secret.file)
                mask(value)
                return value
        raise SecretUnavailable(
            f"secret {ref.describe()} is not in the kit",
            hint="make a new kit on the host that has the plan: drd kit export PLAN --to FILE.",
        )

    def repository(self, spec: RepositorySpec) -> Repository:
        """Opened with the kit alone."""
        authority = spec.ca_cert
        if authority is not None:
            name = self.kit.index.files.get(authority)
            if name is not None:
                file = self.work / Path(name).name
                file.write_bytes(self.kit.files[name])
                spec = spec.trusting(str(file))
        return open_repository(spec, cache_dir=self.work / "cache", resolve=self.resolve)


@contextmanager
def opened(kit: Kit, within: Path | None = None) -> Iterator[OpenedKit]:
    """The kit with a directory to work in (inside `within` if given), which is removed
    at the end."""
    with TemporaryDirectory(prefix="drd-kit-", dir=within) as work:
        yield OpenedKit(kit, Path(work))


def newest_point(
    repository: Repository, plan: str, refuted: Collection[str] = ()
) -> RestorePoint | None:
    """Return the newest complete point whose manifest can be read; None if there is none. A point
    that a drill could not restore (`refuted`) is returned only if there is no other. If no manifest
    can be read, raises the error of the first.
    """
    manifests = repository.snapshots(host=plan, tags=["drd", "manifest"], fresh=True)
    wrong: list[DrdError] = []
    worse: RestorePoint | None = None
    latest = datetime.now(UTC) + FAR_AHEAD  # others count only where there is nothing else
    newest_first = sorted(manifests, key=lambda s: (s.time <= latest, s.time), reverse=True)
    for snapshot in newest_first[: _TRIES + len(refuted)]:
        try:
            point = manifest_from_bytes(
                repository.read_file(snapshot.id, MANIFEST_FILE),
                repository=repository.name,
                snapshot=snapshot.id,
                available_at=snapshot.time,
            ).point
        except RepositoryDamaged as error:
            wrong.append(error)
            continue
        if point.complete and point.plan == plan:
            if point.id not in refuted:
                return point
            worse = worse or point
    if worse is not None:
        return worse
    if wrong:
        raise wrong[0]
    return None


def confirm(repository: Repository, expected: str | None) -> None:
    """Check that the repository answers, that the key opens it, and that it is the repository of
    the kit. Raises RepositoryError."""
    repository.preflight(writing=False)
    actual = repository.identity()
    if actual is None:
        raise RepositoryMissing(
            f"there is no repository at {repository.url}",
            hint="the repository was there when the kit was made: find out who moved or deleted it."
            if expected
            else "the first `drd backup` creates the repository.",
        )
    if expected is not None and actual != expected:
        raise RepositoryMissing(
            f"the repository at {repository.url} is not the repository that was there when "
            f"the kit was made: the id is now {actual[:8]}, but was {expected[:8]}",
            hint="find out who replaced the repository. If it was replaced on purpose, make a new "
            "kit on the host that has the plan: drd kit export PLAN --to FILE.",
        )
