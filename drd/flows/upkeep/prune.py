"""Prune: remove data that no snapshot refers to, in a run for each repository."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drd.flows.components.repository_choice import repository_spec
from drd.flows.durable_steps import Runner, new_run
from drd.flows.repository import adopted, contested
from drd.flows.repository.points import missing_snapshots, take_inventory
from drd.flows.services import Services
from drd.flows.state import crash_cleanup
from drd.model.pauses import Pause, of_listing, words
from drd.model.plan import Plan
from drd.model.run import RunKind, RunState
from drd.model.run_details import PruneDetail
from drd.model.step_results import PruneStepResult


@dataclass(frozen=True, slots=True)
class PruneOutcome:
    """The result. `said` is restic's summary, or why nothing was pruned if there are `pauses`."""

    repository: str
    state: RunState
    said: str
    pauses: tuple[Pause, ...] = ()


def prune(
    services: Services, plan: Plan, repository: str = "", *, trigger: str = "manual"
) -> PruneOutcome:
    """Prune one repository of the plan, by default the repository of the backups. It waits while
    others have removed snapshots there (their data might still be restored; after a prune it is
    lost for good), and if this state may be a copy of another state. Raises AlreadyRunning during a
    retention or another prune of the plan.
    """
    adopted.refuse(plan, "prune them")
    spec = repository_spec(plan, repository or plan.primary.name)
    crash_cleanup.settle(services, plan)
    with new_run(services, plan, RunKind.PRUNE, trigger=trigger, subject=spec.name) as runner:
        known = services.catalogue.points.of_plan(plan.name)
        inventory = take_inventory(services, plan, spec, writing=True)
        missing = missing_snapshots(services, plan.name, known, [inventory])
        pauses = contested.pause(services)
        pauses += [p for name, of in missing.items() for p in of_listing(name, tuple(of))]
        if pauses:
            return _paused(services, runner, spec.name, pauses)
        opened = inventory.repository

        def effect() -> PruneStepResult:
            done = opened.prune(
                max_repack_bytes=plan.retention.max_repack_bytes, deadline_s=plan.prune.timeout_s
            )
            return PruneStepResult(summary=done.summary, bytes=done.removed_bytes)

        result = runner.step("prune", "prune", effect)
        services.catalogue.runs.finish(
            runner.owned,
            RunState.SUCCEEDED,
            at=services.clock.now(),
            detail=PruneDetail(summary=result.summary, bytes=result.bytes),
        )
        return PruneOutcome(spec.name, RunState.SUCCEEDED, str(result.summary))


def _paused(
    services: Services, runner: Runner, repository: str, pauses: Sequence[Pause]
) -> PruneOutcome:
    services.catalogue.runs.finish(
        runner.owned,
        RunState.PAUSED,
        at=services.clock.now(),
        error=words(pauses),
        detail=PruneDetail(pauses=tuple(pauses)),
    )
    return PruneOutcome(repository, RunState.PAUSED, words(pauses), tuple(pauses))
