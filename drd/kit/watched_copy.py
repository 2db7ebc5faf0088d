"""Test the copy of the kit that the plan, or drd.yaml, names for tests by drd itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from drd import secrets
from drd.errors import DrdError, KitUnavailable, UsageError
from drd.flows.durable_steps import Runner, new_run
from drd.flows.services import Services
from drd.kit.archive import unpack
from drd.kit.sealing import read_kit, unseal
from drd.kit.state import probe_failed_repositories, what_it_is
from drd.kit.verify import KitOutdated, KitVerification, LoadedHashes, verify
from drd.model.kit import Key
from drd.model.kit_findings import VERIFY
from drd.model.plan import KitWatch, Plan
from drd.model.run import RunKind, RunState
from drd.model.run_details import KitDetail


def try_kit(
    services: Services, plan: Plan, watch: KitWatch | None, *, trigger: str
) -> KitVerification:
    """Open the plan's repositories with this copy alone. This is recorded as a run, which fails if
    the copy is not usable, even if it is only older than the plan: then a person must make a new
    kit.

    Raises KitUnavailable, KitDamaged, WrongKey."""
    where = KitDetail(file=watch.file if watch is not None else None)
    with new_run(
        services, plan, RunKind.KIT, trigger=trigger, detail=where, subject=VERIFY
    ) as runner:
        seen = _KitFacts()
        try:
            verification = _verified(services, plan, watch, seen)
        except DrdError as error:
            _finish(runner, seen, [error])
            raise
        _finish(runner, seen, verification.problems)
    return verification


@dataclass
class _KitFacts:
    """What is known of the file so far, even if it does not open."""

    detail: KitDetail = field(default_factory=KitDetail)


def _finish(runner: Runner, seen: _KitFacts, problems: Sequence[DrdError]) -> None:
    services = runner.services
    services.catalogue.runs.finish(
        runner.owned,
        RunState.FAILED if problems else RunState.SUCCEEDED,
        at=services.clock.now(),
        error="; ".join(p.message for p in problems) or None,
        detail=seen.detail.merged(
            KitDetail(outdated=_outdated(problems), permanent=any(p.permanent for p in problems))
        ),
    )


def _verified(
    services: Services, plan: Plan, watch: KitWatch | None, seen: _KitFacts
) -> KitVerification:
    """Open and verify the copy; `seen` gets the known facts of the file, even if it does
    not open.
    """
    if watch is None:
        raise KitUnavailable(
            f"plan {plan.name} does not have a configured copy of a kit", hint=WHERE
        )
    sealed = read(watch.file)
    digest = sha256(sealed).hexdigest()
    seen.detail = KitDetail(sha256=digest)
    kit = unpack(unseal(sealed, key_of(watch), name=watch.file), name=watch.file)
    loaded = LoadedHashes(plan.digest, services.catalogue.plans.proofs(plan))
    verification = verify(kit, {plan.name: loaded}, only=plan.name)
    if not verification.plans:
        raise KitUnavailable(
            f"{watch.file} does not contain the plan {plan.name}",
            hint=f"run drd kit export {plan.name} --to {watch.file} …, and name the other "
            "plans of that kit, too.",
        )
    seen.detail = what_it_is(verification, verification.plans[0], digest)
    away = probe_failed_repositories(services, plan, verification.plans[0])
    seen.detail = seen.detail.merged(KitDetail(away=away))
    return verification


WHERE = (
    "name a copy of the kit in the plan or drd.yaml, with `file:` and `passphrase:` or `identity:` "
    "in the section `kit:`."
)


def read(file: str) -> bytes:
    """Read the copy. Raises KitUnavailable."""
    try:
        return read_kit(Path(file))
    except UsageError as error:
        raise KitUnavailable(
            error.message,
            hint="put a copy of the kit at this path, for example: drd kit export PLAN --to "
            f"{file}",
        ) from None


def key_of(watch: KitWatch) -> Key:
    """Return what opens the copy. Raises SecretUnavailable."""
    if watch.passphrase is not None:
        return Key(passphrase=secrets.resolve(watch.passphrase))
    assert watch.identity is not None
    return Key(identity=f"{secrets.resolve(watch.identity)}\n".encode())


def _outdated(problems: Sequence[DrdError]) -> bool:
    """Return whether nothing else is wrong with it."""
    return bool(problems) and all(isinstance(p, KitOutdated) for p in problems)
