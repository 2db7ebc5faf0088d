"""Decide which decisions about a step of a recovery are possible, and who may make them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from drd import process
from drd.errors import UsageError
from drd.model.actor import Actor, Sameness, compare_all
from drd.model.nearest import closest, meant
from drd.model.operator_drill import is_blind, is_operator_drill
from drd.model.plan import OPERATOR, Plan
from drd.model.playbook import Playbook
from drd.model.playbook_names import of_words, playbook_of
from drd.model.run import Decision, Run, RunState, StepState, operators
from drd.model.run_details import RecoveryDetail
from drd.model.runbook import PEOPLE, ROLLBACK, Step, wants_two_persons
from drd.model.step_record import StepRecord
from drd.model.step_results import PersonStepResult
from drd.model.text import either
from drd.model.units import format_time
from drd.ports import Catalogue

_STATES = {
    StepState.RUNNING: "it is running",
    StepState.WAITING: "it waits",
    StepState.SUCCEEDED: "it has succeeded",
    StepState.FAILED: "it has failed",
    StepState.SKIPPED: "it was skipped",
    StepState.CANCELLED: "it was cancelled",
}


@dataclass(frozen=True, slots=True)
class RecordedDecision:
    """The recorded decision. `alive`: a process executes the run and reads it; otherwise a person
    must resume the run. `own`: the person has also started the recovery."""

    run: Run
    decision: Decision
    alive: bool
    own: Sameness = Sameness.UNKNOWN


class Deciding:
    """Records decisions about one run, made by `actor` (default: the user of this process). Every
    method raises UsageError for an impossible decision, and then records nothing."""

    def __init__(
        self,
        catalogue: Catalogue,
        plan: Plan | Playbook,
        run: Run,
        now: datetime,
        actor: Actor | None = None,
    ) -> None:
        self.actor = actor or process.actor_here()
        self.catalogue = catalogue
        self.plan = plan
        self.run = run
        self.now = now
        self.is_drill = is_operator_drill(run)
        if not (run.kind.is_peoples or self.is_drill):
            raise UsageError(
                f"run {run.id} of plan {run.plan} is a {run.kind}; only steps of a recovery can be "
                "approved, retried, skipped or reported as done",
                hint=f"find the recovery: drd runs {run.plan}",
            )
        self.records = {r.name: r for r in catalogue.steps.of_run(run.id)}
        dead = {r.id for r in catalogue.runs.abandoned(run.plan)}
        self.alive = not run.state.final and run.id not in dead
        if self.is_drill and not self.alive:
            state = run.state if run.state.final else "its process died"
            raise UsageError(
                f"operator drill {run.id} of plan {run.plan} has ended ({state}), so it accepts no "
                "answer any more",
                hint=f"start a new one: drd drill {run.plan} --scenario {OPERATOR}",
            )

    def agree(
        self, step: str, action: str, by: str, comment: str, people: Mapping[str, Sequence[str]]
    ) -> RecordedDecision:
        """Record that a person approved an approval (`approve`), or finished a manual step
        (`done`); the person is one of `people` who holds the role that the step requires."""
        if action == "done" and (asked := self._asked_rollback(step)) is not None:
            name = _person(by, people) if people else by
            return self._record(step, action, name, comment, asked.attempt)
        kind = "approve" if action == "approve" else "manual"
        known = self._step(step)
        if known.kind != kind:
            verb = {"approve": "drd approve", "manual": "drd done"}.get(known.kind)
            raise UsageError(
                f"step {step} is of kind {known.kind}: this command is for steps of kind {kind}",
                hint=f"use {verb} {self.run.id} {step}." if verb else self._what_waits(),
            )
        record = self._waiting(step)
        self._in_time(record)
        # Whoever has no `people` in drd.yaml has not asked for an approval either.
        anybody = not people and all(s.name != step for s in self.plan.runbook)
        name = by if anybody else _person(by, people)
        asks = record.result
        role = asks.role if isinstance(asks, PersonStepResult) else None
        if role is not None and role not in people[name]:
            holders = [n for n, roles in people.items() if role in roles]
            raise UsageError(
                f"{name} does not have the role {role}, which step {step} requires",
                hint=f"ask somebody who has this role: {either(holders)}."
                if holders
                else "nobody has this role: add it to the `roles` of a person under "
                "`people` in drd.yaml.",
            )
        if action == "approve" and wants_two_persons(known):
            self._another_person(step)
        return self._record(step, action, name, comment, record.attempt)

    def retry(self, step: str, by: str) -> RecordedDecision:
        """Retry a failed step, or a rollback whose outcome nobody knows."""
        if (asked := self._asked_rollback(step)) is not None:
            return self._record(step, "retry", by, "", asked.attempt)
        self._step(step)
        record = self.records.get(step)
        over = self.run.state is RunState.SUCCEEDED
        failed = record is not None and record.state is StepState.FAILED
        if self.run.state.final and not over and record is not None and failed:
            decision = self._record(step, "retry", by, "", record.attempt)
            self.catalogue.runs.reopen(self.run, self.now)
            return decision
        if record is None or record.state is not StepState.WAITING or record.kind in PEOPLE:
            raise self._unfit(step, record, "this step does not wait for a retry")
        return self._record(step, "retry", by, "", record.attempt)

    def skip(self, step: str, by: str, why: str) -> RecordedDecision:
        """Continue without a step: a step that failed, that waits for a person, or that comes
        later."""
        known = self._step(step)
        record = self.records.get(step)
        if known.kind == "approve":
            raise UsageError(
                f"step {step} is an approval, which cannot be skipped",
                hint=f"approve the step: drd approve {self.run.id} {step} --by NAME",
            )
        attempt = 0
        if record is not None:
            if record.state in (StepState.SUCCEEDED, StepState.SKIPPED) or (
                record.state is StepState.RUNNING and self.alive
            ):
                raise self._unfit(step, record, "it is too late to skip this step")
            attempt = record.attempt if record.state is StepState.WAITING else 0
        if self.run.state is RunState.SUCCEEDED:
            raise self._unfit(step, record, "the run has ended")
        decision = self._record(step, "skip", by, why, attempt)
        if self.run.state.final:
            self.catalogue.runs.reopen(self.run, self.now)
        return decision

    # looking

    def _asked_rollback(self, name: str) -> StepRecord | None:
        """Return the record of a rollback that waits for a decision. The run has ended, and drd
        reopens it only at the next `drd rollback`."""
        record = self.records.get(name)
        if record is None or record.kind != ROLLBACK:
            return None
        if record.state is not StepState.WAITING:
            raise self._unfit(name, record, "this rollback does not wait for an answer")
        return record

    def _step(self, name: str) -> Step:
        for step in self.plan.runbook:
            if step.name == name:
                return step
        if (added := self._added(name)) is not None:
            return added
        names = [s.name for s in self.plan.runbook]
        near = closest(name, names)
        hint = (
            f"did you mean {near}?"
            if near
            else (f"choose one of the {self._whose}'s steps: {', '.join(names)}.")
        )
        raise UsageError(f"{of_words(self.run.plan)} has no step {name!r}", hint=hint)

    @property
    def _whose(self) -> str:
        return "plan" if playbook_of(self.run.plan) is None else "playbook"

    def _added(self, name: str) -> Step | None:
        """Return an approval that the recovery itself added to the steps of the plan."""
        detail, record = self.run.detail, self.records.get(name)
        is_clean = isinstance(detail, RecoveryDetail) and detail.clean_for is not None
        if not is_clean or record is None or record.kind != "approve":
            return None
        return Step(name, record.kind)

    def _waiting(self, step: str) -> StepRecord:
        record = self.records.get(step)
        if record is None or record.state is not StepState.WAITING or self.run.state.final:
            raise self._unfit(step, record, "this step does not wait for a person")
        return record

    def _sameness(self) -> Sameness:
        return compare_with_starter(
            self.run, self.catalogue.decisions.of_run(self.run.id), self.actor
        )

    def _another_person(self, step: str) -> None:
        """Raise UsageError unless the kernel proves that the approver is not one of those who
        started or resumed the recovery."""
        own = self._sameness()
        if own is Sameness.OTHER:
            return
        starter = self.run.actor.words() if self.run.actor is not None else "an unknown person"
        again = f"drd approve {self.run.id} {step}"
        if own is Sameness.SAME:
            raise UsageError(
                f"step {step} needs the approval of a second person, but {starter} also "
                f"started this {self.run.kind}",
                hint="let another person approve the step, with their own user account and "
                f"not as root: {again}",
            )
        hint = (
            "approve the step with your own user account, not as root or as drd's own user, "
            f"so that the daemon can prove who you are: {again}. Or log in with your own "
            "account, then use sudo"
        )
        if _begun_by_unknown(self.catalogue, self.run):
            # No later approval can prove who that was.
            hint = (
                f"nobody can approve the step in this {self.run.kind}. End the {self.run.kind}: "
                f"`drd cancel {self.run.id}`. Then log in with your own account (ssh), and start "
                f"the {self.run.kind} again: `sudo {_begins(self.run)} …`"
            )
        raise UsageError(
            f"step {step} needs the approval of a second person, but drd cannot prove that "
            f"{self.actor.words()} is another person than {starter}",
            hint=hint,
        )

    def _in_time(self, record: StepRecord) -> None:
        asks = record.result
        expires = asks.expires_at if isinstance(asks, PersonStepResult) else None
        if expires is not None and self.now > expires:
            raise UsageError(
                f"the answer to step {record.name} is too late: its time limit ended at "
                f"{format_time(expires, seconds=True)}",
                hint=f"to make drd ask again: drd resume {self.run.id}",
            )

    def _unfit(self, step: str, record: StepRecord | None, why: str) -> UsageError:
        state = _STATES[record.state] if record is not None else "it has not started yet"
        if self.run.state.final:
            why = "drd no longer accepts an answer to this step"
            state = f"run {self.run.id} has ended ({self.run.state})"
        return UsageError(f"step {step}: {why}: {state}", hint=self._what_waits())

    def _what_waits(self) -> str:
        if is_blind(self.run):
            return "this is a blind drill: follow the printed runbook."
        waiting = [r.name for r in self.records.values() if r.state is StepState.WAITING]
        if not waiting or self.run.state.final:
            return f"to see the state of the run: drd run show {self.run.id}"
        return f"choose one of the steps that wait for an answer: {', '.join(waiting)}."

    def _record(
        self, step: str, action: str, by: str, comment: str, attempt: int
    ) -> RecordedDecision:
        actor = self.actor
        decision = Decision(step, action, by, comment, attempt, self.now, actor)  # type: ignore[arg-type]
        own = self._sameness()
        self.catalogue.decisions.add(self.run.id, decision)
        return RecordedDecision(self.run, decision, self.alive, own)


def compare_with_starter(run: Run, decisions: Sequence[Decision], actor: Actor | None) -> Sameness:
    """Return whether `actor` is the person who started or resumed the run."""
    return compare_all(operators(run, decisions), actor)


def require_approvable(steps: Iterable[Step], actor: Actor) -> None:
    """Raise UsageError for steps that need two persons, if nobody could later prove who started the
    recovery (`actor`)."""
    asking = _two_person(steps)
    if asking and actor.person is None:
        raise UsageError(
            f"you are {actor.anybody()}, so nobody can approve {', '.join(asking)}",
            hint="log in with your own account, then use sudo: the steps need two persons, "
            "and drd must be able to identify each of them.",
        )


def require_still_approvable(
    catalogue: Catalogue, steps: Iterable[Step], run: Run, actor: Actor
) -> None:
    """Like `require_approvable`, for a resumed recovery: only for steps that are not done yet, and
    also if nobody can prove who started or resumed the recovery before."""
    over = (StepState.SUCCEEDED, StepState.SKIPPED)
    done = {r.name for r in catalogue.steps.of_run(run.id) if r.state in over}
    left = [s for s in steps if s.name not in done]
    require_approvable(left, actor)
    if _begun_by_unknown(catalogue, run):
        asking = _two_person(left)
        if asking:
            raise UsageError(
                f"nobody can approve {', '.join(asking)}: run {run.id} was started or "
                "resumed by root or drd's own user without a login, or by a user whose login "
                "could not be read",
                hint=f"end the run: `drd cancel {run.id}`. Then log in with your own "
                f"account, and start the {run.kind} again: `sudo {_begins(run)} {_name(run)} …`",
            )


def _begins(run: Run) -> str:
    """Return the command that starts a run like this one."""
    return "drd recover" if playbook_of(run.plan) is None else "drd playbook run"


def _name(run: Run) -> str:
    return playbook_of(run.plan) or run.plan


def _begun_by_unknown(catalogue: Catalogue, run: Run) -> bool:
    """Return whether it is unknown who started or resumed the recovery."""
    began = operators(run, catalogue.decisions.of_run(run.id))
    return any(one is None or one.person is None for one in began)


def _two_person(steps: Iterable[Step]) -> list[str]:
    return [step.name for step in steps if wants_two_persons(step)]


def _person(name: str, people: Mapping[str, Sequence[str]]) -> str:
    """The name as it stands in drd.yaml."""
    if not people:
        raise UsageError(
            "drd.yaml lists no people, so nobody can approve a step",
            hint="add people to drd.yaml, for example `people: [{name: anna, roles: [dba]}]`.",
        )
    if name in people:
        return name
    for known in people:
        if known.casefold() == name.casefold():
            return known
    raise UsageError(
        f"{name!r} is not listed under `people` in drd.yaml",
        hint=meant(name, people),
    )
