"""Alerts of other systems: each opens an incident, or a suspicion, and adds an entry when it says
something new.

drd never executes anything because of an alert, and only a person can close an incident."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from drd.model.incidents import entries as kinds
from drd.model.incidents.entries import Author, draft
from drd.model.incidents.incident import Incident
from drd.model.incidents.instants import Instant
from drd.model.incidents.intake_rules import PRODUCTS, IntakeSettings
from drd.model.incidents.states import State
from drd.model.intake.signal import Signal
from drd.model.records import Draft
from drd.ports import Catalogue
from drd.ports.intake import Load, Taking

WINDOW = timedelta(minutes=1)
"""In this time, a source may make only a limited number of entries. drd records once in this time
how many alerts were left out."""
TOO_MANY_OPEN = "too many of its incidents are open"
TOO_FAST = "it sent too many within a minute"
OUT_OF_TIME = "the time limit of the request was reached"


@dataclass(slots=True)
class Result:
    """The results of the alerts of a message: numbers of incidents, how many alerts said nothing
    new, and how many were left out, by the reason."""

    opened: list[int] = field(default_factory=list)
    reported: list[int] = field(default_factory=list)
    updated: list[int] = field(default_factory=list)
    unchanged: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def is_too_fast(self) -> bool:
        """Whether this message may cause more in a minute than is allowed."""
        return self.left_out[TOO_FAST] > 0 or self.left_out[OUT_OF_TIME] > 0

    def document(self) -> dict[str, Any]:
        return {
            "opened": self.opened,
            "reported": self.reported,
            "updated": list(dict.fromkeys(self.updated)),
            "unchanged": self.unchanged,
            "left_out": {why: count for why, count in self.left_out.items() if count},
        }


def _anything(_: Incident) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Intake:
    """Takes in alerts. `author` sends them. `of` is a user who may only report suspicions; the
    alerts of each such user are kept separate from all others. `user` is the sender if it is a
    user: alerts about an incident for which `may_add` is false become suspicions of this user, too.
    `scope` are plans of all these alerts, `triage_s` is the time in seconds to examine a suspicion.
    At `ends_at`, by the monotonic clock, the rest of a message is left out."""

    catalogue: Catalogue
    settings: IntakeSettings
    severities: tuple[str, ...]
    plans: frozenset[str]
    author: Author
    of: str = ""
    triage_s: float = 0.0
    scope: tuple[str, ...] = ()
    user: str = ""
    may_add: Callable[[Incident], bool] = _anything
    ends_at: float = math.inf

    def take(self, signals: Iterable[Signal]) -> Result:
        """Record what is new in these alerts, in one transaction."""
        with self.catalogue.intake.taking() as store:
            message = _Message(self, store)
            for signal in signals:
                message.take(signal, self.of)
            message.finish()
        return message.result

    def tell_left_out(self, source: str) -> None:
        """Record in one entry how many alerts of a source were left out, unless there was such an
        entry a moment ago."""
        with self.catalogue.intake.taking() as store:
            self.tell(store, source)

    def tell(self, store: Taking, source: str) -> None:
        """Record how many alerts were left out, in a transaction that was already begun."""
        said = self.author
        store.tell_left_out(
            source,
            said.at,
            WINDOW,
            lambda number, body: draft(kinds.LEFT_OUT, number, said, body),
        )

    def entries(self, begins: bool, number: int, signal: Signal, of: str) -> list[Draft]:
        """Return the records of an alert in the incident of this number."""
        key = key_of(signal)
        first = [self._first(number, signal, key, of)] if begins else []
        return [*first, self._entry(number, signal, key)]

    def _first(self, number: int, signal: Signal, key: str, of: str) -> Draft:
        """Return the entry that opens an incident, or files a suspicion."""
        plans = self.settings.plans_of(signal, self.plans)
        body: dict[str, Any] = {
            "plans": list(dict.fromkeys([*self.scope, *plans])),
            "instants": self._moments(signal),
            "rule": key,
            "intake": signal.source,
        }
        if of:
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


@dataclass(slots=True)
class _Message:
    """The alerts of one message. What is counted is counted here, and written once."""

    intake: Intake
    store: Taking
    result: Result = field(default_factory=Result)
    loads: dict[str, Load] = field(default_factory=dict)
    left_out: dict[str, Counter[str]] = field(default_factory=dict)

    def take(self, signal: Signal, of: str) -> None:
        source = f"{signal.source} of {of}" if of else signal.source
        if not of:
            for name in (source, _head(source)):
                self.left_out.setdefault(name, Counter())
        if monotonic() >= self.intake.ends_at:
            self._leave_out(source, OUT_OF_TIME)
            return
        seen = replace(signal, source=source)
        known = self.store.known(key_of(seen)) or self._known_as_before(seen, signal.source)
        if known is not None and not of and not self.intake.may_add(known):
            self.take(signal, self.intake.user)
            return
        begins = _begins(known, seen, self.intake.author.at, apart=bool(of))
        if not begins and not _adds(known, seen, apart=bool(of)):
            self.result.unchanged += 1
        elif why := self._limit(source, of, begins=begins):
            self._leave_out(source, why)
        elif why := "" if of else self._limit_of_all(source, begins=begins):
            self._leave_out(_head(source), why)
        else:
            self._record(known, seen, of, begins=begins)

    def _known_as_before(self, seen: Signal, source: str) -> Incident | None:
        """Return the incident of an alert that an older version opened, as if by the name of now:
        all products of a source had one name then."""
        head = _head(source)
        if head == source:
            return None
        key = key_of(seen)
        former = key_of(replace(seen, source=head + seen.source.removeprefix(source)))
        known = self.store.known(former)
        before = known.taken.get(former) if known is not None else None
        if known is None or before is None or before.product != seen.labels.get("product", ""):
            return None
        rule = key if known.rule == former else known.rule
        return replace(known, rule=rule, taken={key: before, **known.taken})

    def _record(self, known: Incident | None, seen: Signal, of: str, *, begins: bool) -> None:
        number = self.store.free_number() if known is None or begins else known.number
        self.store.add(self.intake.entries(begins, number, seen, of))
        self._load(seen.source, of)
        counts = {of} if of else {seen.source, _all_of(seen.source)}
        for name in counts & self.loads.keys():
            load = self.loads[name]
            more = replace(load, open=load.open + begins, entries=load.entries + 1)
            self.loads[name] = more
        if begins:
            (self.result.reported if of else self.result.opened).append(number)
        else:
            self.result.updated.append(number)

    def _limit(self, source: str, of: str, *, begins: bool) -> str:
        load, settings = self._load(source, of), self.intake.settings
        if load.entries >= settings.per_minute:
            return TOO_FAST
        return TOO_MANY_OPEN if begins and load.open >= settings.open_at_most else ""

    def _limit_of_all(self, source: str, *, begins: bool) -> str:
        """Say which limit of all products of the source is reached; nothing for a source without
        products."""
        head, name = _head(source), _all_of(source)
        if head == source:
            return ""
        if name not in self.loads:
            since = self.intake.author.at - WINDOW
            self.loads[name] = self.store.load(head, since, products=True)
        load, settings = self.loads[name], self.intake.settings
        if load.entries >= PRODUCTS * settings.per_minute:
            return TOO_FAST
        most = PRODUCTS * settings.open_at_most
        return TOO_MANY_OPEN if begins and load.open >= most else ""

    def _load(self, source: str, of: str) -> Load:
        """Return what there is of the source, or of the user from any source."""
        if (of or source) not in self.loads:
            since = self.intake.author.at - WINDOW
            load = self.store.load_of_user(of, since) if of else self.store.load(source, since)
            self.loads[of or source] = load
        return self.loads[of or source]

    def _leave_out(self, source: str, why: str) -> None:
        self.result.left_out[why] += 1
        if source in self.left_out:
            self.left_out[source][why] += 1

    def finish(self) -> None:
        """Write how much was left out. Users who may only report get it as the answer alone."""
        for source, count in self.left_out.items():
            if count:
                self.store.leave_out(source, count, self.intake.author.at)
            self.intake.tell(self.store, source)


def _head(source: str) -> str:
    """Return the source of which this one is a product; the source itself if it is none."""
    return source.partition("/")[0]


def _all_of(source: str) -> str:
    return f"{_head(source)}/"


def _begins(known: Incident | None, signal: Signal, now: datetime, *, apart: bool) -> bool:
    """Return whether the alert is a new trouble: none that somebody works on, or has closed. What
    is apart never adds to an incident of others: it is new if it says something new."""
    if signal.resolved:
        return False
    if known is None:
        return True
    before = known.taken.get(key_of(signal))
    is_new = before is None or before.content != signal.content
    if known.state is not State.CLOSED:
        return is_new and apart and not _is_own(known, signal)
    if before is None or before.resolved:
        return True  # without a body, it was redacted
    if before.started_at is None or signal.started_at is None:
        return True
    return is_new and min(signal.started_at, now) > before.started_at


def _adds(known: Incident | None, signal: Signal, *, apart: bool) -> bool:
    """Return whether the alert says something new about an incident that is not closed."""
    if known is None or known.state is State.CLOSED or (apart and not _is_own(known, signal)):
        return False
    before = known.taken.get(key_of(signal))
    return before is None or before.content != signal.content


def _is_own(known: Incident, signal: Signal) -> bool:
    """Return whether it is a suspicion of this alert that nobody has examined yet."""
    return known.state is State.REPORTED and known.rule == key_of(signal)
