"""An incident, as its entries say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from drd.model.incidents.actions import ActionItem
from drd.model.incidents.affected import Affected
from drd.model.incidents.audiences import Audience
from drd.model.incidents.cadence import NO_CADENCE, Cadence, Told, UpdateClock
from drd.model.incidents.instants import SIGNS, Instant
from drd.model.incidents.states import State


@dataclass(frozen=True, slots=True)
class Scoped:
    """A plan in the scope, from the entry `since` up to the entry `until`; None: still."""

    plan: str
    since: int
    until: int | None = None

    def has(self, seq: int) -> bool:
        return self.since <= seq and (self.until is None or seq <= self.until)


@dataclass(frozen=True, slots=True)
class Task:
    """Something to do. `number` counts the tasks of the incident. `origin` is the run of a playbook
    and the task in it, empty for a task of a person. `due_after`: it is due some time after a
    moment of the incident, so `due` is None while nobody has stated this moment."""

    number: int
    text: str
    to: str = ""
    due: datetime | None = None
    done_at: datetime | None = None
    done_by: str = ""
    origin: str = ""
    due_after: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """What an alert of another system said last. `content` is a digest of its text, `product` the
    name of the other system, if the alert contains it."""

    content: str
    resolved: bool
    started_at: datetime | None
    product: str = ""


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident, or a suspicion that was reported. `severity` is empty while nobody has set it.
    `rule` names the rule of drd.yaml, and the plan, for which drd opened the incident; empty: a
    person opened it. `opened_as` is the system user who opened it, empty for drd; `opened_by` is
    the given name.
    `acknowledged_at` is when a person first did something about it. `first`, `last` and `ended`
    are numbers of entries: the entry that opened the incident, the newest entry, and the entry that
    closed it (0 while it is not closed). `taken` are alerts of other systems, by source and id.
    `sealed` counts the entries that are encrypted on this host and can contain another severity or
    lead than the readable entries. `drafts` counts the drafts of messages, `playbooks` are the
    subjects of the runs of playbooks in the incident, and `told` has by audience when the last
    message was sent. `cadence` is the cadence of drd.yaml."""

    number: int
    title: str = ""
    state: State = State.DETECTED
    severity: str = ""
    restricted: bool = False
    opened_at: datetime | None = None
    opened_by: str = ""
    opened_as: str = ""
    acknowledged_at: datetime | None = None
    state_at: datetime | None = None
    closed_at: datetime | None = None
    rule: str = ""
    lead: str = ""
    roles: Mapping[str, str] = field(default_factory=dict)
    instants: Mapping[Instant, datetime] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()
    actions: tuple[ActionItem, ...] = ()
    scope: tuple[Scoped, ...] = ()
    affected: tuple[Affected, ...] = ()
    links: tuple[str, ...] = ()
    playbooks: tuple[str, ...] = ()
    merged_into: int | None = None
    merged: tuple[int, ...] = ()
    starred: frozenset[int] = frozenset()
    corrected: Mapping[int, str] = field(default_factory=dict)
    drafts: int = 0
    told: Mapping[str, Told] = field(default_factory=dict)
    cadence: Cadence = NO_CADENCE
    taken: Mapping[str, Taken] = field(default_factory=dict)
    sealed: int = 0
    first: int = 0
    last: int = 0
    ended: int = 0

    @property
    def is_open(self) -> bool:
        """Whether people work on the incident. A suspicion that nobody has examined is not open."""
        return self.state not in (State.CLOSED, State.REPORTED)

    @property
    def plans(self) -> tuple[str, ...]:
        """The plans in the scope now."""
        return tuple(dict.fromkeys(s.plan for s in self.scope if s.until is None))

    @property
    def first_sign(self) -> datetime | None:
        """The earliest moment at which something may have been wrong; None without an incident."""
        stated = [self.instants[s] for s in SIGNS if s in self.instants]
        return min(
            [*stated, *([self.opened_at] if self.opened_at is not None else [])], default=None
        )

    @property
    def open_tasks(self) -> tuple[Task, ...]:
        """The tasks that are not done, the next one that is due first."""
        left = [t for t in self.tasks if t.done_at is None]
        return tuple(sorted(left, key=lambda t: (t.due is None, t.due or t.number, t.number)))

    @property
    def open_actions(self) -> tuple[ActionItem, ...]:
        """The action items that are not done, sorted by due time."""
        left = [item for item in self.actions if item.done_at is None]
        return tuple(sorted(left, key=lambda item: (item.due, item.entry)))

    @property
    def next_at(self) -> datetime | None:
        """When the next task or update is due."""
        if self.state is State.CLOSED:
            return None
        tasks = [task.due for task in self.open_tasks if task.due is not None]
        return min([*tasks, *(clock.due for clock in self.updates)], default=None)

    @property
    def updates(self) -> tuple[UpdateClock, ...]:
        """The updates that people expect, the next one first: updates that the last message
        promised, and updates that the opening or a change of the state requires earlier."""
        if not self.is_open:
            return ()
        names = dict.fromkeys([Audience.INTERNAL.value, *self.told])
        clocks = [clock for name in names if (clock := self._update(name)) is not None]
        return tuple(sorted(clocks, key=lambda clock: (clock.due, clock.audience)))

    def _update(self, audience: str) -> UpdateClock | None:
        told = self.told.get(audience)
        clocks = []
        if told is not None and told.promise is not None:
            clocks.append(UpdateClock(audience, told.promise, "promised"))
        changed = self.state_at or self.opened_at
        if self.sealed:  # somebody may have told them
            changed = None
        if changed is not None and (told is None or told.at < changed):
            due = self.cadence.first(self.severity, changed)
            why = f"the incident is {self.state}" if told is not None else "nobody was told yet"
            clocks += [UpdateClock(audience, due, why)] if due is not None else []
        return min(clocks, key=lambda clock: clock.due, default=None)

    @property
    def people(self) -> frozenset[str]:
        """The people who lead the incident or hold a role in it: they may read it if it is
        restricted."""
        return frozenset(name for name in (self.lead, *self.roles.values()) if name)
