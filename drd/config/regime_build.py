"""Make a regime of a file that was read and checked."""

from __future__ import annotations

from datetime import time
from typing import Literal

from drd.config.regime_schema import RegimeFile, RuleSettings
from drd.model.obligations.anchors import Anchor
from drd.model.obligations.conditions import Condition
from drd.model.obligations.regime import (
    Citation,
    Confidence,
    ContentItem,
    HoldKind,
    HoldRule,
    Prompt,
    Recipient,
    Regime,
    Status,
)
from drd.model.obligations.rules import Choice, NoNumber, Period, Relief, Rule, Unit, When

_CHOICES: dict[str, Literal["earliest", "latest", "first"]] = {
    "earliest_of": "earliest",
    "latest_of": "latest",
    "first_of": "first",
}


def build_regime(file: RegimeFile, place: str, *, own: bool) -> Regime:
    """Return the regime of a complete file."""
    assert file.title is not None
    assert file.jurisdiction is not None
    assert file.trigger is not None
    assert file.checked is not None
    anchors = _anchors(file.anchor or [])
    confidence: Confidence = file.confidence or "user"
    recipient = file.recipient
    return Regime(
        id=file.id,
        title=file.title,
        jurisdiction=file.jurisdiction,
        status=Status(file.status or Status.IN_FORCE),
        trigger=file.trigger,
        checked=file.checked,
        confidence=confidence,
        sources=tuple(Citation(source.cite, source.url) for source in file.source),
        anchors=anchors,
        rule=build_rule(file.rule, anchors) if file.rule is not None else None,
        when=_when(file.if_, file.unless),
        relief=_relief(file),
        prompt=None
        if file.prompt is None
        else Prompt(file.prompt.ask, build_rule(file.prompt.rule, ())),
        applies_from=file.applies_from,
        applies_to=file.applies_to,
        zone=file.zone or "",
        closures=tuple(file.closures),
        recipient=Recipient(recipient.role or "", recipient.contact or "")
        if recipient is not None
        else Recipient(),
        how=file.submission.how if file.submission is not None else "",
        form=file.submission.form if file.submission is not None else "",
        content=tuple(ContentItem(item.key, item.text, item.from_) for item in file.content),
        phases=file.phases,
        late_needs_reasons=file.late is not None,
        holds=tuple(
            HoldRule(HoldKind(hold.kind), hold.cite, hold.oral_days, _days(hold.at_most_days))
            for hold in file.holds
        ),
        call=file.call,
        note=file.note,
        checked_by=file.checked_by,
        extends=file.extends or "",
        file=place,
        own=own,
    )


def build_rule(rule: RuleSettings, anchors: tuple[Anchor, ...]) -> Rule:
    """Return the rule; `anchors` are used if the rule does not name anchors."""
    own, when = _anchors(rule.anchors) or anchors, _when(rule.if_, rule.unless)
    for name, rules in rule.choices:
        return Choice(_CHOICES[name], tuple(build_rule(each, own) for each in rules), when)
    if rule.no_number:
        return NoNumber(own, rule.target, when)
    amount, unit = _amount(rule)
    lapses = Anchor.parse(rule.lapses_before) if rule.lapses_before is not None else None
    return Period(
        amount,
        unit,
        own,
        rule.latest,
        rule.calendar or "",
        time.fromisoformat(rule.until) if rule.until is not None else None,
        lapses,
        when,
    )


def _amount(rule: RuleSettings) -> tuple[int, Unit]:
    if rule.annual is not None:
        return rule.annual.days_after_year_end, Unit.DAYS_AFTER_YEAR_END
    assert rule.within is not None
    ((name, amount),) = rule.within.model_dump(exclude_none=True).items()
    return amount, Unit(name)


def _anchors(texts: list[str]) -> tuple[Anchor, ...]:
    return tuple(Anchor.parse(text) for text in texts)


def _when(needs: list[str], excludes: list[str]) -> When:
    return When(
        tuple(Condition.parse(text) for text in needs),
        tuple(Condition.parse(text) for text in excludes),
    )


def _relief(file: RegimeFile) -> Relief | None:
    relief = file.relief
    if relief is None:
        return None
    noon = time.fromisoformat(relief.next_business_day_at)
    return Relief(relief.calendar, noon, relief.cite, _when(relief.if_, relief.unless))


def _days(limit: int | list[int] | None) -> tuple[int, ...]:
    """Return the longest delay after each statement; one number limits all of them together."""
    if limit is None:
        return ()
    return (limit,) if isinstance(limit, int) else tuple(limit)
