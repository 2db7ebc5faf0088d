"""Requests of a run to people, and their answers, through the catalogue."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from drd.errors import StepFailed
from drd.flows.durable_steps import Runner
from drd.flows.runbook.step_runner import StepRunner
from drd.flows.services import Services
from drd.model.actor import Sameness, compare_all
from drd.model.operator_drill import is_blind, is_operator_drill
from drd.model.progression import Wanted
from drd.model.run import Decision, RunKind, StepState, operators
from drd.model.run_details import RecoveryDetail
from drd.model.runbook import Ask, Step, wants_two_persons
from drd.model.step_record import StepRecord
from drd.model.step_results import PersonStepResult, StepResult
from drd.model.text import escaped, some
from drd.model.units import format_time

_NAMED = 3
NO_HINT = "this is a blind drill: follow the printed runbook"


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """The decision about a step that waited: how it ended, or that it is tried `again`."""

    step: str
    state: StepState = StepState.SUCCEEDED
    result: StepResult = field(default_factory=StepResult)
    why: str = ""
    again: bool = False


class DecisionRequests:
    """Approvals, manual steps, and failed steps that wait for a decision."""

    def __init__(self, services: Services, runner: Runner, step_runner: StepRunner) -> None:
        self.services = services
        self.runner = runner
        self.step_runner = step_runner
        self.wants: dict[str, Wanted] = {}
        """The request to people, by step, for those who follow the run."""
        self._expires: dict[str, datetime] = {}
        self._asked: dict[str, int] = {}
        self._since: dict[str, datetime] = {}
        self._two_person: set[str] = set()
        self._blind = is_blind(runner.run)
        self._in_drill = is_operator_drill(runner.run)
        detail = runner.run.detail
        self.lost_at = detail.lost_at if isinstance(detail, RecoveryDetail) else None

    # asking

    def await_person(self, step: Step, before: StepRecord | None) -> None:
        """The step waits from now on, or since an earlier process that died."""
        ask, run, now = step.settings, self.runner.run.id, self.services.clock.now()
        assert isinstance(ask, Ask)
        asked = _asked_at(before) or now
        if before is not None and self._unanswered(step.name, asked, ask, now):
            asked = now
        expires = _expiry(asked, ask)
        verb = "approve" if step.kind == "approve" else "done"
        text = self._about(step, ask)
        wanted = ": ".join(w for w in (self._whom(ask.role), text) if w)
        by = f" (by {format_time(expires, seconds=True)})" if expires else ""
        command = f"drd {verb} {run} {step.name} --by NAME"
        self.wants[step.name] = wants = self._hint(f"{wanted}{by}", command)
        self.services.catalogue.steps.begin(self.runner.owned, step.name, step.kind, now)
        self.services.catalogue.steps.wait(
            self.runner.owned,
            step.name,
            str(wants),
            PersonStepResult(
                wanted=wants.what,
                command=wants.command,
                asked_at=asked,
                expires_at=expires,
                role=ask.role,
                text=text if not self._blind else None,
                two_person=ask.two_person,
            ),
        )
        if expires is not None:
            self._expires[step.name] = expires
        if ask.two_person:
            self._two_person.add(step.name)

    def _hint(self, wanted: str, command: str) -> Wanted:
        """Return what to show people: nothing in a blind drill, and in every drill a warning that
        it is one."""
        if self._blind:
            return Wanted(NO_HINT, "")
        lead = "this is a drill, change nothing outside of it: " if self._in_drill else ""
        return Wanted(f"{lead}{wanted}", command)

    def _about(self, step: Step, ask: Ask) -> str:
        """Return the text to approve. An approval of a partial recovery may name things that do not
        exist yet, or that are not restored: then it shows the text of the plan."""
        try:
            return self.step_runner.text(ask.text)
        except StepFailed:
            if not wants_two_persons(step):
                raise
            return ask.text

    def _whom(self, role: str | None) -> str:
        """Return the role, with its first holders."""
        if role is None:
            return "anybody"
        names = [name for name, held in self.services.roles.items() if role in held]
        return f"{role} ({some(names, _NAMED)})" if names else role

    def _unanswered(self, name: str, asked: datetime, ask: Ask, now: datetime) -> bool:
        """Return whether the time for an answer passed while no process executed the run: then drd
        asks again, because late answers were refused."""
        expires = _expiry(asked, ask)
        if expires is None or now <= expires:
            return False
        decisions = self.services.catalogue.decisions.of_run(self.runner.run.id)
        if any(d.step == name and d.attempt and d.at <= expires for d in decisions):
            return False
        self.services.warn(
            f"step {name}: until {format_time(expires, seconds=True)}, nobody answered; drd "
            "asks again"
        )
        return True

    def is_new(self, names: Collection[str]) -> bool:
        """Return whether people were not yet asked about one of these steps."""
        return any(n not in self._asked for n in names)

    def ask(self, failed: Mapping[str, str], attempts: Mapping[str, int]) -> None:
        """Ask what to do about failed steps, once for each; `attempts` has the number of attempts
        of the steps that failed now."""
        run = self.runner.run.id
        for name, why in failed.items():
            if name in self._asked:
                continue
            self._asked[name] = attempts[name]
            answers = f"`drd retry {run} {name}`, `drd skip {run} {name} --why TEXT` "
            self.wants[name] = wants = self._hint(why, f"{answers}or `drd cancel {run}`")
            record = next(r for r in self.services.catalogue.steps.of_run(run) if r.name == name)
            asked = record.result.asked_at or self.services.clock.now()
            self._since[name] = asked
            self.services.catalogue.steps.wait(
                self.runner.owned,
                name,
                str(wants),
                record.result.merged(
                    StepResult(asked_at=asked, wanted=wants.what, command=wants.command)
                ),
            )

    # hearing

    def skipped_beforehand(self, step: str) -> Decision | None:
        """Return whether a person decided to skip the step before it began."""
        decisions = self.services.catalogue.decisions.of_run(self.runner.run.id)
        return next(
            (d for d in decisions if (d.step, d.action, d.attempt) == (step, "skip", 0)), None
        )

    def wants_again(self, record: StepRecord) -> bool:
        """Return whether a person decided to retry the failed step."""
        about = (record.name, "retry", record.attempt)
        decisions = self.services.catalogue.decisions.of_run(self.runner.run.id)
        return any((d.step, d.action, d.attempt) == about for d in decisions)

    def new_decisions(self, waiting: Collection[str]) -> Iterator[StepAnswer]:
        """News about steps that wait for a person, or were asked about."""
        if not waiting and not self._asked:
            return
        decisions = self.services.catalogue.decisions.of_run(self.runner.run.id)
        for name in sorted(waiting):
            answer = self._answer(name, decisions) or self._timed_out(name)
            if answer is not None:
                yield self._settled(answer)
        for name, attempt in list(self._asked.items()):
            for decision in decisions:
                if decision.step != name or decision.attempt != attempt:
                    continue
                del self._asked[name]
                if decision.action == "retry":
                    self.wants.pop(name, None)
                    yield StepAnswer(name, again=True)
                else:
                    yield self._settled(_skipped(name, decision))
                break

    def _answer(self, name: str, decisions: Collection[Decision]) -> StepAnswer | None:
        expires = self._expires.get(name)
        for decision in decisions:
            if decision.step != name or (expires is not None and decision.at > expires):
                continue
            if decision.action == "skip" and decision.attempt:
                return _skipped(name, decision)
            if decision.action in ("approve", "done"):
                own = compare_all(operators(self.runner.run, list(decisions)), decision.actor)
                if name in self._two_person and own is not Sameness.OTHER:
                    continue
                return _agreed(name, decision, own, self.runner.run.kind)
        return None

    def _timed_out(self, name: str) -> StepAnswer | None:
        expires = self._expires.get(name)
        if expires is None or self.services.clock.now() <= expires:
            return None
        why = f"until {format_time(expires, seconds=True)}, nobody reported the step as done"
        return StepAnswer(name, StepState.FAILED, StepResult(), why)

    def _settled(self, answer: StepAnswer) -> StepAnswer:
        self.wants.pop(answer.step, None)
        self._expires.pop(answer.step, None)
        self.services.catalogue.steps.finish(
            self.runner.owned,
            answer.step,
            answer.state,
            at=self.services.clock.now(),
            result=answer.result.merged(self._asked_since(answer.step)),
            error=answer.why if answer.state is StepState.FAILED else None,
        )
        return answer

    def _asked_since(self, step: str) -> StepResult:
        """Separates the time of waiting from the time of doing."""
        since = self._since.pop(step, None)
        return StepResult(asked_at=since) if since is not None else StepResult()


def _agreed(name: str, decision: Decision, own: Sameness, kind: RunKind) -> StepAnswer:
    """Return how a person's decision ended the step, marked if that person had started the run."""
    self_approved = decision.action == "approve" and own is Sameness.SAME
    result = PersonStepResult(
        by=decision.by,
        comment=decision.comment,
        self_approved=self_approved,
        actor=decision.actor,
    )
    text = f"{'approved' if decision.action == 'approve' else 'done'} by {escaped(decision.by)}"
    actor = decision.actor
    text += f" ({actor.short()})" if actor and actor.short() != decision.by else ""
    text += f", who started this {kind}" if self_approved else ""
    comment = escaped(decision.comment)
    return StepAnswer(name, StepState.SUCCEEDED, result, f"{text}: {comment}".rstrip(": "))


def _skipped(name: str, decision: Decision) -> StepAnswer:
    why = f"skipped by {escaped(decision.by)}: {escaped(decision.comment)}"
    return StepAnswer(name, StepState.SKIPPED, StepResult(reason=why), why)


def _expiry(asked: datetime, ask: Ask) -> datetime | None:
    return asked + timedelta(seconds=ask.expires_s) if ask.expires_s is not None else None


def _asked_at(before: StepRecord | None) -> datetime | None:
    if before is None or before.state is not StepState.WAITING:
        return None
    return before.result.asked_at
