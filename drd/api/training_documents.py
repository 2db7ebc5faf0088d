"""The documents about training: who practised and read what, until when it counts, and what each
plan requires."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from drd.api.findings import finding_document
from drd.api.values import Document, text_of, time_of
from drd.model.plan import Plan
from drd.model.training import (
    AwarenessText,
    Crew,
    Known,
    Qualification,
    Standing,
    attestations,
    operators,
)
from drd.model.training_findings import of_review, of_training


@dataclass(frozen=True, slots=True)
class Sources:
    """What the documents are made from: the records, drd.yaml, the texts, the plans."""

    known: Known
    crew: Crew
    texts: Mapping[str, AwarenessText]
    plans: Mapping[str, Plan]
    now: datetime


@dataclass(frozen=True, slots=True)
class _Row:
    """What one person did (`of`), the sort of it (`what`), and the plans that require it."""

    what: str
    of: Qualification
    plans: tuple[str, ...] = ()


def training_document(sources: Sources, person: str | None = None) -> Document:
    """Return what people did, and what the plans require. With `person`, leave out other people."""
    by_person: dict[str, list[_Row]] = {name: [] for name in sources.crew.roles}
    for row in (*_rows(sources), *_exercise_rows(sources)):
        by_person.setdefault(row.of.person, []).append(row)
    return {
        "people": [
            _person(name, sources.crew, rows)
            for name, rows in by_person.items()
            if person is None or name.casefold() == person.casefold()
        ],
        "plans": [_plan(sources, plan) for plan in sources.plans.values()],
        "texts": texts_document(sources.texts)["texts"],
    }


def texts_document(texts: Mapping[str, AwarenessText]) -> Document:
    """Return the names and titles of the texts."""
    return {
        "texts": [
            {"name": t.name, "title": text_of(t.title), "own": t.own, "digest": t.digest}
            for t in texts.values()
        ]
    }


def text_document(text: AwarenessText) -> Document:
    """Return one text with its content."""
    return {
        "name": text.name,
        "title": text_of(text.title),
        "own": text.own,
        "digest": text.digest,
        "text": text_of(text.text),
    }


def _rows(sources: Sources) -> Iterator[_Row]:
    """Yield the operator drills of each plan; then each text that a person must attest, once for
    all plans that require the same; then texts that people attested without such a plan."""
    for name in dict.fromkeys([*sources.plans, *(one.plan for one in sources.known.drilled)]):
        yield from _drill_rows(sources, name)
    known, crew, texts, now = sources.known, sources.crew, sources.texts, sources.now
    merged: dict[tuple[str, Qualification], _Row] = {}
    for name, plan in sources.plans.items():
        rule = plan.training.awareness
        for one in attestations(rule, known, crew, texts, now) if rule is not None else ():
            row = merged.setdefault(("text", one), _Row("text", one))
            merged["text", one] = replace(row, plans=(*row.plans, name))
    yield from merged.values()
    required = {(row.of.person, row.of.subject) for row in merged.values()}
    for attested in known.attested:
        person = crew.person(attested.user)
        text = texts.get(attested.text)
        if (person, attested.text) in required:
            continue
        required.add((person, attested.text))
        is_same = text is not None and text.digest == attested.digest
        standing = Standing.VALID if is_same else Standing.CHANGED
        yield _Row("text", Qualification(person, attested.text, standing, attested.at))


def _drill_rows(sources: Sources, name: str) -> Iterator[_Row]:
    plan = sources.plans.get(name)
    rule = plan.training.operators if plan is not None else None
    for one in operators(rule, name, sources.known, sources.crew, sources.now):
        yield _Row("operator drill", one, (name,) if rule is not None else ())


def _exercise_rows(sources: Sources) -> Iterator[_Row]:
    """Yield the last time that each person took part in each exercise. No plan requires this."""
    last: dict[tuple[str, str], datetime] = {}
    for one in sources.known.took_part:
        key = (sources.crew.person(one.user), one.exercise)
        last[key] = max(one.at, last.get(key, one.at))
    for (person, exercise), at in last.items():
        yield _Row("exercise", Qualification(person, exercise, Standing.VALID, at))


def _person(name: str, crew: Crew, rows: list[_Row]) -> Document:
    return {
        "person": text_of(name),
        "user": crew.user(name) or None,
        "qualifications": [
            {
                "what": row.what,
                "subject": row.of.subject,
                "plans": list(row.plans),
                "state": str(row.of.standing),
                "last": time_of(row.of.last),
                "until": time_of(row.of.until),
            }
            for row in rows
        ],
    }


def _plan(sources: Sources, plan: Plan) -> Document:
    drills, rule, review = plan.training.operators, plan.training.awareness, plan.review
    requirements = [
        *of_training(plan, sources.known, sources.crew, sources.texts, sources.now),
        *of_review(plan, sources.now),
    ]
    return {
        "plan": plan.name,
        "requires": {
            "operators": {"people": drills.people, "within_s": drills.within_s}
            if drills is not None
            else None,
            "awareness": {
                "every_s": rule.every_s,
                "texts": list(rule.texts or sources.texts),
                "roles": list(rule.roles),
            }
            if rule is not None
            else None,
            "review": {
                "every_s": review.every_s,
                "last": review.last.isoformat() if review.last is not None else None,
                "due": time_of(review.due),
            }
            if review is not None
            else None,
        },
        "findings": [finding_document(one.finding) for one in requirements],
    }
