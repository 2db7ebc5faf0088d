"""Removing data that no snapshot refers to: a run of its own for each repository."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drd.flows import aftermath, holdings
from drd.flows.holders import repository_spec
from drd.flows.identity import confirm
from drd.flows.runner import new_run
from drd.flows.services import Services
from drd.model.plan import Plan
from drd.model.run import RunKind, RunState


def prune(services: Services, plan: Plan, repository: str = "", *, trigger: str = "manual") -> str:
    """Prune one repository of the plan, by default the one that backups go to; restic's summary.

    Raises AlreadyRunning beside a retention or another prune of the plan.
    """
    spec = repository_spec(plan, repository or plan.primary.name)
    aftermath.settle(services, plan)
    with new_run(
        services, plan, RunKind.PRUNE, trigger=trigger, detail={}, subject=spec.name
    ) as runner:
        opened = services.open_repository(spec)
        confirm(services, opened)
        holdings.whole(opened, opened.snapshots(fresh=True))

        def effect() -> Mapping[str, Any]:
            done = opened.prune(
                max_repack_bytes=plan.retention.max_repack_bytes, deadline_s=plan.prune.timeout_s
            )
            return {"summary": done.summary, "bytes": done.removed_bytes}

        result = runner.step("prune", "prune", effect)
        services.catalogue.finish(
            runner.owned, RunState.SUCCEEDED, at=services.clock.now(), detail=dict(result)
        )
        return str(result["summary"])
