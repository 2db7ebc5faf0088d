"""The schema of a regime: one duty to report, in one YAML file.

Only `id` is required here, because a file can extend another; `regimes` checks what is complete.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from drd.config.places import Jurisdiction
from drd.config.regime_values import (
    Anchors,
    AnInstant,
    ClockTime,
    Conditions,
    Expression,
    Instants,
    Number,
    RegimeId,
    Reports,
    Text,
)
from drd.config.zones import time_zone
from drd.fields import Contradiction, Duration, Settings
from drd.model.obligations.calendars import MEMBER_STATE, US_FEDERAL


class WithinSettings(Settings):
    """A period: one number with its unit."""

    hours: Number | None = Field(None, description="Elapsed hours.")
    days: Number | None = Field(
        None,
        description="Calendar days: the first is not counted, the last ends at 24:00 local time.",
    )
    months: Number | None = Field(
        None,
        description="Months: the period ends on the day with the same number, or on the last day "
        "of the month if the month does not have this day.",
    )
    business_days: Number | None = Field(
        None, description="Business days of the `calendar`; the day of the event is not counted."
    )

    def contradictions(self) -> Iterator[Contradiction]:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            message = f"has {' and '.join(given) or 'no unit'}, but must have exactly one unit"
            yield Contradiction(
                (), message, "write one of `hours`, `days`, `months` and `business_days`."
            )


class AnnualSettings(Settings):
    """A report once a year."""

    days_after_year_end: Number = Field(
        description="The number of days after the end of the calendar year that contains the "
        "anchor."
    )


class RuleSettings(Settings):
    """When a report is due: `within`, `annual`, `no_number`, or a choice of rules."""

    within: WithinSettings | None = Field(
        None, description="The period after the anchor within which the report is due."
    )
    annual: AnnualSettings | None = Field(
        None, description="For reports that are collected over a calendar year."
    )
    no_number: bool = Field(
        False,
        description="The law requires `without undue delay` and does not give a "
        "number: the report is never overdue.",
    )
    target: Duration | None = Field(
        None, description="With `no_number`: a time limit of your own, which reminders follow."
    )
    earliest_of: list[RuleSettings] | None = Field(
        None, min_length=1, description="The earliest of these rules whose anchors are known."
    )
    latest_of: list[RuleSettings] | None = Field(
        None, min_length=1, description="The latest of these rules; all anchors must be known."
    )
    first_of: list[RuleSettings] | None = Field(
        None, min_length=1, description="The first of these rules whose conditions hold."
    )
    from_: Instants | None = Field(
        None,
        alias="from",
        description="The moment from which the period counts. If several moments are given: "
        "the first that is known (default: `anchor` of the regime).",
    )
    after: Reports | None = Field(
        None,
        description="The period counts from the report of another regime. `submitted(ID)`: "
        "from its submission. `due(ID)`: from its due time, as long as it is "
        "not submitted. If several are given: the first that is known.",
    )
    latest: bool = Field(
        False, description="With several anchors, the latest that is known counts, not the first."
    )
    lapses_before: AnInstant | None = Field(
        None,
        description="The period does not count if it ended before this moment.",
    )
    calendar: Text | None = Field(
        None,
        description=f"For business days: {US_FEDERAL}, a country (FR) or a part of a country "
        f"(DE-BY), or {MEMBER_STATE}: the place that the fact `member_state` "
        "names. Without a calendar, every Monday to Friday is a business day.",
    )
    until: ClockTime | None = Field(
        None,
        description="For business days: the local time after which a report counts as of the next "
        'day, like "17:30" (default: 24:00).',
    )
    if_: Conditions = Field(
        default_factory=list,
        alias="if",
        description="The rule applies if all these conditions hold.",
    )
    unless: Conditions = Field(
        default_factory=list,
        description="The rule does not apply if one of these conditions holds.",
    )

    @property
    def choices(self) -> list[tuple[str, list[RuleSettings]]]:
        given = (
            ("earliest_of", self.earliest_of),
            ("latest_of", self.latest_of),
            ("first_of", self.first_of),
        )
        return [(name, rules) for name, rules in given if rules is not None]

    @property
    def anchors(self) -> list[str]:
        """Return the anchors as the file has them; empty if both keys are missing."""
        return (self.from_ or []) + (self.after or [])

    def contradictions(self) -> Iterator[Contradiction]:
        kinds = [name for name in ("within", "annual") if getattr(self, name) is not None]
        kinds += ["no_number"] if self.no_number else []
        kinds += [name for name, _ in self.choices]
        if len(kinds) != 1:
            message = f"has {' and '.join(kinds) or 'no time limit'}"
            hint = "write one of within, annual, no_number, earliest_of, latest_of, first_of."
            yield Contradiction((), message, hint)
        if self.target is not None and not self.no_number:
            hint = "remove `target`: reminders follow the strictest reading of the rule."
            yield Contradiction(
                ("target",), "is allowed only with `no_number: true`", hint, of_key=True
            )
        of_business_days = self.within is not None and self.within.business_days is not None
        for name in ("calendar", "until"):
            if getattr(self, name) is not None and not of_business_days:
                hint = f"remove `{name}`, or write the period in business_days."
                yield Contradiction(
                    (name,), "is allowed only with a period in `business_days`", hint, of_key=True
                )
        for name, rules in self.choices:
            for index, rule in enumerate(rules):
                yield from _below((name, index), rule.contradictions())
        if self.within is not None:
            yield from _below(("within",), self.within.contradictions())


def _below(
    path: tuple[str | int, ...], contradictions: Iterable[Contradiction]
) -> Iterator[Contradiction]:
    for one in contradictions:
        yield one._replace(path=(*path, *one.path))


class ReliefSettings(Settings):
    """A later due time that a rule allows if a time limit ends on no business day."""

    next_business_day_at: ClockTime = Field(
        description='The local time on the next business day, like "12:00".'
    )
    calendar: Text = Field(description="The calendar of business days, as in `calendar` of a rule.")
    cite: Text = Field(description="The law or clause that allows the later due time.")
    if_: Conditions = Field(
        default_factory=list,
        alias="if",
        description="The later time applies if all these conditions hold.",
    )
    unless: Conditions = Field(
        default_factory=list,
        description="The later time does not apply if one of these conditions holds.",
    )


class PromptSettings(Settings):
    """The determination that starts the clock, and by when it should be made."""

    ask: Text = Field(description="What has to be determined, as a question.")
    rule: RuleSettings = Field(
        description="When the question should be answered. drd only reminds of this time, "
        "and never reports it as overdue."
    )


class RecipientSettings(Settings):
    """Who gets the report."""

    role: Text | None = Field(
        None,
        description="The role of the recipient, for example: the competent authority, customers.",
    )
    contact: Text | None = Field(None, description="The name of a contact.")


class SubmissionSettings(Settings):
    """How the report is submitted."""

    how: str = Field("", description="How the report is submitted: portal, letter, e-mail.")
    form: str = Field("", description="The name or number of the form.")


class ItemSettings(Settings):
    """One thing that the report must contain."""

    key: Text = Field(description="A short name, unique in the file.")
    text: Text = Field(description="What the report must contain, in the words of the law.")
    from_: Expression = Field(
        "ask",
        alias="from",
        description="Where drd gets the text from: `ask` a person, `timeline`, or an expression "
        "like `moment.aware`, `scope.people`, `facts.encrypted`.",
    )


class HoldSettings(Settings):
    """A delay that the law allows."""

    kind: Literal["law-enforcement", "attorney-general"] = Field(
        description="The authority that may ask for the delay."
    )
    cite: Text = Field(description="The law or clause that allows the delay.")
    oral_days: Number | None = Field(
        None, description="Longest delay in days after a statement that is not in writing."
    )
    at_most_days: Number | Annotated[list[Number], Field(min_length=1, max_length=10)] | None = (
        Field(
            None,
            description="Longest delay in days, of all statements together. Or a list, if the law "
            "limits each: `[30, 30, 60]` are 30 days, at most 30 more by a second statement, and "
            "at most 60 more by a third.",
        )
    )


class SourceSettings(Settings):
    """Where the duty is written."""

    cite: Text = Field(description="Law, article and paragraph, or the clause of a contract.")
    url: str = Field("", description="The address of the text.")


class RegimeFile(Settings):
    """One legal or contractual duty to report an incident."""

    id: RegimeId = Field(
        description="The name of the regime in commands: lower-case letters, digits, - and dots."
    )
    extends: RegimeId | None = Field(
        None,
        description="The id of a regime whose keys apply here if this file does not have them. A "
        "file may extend the regime that has the same id: the file then replaces that regime.",
    )
    title: Text | None = Field(None, description="What is reported, and to whom, in one line.")
    jurisdiction: Jurisdiction | None = Field(
        None,
        description="EU, a country (GB), a part of a country (US-CA), or contract, cards, any.",
    )
    status: Literal["in-force", "proposed", "repealed", "template"] | None = Field(
        None,
        description="`proposed`: not a law yet, so drd does not calculate deadlines. "
        "`template`: only for other files to extend (default: in-force).",
    )
    applies_from: datetime.date | None = Field(None, description="The first day of the regime.")
    applies_to: datetime.date | None = Field(None, description="The last day of the regime.")
    trigger: Text | None = Field(None, description="What has to happen, in words.")
    if_: Conditions = Field(
        default_factory=list,
        alias="if",
        description="drd proposes the regime if all these conditions on facts hold. A person "
        "decides.",
    )
    unless: Conditions = Field(
        default_factory=list,
        description="drd does not propose the regime if one of these conditions holds.",
    )
    anchor: Anchors | None = Field(
        None,
        description="What starts the clock: a moment, `submitted(ID)` or `due(ID)`. If "
        "several are given: the first that is known.",
    )
    rule: RuleSettings | None = Field(
        None, description="When the report is due. Without a rule the duty has no time limit."
    )
    relief: ReliefSettings | None = Field(
        None, description="The later due time if a time limit does not end on a business day."
    )
    prompt: PromptSettings | None = Field(
        None, description="A question that has to be answered before the clock can start."
    )
    zone: Annotated[str, AfterValidator(time_zone)] | None = Field(
        None,
        description="The time zone of the authority, by which days begin and end (default: "
        "the time zone of the host).",
    )
    closures: list[datetime.date] = Field(
        default_factory=list,
        description="Days on which the authority is closed in addition to its holidays.",
    )
    recipient: RecipientSettings | None = Field(None, description="Who gets the report.")
    submission: SubmissionSettings | None = Field(None, description="How the report is submitted.")
    content: list[ItemSettings] = Field(
        default_factory=list, description="What the report must contain."
    )
    phases: bool = Field(False, description="Whether the report may be submitted in phases.")
    late: Literal["reasons-required"] | None = Field(
        None, description="Whether a late report must give the reasons."
    )
    holds: list[HoldSettings] = Field(
        default_factory=list, description="Who may delay the report, and for how long."
    )
    call: str = Field("", description="When to call the recipient, for example before others.")
    note: str = Field("", description="What a reader should know.")
    source: list[SourceSettings] = Field(
        default_factory=list, description="Where the duty is written."
    )
    checked: datetime.date | None = Field(
        None, description="The day on which somebody compared the file with its source."
    )
    checked_by: str = Field(
        "",
        description="The person who read the source. Without a person, drd does not "
        "calculate deadlines if `confidence` is C.",
    )
    confidence: Literal["A", "B", "C", "user"] | None = Field(
        None,
        description="How well the source is known. A: somebody read the text of the law. B: "
        "two descriptions of the law agree. C: there is one description. user: "
        "you are responsible for it (default in your own files).",
    )

    def contradictions(self) -> Iterator[Contradiction]:
        if self.rule is not None:
            yield from _below(("rule",), self.rule.contradictions())
            if not self.anchor and not all(_anchored(self.rule)):
                hint = "add `anchor`, or `from` or `after` to each rule."
                yield Contradiction(
                    ("rule",), "the moment from which the time counts is missing", hint
                )
        if self.prompt is not None:
            yield from _below(("prompt", "rule"), self.prompt.rule.contradictions())
            if not all(_anchored(self.prompt.rule)):
                hint = "add `from` or `after` to this rule."
                yield Contradiction(
                    ("prompt", "rule"), "the moment from which the time counts is missing", hint
                )
        keys = [item.key for item in self.content]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                hint = "give each item a key of its own."
                yield Contradiction(("content", index, "key"), f'"{key}" is given twice', hint)
        if self.applies_from and self.applies_to and self.applies_to < self.applies_from:
            yield Contradiction(
                ("applies_to",),
                "is before `applies_from`",
                "correct `applies_from` or `applies_to`.",
            )


def _anchored(rule: RuleSettings) -> Iterator[bool]:
    """Whether each period has an anchor of its own."""
    for _, rules in rule.choices:
        for one in rules:
            yield from _anchored(one)
    if not rule.choices:
        yield bool(rule.anchors)
