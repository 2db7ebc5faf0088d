"""Copy the logs of a plan in the run of a copy, and check the repositories that have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from drd.errors import DrdError, RepositoryDamaged
from drd.flows.durable_steps import Runner
from drd.flows.log.copying import LogCopy
from drd.flows.log.repository import copied_to, logged, stored_beside, with_logs
from drd.flows.repository.identity import confirm
from drd.flows.services import Services
from drd.model.plan import Plan, RepositorySpec
from drd.model.step_results import CheckStepResult, CopyStepResult


@dataclass(frozen=True, slots=True)
class LogsCopied:
    """The logs that a copy has now, with the number of snapshots that were copied, by component;
    and the errors because of which others were not copied."""

    copied: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, DrdError] = field(default_factory=dict)


def copy_logs(services: Services, plan: Plan, spec: RepositorySpec, runner: Runner) -> LogsCopied:
    """Copy the log of each component to the repository beside `spec`. If the daemon does not copy
    them after each push, also remove what the copy does not need any more."""
    copied, errors = dict[str, int](), dict[str, DrdError]()
    if spec.name not in {c.name for c in copied_to(plan)}:
        return LogsCopied()
    for name in logged(services, plan):
        try:
            copy = LogCopy(services, plan, plan.components[name], spec)
            runner.step(f"copy the log of {name}", "copy", _effect(copy, name, plan, copied))
        except DrdError as error:
            errors[name] = error
    return LogsCopied(copied, errors)


def _effect(
    copy: LogCopy, name: str, plan: Plan, copied: dict[str, int]
) -> Callable[[], CopyStepResult]:
    def effect() -> CopyStepResult:
        copied[name], _ = copy.turn(tidy=not plan.copying.follows)
        return CopyStepResult()

    return effect


def damaged_logs(
    services: Services, plan: Plan, spec: RepositorySpec, runner: Runner, subset: str | None
) -> RepositoryDamaged | None:
    """Check the repository with the logs that is beside `spec`, and read a `subset` of its data, as
    of `spec` itself. Return the damage; None if there is none. Raises the errors of access."""
    of_logs = stored_beside(services, plan, spec.name)
    if of_logs is None or not logged(services, plan):
        return None
    repository = services.open_repository(of_logs)

    def effect() -> CheckStepResult:
        confirm(services, repository, writing=False)
        repository.check(read_subset=subset, deadline_s=plan.verification.timeout_s)
        return CheckStepResult()

    try:
        runner.step("check the logs", "check", effect)
    except RepositoryDamaged as error:
        others = [n for n in with_logs(plan) if n != spec.name]
        hint = (
            "the restore points are not affected. Make a backup now, so that recoveries do not "
            f"need the damaged log: drd backup {plan.name}"
        )
        if others:
            hint += f". Until then, drd reads the log from repository {others[0]} if it has to"
        return RepositoryDamaged(
            f"the repository of the logs, {repository.url}, is damaged: {error.message}", hint=hint
        )
    return None
