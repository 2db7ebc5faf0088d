"""The readiness settings of plans."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from drd.fields import Settings
from drd.model.malformed import Malformed
from drd.model.plan import ReadinessPolicy
from drd.model.readiness_finding import ReadinessException


def day(text: str) -> str:
    """Return a day in the form 2026-12-31. Raises Malformed."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise Malformed(f'"{text}" is not a date', "write a date like 2026-12-31") from None


class AcceptedFinding(Settings):
    """A finding that is accepted for a while."""

    finding: str = Field(
        min_length=1, description="The finding's name, as `drd readiness` prints it."
    )
    reason: str = Field(
        min_length=1, description="The reason for accepting the finding, for later readers."
    )
    until: Annotated[str, AfterValidator(day)] = Field(
        description="The last day (UTC) on which the finding is accepted, for example 2026-12-31."
    )


class PlanReadiness(Settings):
    """Exceptions for the readiness of this plan. Not part of the plan's hash."""

    exceptions: list[AcceptedFinding] = Field(
        default_factory=list, description="Findings that are accepted for a while."
    )


def policy(readiness: PlanReadiness) -> ReadinessPolicy:
    """Each exception ends with its day."""
    return ReadinessPolicy(
        tuple(ReadinessException(e.finding, e.reason, _end(e.until)) for e in readiness.exceptions)
    )


def _end(last: str) -> datetime:
    return datetime.combine(date.fromisoformat(last), time(), UTC) + timedelta(days=1)
