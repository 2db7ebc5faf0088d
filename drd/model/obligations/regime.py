"""A regime: one duty to report, as its file says it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Literal

from drd.model.obligations.anchors import Anchor
from drd.model.obligations.rules import Relief, Rule, When, anchors_of

Confidence = Literal["A", "B", "C", "user"]
"""A: the text of the law was read; B: two descriptions agree; C: there is one description, which a
person should check; user: the file of an installation, which is responsible for it."""


class Status(StrEnum):
    IN_FORCE = "in-force"
    PROPOSED = "proposed"
    """The regime is not law yet: it never has a clock."""
    REPEALED = "repealed"
    TEMPLATE = "template"
    """The regime is a template that an installation's own files extend."""


class HoldKind(StrEnum):
    """Who may delay a report."""

    LAW_ENFORCEMENT = "law-enforcement"
    ATTORNEY_GENERAL = "attorney-general"


@dataclass(frozen=True, slots=True)
class HoldRule:
    """A delay that the law allows. `oral_days` limit a statement that is not in writing, and
    `at_most_days` the first statement, the second and so on, which together are the longest delay;
    None, or empty: for the time that is stated."""

    kind: HoldKind
    cite: str
    oral_days: int | None = None
    at_most_days: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Citation:
    cite: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class ContentItem:
    """Something that a report must contain, and where it comes from: `ask`, or an expression."""

    key: str
    text: str
    source: str = "ask"


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who gets the report: a role, such as the competent authority, or a contact by name."""

    role: str = ""
    contact: str = ""

    def __str__(self) -> str:
        return self.contact or self.role


@dataclass(frozen=True, slots=True)
class Prompt:
    """The determination that starts a clock is due itself: `ask` it by the time of `rule`."""

    ask: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class Regime:
    """One duty to report. `file` is its file; `own`: the file does not come with drd. `zone` is the
    zone of the authority; if empty, the zone of the incident counts."""

    id: str
    title: str
    jurisdiction: str
    status: Status
    trigger: str
    checked: date
    confidence: Confidence
    sources: tuple[Citation, ...]
    anchors: tuple[Anchor, ...] = ()
    rule: Rule | None = None
    when: When = field(default_factory=When)
    relief: Relief | None = None
    prompt: Prompt | None = None
    applies_from: date | None = None
    applies_to: date | None = None
    zone: str = ""
    closures: tuple[date, ...] = ()
    recipient: Recipient = Recipient()
    how: str = ""
    form: str = ""
    content: tuple[ContentItem, ...] = ()
    phases: bool = False
    late_needs_reasons: bool = False
    holds: tuple[HoldRule, ...] = ()
    call: str = ""
    note: str = ""
    checked_by: str = ""
    extends: str = ""
    file: str = ""
    own: bool = False

    @property
    def is_vouched_for(self) -> bool:
        """Return whether the source counts as read: if there is only one description, a person must
        have read the source."""
        return self.confidence != "C" or bool(self.checked_by)

    @property
    def has_clock(self) -> bool:
        """Whether deadlines are calculated from the regime."""
        return self.status is Status.IN_FORCE and self.is_vouched_for and self.rule is not None

    def all_anchors(self) -> Iterator[Anchor]:
        """Return every anchor that its times or its conditions depend on."""
        yield from self.anchors
        relief = self.relief.when.conditions if self.relief is not None else ()
        yield from (a for c in (*self.when.conditions, *relief) for a in c.anchors)
        for rule in (self.rule, self.prompt.rule if self.prompt is not None else None):
            if rule is not None:
                yield from anchors_of(rule)

    def is_in_force_on(self, day: date) -> bool:
        """Return whether the regime is law on that day."""
        return (
            self.status is Status.IN_FORCE
            and (self.applies_from is None or self.applies_from <= day)
            and (self.applies_to is None or day <= self.applies_to)
        )
