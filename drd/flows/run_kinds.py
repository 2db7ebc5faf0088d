"""Choose the flow that executes a run of each kind, for runs that the daemon starts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from drd import secrets
from drd.errors import UsageError
from drd.flows.backup.run import BackupRequest, backup
from drd.flows.drill.request import DrillRequest
from drd.flows.drill.run import drill
from drd.flows.host.control import control
from drd.flows.host.readiness import evaluate
from drd.flows.services import Services
from drd.flows.upkeep.copy import copy
from drd.flows.upkeep.listing import listing
from drd.flows.upkeep.prune import prune
from drd.flows.upkeep.retention import RetentionRequest, retention
from drd.flows.upkeep.verification import verification
from drd.model.plan import DRILL_SCENARIOS, Plan
from drd.model.run import Run, RunKind
from drd.model.run_details import AskedOptions

Flow = Callable[[Services, Plan, Run], object]


_OPTION = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")

_OTHER_VERSION = "start a new run, or use the version of drd that recorded this run."


def _asked(run: Run) -> AskedOptions:
    """Read the options from a run's row. The row is not trusted: anything but a name or an id is
    refused.
    """
    options = run.detail.asked or AskedOptions()
    for value in options.to_json().values():
        for one in value if isinstance(value, list) else [value]:
            if not (one is None or isinstance(one, bool)) and not _OPTION.fullmatch(str(one)):
                raise UsageError(
                    f"the record of run {run.id} contains an option that this version of drd "
                    f"does not accept: {one!r}",
                    hint=_OTHER_VERSION,
                )
    if options.scenario not in (None, *DRILL_SCENARIOS):
        raise UsageError(
            f"run {run.id} was made for the scenario {options.scenario!r}, which this version of "
            "drd does not know",
            hint=_OTHER_VERSION,
        )
    return options


def _backup(services: Services, plan: Plan, run: Run) -> object:
    asked = _asked(run)
    request = BackupRequest(asked.components, trigger=run.trigger, accept_size=asked.accept_size)
    return backup(services, plan, request)


def _drill(services: Services, plan: Plan, run: Run) -> object:
    asked = _asked(run)
    request = DrillRequest(
        asked.point,
        asked.scenario,
        asked.repository,
        trigger=run.trigger,
        components=asked.components,
        blind=asked.blind,
    )
    return drill(services, plan, request)


def _copy(services: Services, plan: Plan, run: Run) -> object:
    return copy(services, plan, run.subject, trigger=run.trigger)


def _retention(services: Services, plan: Plan, run: Run) -> object:
    return retention(services, plan, RetentionRequest(trigger=run.trigger))


def _prune(services: Services, plan: Plan, run: Run) -> object:
    return prune(services, plan, run.subject, trigger=run.trigger)


def _verification(services: Services, plan: Plan, run: Run) -> object:
    return verification(services, plan, run.subject, trigger=run.trigger)


def _readiness(services: Services, plan: Plan, run: Run) -> object:
    return evaluate(services, plan, secrets.resolve, trigger=run.trigger)


def _kit(services: Services, plan: Plan, run: Run) -> object:
    return services.kit.try_copy(services, plan, run.trigger)


def _listing(services: Services, plan: Plan, run: Run) -> object:
    return listing(services, plan, trigger=run.trigger)


def _control(services: Services, plan: Plan, run: Run) -> object:
    return control(services, plan, run.subject, secrets.resolve, trigger=run.trigger)


FLOWS: Mapping[RunKind, Flow] = {
    RunKind.BACKUP: _backup,
    RunKind.DRILL: _drill,
    RunKind.COPY: _copy,
    RunKind.RETENTION: _retention,
    RunKind.PRUNE: _prune,
    RunKind.VERIFICATION: _verification,
    RunKind.READINESS: _readiness,
    RunKind.KIT: _kit,
    RunKind.LISTING: _listing,
    RunKind.CONTROL: _control,
}
