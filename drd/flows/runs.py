"""Which flow carries out a run of which kind, for runs that nobody asked for on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from drd import secrets
from drd.flows.backup import BackupRequest, backup
from drd.flows.copying import copy
from drd.flows.drill import DrillRequest, drill
from drd.flows.pruning import prune
from drd.flows.readiness import evaluate
from drd.flows.retention import retention
from drd.flows.services import Services
from drd.flows.verification import verification
from drd.model.plan import Plan
from drd.model.run import Run, RunKind

Flow = Callable[[Services, Plan, Run], object]


def _backup(services: Services, plan: Plan, run: Run) -> object:
    return backup(services, plan, BackupRequest(trigger=run.trigger))


def _drill(services: Services, plan: Plan, run: Run) -> object:
    return drill(services, plan, DrillRequest(trigger=run.trigger))


def _copy(services: Services, plan: Plan, run: Run) -> object:
    return copy(services, plan, run.subject, trigger=run.trigger)


def _retention(services: Services, plan: Plan, run: Run) -> object:
    return retention(services, plan, trigger=run.trigger)


def _prune(services: Services, plan: Plan, run: Run) -> object:
    return prune(services, plan, run.subject, trigger=run.trigger)


def _verification(services: Services, plan: Plan, run: Run) -> object:
    return verification(services, plan, run.subject, trigger=run.trigger)


def _readiness(services: Services, plan: Plan, run: Run) -> object:
    return evaluate(services, plan, secrets.resolve, trigger=run.trigger)


def _kit(services: Services, plan: Plan, run: Run) -> object:
    return services.try_kit(services, plan, run.trigger)


FLOWS: Mapping[RunKind, Flow] = {
    RunKind.BACKUP: _backup,
    RunKind.DRILL: _drill,
    RunKind.COPY: _copy,
    RunKind.RETENTION: _retention,
    RunKind.PRUNE: _prune,
    RunKind.VERIFICATION: _verification,
    RunKind.READINESS: _readiness,
    RunKind.KIT: _kit,
}
