"""The RPO of each component of a plan file, and whether the schedule can keep it."""

from __future__ import annotations

from collections.abc import Iterator

from drd.config.log_logic import log_every_s
from drd.config.parse import Parsed
from drd.config.problems import Report
from drd.config.schema import PlanFile
from drd.model.units import format_duration

Path = tuple[str, ...]


def rpo_of(plan: PlanFile, component: str) -> float:
    own_s = plan.components[component].rpo
    return plan.objectives.rpo if own_s is None else own_s


def points_within_s(plan: PlanFile) -> float:
    """Return the RPO that restore points have to keep: the shortest RPO of a component that has no
    log. If all components have a log, it is the RPO of the plan."""
    logs = log_every_s(plan)
    rpos = [rpo_of(plan, name) for name in plan.components if name not in logs]
    return min(rpos, default=plan.objectives.rpo)


def check_own_objectives(parsed: Parsed, report: Report) -> None:
    """Report an RPO of a component that is longer than the time over which drd reports how often
    the RPO was kept."""
    window_s = parsed.file.objectives.window
    for name, component in parsed.file.components.items():
        path = ("components", name, "rpo")
        if component.rpo is None or component.rpo <= window_s or report.is_broken(path):
            continue
        message = (
            f"is longer than `window` under `objectives` ({format_duration(window_s)}), so drd "
            "cannot calculate how often this RPO was kept"
        )
        report.error(path, message, "write a shorter RPO, or a longer `window`.")


def advise_on_schedule(
    plan: PlanFile, report: Report, said_at: Path, *, gap_s: float, what: str, hint: str
) -> None:
    """Warn if a time `gap_s` without a backup cannot keep the RPO of a component that has no log.
    `what` names this time, `said_at` is its place in the plan."""
    for path, rpo_s, of in _objectives(plan, said_at):
        if gap_s >= rpo_s:
            report.warn(path, f"{what} cannot keep {of} of {format_duration(rpo_s)}", hint)


def _objectives(plan: PlanFile, said_at: Path) -> Iterator[tuple[Path, float, str]]:
    """Yield the RPOs that backups must keep: the place in the plan, the seconds, and words for the
    RPO."""
    logs = log_every_s(plan)
    by_backup = [name for name in plan.components if name not in logs]
    if any(plan.components[name].rpo is None for name in by_backup):
        yield said_at, plan.objectives.rpo, "an RPO"
    for name in by_backup:
        own_s = plan.components[name].rpo
        if own_s is not None:
            yield ("components", name, "rpo"), own_s, f"the RPO of component {name}"
