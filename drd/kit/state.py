"""The state of a plan's recovery kit, and the records of its use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from drd.config.daemon import DaemonSettings
from drd.errors import DrdError, UsageError
from drd.flows.durable_steps import Runner, new_run
from drd.flows.repository.identity import probe_repository
from drd.flows.services import Services
from drd.kit.verify import KitVerification, PlanFound
from drd.model.finding import Finding
from drd.model.kit_findings import (
    EXPORT,
    IDENTITY,
    KIT_IN_ORDER,
    PASSPHRASE,
    SHARES,
    VERIFY,
    kit_findings,
)
from drd.model.plan import Plan
from drd.model.records import KEY
from drd.model.run import RunKind, RunState
from drd.model.run_details import KitDetail
from drd.model.sharing import Sharing
from drd.ports import Catalogue
from drd.presence import is_gone


def standing(settings: DaemonSettings, catalogue: Catalogue, plan: Plan) -> tuple[Finding, ...]:
    """Return the problems of the kit of a plan: by the catalogue's records, and whether the copy
    that drd tests by itself exists now.
    """
    required = plan.kit.required if plan.kit.required is not None else settings.kit_required
    record = catalogue.kits.newest(plan.name)
    watch = plan.kit.watched(settings.kit_watch)
    file = watch.file if watch is not None else None
    named = _named(settings, plan)
    opener = SHARES if isinstance(named, Sharing) else IDENTITY if named else PASSPHRASE
    return kit_findings(
        plan.name,
        plan.digest,
        record,
        required=required,
        proofs=catalogue.plans.proofs(plan),
        file=file,
        opener=opener,
        gone=file is not None and is_gone(file),
        key_replaced=_key_replaced(catalogue),
    )


def _key_replaced(catalogue: Catalogue) -> datetime | None:
    """Return when the present key of the records replaced another one; None if it is the first."""
    keys = catalogue.records.newest(kind=KEY, limit=2)
    return keys[0].header.at if len(keys) > 1 else None


def _named(settings: DaemonSettings, plan: Plan) -> tuple[str, ...] | Sharing:
    """Return for whom a kit of the plan is encrypted; empty if neither file names anybody."""
    default = settings.kit_recipients or settings.kit_shares or ()
    return plan.kit.recipients or plan.kit.shares or default


def findings(settings: DaemonSettings, catalogue: Catalogue, plan: Plan) -> list[Finding]:
    """Return findings like `standing`, and also a finding if everything is in order."""
    findings = standing(settings, catalogue, plan)
    return list(findings) or [KIT_IN_ORDER]


def keepers(settings: DaemonSettings, plans: Sequence[Plan]) -> tuple[str, ...] | Sharing:
    """Return for whom a kit of these plans is encrypted, by plans and drd.yaml: recipients, or
    people with shares. Raises UsageError if they name nobody, or if the plans differ: the people of
    one plan must not get the keys of another.
    """
    named = {plan.name: _named(settings, plan) for plan in plans}
    if len(set(named.values())) > 1:
        raise UsageError(
            f"plans {', '.join(named)} have different recipients or shares under `kit`",
            hint="make a kit for each plan, or give --recipient, --shares or --passphrase-file.",
        )
    recipients = next(iter(named.values()))
    if not recipients:
        raise UsageError(
            "the kit has no recipient: the plans and drd.yaml do not name a recipient",
            hint="give --passphrase-file, --recipient or --shares; or set `kit: "
            "{recipients: [age1…]}` in the plan or drd.yaml.",
        )
    return recipients


@contextmanager
def making(services: Services, plan: Plan) -> Iterator[Runner]:
    """The record of a kit that is being made; the body finishes it with `made`."""
    with new_run(services, plan, RunKind.KIT, trigger="manual", subject=EXPORT) as runner:
        yield runner


def made(runner: Runner, plan: Plan, sha256: str, size: int) -> None:
    """Record that the kit is written."""
    services = runner.services
    services.catalogue.runs.finish(
        runner.owned,
        RunState.SUCCEEDED,
        at=services.clock.now(),
        detail=KitDetail(sha256=sha256, bytes=size, proof=plan.proof),
    )


def what_it_is(found: KitVerification, plan: PlanFound, sha256: str) -> KitDetail:
    """Return the details of an opened kit that a run records."""
    return KitDetail(
        sha256=sha256, made_at=found.made_at, plan_digest=plan.digest, proof=plan.proof
    )


def record_use(
    services: Services, plan: Plan, detail: KitDetail, problems: Sequence[DrdError]
) -> None:
    """Record on a new host which kit it was made from, once: that kit has opened the
    repositories."""
    known = services.catalogue.kits.newest(plan.name)
    if known is not None and known.sha256 == detail.sha256 and known.verified_at is not None:
        return
    _record(services, plan, detail, problems)


def record_verification(
    services: Services, plan: Plan, found: PlanFound, detail: KitDetail
) -> None:
    """Record whether a kit opened this plan's repositories, and their states. A plan that changed
    since is not a failure here: the hashes show it at any time."""
    away = probe_failed_repositories(services, plan, found)
    _record(services, plan, detail.merged(KitDetail(away=away)), found.problems)


def probe_failed_repositories(services: Services, plan: Plan, found: PlanFound) -> bool:
    """Try with this host's own keys the repositories that the kit did not open, or that had
    problems before, and record their state, because an old kit proves nothing about a repository.
    Returns whether this host cannot open them either: then no other kit could."""
    doubtful = {k.repository for k in services.catalogue.health.of_plan(plan.name) if k.lost}
    doubtful |= {
        k.repository for k in services.catalogue.health.of_plan(plan.name) if k.unreachable
    }
    failed = [r for r in found.repositories if r.error is not None]
    shut = []
    for one in found.repositories:
        spec = plan.repositories.get(one.name)
        if spec is None or spec.url != one.url or (one.error is None and one.name not in doubtful):
            continue
        try:
            probe_repository(services, services.open_repository(spec))
        except DrdError:
            shut.append(one)
    return bool(failed) and found.error is None and all(r in shut for r in failed)


def _record(
    services: Services, plan: Plan, detail: KitDetail, problems: Sequence[DrdError]
) -> None:
    with new_run(
        services, plan, RunKind.KIT, trigger="manual", detail=detail, subject=VERIFY
    ) as runner:
        services.catalogue.runs.finish(
            runner.owned,
            RunState.FAILED if problems else RunState.SUCCEEDED,
            at=services.clock.now(),
            error="; ".join(p.message for p in problems) or None,
        )
