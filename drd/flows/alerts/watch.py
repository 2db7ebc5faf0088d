"""Alerts: check every plan and the host, decide what changed, record it and send messages.

Also without runs, since a missing backup is the commonest breach. What cannot be recorded (a full
disk) is kept here until it can be, and returned to be sent directly."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from drd.errors import CatalogueError
from drd.flows.alerts.facts import Histories, disks, drill_bytes
from drd.flows.alerts.memory import UnsavedAlerts
from drd.flows.alerts.messages import routed
from drd.flows.alerts.outbox import still_there
from drd.flows.alerts.patience import Patience
from drd.flows.alerts.unrecorded import UnrecordedAlerts
from drd.flows.incidents.opening import open_by_rules
from drd.flows.status.overview import refused, subjects
from drd.flows.status.refused_plans import Refusal
from drd.model.alert_facts import ChannelState, GoneSecret, HostFacts, PlanMore
from drd.model.alerts import (
    ENDED_BY_DRILL,
    Alert,
    AlertChange,
    Condition,
    Rules,
    Transition,
    reconcile,
)
from drd.model.compliance import assess
from drd.model.conditions import blind, conditions, exposed_file, is_late, stored_text_differs
from drd.model.drill_facts import DrillFacts
from drd.model.facts import NotLoaded, PlanFacts, StatusFacts
from drd.model.host_conditions import (
    AT_THE_HOST,
    CHANNEL,
    has_just_come_back,
    host_conditions,
)
from drd.model.incidents.rules import OpeningRule, TierOf
from drd.model.message import ChannelSpec, Routed
from drd.model.one_cause import with_logs
from drd.model.own_objectives import strictest_s
from drd.model.schedule import Schedule
from drd.model.verdicts import NOT_LOADED, Assessment
from drd.plan_files import FoundPlanFile
from drd.ports import Catalogue
from drd.ports.kinds import UNKNOWN_ROOM
from drd.ports.notify import ChannelFacts

TIME_TO_RELOAD = timedelta(minutes=5)
"""The time between writing a plan file and the reload that people do after `drd plan check`, and
programs after they have written all files. Before that the reload was not forgotten."""


class ExposedFile(Protocol):
    """A file of a plan or of drd that others can read or write. Its `str` is the text of the
    alert."""

    @property
    def remedy(self) -> str:
        """The command that closes the file."""
        ...


def _usual_room(_kind: str, size: int, _facts: Callable[[], Mapping[str, Any]]) -> int:
    return int(UNKNOWN_ROOM * size)


@dataclass(frozen=True, slots=True)
class WatchSources:
    """The sources for the watch. `read_facts` reads one plan, or all for None. `places` are
    directories that must not fill up, by their key in drd.yaml; `work_dir` is where drills need
    space. `schedule` returns None for a plan that is not in force, `tier_of` the tier of a plan.
    `differing` has by plan a message if its stored text is not the text in force, `exposed` a file
    of the plan that others can read or write. `room` returns the bytes that a drill needs
    for a component, from its kind, its size and a function that reads the facts of its snapshot.
    `unrecorded` keeps what was sent and could not be recorded, for the next daemon.
    """

    catalogue: Catalogue
    read_facts: Callable[[str | None], Sequence[PlanFacts]]
    plan_files: Callable[[], Iterable[FoundPlanFile]]
    schedule: Callable[[str], Schedule | None]
    places: Mapping[str, Path]
    channels: Sequence[ChannelSpec] = ()
    rules: Rules = field(default_factory=Rules)
    opening: Sequence[OpeningRule] = ()
    tier_of: TierOf = lambda _: None
    differing: Callable[[], Mapping[str, str]] = dict
    exposed: Callable[[], Mapping[str, ExposedFile]] = dict
    room: Callable[[str, int, Callable[[], Mapping[str, Any]]], int] = _usual_room
    unrecorded: UnrecordedAlerts = field(default_factory=UnrecordedAlerts)


class WatchResult(NamedTuple):
    """The result of one check.

    `transitions` are sorted by plan and kind, including changes that are not notified. `unrecorded`
    must be sent directly, since the outbox could not take it; `error` says why, None when all is
    recorded. `plans` are the newest verdicts of all plans by name, none when the catalogue could
    not be read. With `again`, another process locks the catalogue: nothing was decided, and the
    check is to be repeated soon.
    """

    transitions: tuple[Transition, ...]
    open_alerts: tuple[Alert, ...]
    unrecorded: tuple[Routed, ...]
    error: str | None
    plans: tuple[Assessment, ...]
    again: bool = False


class _Observation(NamedTuple):
    """All current problems, and which conditions of alerts could not be checked."""

    conditions: list[Condition]
    was_checked: Callable[[Alert], bool]
    plans: tuple[Assessment, ...]


_Unknown = Mapping[tuple[str, str], Collection[str] | None]
"""What could not be checked: the subjects, by plan and kind; None means all subjects."""


class AlertWatch:
    """Checks repeatedly. For one thread of the daemon that holds the state's lock, the only process
    that makes and resolves alerts. People acknowledge them from other processes."""

    def __init__(self, sources: WatchSources) -> None:
        self._sources = sources
        self._book = sources.catalogue.alerts
        self._histories = Histories(sources.catalogue)
        self._memory = UnsavedAlerts(sources.unrecorded.read())
        self._patience = Patience()
        self._plans: dict[str, Assessment] = {}
        self._errors: Mapping[str, Refusal] = {}
        self._gone_secrets: tuple[GoneSecret, ...] = ()
        self._written: dict[str, datetime] = {}
        self._passed: dict[str, DrillFacts] = {}
        self._differing: Mapping[str, str] = {}
        self._exposed: Mapping[str, ExposedFile] = {}

    def use(
        self, channels: Sequence[ChannelSpec], rules: Rules, opening: Sequence[OpeningRule]
    ) -> None:
        """Use these settings of drd.yaml from now on."""
        self._sources = replace(self._sources, channels=channels, rules=rules, opening=opening)

    def evaluate(
        self, host: HostFacts, now: datetime, errors: Mapping[str, Refusal] | None = None
    ) -> WatchResult:
        """Check everything, record what changed, and put messages into the outbox.

        `host` has what the daemon noticed itself (clock, downtime, trouble with the catalogue);
        disks and channels are checked here. `errors` has by plan the error of a plan file that was
        not accepted. A catalogue that cannot be read or written is an alert itself: nothing is
        raised for it, and the next check tries again."""
        self._errors = errors or {}
        self._gone_secrets = host.gone_secrets
        return self._evaluate(host, now, lambda: self._observe(host, now))

    def evaluate_plans(self, names: Collection[str], host: HostFacts, now: datetime) -> WatchResult:
        """Evaluate only the plans that are known to have changed, like `evaluate`; everything else
        stays the same. While something could not be recorded, everything is checked.
        """
        if self._memory.unsaved:
            return self.evaluate(host, now, self._errors)
        self._gone_secrets = host.gone_secrets
        return self._evaluate(host, now, lambda: self._observe_plans(names, now), names)

    def evaluate_host(self, host: HostFacts, now: datetime) -> WatchResult:
        """Evaluate the host, like `evaluate`, while the plans are not known yet: their alerts stay
        the same.
        """
        return self._evaluate(host, now, lambda: self._observe_host(host, now))

    def _evaluate(
        self,
        host: HostFacts,
        now: datetime,
        observe: Callable[[], _Observation],
        only: Collection[str] | None = None,
    ) -> WatchResult:
        error: CatalogueError | None = None
        try:
            observed = observe()
            alerts = self._memory.merged(self._open(only))
        except CatalogueError as caught:
            error = caught
            observed = self._observe_host(host, now)
            alerts = self._memory.known
        if has_just_come_back(host, now):
            there = {alert.key for alert in alerts}
            observed = observed._replace(
                conditions=[c for c in observed.conditions if not is_late(c) or c.key in there]
            )
        transitions: list[Transition] = []
        if error is None:
            transitions = self._decide(observed, alerts, now)
            error = self._record(transitions, now)
        if error is None:
            self._patience.ends()
        elif host.catalogue_error is None and self._patience.bears(error.trouble, now):
            known = tuple(self._memory.known)
            return WatchResult((), known, (), error.message, observed.plans, again=True)
        else:
            blamed = replace(host, catalogue_error=error.message, catalogue_trouble=error.trouble)
            observed.conditions.extend(host_conditions(blamed, None, now))
            transitions = self._decide(observed, alerts, now)
        if only is not None and error is None:
            alerts = [*(a for a in self._memory.known if a.plan not in only), *alerts]
        self._memory.remember(alerts, transitions, saved=error is None)
        self._sources.unrecorded.write(self._memory.unsaved_changes)
        return WatchResult(
            tuple(transitions),
            tuple(sorted(self._memory.known, key=lambda a: a.key)),
            tuple(routed(transitions, self._sources.channels)) if error is not None else (),
            error.message if error is not None else None,
            observed.plans,
        )

    def _open(self, only: Collection[str] | None) -> list[Alert]:
        if only is None:
            return self._book.open()
        return [alert for plan in only for alert in self._book.open(plan)]

    def _decide(
        self, observed: _Observation, alerts: Sequence[Alert], now: datetime
    ) -> list[Transition]:
        decided = reconcile(
            observed.conditions,
            alerts,
            now,
            self._sources.rules,
            new_id=lambda: secrets.token_hex(4),
            was_checked=observed.was_checked,
        )
        return [self._with_its_drill(transition) for transition in decided]

    def _with_its_drill(self, transition: Transition) -> Transition:
        """Name the drill that has resolved an alert: its end is told with that."""
        alert, drill = transition.after, self._passed.get(transition.after.plan)
        if (
            drill is None
            or transition.change is not AlertChange.RESOLVED
            or alert.kind not in ENDED_BY_DRILL
            or drill.at < alert.since
        ):
            return transition
        return replace(transition, runs=(drill.run,))

    def _record(self, transitions: list[Transition], now: datetime) -> CatalogueError | None:
        """Record the changes; returns the error if that fails. `transitions` keeps the recorded
        ones; one that another process changed first is decided again at the next check."""

        def tell(written: Sequence[Transition]) -> list[Routed]:
            ids = {t.after.id for t in written}
            mine = (t for t in transitions if t.after.id in ids)
            return routed(mine, self._sources.channels)

        catalogue, rules = self._sources.catalogue, self._sources.opening
        try:
            with catalogue.together() if rules and transitions else nullcontext():
                done = self._book.apply(self._memory.pending(transitions), now, tell)
                open_by_rules(catalogue, rules, done, now, self._sources.tier_of)
        except CatalogueError as error:
            return error
        ids = {t.after.id for t in done}
        transitions[:] = [t for t in transitions if t.after.id in ids]
        return None

    # --- looking ------------------------------------------------------------------------------

    def _observe(self, host: HostFacts, now: datetime) -> _Observation:
        """Read the problems. Raises CatalogueError if the catalogue cannot be read."""
        sources = self._sources
        facts = sources.read_facts(None)
        self._histories.refresh()
        states = still_there(sources.catalogue.outbox.channels(), sources.channels)
        channels = tuple(_channel(c, now) for c in states)
        self._plans = {}
        there = subjects(StatusFacts(facts), sources.plan_files(), served=True)
        self._written = {n: at for n, at in self._written.items() if n in there}
        self._differing = sources.differing()
        self._exposed = sources.exposed()
        problems, unknown = self._judge(dict(sorted(there.items())), now)
        if "" in self._exposed:
            problems.append(exposed_file("", str(self._exposed[""]), self._exposed[""].remedy))
        needed = max((drill_bytes(f, partial(self._room, f.plan)) for f in facts), default=0)
        host = replace(host, disks=tuple(disks(sources.places, needed)), channels=channels)
        problems += host_conditions(host, [(f.plan, strictest_s(f)) for f in facts], now)
        plans = tuple(self._plans.values())
        return _Observation(with_logs(problems), lambda a: not _is_unknown(a, unknown), plans)

    def _room(self, plan: str, component: str, kind: str, size: int) -> int:
        read = self._sources.catalogue.points.newest_facts
        return self._sources.room(kind, size, lambda: read(plan, component, kind))

    def _observe_plans(self, names: Collection[str], now: datetime) -> _Observation:
        facts = [fact for name in names for fact in self._sources.read_facts(name)]
        names_read = {fact.plan for fact in facts}
        self._histories.refresh(names_read)
        problems, unknown = self._judge(subjects(StatusFacts(facts), (), served=True), now)
        return _Observation(
            problems,
            lambda a: a.plan in names_read and a.kind != CHANNEL and not _is_unknown(a, unknown),
            tuple(self._plans.values()),
        )

    def _judge(
        self,
        plans: Mapping[str, PlanFacts | NotLoaded],
        now: datetime,
    ) -> tuple[list[Condition], _Unknown]:
        """Return the problems of these plans, and what could not be checked."""
        problems: list[Condition] = []
        unknown: dict[tuple[str, str], Collection[str] | None] = {}
        for name, subject in plans.items():
            more, facts = self._facts_of(subject, self._errors.get(name))
            assessment = assess(facts, now)
            of_plan = conditions(assessment, facts, more, now)
            if self._may_still_be_loaded(name, facts, now):
                of_plan = [c for c in of_plan if c.kind != NOT_LOADED]
                unknown[name, NOT_LOADED] = None
            problems += of_plan
            if name in self._differing:
                problems.append(stored_text_differs(name, self._differing[name]))
            if name in self._exposed:
                problems.append(
                    exposed_file(name, str(self._exposed[name]), self._exposed[name].remedy)
                )
            for kind, about in blind(more).items():
                unknown[name, kind] = about
            self._plans[name] = assessment
            passed = facts.last_passed_drill if isinstance(facts, PlanFacts) else None
            if passed is not None:
                self._passed[name] = passed
        return problems, unknown

    def _may_still_be_loaded(self, name: str, facts: PlanFacts | NotLoaded, now: datetime) -> bool:
        """Return whether its file was written or removed a moment ago, and no reload has read it
        since."""
        differs, in_force = True, True
        if isinstance(facts, PlanFacts):
            differs = facts.load_error is not None
            in_force = self._sources.schedule(name) is not None
        if name in self._errors or not differs or not in_force:
            self._written.pop(name, None)
            return False
        since = min(self._written.setdefault(name, now), now)
        return now - since < TIME_TO_RELOAD

    def _facts_of(
        self, subject: PlanFacts | NotLoaded, why: Refusal | None
    ) -> tuple[PlanMore, PlanFacts | NotLoaded]:
        if isinstance(subject, PlanFacts):
            if why is not None:
                subject = subject._replace(needs_restart=why.needs_restart)
            more = self._histories.of(subject, self._sources.schedule(subject.plan))
            gone = tuple(g for g in self._gone_secrets if g.plan == subject.plan)
            return (replace(more, gone_secrets=gone) if gone else more), subject
        if why is not None:
            subject = refused(
                subject.plan, subject.file, why.error, needs_restart=why.needs_restart
            )
        return PlanMore(), subject

    def _observe_host(self, host: HostFacts, now: datetime) -> _Observation:
        """Check what needs no catalogue."""
        host = replace(host, disks=tuple(disks(self._sources.places, 0)))
        problems = host_conditions(host, None, now)
        return _Observation(problems, lambda a: not a.plan and a.kind in AT_THE_HOST, ())


def _is_unknown(alert: Alert, unknown: _Unknown) -> bool:
    subjects = unknown.get((alert.plan, alert.kind), ())
    return subjects is None or alert.subject in subjects


def _channel(facts: ChannelFacts, now: datetime) -> ChannelState:
    return ChannelState(
        name=facts.name,
        dead=facts.is_dead(now),
        plan=facts.plan,
        failing_since=facts.failing_since,
        tries=facts.tries,
        error=facts.error,
    )
