"""Make a host from a kit alone, below a directory: as `drd bootstrap --root`, for a drill."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from drd.errors import KitUnavailable
from drd.flows.drill.host_loss import HostFromKit, KitAt, KitGap
from drd.flows.repository.drd_keys import trust_kit
from drd.flows.repository.rebuild import rebuild
from drd.flows.services import Services
from drd.kit.archive import Kit, unpack
from drd.kit.bootstrapping import Prepared, from_kit
from drd.kit.install import installed
from drd.kit.sealing import unseal
from drd.kit.watched_copy import key_of, read
from drd.model.kit import KitPlan
from drd.model.plan import KitWatch, Plan
from drd.model.step_results import KitStepResult
from drd.model.text import counted
from drd.model.units import format_time
from drd.registry import only_those_in_use

Host = Callable[[Path, str], AbstractContextManager[tuple[Services, Plan]]]
"""The services and the plan of that name on a host, by its drd.yaml."""

_HOW = (
    "name the kit in the plan or drd.yaml, with `file:` and `passphrase:` or `identity:` in the "
    "section `kit:`; or give --kit FILE and --passphrase-file FILE."
)


def kit_at(plan: Plan, watch: KitWatch | None) -> KitAt:
    """Return the copy of the kit that drd tests by itself. Raises KitUnavailable if none is
    configured."""
    if watch is None:
        raise KitUnavailable(
            f"no recovery kit is configured: without a kit, plan {plan.name} cannot be "
            "restored when this host is lost",
            hint=_HOW,
        )
    return KitAt(watch.file, lambda: key_of(watch))


@contextmanager
def host_from_kit(
    plan: Plan, at: KitAt, place: Path, now: datetime, host: Host, *, proofs: Collection[str]
) -> Iterator[HostFromKit]:
    """Yield a host for `plan` in the new directory `place`, which nobody else may read; the
    directory is removed at the end with all secrets. `proofs` are the hashes by which evidence
    counts for the plan. Raises the same errors as `drd bootstrap`."""
    sealed = read(at.file)
    kit = unpack(unseal(sealed, at.key(), name=at.file), name=at.file)
    known = next((p for p in kit.index.plans if p.name == plan.name), None)
    if known is None:
        raise KitUnavailable(
            f"{at.file} does not contain the plan {plan.name}",
            hint=f"run drd kit export {plan.name} --to {at.file} …, and name the other plans "
            "of that kit, too.",
        )
    place.mkdir(mode=0o700)
    try:
        root, room = place / "root", place / "room"
        room.mkdir()
        with (
            only_those_in_use(),
            from_kit(kit, root, now, only=plan.name, within=room) as prepared,
            installed(prepared.layout, prepared.replica),
            host(prepared.layout.config, plan.name) as (services, theirs),
        ):
            prepared.bases[plan.name].record(services.catalogue, plan.name, now)
            copied = prepared.replica is not None
            trust_kit(services.catalogue, kit.index.records, copied=copied)
            prepared.bases[plan.name].record_drills(services.catalogue, plan.name, now)
            seen = rebuild(services, theirs)
            points = services.catalogue.points.of_plan(plan.name)
            yield HostFromKit(
                theirs,
                known.proven_as,
                services,
                _summary(kit, known, len(points)),
                (
                    *_gaps(plan, proofs, known, prepared),
                    *(KitGap(f"repository {n}", e.message) for n, e in seen.unreached.items()),
                ),
                KitStepResult(
                    kit=at.file,
                    sha256=sha256(sealed).hexdigest(),
                    made_at=kit.index.made_at,
                    plan_digest=known.digest,
                    points=len(points),
                ),
            )
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _summary(kit: Kit, known: KitPlan, points: int) -> str:
    secrets = sum(f" of {known.name}:" in s.use for s in kit.index.secrets)
    return (
        f"kit of {format_time(kit.index.made_at)}: plan with hash {known.digest[:12]}, "
        f"{counted(len(known.repositories), 'repository', 'repositories')}, "
        f"{counted(secrets, 'secret', 'secrets')}; "
        f"{counted(points, 'restore point', 'restore points')} found in its repositories"
    )


def _gaps(
    plan: Plan, proofs: Collection[str], known: KitPlan, prepared: Prepared
) -> Iterator[KitGap]:
    if known.proven_as not in proofs:
        digests = (
            f"the kit contains the plan with hash {known.digest[:12]}, the plan on this host "
            f"has hash {plan.digest[:12]}"
        )
        yield KitGap("older than the plan", f"the kit is older than the plan: {digests}")
    for repository in known.repositories:
        if repository.url.startswith("/"):
            subject = f"repository {repository.name} is a directory here"
            lost = (
                f"{repository.url} is lost with this host, unless another host provides this "
                "directory"
            )
            yield KitGap(subject, f"{subject}: {lost}")
    yield from (KitGap(note, note) for note in prepared.notes)
    for needed in prepared.layout.needed:
        if needed.restoring:
            yield KitGap("not in it", f"not in the kit: {needed.path} ({needed.use})")
