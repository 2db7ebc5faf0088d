"""Check the keys of a plan for the logs that drd receives (`wal`, `binlog`)."""

from __future__ import annotations

from drd.config.parse import Parsed
from drd.config.problems import Report
from drd.config.schema import PlanFile
from drd.model.log_place import place_of_logs
from drd.model.text import some
from drd.model.units import format_duration
from drd.registry import KINDS

BASE_EVERY_S = 86400.0
"""The time between two backups with `every: auto`, if all components have a log: the log decides
how much is lost, and a backup how much log a recovery replays."""


def log_every_s(plan: PlanFile) -> dict[str, float]:
    """Return how often the log of each component that has one is stored, in seconds."""
    intervals = {}
    for name, component in plan.components.items():
        policy = KINDS[component.kind].log(component)
        if policy is not None:
            intervals[name] = policy.every_s
    return intervals


def logs_decide(plan: PlanFile) -> bool:
    """Return whether every component has a log, so that backups do not decide what is lost."""
    return bool(plan.components) and len(log_every_s(plan)) == len(plan.components)


def check_logs(parsed: Parsed, report: Report) -> None:
    """Report a repository that has no place for logs beside it."""
    names = list(log_every_s(parsed.file))
    for name, repository in parsed.file.repositories.items() if names else ():
        path = ("repositories", name, "url")
        if repository.copy_of is not None or report.is_broken(path):
            continue
        try:
            place = place_of_logs(repository.url)
        except ValueError:
            continue  # this is reported of the repository
        if place is None:
            message = f"is a whole bucket or server: drd stores the log of {some(names)} beside it"
            hint = f"write a path behind it: {repository.url.rstrip('/')}/{parsed.file.plan}"
            report.error(path, message, hint)


def advise_on_logs(plan: PlanFile, report: Report) -> None:
    """Warn of logs that are stored too rarely for the RPO, and of copies that get no log."""
    _advise_on_copies(plan, report)
    for name, every_s in log_every_s(plan).items():
        own = plan.components[name].rpo
        rpo = plan.objectives.rpo if own is None else own
        if every_s >= rpo:
            message = (
                f"storing the log of {name} every {format_duration(every_s)} cannot keep "
                f"{'an RPO' if own is None else 'its RPO'} of {format_duration(rpo)}"
            )
            hint = (
                "write a shorter `every`: drd can lose the log of one interval and a few seconds."
            )
            report.warn(
                ("components", name, KINDS[plan.components[name].kind].log_key, "every"),
                message,
                hint,
            )


def _advise_on_copies(plan: PlanFile, report: Report) -> None:
    names = list(log_every_s(plan))
    for name, repository in plan.repositories.items() if names else ():
        if repository.copy_of is None or report.is_broken(("repositories", name, "url")):
            continue
        try:
            place = place_of_logs(repository.url)
        except ValueError:
            continue  # this is reported of the repository
        if place is None:
            message = (
                "is a whole bucket or server, so drd cannot copy the log of "
                f"{some(names)} beside it: a recovery from this copy alone loses what was written "
                "after the restore point"
            )
            hint = f"write a path behind it: {repository.url.rstrip('/')}/{plan.plan}"
            report.warn(("repositories", name, "url"), message, hint)
