"""Texts of checks: short, and with no more of the data than they need."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from drd.model.plan import CheckSpec
from drd.model.run import CheckResult, CheckVerdict
from drd.model.snapshot import made_by
from drd.model.text import called
from drd.model.text import some as few

LONGEST = 80
NAMED = 5
"""The number of differences that a failure names."""
ALREADY_WRITES = "does the application write already?"
"""The question to a person if the data contains more than at the backup, and nothing less."""


def shorten(text: str, limit: int = LONGEST) -> str:
    """Return one line of at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def number(value: int | Decimal) -> str:
    """Format a number: `312,044`, `0.5`."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,f}"


def some(names: Sequence[str]) -> str:
    """Return the first few, and how many more."""
    return few(names, NAMED, between="; ")


def result(
    spec: CheckSpec,
    verdict: CheckVerdict,
    observed: str,
    expected: str,
    *,
    looked_at_data: bool = True,
) -> CheckResult:
    """Return the check's own row."""
    return CheckResult(
        spec.name, spec.component, verdict, observed, expected, looked_at_data=looked_at_data
    )


def not_run(
    spec: CheckSpec, why: str, expected: str, *, looked_at_data: bool = True
) -> CheckResult:
    """Return the check's own row when it could not run."""
    return result(
        spec, CheckVerdict.NOT_RUN, shorten(why, 200), expected, looked_at_data=looked_at_data
    )


def part_not_run(spec: CheckSpec, part: str, why: str, expected: str) -> CheckResult:
    """Return a separate row for a part that could not be compared; it does not change the
    result."""
    return CheckResult(
        f"{spec.name}: {part}", spec.component, CheckVerdict.NOT_RUN, why, expected, part=True
    )


def nothing_counted(point: str, otherwise: str) -> str:
    """Return why there is nothing to compare with: another tool made the point, or else
    `otherwise`."""
    if tool := made_by(point):
        return (
            f"{called(tool)} made the copy, and did not record counts of the source, so "
            "this check cannot compare"
        )
    return otherwise
