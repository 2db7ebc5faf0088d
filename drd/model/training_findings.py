"""What a plan requires of people, as findings of its readiness. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from drd.model.plan import Plan
from drd.model.readiness_finding import ReadinessFinding, judged_as
from drd.model.text import counted, escaped, some
from drd.model.training import (
    AwarenessRule,
    AwarenessText,
    Crew,
    Known,
    OperatorsRule,
    Qualification,
    attestations,
    operators,
    unknown_texts,
)
from drd.model.units import format_duration
from drd.model.verdicts import Readiness

REVIEW = "review"
AWARENESS = "awareness-text"
OPERATORS = "operator-drills"
CODES = (OPERATORS, AWARENESS, REVIEW)
"""The codes of findings about people: `drd status PLAN` shows them as well."""

_NAMED = 5


def of_review(plan: Plan, now: datetime) -> Iterator[ReadinessFinding]:
    """Yield findings about the last review of the plan; none for a plan without `review`."""
    review = plan.review
    if review is None:
        return
    remedy = (
        f"read the plan, correct what is wrong, and set `review: {{last: {now:%Y-%m-%d}}}` in "
        f"{plan.file}"
    )
    due = review.due
    if due is None:
        text = "the plan requires reviews, but does not name the day of the last review"
        yield judged_as(REVIEW, "warning", "", text, remedy)
        return
    last = f"the last review was on {review.last}"
    day = f"{due - timedelta(microseconds=1):%Y-%m-%d}"
    if review.last is not None and review.last > now.date():
        text = f"{last}, says the plan, but this day is in the future"
        yield judged_as(REVIEW, "warning", "", text, remedy)
    elif due < now:
        text = f"{last}, and the next review was due by {day}"
        yield judged_as(REVIEW, "warning", "", text, remedy)
    else:
        yield judged_as(REVIEW, "ok", "", f"{last}, and the next is due by {day}")


def of_training(
    plan: Plan, known: Known, crew: Crew, texts: Mapping[str, AwarenessText], now: datetime
) -> Iterator[ReadinessFinding]:
    """Judge what the people of drd.yaml have practised and read, by the requirements of the
    plan."""
    if plan.training.operators is not None:
        yield _of_operators(plan.training.operators, plan.name, known, crew, now)
    rule = plan.training.awareness
    if rule is not None:
        yield from _of_awareness(rule, known, crew, texts, now)


def _of_operators(
    rule: OperatorsRule, plan: str, known: Known, crew: Crew, now: datetime
) -> ReadinessFinding:
    """Judge how many people passed an operator drill. A recovery depends on people: with fewer than
    the plan requires, the plan needs a drill."""
    operators_known = operators(rule, plan, known, crew, now)
    valid = [one for one in operators_known if one.is_valid]
    within = format_duration(rule.within_s)
    text = f"{counted(len(valid), 'person', 'people')} passed an operator drill in the last "
    text += f"{within}, and the plan requires {rule.people}"
    if shown := [f"{escaped(one.person)} ({one.words})" for one in operators_known]:
        text += f": {some(shown, _NAMED)}"
    if len(valid) >= rule.people:
        return judged_as(OPERATORS, "ok", "", text)
    remedy = (
        "ask a person to start an operator drill with their own account: drd drill "
        f"{plan} --scenario operator"
    )
    return judged_as(OPERATORS, "error", "", text, remedy, allows=Readiness.NEEDS_DRILL)


def _of_awareness(
    rule: AwarenessRule,
    known: Known,
    crew: Crew,
    texts: Mapping[str, AwarenessText],
    now: datetime,
) -> Iterator[ReadinessFinding]:
    for name in unknown_texts(rule, texts):
        text = (
            f"the plan requires people to read the text {name}, but drd does not have a text of "
            "this name that it can use"
        )
        remedy = "to see all texts: drd training texts. Then correct `training` in the plan"
        yield judged_as(AWARENESS, "warning", name, text, remedy)
    if not crew.with_roles(rule.roles):
        of_roles = f" with the role {' or '.join(rule.roles)}" if rule.roles else ""
        text = f"people must attest texts, but drd.yaml does not name a person{of_roles}"
        remedy = "add the people to drd.yaml: people: [{name: NAME, user: USER}]"
        yield judged_as(AWARENESS, "warning", "", text, remedy)
        return
    by_text: dict[str, list[Qualification]] = {}
    for one in attestations(rule, known, crew, texts, now):
        by_text.setdefault(one.subject, []).append(one)
    for name, asked in by_text.items():
        yield _of_text(name, rule, asked)


def _of_text(name: str, rule: AwarenessRule, asked: list[Qualification]) -> ReadinessFinding:
    late = [one for one in asked if not one.is_valid]
    of_all = f"{len(asked) - len(late)} of {len(asked)} people attested this text"
    within = f"in the last {format_duration(rule.every_s)}"
    if not late:
        return judged_as(AWARENESS, "ok", name, f"{of_all} {within}")
    who = some([f"{escaped(one.person)} ({one.words})" for one in late], _NAMED)
    text = f"{of_all} {within}; missing: {who}"
    remedy = (
        "ask each of these people to attest the text with their own account: drd training attest "
        f"{name}"
    )
    if all(one.has_no_user for one in late):
        remedy = "name the user of each person in drd.yaml: people: [{name: NAME, user: USER}]"
    return judged_as(AWARENESS, "warning", name, text, remedy)
