"""Alerts of other systems: each opens one incident, or one suspicion, and adds an entry when it
says something new. Nothing of it is carried out, and nothing closes an incident but a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from drd.model.incidents import entries as kinds
from drd.model.incidents.entries import Author, draft
from drd.model.incidents.incident import Incident, Taken
from drd.model.incidents.instants import Instant
from drd.model.incidents.intake_rules import IntakeSettings
from drd.model.incidents.states import State
from drd.model.intake.signal import Signal
from drd.model.records import Draft
from drd.ports import Catalogue

WINDOW = timedelta(minutes=1)
"""The time in which a source may make so many entries; of what is left out, one entry is made in
this time."""
TOO_MANY_OPEN = "too many of its incidents are open"
TOO_FAST = "it sent too many within a minute"


@dataclass(slots=True)
class Result:
    """What became of the alerts of a message: numbers of incidents, how many alerts said nothing
    new, and how many were left out, by the reason."""

    opened: list[int] = field(default_factory=list)
    reported: list[int] = field(default_factory=list)
    updated: list[int] = field(default_factory=list)
    unchanged: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def is_too_fast(self) -> bool:
        """Whether the same message may do more in a minute."""
        return self.left_out[TOO_FAST] > 0

    def document(self) -> dict[str, Any]:
        return {
            "opened": self.opened,
            "reported": self.reported,
            "updated": list(dict.fromkeys(self.updated)),
            "unchanged": self.unchanged,
            "left_out": {why: count for why, count in self.left_out.items() if count},
        }


@dataclass(frozen=True, slots=True)
class Intake:
    """Where alerts come in. `author` brings them. `of` is a user who may only report suspicions;
    what each of them brings is apart from all else. `scope` are plans of all these alerts,
    `triage_s` is the time to examine a suspicion."""

    catalogue: Catalogue
    settings: IntakeSettings
    severities: tuple[str, ...]
    plans: frozenset[str]
    author: Author
    of: str = ""
    triage_s: float = 0.0
    scope: tuple[str, ...] = ()

    def take(self, signals: Iterable[Signal]) -> Result:
        """Record what is new in these alerts."""
        result = Result()
        sources: dict[str, None] = {}
        for signal in signals:
            source = f"{signal.source} of {self.of}" if self.of else signal.source
            sources[source] = None
            self._take(replace(signal, source=source), result)
        for source in sources:
            self.tell_left_out(source)
        return result

    def tell_left_out(self, source: str) -> None:
        """Record in one entry how many alerts of a source were left out, unless there was such an
        entry a moment ago."""
        said = self.author
        self.catalogue.intake.tell_left_out(
            source,
            said.at,
            WINDOW,
            lambda number, body: draft(kinds.LEFT_OUT, number, said, body),
        )

    def _take(self, signal: Signal, result: Result) -> None:
        store, key = self.catalogue.intake, key_of(signal)
        load = store.load(signal.source, self.author.at - WINDOW)
        why, began = "", False

        def make(known: Incident | None, number: int) -> list[Draft]:
            nonlocal why, began
            begins = _begins(known, signal, key)
            if not begins and not _adds(known, signal, key):
                return []
            if load.entries >= self.settings.per_minute:
                why = TOO_FAST
            elif begins and load.open >= self.settings.open_at_most:
                why = TOO_MANY_OPEN
            if why:
                return []
            began = begins
            if begins or known is None:
                return [self._first(number, signal, key), self._entry(number, signal, key)]
            return [self._entry(known.number, signal, key)]

        made = store.take(key, make)
        if why:
            store.leave_out(signal.source, why, self.author.at)
            result.left_out[why] += 1
        elif made is None:
            result.unchanged += 1
        elif began:
            (result.reported if self.of else result.opened).append(made.number)
        else:
            result.updated.append(made.number)

    def _first(self, number: int, signal: Signal, key: str) -> Draft:
        """Return the entry that opens an incident, or files a suspicion."""
        plans = self.settings.plans_of(signal, self.plans)
        body: dict[str, Any] = {
            "plans": list(dict.fromkeys([*self.scope, *plans])),
            "instants": self._moments(signal),
            "rule": key,
            "intake": signal.source,
        }
        if self.of:
            due = self.author.at + timedelta(seconds=self.triage_s)
            return draft(
                kinds.REPORT, number, self.author, {**body, "text": signal.title, "due": due}
            )
        severity = self.settings.severity_of(signal, self.severities)
        body |= {"title": signal.title, "severity": severity, "restricted": False}
        return draft(kinds.OPEN, number, self.author, body)

    def _moments(self, signal: Signal) -> Mapping[str, object]:
        if signal.started_at is None:
            return {}
        return {Instant.FIRST_ALERT.value: min(signal.started_at, self.author.at)}

    def _entry(self, number: int, signal: Signal, key: str) -> Draft:
        named = signal.labels.get(self.settings.label, "")
        body = {
            "key": key,
            "source": signal.source,
            "id": signal.id,
            "resolved": signal.resolved,
            "title": signal.title,
            "text": signal.text,
            "severity_of_source": signal.severity,
            "plan_of_source": named,
            "started_at": signal.started_at,
            "ended_at": signal.ended_at,
            "labels": dict(signal.labels),
            "content": signal.content,
            **signal.verbatim(),
        }
        return draft(kinds.INTAKE, number, self.author, body)


def key_of(signal: Signal) -> str:
    """Return the text that the incident of an alert is recognised by."""
    return f"{kinds.INTAKE_KEY}{signal.source}: {signal.id}"


def _begins(known: Incident | None, signal: Signal, key: str) -> bool:
    """Return whether the alert is a new trouble: none that somebody works on, or has closed."""
    if signal.resolved:
        return False
    if known is None:
        return True
    before = known.taken.get(key)
    if known.state is not State.CLOSED or before is None:
        return False
    return before.resolved or (
        signal.started_at is not None
        and before.started_at is not None
        and signal.started_at > before.started_at
    )


def _adds(known: Incident | None, signal: Signal, key: str) -> bool:
    """Return whether the alert says something new about an incident that is not closed."""
    if known is None or known.state is State.CLOSED:
        return False
    before: Taken | None = known.taken.get(key)
    return before is None or before.content != signal.content
