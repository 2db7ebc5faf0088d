"""What alerts say about a restricted incident, and about an incident that cannot be read here.
Pure.

People who read alerts, mails and the status may know that something is late, but not what: which
report, to whom and since when would show what the incident is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from drd.model.alerts import Condition
from drd.model.message_conditions import UNDELIVERED
from drd.model.titles import ACTION, REPORT, UNDECIDED, UNREADABLE, UPDATE

_TEXTS = {
    ACTION: (
        "an action item of incident {} is overdue",
        "an action item of incident {} is overdue",
        "drd incident action {} list",
    ),
    REPORT: (
        (
            "a report about incident {} is due soon, or its start time is missing, or nobody "
            "has recorded why it was late"
        ),
        "a report about incident {} is late",
        "drd incident obligation {}",
    ),
    UNDECIDED: (
        "nobody has decided whether a report about incident {} is needed",
        "nobody has decided whether a report about incident {} is needed, and it may be late",
        "drd incident obligation {}",
    ),
    UPDATE: (
        "an update about incident {} is due soon",
        "an update about incident {} is late",
        "drd incident show {}",
    ),
    UNDELIVERED: (
        "a message of incident {} did not reach everybody",
        "a message of incident {} did not reach everybody",
        "drd incident message list {}",
    ),
}


def unreadable(number: int, told: str, remedy: str) -> Condition:
    """Return the condition that entries of an incident cannot be read on this host, so that nobody
    knows which of its reports and updates are due."""
    return Condition(UNREADABLE, "critical", f"incident {number}", told, remedy)


def concealed(number: int, conditions: Iterable[Condition]) -> Iterator[Condition]:
    """Return one condition for all conditions of a kind, as severe as the most severe of them. It
    names only the number of the incident."""
    severe: dict[str, bool] = {}
    for condition in conditions:
        severe[condition.kind] = (
            severe.get(condition.kind, False) or condition.severity == "critical"
        )
    for kind, is_critical in severe.items():
        soon, late, remedy = _TEXTS[kind]
        yield Condition(
            kind,
            "critical" if is_critical else "warning",
            f"incident {number}",
            (late if is_critical else soon).format(number),
            remedy.format(number),
        )
