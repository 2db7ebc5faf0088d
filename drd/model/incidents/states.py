"""The states of an incident, and which way they may go."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """The state of the response. `reported` is a suspicion that nobody has examined yet: it becomes
    an incident when somebody opens one from it.
    """

    REPORTED = "reported"
    DETECTED = "detected"
    TRIAGED = "triaged"
    CONTAINED = "contained"
    ERADICATED = "eradicated"
    RECOVERED = "recovered"
    REVIEWED = "reviewed"
    CLOSED = "closed"


SETTABLE = tuple(State)[1:]
"""The states that a person may set, in order."""

SEVERITIES = ("low", "medium", "high", "critical")
"""The severities unless drd.yaml names others, the least severe first."""


def goes_back(before: State, after: State) -> bool:
    """Return whether a change leads to an earlier state, which needs a reason."""
    order = tuple(State)
    return order.index(after) < order.index(before)
