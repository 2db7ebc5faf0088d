"""The moments of an incident that deadlines and measures count from."""

from __future__ import annotations

from enum import StrEnum


class Instant(StrEnum):
    """A moment of an incident, which a person states. Each is a separate fact: the law counts from
    different moments, and none follows from another.
    """

    OCCURRED = "occurred"
    """The first effect of the cause, if it is known."""
    FIRST_ALERT = "first_alert"
    """The first alert of any system that pointed at it."""
    SUSPECTED = "suspected"
    """Somebody first suspected an incident."""
    AWARE = "aware"
    """The organisation was reasonably certain that an incident took place (EDPB Guidelines
    9/2022)."""
    DISCOVERED = "discovered"
    """Anybody in the organisation knew, or should have known (45 CFR 164.404)."""
    CLASSIFIED = "classified"
    """The incident was classified as major or significant."""
    DETERMINED = "determined"
    """The organisation determined that the incident must be reported."""
    MATERIALITY_DETERMINED = "materiality_determined"
    """The incident was determined to be material for investors (Form 8-K, item 1.05)."""
    HIGH_RISK_DETERMINED = "high_risk_determined"
    """A high risk to people was determined (GDPR, article 34)."""
    REQUESTED = "requested"
    """An authority asked for a report."""
    NOTIFIED_BY_THIRD_PARTY = "notified_by_third_party"
    """A processor, supplier or customer reported it to us."""
    INFORMATION_AVAILABLE = "information_available"
    """Information that an earlier report lacked became available."""
    CORRECTIVE_MEASURE_AVAILABLE = "corrective_measure_available"
    """Users could get a correction of the vulnerability (Regulation 2024/2847, article 14)."""
    EXTORTION_PAID = "extortion_paid"
    """A payment was made to extortioners (23 NYCRR 500.17)."""
    CONTAINED = "contained"
    """The incident could not spread any more."""
    RECOVERED_REGULAR = "recovered_regular"
    """Regular operation was back."""
    HANDLED = "handled"
    """Nothing was left to do about the incident."""


SIGNS = (
    Instant.OCCURRED,
    Instant.FIRST_ALERT,
    Instant.SUSPECTED,
    Instant.DISCOVERED,
    Instant.AWARE,
    Instant.NOTIFIED_BY_THIRD_PARTY,
)
"""The moments at which something was wrong already."""

ENDS = frozenset({Instant.CONTAINED, Instant.RECOVERED_REGULAR, Instant.HANDLED})
"""The moments at which something was over: an incident that continues in another one has not shown
that this one is over, too."""
