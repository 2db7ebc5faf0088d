"""List the copies that another tool makes, in a run."""

from __future__ import annotations

from drd.flows.durable_steps import new_run
from drd.flows.repository.adopted import ListingOutcome, list_copies
from drd.flows.repository.read_dumps import IN_BACKGROUND
from drd.flows.services import Services
from drd.flows.state import crash_cleanup
from drd.model.plan import Plan
from drd.model.run import RunKind, RunState
from drd.model.run_details import ListingDetail


def listing(services: Services, plan: Plan, *, trigger: str = "manual") -> ListingOutcome:
    """List the copies of a plan, and record them as restore points. Raises AlreadyRunning, and
    the error that prevents the listing."""
    crash_cleanup.settle(services, plan)
    with new_run(services, plan, RunKind.LISTING, trigger=trigger) as runner:
        outcome = list_copies(services, plan, IN_BACKGROUND)
        services.catalogue.runs.finish(
            runner.owned,
            RunState.SUCCEEDED,
            at=services.clock.now(),
            detail=ListingDetail(
                listed=outcome.listed,
                added=outcome.added,
                expired=outcome.expired,
                missing=outcome.missing,
            ),
        )
        return outcome
