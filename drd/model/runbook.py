"""The steps of a recovery, and which of them may run now: values and arithmetic only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from drd.model.down import NO_EFFECT, Effect
from drd.model.message import Urgency
from drd.model.run import StepState
from drd.model.text import either

OnFailure = Literal["abort", "continue", "ask"]
Rehearse = Literal["run", "simulate", "skip"]

LOOKING = ("restore", "check")
"""Kinds that continue after one of them has failed, unless the plan says abort: drd restores and
checks whatever it can. No other step begins then.
"""

PEOPLE = ("approve", "manual")
"""Kinds that a person carries out."""

ROLLBACK = "rollback"
"""The kind of a step that rolls another step back, and the first word of its name."""

SANDBOX = "sandbox"
"""What a drill calls the place of a restore: a recovery uses the name of a target."""


@dataclass(frozen=True, slots=True)
class When:
    """A condition: every part of it has to hold. `step` is a step that ends before, `ended` are the
    outcomes that satisfy the condition.
    """

    scenarios: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    step: str | None = None
    ended: tuple[StepState, ...] = ()


@dataclass(frozen=True, slots=True)
class Undo:
    """The command that rolls a step back."""

    command: tuple[str, ...]
    timeout_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Ask:
    """What a person has to approve or do. `role` None: any person of drd.yaml may do it.
    `two_person`: not the person who started the recovery.
    """

    text: str
    role: str | None = None
    expires_s: float | None = None
    two_person: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """The text of a notification."""

    text: str
    severity: Urgency = "info"


@dataclass(frozen=True, slots=True)
class Wait:
    """A time to wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class OwnRun:
    """A backup or a recovery that a step of a playbook starts as a run of its own. Empty `plan`:
    the plan of the playbook's run. Empty `target`: the original places. `clean`: restore the clean
    point, from before the first sign of the incident; `clean_if_known`: only if the run belongs to
    an incident, else the newest point."""

    plan: str = ""
    target: str = ""
    point: str = ""
    before: str = ""
    overwrite: bool = False
    recovers: bool = False
    clean: bool = False
    clean_if_known: bool = False


@dataclass(frozen=True, slots=True)
class Preserving:
    """The evidence that a step of a playbook preserves, in a run of its own. Empty `plan`: the plan
    of the playbook's run. Empty `components`: all of the plan; with `volatile`: none."""

    plan: str = ""
    components: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    reason: str = ""
    volatile: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """What a step starts or stops: a `unit` of the host, or a `program` that drd itself starts and
    can end. A stop names the `step` that started the program. `known_as` is the name by which other
    steps use its address (`${NAME}`), `port` the port on which it listens in a recovery
    (`${port}`)."""

    does: Literal["start", "stop"]
    unit: str | None = None
    program: bool = False
    step: str | None = None
    known_as: str | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A new secret in an answer: `place` is its place in the answer, and drd writes it into `file`,
    with mode 0600. `keeps` is the name under which an existing file stays; empty: it is
    replaced."""

    place: str
    file: str
    keeps: str = ""


@dataclass(frozen=True, slots=True)
class Live:
    """The additional settings of a step that changes a running service, as steps of playbooks do.

    `before` reads the present value, at the place `takes` in the answer; `rollback` can use the
    value as `${before}`. `done_when` only reads, and shows whether the step happened. `final` is
    the reason why drd cannot roll back the step. `expires_s`: the step is a temporary measure that
    should be rolled back after this time. `keep` has, by name, the places in the answer that drd
    records; drd records nothing else of it. A step that only `reads` does not need a rollback."""

    before: Step | None = None
    takes: str = ""
    rollback: Step | None = None
    done_when: Step | None = None
    final: str = ""
    expires_s: float | None = None
    keep: Mapping[str, str] = field(default_factory=dict)
    new_secret: NewSecret | None = None
    reads: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a runbook. `subjects` are the components of a `restore` or the checks of a
    `check`. `settings` is an `Ask` for `approve` or `manual`, a `Notice`, a `Wait`, and for other
    kinds their frozen settings model. `needs` None: the step needs all steps above it, except steps
    of the same `group`. `on_failure` None: abort, except for `LOOKING`. `reason` is why a drill
    leaves the step out, `stand_in` the command that a drill runs instead. Without `repeat`, an
    interrupted step only begins again when a person says so. `service` is what the step starts or
    stops, `component` is what it works on, and `effect` is what is down or up after it, by the
    specification of its kind. Steps of playbooks have `live`.
    """

    name: str
    kind: str
    subjects: tuple[str, ...] = ()
    settings: object = None
    needs: tuple[str, ...] | None = None
    group: str | None = None
    when: When | None = None
    retries: int = 0
    pause_s: float = 5.0
    timeout_s: float | None = None
    on_failure: OnFailure | None = None
    rollback: Undo | None = None
    rehearse: Rehearse = "run"
    reason: str = ""
    stand_in: tuple[str, ...] = ()
    repeat: bool = True
    service: Service | None = None
    component: str | None = None
    effect: Effect = NO_EFFECT
    live: Live | None = None

    @property
    def starts(self) -> bool:
        return self.service is not None and self.service.does == "start"

    @property
    def starts_program(self) -> bool:
        return self.service is not None and self.starts and self.service.program


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The facts that conditions test. `target` is `SANDBOX` in a drill. `only` are the requested
    components; empty: all of the plan.
    """

    scenario: str
    target: str
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Moves:
    """What may happen now. `begin` are names in the order of the runbook; `skip` the steps whose
    condition does not hold, with the reason; `ask` the failed steps that a person decides about.
    `ended`: nothing is running and nothing will begin; `never` are the steps that then have not
    begun.
    """

    begin: tuple[str, ...] = ()
    skip: tuple[tuple[str, str], ...] = ()
    ask: tuple[str, ...] = ()
    ended: Literal["succeeded", "failed"] | None = None
    never: tuple[str, ...] = ()


def plain_runbook(components: Iterable[str], checks: Iterable[str]) -> tuple[Step, ...]:
    """Return the runbook of a plan that does not have one: restore all of these components, then
    run these checks, if there are any."""
    restore, named = Step("restore", "restore", tuple(components)), tuple(checks)
    return (restore, Step("check", "check", named)) if named else (restore,)


def waits_for(steps: Sequence[Step]) -> dict[str, tuple[str, ...]]:
    """Return, for each step, the steps that must have ended before it can begin."""
    waiting: dict[str, tuple[str, ...]] = {}
    for at, step in enumerate(steps):
        above = [s for s in steps[:at] if step.group is None or s.group != step.group]
        waiting[step.name] = step.needs if step.needs is not None else tuple(s.name for s in above)
    return waiting


def before(steps: Sequence[Step]) -> dict[str, frozenset[str]]:
    """Return, for each step, every step that has certainly ended when it begins. Needs must name
    steps above.
    """
    needs = waits_for(steps)
    earlier: dict[str, frozenset[str]] = {}
    for step in steps:
        direct = [n for n in needs[step.name] if n in earlier]
        earlier[step.name] = frozenset(direct).union(*(earlier[n] for n in direct))
    return earlier


def next_moves(
    steps: Sequence[Step], states: Mapping[str, StepState], circumstances: Circumstances
) -> Moves:
    """Return what may begin, given the states of the steps that have begun.

    A step that is `running` or `waiting` has begun and not ended; `cancelled` counts as not begun.
    Call it again whenever a state has changed.
    """
    return _Position(steps, states, circumstances).moves()


class _Position:
    def __init__(
        self, steps: Sequence[Step], states: Mapping[str, StepState], around: Circumstances
    ) -> None:
        self.steps = steps
        self.states = {n: s for n, s in states.items() if s is not StepState.CANCELLED}
        self.around = around
        self.needs = waits_for(steps)
        self.by_name = {step.name: step for step in steps}
        failed = [s for s in steps if self.states.get(s.name) is StepState.FAILED]
        self.ask = tuple(s.name for s in failed if s.on_failure == "ask")
        fatal = [s for s in failed if s.on_failure in (None, "abort")]
        self.held = bool(fatal)
        self.stopped = any(s.on_failure == "abort" or s.kind not in LOOKING for s in fatal)

    def moves(self) -> Moves:
        begin, skip = [], []
        for step in self.steps:
            if step.name in self.states or not self._may(step):
                continue
            why = unmet(step, self.states, self.around)
            if why is None:
                begin.append(step.name)
            else:
                skip.append((step.name, why))
        under_way = any(s in (StepState.RUNNING, StepState.WAITING) for s in self.states.values())
        if begin or skip or under_way or (self.ask and not self.held):
            return Moves(tuple(begin), tuple(skip), self.ask)
        never = tuple(s.name for s in self.steps if s.name not in self.states)
        failed = self.held or bool(self.ask)
        return Moves(ask=self.ask, ended="failed" if failed else "succeeded", never=never)

    def _may(self, step: Step) -> bool:
        if self.stopped or (self.held and step.kind not in LOOKING):
            return False
        return all(self._is_settled(self.by_name[name]) for name in self.needs[step.name])

    def _is_settled(self, step: Step) -> bool:
        """Return whether steps that need this one no longer have to wait for it."""
        state = self.states.get(step.name)
        if state in (StepState.SUCCEEDED, StepState.SKIPPED):
            return True
        if state is StepState.FAILED:
            return step.on_failure in ("continue", None)
        return state is None and self.held and step.kind not in LOOKING


def unmet(step: Step, states: Mapping[str, StepState], circumstances: Circumstances) -> str | None:
    """Say why the step is not for these circumstances; None if it is.

    Steps that act on the whole service are left out when single components are restored. A
    requirement of two persons holds for each part, even if the step behind it is left out.
    """
    only = circumstances.only
    if (
        only
        and step.kind not in LOOKING
        and step.component not in only
        and not wants_two_persons(step)
    ):
        return f"only {', '.join(only)} was requested"
    when = step.when
    if when is None:
        return None
    if when.scenarios and circumstances.scenario not in when.scenarios:
        return f"only in {either(when.scenarios)}"
    if when.targets and circumstances.target not in when.targets:
        return f"only for the target {either(when.targets)}"
    if when.step is not None:
        state = states.get(when.step)
        left_out = bool(only) and state is StepState.SKIPPED and wants_two_persons(step)
        if state not in when.ended and not left_out:
            wanted = either(str(s) for s in when.ended)
            return f"only when {when.step} has {wanted}, but it {state or 'has not started'}"
    return None


def wants_two_persons(step: Step) -> bool:
    """Return whether the step needs the approval of another person than the one who started the
    recovery."""
    asks = step.settings
    return step.kind == "approve" and isinstance(asks, Ask) and asks.two_person


def can_be_undone(step: Step) -> bool:
    """Return whether drd can roll back a step: it has a `rollback`, or it started a program, which
    drd can stop.
    """
    if step.live is not None and step.live.final:
        return False
    named = step.rollback is not None or (step.live is not None and step.live.rollback is not None)
    return named or step.starts_program


def stops(step: Step, started: Step) -> bool:
    """Return whether `step` stops what `started` starts."""
    one, other = step.service, started.service
    if one is None or one.does != "stop":
        return False
    same_unit = other is not None and one.unit is not None and one.unit == other.unit
    return same_unit or one.step == started.name


# --- needs that lead nowhere ------------------------------------------------------------------


def cycle(needs: Mapping[str, Collection[str]]) -> tuple[str, ...] | None:
    """Return the names along a path from a step back to itself; None if there is none."""
    done: set[str] = set()
    for start in needs:
        found_cycle = _walk(start, needs, [], done)
        if found_cycle is not None:
            return found_cycle
    return None


def _walk(
    name: str, needs: Mapping[str, Collection[str]], way: list[str], done: set[str]
) -> tuple[str, ...] | None:
    if name in way:
        return (*way[way.index(name) :], name)
    if name in done or name not in needs:
        return None
    for needed in needs[name]:
        found_cycle = _walk(needed, needs, [*way, name], done)
        if found_cycle is not None:
            return found_cycle
    done.add(name)
    return None


def groups(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """Group neighbours of the same group; every other step is alone."""
    part: list[Step] = []
    for step in steps:
        if part and (step.group is None or step.group != part[-1].group):
            yield part
            part = []
        part.append(step)
    if part:
        yield part
