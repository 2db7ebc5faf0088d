"""The entries of an incident in the chain of records: their kinds, and what each contains.

Nothing else is stored about an incident: its state follows from its entries (`fold`). A body has
`by`, the name of the person as they gave it, and `actor`, what the kernel reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drd.model.actor import Actor
from drd.model.records import Draft

PREFIX = "incident"
_MOST_DIGITS = 15
OPEN = "incident.open"
REPORT = "incident.report"
LOG = "incident.log"
CORRECT = "incident.correct"
STAR = "incident.star"
ASSIGN = "incident.assign"
ROLE = "incident.role"
TASK = "incident.task"
SCOPE = "incident.scope"
AFFECTED = "incident.affected"
ANCHOR = "incident.anchor"
STATE = "incident.state"
SEVERITY = "incident.severity"
DECIDE = "incident.decide"
LINK = "incident.link"
OBLIGATION = "incident.obligation"
DRAFT = "incident.draft"
MESSAGE = "incident.message"
RECOVERY = "incident.recovery"
PLAYBOOK = "incident.playbook"
HYPOTHESIS = "incident.hypothesis"
INDICATOR = "incident.indicator"
EVIDENCE = "incident.evidence"
CAUSE = "incident.cause"
ACTION = "incident.action"
ROTATED = "incident.rotated"
PRESERVE = "incident.preserve"
MERGE = "incident.merge"
CLOSE = "incident.close"
INTAKE = "incident.intake"
LEFT_OUT = "incident.left-out"

INTAKE_KEY = "intake "
"""The beginning of the rule of incidents that an alert of another system opened."""

LONGEST_TITLE = 200
LONGEST_TEXT = 10_000


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes an entry, and when. `actor` is None for drd itself. `chosen`: no number was given,
    so the entry is about the only open incident."""

    by: str
    at: datetime
    actor: Actor | None = None
    chosen: bool = False


def subject(number: int) -> str:
    """Return the subject of all entries of an incident."""
    return f"{PREFIX}:{number}"


def number_of(subject: str) -> int | None:
    """Return the number of the incident that an entry is about; None if it is not about one."""
    head, _, number = subject.partition(":")
    is_number = number.isdecimal() and len(number) <= _MOST_DIGITS
    return int(number) if head == PREFIX and is_number else None


def draft(kind: str, number: int, author: Author, body: Mapping[str, Any]) -> Draft:
    """Return an entry of an incident."""
    told: dict[str, Any] = {**body, "by": author.by, "actor": author.actor}
    if author.chosen:
        told["chosen"] = "the only open incident"
    return Draft(kind, subject(number), told, author.at, author.actor)
