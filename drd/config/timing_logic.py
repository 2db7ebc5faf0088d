"""Check that the times in a plan are possible and fit each other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from zoneinfo import available_timezones

from drd.config.parse import Parsed
from drd.config.problems import Report
from drd.config.timing import BlackoutSettings
from drd.config.yaml import Path
from drd.config.zones import zone_hint
from drd.model.cron import longest_gap
from drd.model.policies import Blackout
from drd.model.units import format_duration
from drd.model.windows import DAY_MIN, DAYS, longest_blackout_s, minutes_of

_SECTIONS = {
    "backup": "backup",
    "copy": "copies",
    "prune": "prune",
    "verification": "verification",
    "drill": "drill",
}
"""Keys of a plan, and the fields that have them."""
_WEEK_S = 7 * 86400.0


def check_timing(parsed: Parsed, report: Report) -> None:
    """Report every time that does not exist or contradicts another."""
    for name, field in _SECTIONS.items():
        if report.has_broken((name,)):
            continue
        section = getattr(parsed.file, field)
        if section.every is not None and section.cron is not None:
            hint = "keep only one of the two keys."
            report.error((name, "cron"), "cannot be combined with `every`", hint, of_key=True)
        if not _is_zone(section.timezone):
            message = f'there is no time zone "{section.timezone}"'
            report.error((name, "timezone"), message, zone_hint(section.timezone))
        _windows(section.blackout, (name, "blackout"), report)
    _read_all(parsed, report)


@cache
def _is_zone(name: str) -> bool:
    """Return whether a time zone exists. (A list of all zones is made by reading 600 files.)"""
    return name == "UTC" or name in available_timezones()


def blackout(windows: Sequence[BlackoutSettings]) -> tuple[Blackout, ...]:
    """Convert the windows for the rest of drd."""
    return tuple(
        Blackout(
            minutes_of(window.from_),
            minutes_of(window.to),
            tuple(sorted({DAYS.index(day) for day in window.days})),
        )
        for window in windows
    )


def _windows(windows: Sequence[BlackoutSettings], path: Path, report: Report) -> None:
    for index, window in enumerate(windows):
        if window.from_ == window.to:
            hint = 'for a whole day, write `from: "00:00"` and `to: "24:00"`.'
            report.error((*path, index, "to"), f"the window begins and ends at {window.to}", hint)
        elif minutes_of(window.from_) == DAY_MIN:
            hint = 'write `from: "00:00"`, and the next day under `days`.'
            report.error(
                (*path, index, "from"),
                "24:00 is the end of a day, so no window can begin then",
                hint,
            )
    if not report.has_broken(path) and longest_blackout_s(blackout(windows)) >= _WEEK_S:
        hint = "make the blackouts shorter, so that a part of the week is free."
        report.error(
            path, "the blackouts leave no time in which a run can start", hint, of_key=True
        )


def _read_all(parsed: Parsed, report: Report) -> None:
    verification = parsed.file.verification
    if report.has_broken(("verification",)) or verification.every == "never":
        return
    between_s = verification.every
    if verification.cron is not None:
        between_s = longest_gap(verification.cron, verification.timezone)
    if between_s is not None and verification.read_all_within < between_s:
        message = f"is shorter than the {format_duration(between_s)} between two verifications"
        hint = "verify more often, or set a longer `read_all_within`."
        report.error(("verification", "read_all_within"), message, hint)
