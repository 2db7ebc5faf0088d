"""Check the keys of a plan for instant drills."""

from __future__ import annotations

from drd.config.drill import Drill
from drd.config.parse import Parsed
from drd.config.problems import Report
from drd.model.cron import longest_gap
from drd.model.plan import FULL_EVERY_S
from drd.model.units import format_duration
from drd.ports import Ability
from drd.registry import KINDS


def _can(kind: str) -> bool:
    return Ability.INSTANT in KINDS[kind].can


def check_instant(parsed: Parsed, report: Report) -> None:
    """Report instant drills that would never take place."""
    drill = parsed.file.drill
    if report.has_broken(("drill",)):
        return
    if drill.restore != "instant":
        if drill.full_every is not None:
            hint = "leave out `full_every`, or write `restore: instant`."
            report.error(("drill", "full_every"), "is only for instant drills", hint, of_key=True)
        return
    mounted = {n: c for n, c in parsed.file.components.items() if _can(c.kind)}
    if not mounted:
        able = [spec.name for spec in KINDS if Ability.INSTANT in spec.can]
        hint = (
            "leave out `restore: instant`: instant drills work only for components of kind "
            f"{' and '.join(able)}."
        )
        report.error(
            ("drill", "restore"),
            "no component of this plan is of a kind that allows instant drills",
            hint,
        )
        return
    for name, component in mounted.items():
        for warning in KINDS[component.kind].against_instant(component):
            report.warn(("components", name, *warning.path), warning.message, warning.hint)
    _check_times(drill, report)


def _check_times(drill: Drill, report: Report) -> None:
    """Report a time between two whole drills that lets no drill of the schedule be instant."""
    between_s = drill.every
    if drill.cron is not None:
        between_s = longest_gap(drill.cron, drill.timezone)
    if between_s is None:
        return
    full_s, scenarios = drill.full_every or FULL_EVERY_S, len(drill.scenarios)
    if full_s < between_s:
        message = (
            f"is shorter than the {format_duration(between_s)} between two drills, so no drill "
            "would be instant"
        )
        hint = "set a longer `full_every`, or leave out `restore: instant`."
        report.error(("drill", "full_every"), message, hint)
    elif full_s < 2 * scenarios * between_s:
        drills = "two drills of one scenario" if scenarios > 1 else "two drills"
        message = (
            f"is {format_duration(full_s)}, less than twice the "
            f"{format_duration(scenarios * between_s)} between {drills}, so each drill by the "
            "schedule restores everything: the next one would be too late for it"
        )
        hint = (
            "drill more often, set `full_every` to at least "
            f"{format_duration(2 * scenarios * between_s)}, or leave out `restore: instant`."
        )
        report.warn(("drill", "full_every"), message, hint)
