"""Execute a runbook: the one loop of drills, recoveries and playbooks.

Steps run in threads; `drd.model.runbook` decides which step waits for which; people's decisions
come through the catalogue, from another terminal, even while no process executes the run. If a
process resumes a run, it begins with the records of the run's steps."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from pathlib import Path

from drd import process
from drd.errors import CatalogueError, DrdError, Fenced
from drd.flows.durable_steps import Runner, describe, result_of
from drd.flows.runbook.decisions import DecisionRequests
from drd.flows.runbook.live import remove_reserved
from drd.flows.runbook.outcome import Outcome, failures
from drd.flows.runbook.step_runner import StepRunner, is_failure
from drd.model.cause import Cause
from drd.model.plan import IN_PLACE
from drd.model.progression import Progression, Stage, StepView
from drd.model.recovery_phases import Span
from drd.model.run import CheckResult, CheckVerdict, RunState, StepState
from drd.model.run_details import RecoveryDetail, RunDetail
from drd.model.runbook import PEOPLE, Moves, Step, next_moves, stops
from drd.model.step_record import StepRecord
from drd.model.step_results import ActionStepResult, CheckStepResult, PersonStepResult, StepResult

_POLL_S = 0.25
_AT_ONCE = 16
SIMULATE = "simulate"
"""The kind of the step that a drill runs instead of a manual step, after a person has reported the
manual step as done."""
_PHASES = {"check": "validate", "approve": "decide", "manual": "decide"}


def _for_drill(step: Step, step_runner: StepRunner) -> Step:
    """Return the step as this run executes it: a drill that does not ask people stops at a failure
    instead of asking."""
    if not step_runner.around.asks_people and step.on_failure == "ask":
        return replace(step, on_failure="abort")
    return step


class Engine:
    """The steps of one run, from their current states to their end."""

    def __init__(self, step_runner: StepRunner) -> None:
        self.around = around = step_runner.around
        self.step_runner = step_runner
        self.runner: Runner = around.runner
        self.services = around.services
        self.steps = {step.name: _for_drill(step, step_runner) for step in around.steps}
        self.outcome = Outcome()
        self.checks: dict[str, list[CheckResult]] = {}
        self.done_earlier: set[str] = set()
        self.earlier_records: dict[str, StepRecord] = {}
        self.in_progress: dict[str, Future[StepResult]] = {}
        self.began_at: dict[str, float] = {}
        self.durations: dict[str, float] = {}
        self.people = DecisionRequests(self.services, self.runner, step_runner)
        self.recorded_state = RunState.RUNNING
        self._stood_in: set[str] = set()

    def execute(self, *, anew: bool = False) -> Outcome:
        """Execute the steps. With `anew`, execute also the steps that have ended already. Raises
        errors that end a run early: Cancelled, Fenced, an unreadable repository; all steps have
        ended then."""
        if not anew:
            self._load_earlier()
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="drd-step") as pool:
            try:
                self._loop(pool)
            except BaseException:
                self.step_runner.stop()
                raise
        self.outcome.fatal = any(
            r.verdict is CheckVerdict.FAILED for r in failures(self.steps, self.outcome)
        )
        self.outcome.through = not self.outcome.never and not self.outcome.fatal
        self._remove_reserved()
        self._show(over=True)
        return self.outcome

    def _loop(self, pool: ThreadPoolExecutor) -> None:
        while True:
            process.check_cancelled()
            self._apply_decisions(pool)
            moves = next_moves(
                list(self.steps.values()), self.outcome.states, self.around.circumstances
            )
            for name, why in moves.skip:
                self._skip(name, f"the condition (`when`) of the step is not met: {why}")
            for name in moves.begin:
                self._begin(self.steps[name], pool)
            self.people.ask({n: self._cause_text(n) for n in moves.ask}, self._attempts(moves.ask))
            self._record_state(moves)
            self._show()
            if moves.ended is not None:
                self.outcome.succeeded = moves.ended == "succeeded"
                self.outcome.never = moves.never
                return
            if not moves.skip:
                self._wait_for_steps()

    def _remove_reserved(self) -> None:
        """Remove what earlier processes of the run, which died, have reserved for new secrets that
        they did not write: nobody repeats these steps now."""
        for step in self.steps.values():
            if step.live is not None and step.live.new_secret is not None:
                remove_reserved(Path(step.live.new_secret.file))

    # from an earlier process

    def _load_earlier(self) -> None:
        records = {r.name: r for r in self.services.catalogue.steps.of_run(self.runner.run.id)}
        for name, step in list(self.steps.items()):
            record = records.get(name)
            if record is not None and self._has_ended(step, record, records):
                self._repeat(step, record)
            elif record is not None:
                self._load_record(step, record)
            if step.kind == "restore" and name in self.outcome.states:
                self.around.load_earlier(step, records.values())

    def _has_ended(self, step: Step, record: StepRecord, records: Mapping[str, StepRecord]) -> bool:
        """Return whether the service that a step started is gone, or the unit that it stopped is
        running, although no later step did that: after a reboot of the host, for instance."""
        if step.service is None or record.state is not StepState.SUCCEEDED:
            return False
        later = any(
            (stops(other, step) or stops(step, other))
            and (begun := records.get(other.name)) is not None
            and begun.started_at > record.started_at
            for other in self.steps.values()
        )
        return not later and not self.step_runner.lasts(step)

    def _repeat(self, step: Step, record: StepRecord) -> None:
        why = (
            "the program that this step started is no longer running"
            if step.starts
            else "the unit that this step stopped is running again"
        )
        does = "starts" if step.starts else "stops"
        self.services.warn(f"step {step.name}: {why}; drd {does} it again")
        now = self.services.clock.now()
        catalogue, owned = self.services.catalogue, self.runner.owned
        catalogue.steps.finish(owned, step.name, StepState.FAILED, at=now, error=why)
        self.earlier_records[step.name] = record

    def _load_record(self, step: Step, record: StepRecord) -> None:
        asked = record.state is StepState.WAITING and step.kind not in PEOPLE
        cut_off = self._may_have_happened(step, record) and not step.repeat
        if record.state in (StepState.SUCCEEDED, StepState.SKIPPED):
            self.done_earlier.add(step.name)
            self._set_ended(
                step,
                record.state,
                record.result,
                record.result.reason or _result_text(record.result),
            )
        elif asked or cut_off:
            # A person decides about it, whatever the plan says of its failures.
            self.steps[step.name] = replace(step, on_failure="ask")
            why = record.cause or Cause("the step was interrupted and must not be repeated")
            if record.state is StepState.CANCELLED:
                why = Cause(
                    "the step was cancelled but may have happened, so it must not be repeated"
                )
            self._set_ended(step, StepState.FAILED, record.result, why)
        elif (
            record.state is StepState.FAILED
            and step.on_failure in ("continue", "ask")
            and not self.people.wants_again(record)
        ):
            self._set_ended(step, StepState.FAILED, record.result, record.cause or Cause(""))
        else:
            self.earlier_records[step.name] = record

    def _may_have_happened(self, step: Step, record: StepRecord) -> bool:
        """Return whether nobody knows if the step had its effect. A step of a playbook changes a
        service in operation, so even a cancelled or failed try may have changed the service."""
        if record.state is StepState.RUNNING:
            return True
        if step.live is None:
            return False
        if record.state is StepState.CANCELLED:
            return True
        failed = record.state is StepState.FAILED and step.on_failure == "abort"
        return failed and not self.people.wants_again(record)

    def _to_look_at(self, step: Step) -> StepRecord | None:
        """Return the record of the tries so far, if the step says how to find out whether one of
        them had its effect."""
        if step.live is None or step.live.done_when is None:
            return None
        records = self.services.catalogue.steps.of_run(self.runner.run.id)
        return next((r for r in records if r.name == step.name), None)

    # steps begin

    def _begin(self, step: Step, pool: ThreadPoolExecutor) -> None:
        decision = self.people.skipped_beforehand(step.name)
        if decision is not None:
            self._skip(step.name, f"skipped by {decision.by}: {decision.comment}")
        elif self.around.drill and step.rehearse == "skip" and not self._is_for_people(step):
            self._skip(step.name, step.reason)
        elif self.around.drill and step.kind == "approve" and not self.around.asks_people:
            self._approve_in_drill(step)
        elif self._is_for_people(step):
            self.people.await_person(step, self.earlier_records.get(step.name))
            self._set_running(step, StepState.WAITING)
        else:
            self._set_running(step, StepState.RUNNING)
            self.in_progress[step.name] = pool.submit(self._carry_out, step)

    def _is_for_people(self, step: Step) -> bool:
        """Return whether a person carries out the step. A drill without people simulates a manual
        step, or leaves it out."""
        return step.kind in PEOPLE and self.around.asks_people

    def _set_running(self, step: Step, state: StepState) -> None:
        self.outcome.states[step.name] = state
        self.began_at[step.name] = self.services.clock.monotonic()

    def _approve_in_drill(self, step: Step) -> None:
        granted = PersonStepResult(
            by="drill", comment="the drill granted the approval itself", granted=True
        )
        self._set_running(step, StepState.RUNNING)
        result = self.runner.step(step.name, step.kind, lambda: granted)
        self._set_ended(step, StepState.SUCCEEDED, result, "the drill granted the approval itself")

    def _skip(self, name: str, why: str) -> None:
        step, clock = self.steps[name], self.services.clock
        catalogue, owned = self.services.catalogue, self.runner.owned
        catalogue.steps.begin(owned, name, step.kind, clock.now())
        result = StepResult(reason=why)
        catalogue.steps.finish(owned, name, StepState.SKIPPED, at=clock.now(), result=result)
        self._set_ended(step, StepState.SKIPPED, result, why)

    def _carry_out(self, step: Step) -> StepResult:
        """Execute a step in a thread, with as many attempts as the step allows."""
        before = self.earlier_records.get(step.name)
        begun = self.services.clock.monotonic()
        try:
            for left in range(step.retries, -1, -1):
                try:
                    effect = partial(self.step_runner.perform, step, before)
                    return self.runner.step(step.name, step.kind, effect)
                except (Fenced, CatalogueError):
                    raise
                except DrdError as error:
                    if not left:
                        raise
                    tries = step.retries + 1
                    text = f"try {tries - left} of {tries} failed: {error.message}"
                    self.outcome.causes[step.name] = Cause(text)
                    self.step_runner.pause(step.pause_s)
                    before = self._to_look_at(step) or before
        finally:
            if step.kind != "restore":
                phase = _PHASES.get(step.kind, "serve")
                self.around.spans.append(Span(phase, begun, self.services.clock.monotonic()))
        raise AssertionError("the last try returns or raises")

    # steps end

    def _wait_for_steps(self) -> None:
        """Wait until a step has ended, or it is time to read people's decisions."""
        if not self.in_progress:
            self.step_runner.pause(_POLL_S)
            return
        wait(self.in_progress.values(), timeout=_POLL_S, return_when=FIRST_COMPLETED)
        for name in [n for n, f in self.in_progress.items() if f.done()]:
            self._on_step_done(self.steps[name], self.in_progress.pop(name))

    def _on_step_done(self, step: Step, future: Future[StepResult]) -> None:
        try:
            result = future.result()
        except DrdError as error:
            if isinstance(error, (Fenced, CatalogueError)) or not is_failure(error, step.kind):
                raise
            self._set_ended(step, StepState.FAILED, result_of(error, step.kind), describe(error))
        else:
            self._set_ended(step, StepState.SUCCEEDED, result, _result_text(result))

    def _set_ended(
        self, step: Step, state: StepState, result: StepResult, why: str | Cause
    ) -> None:
        now = self.services.clock.monotonic()
        self.outcome.states[step.name] = state
        if step.name in self.began_at:
            self.durations[step.name] = now - self.began_at[step.name]
        self.outcome.causes[step.name] = Cause(why) if isinstance(why, str) else why
        self.step_runner.note_result(step.name, state, result)
        if step.kind in PEOPLE and step.name not in self._stood_in:
            self._note_waiting(step)
        rows = result.checks if isinstance(result, CheckStepResult | ActionStepResult) else ()
        self.checks[step.name] = list(rows)

    def _apply_decisions(self, pool: ThreadPoolExecutor) -> None:
        """Apply the decisions made since. In a drill, what the plan has instead of a manual step
        runs after the answer."""
        waiting = {n for n, s in self.outcome.states.items() if s is StepState.WAITING}
        for word in self.people.new_decisions(waiting):
            step = self.steps[word.step]
            if word.again:
                del self.outcome.states[word.step]
                self.earlier_records.pop(word.step, None)
                if (tried := self._to_look_at(step)) is not None:
                    self.earlier_records[word.step] = tried
            elif self._has_stand_in(step) and word.state is StepState.SUCCEEDED:
                self._note_waiting(step)
                self._set_running(step, StepState.RUNNING)
                self.in_progress[step.name] = pool.submit(self._simulate, step)
            else:
                self._set_ended(step, word.state, word.result, word.why)

    def _note_waiting(self, step: Step) -> None:
        """Count the time since drd asked as time for the decisions of people."""
        if step.name in self.began_at:
            now = self.services.clock.monotonic()
            self.around.spans.append(Span("decide", self.began_at[step.name], now))

    def _has_stand_in(self, step: Step) -> bool:
        return self.around.drill and step.kind in PEOPLE and step.rehearse == "simulate"

    def _simulate(self, step: Step) -> StepResult:
        self._stood_in.add(step.name)
        effect = partial(self.step_runner.perform, step, None)
        return self.runner.step(f"{SIMULATE} {step.name}", SIMULATE, effect, subject=step.name)

    def _cause_text(self, step: str) -> str:
        return self.outcome.causes[step].line if step in self.outcome.causes else ""

    def _attempts(self, names: tuple[str, ...]) -> dict[str, int]:
        if not self.people.is_new(names):
            return {}
        return {r.name: r.attempt for r in self.services.catalogue.steps.of_run(self.runner.run.id)}

    def _record_state(self, moves: Moves) -> None:
        """Mark the run as waiting when only people can move it on."""
        waiting = any(s is StepState.WAITING for s in self.outcome.states.values()) or bool(
            moves.ask
        )
        state = RunState.WAITING if waiting and not self.in_progress else RunState.RUNNING
        if state is not self.recorded_state and moves.ended is None:
            self.services.catalogue.runs.set_state(self.runner.owned, state)
            self.recorded_state = state

    # for others

    @property
    def check_results(self) -> tuple[CheckResult, ...]:
        """The results of the checks in the steps that have ended, each once."""
        rows = (row for name in self.steps for row in self.checks.get(name, ()))
        return tuple(dict.fromkeys(rows))

    def _show(self, *, over: bool = False) -> None:
        run, clock = self.runner.run, self.services.clock
        since = self.people.lost_at or run.started_at or clock.now()
        views = tuple(self._view(step) for step in self.steps.values())
        rto_s = self.around.rto_s
        name, now = self.around.name, clock.now()
        danger = is_over_production(run.detail)
        by = run.actor.words() if run.actor is not None else ""
        stated = self.people.lost_at is not None
        self.services.on_steps(
            Progression(run.id, name, since, now, rto_s, views, over, danger, by, stated)
        )

    def _view(self, step: Step) -> StepView:
        state = self.outcome.states.get(step.name)
        stage: Stage = "to come"
        says, command = self._cause_text(step.name), ""
        if state is not None:
            stage = "running" if state is StepState.RUNNING else str(state)  # type: ignore[assignment]
        if step.name in self.people.wants:
            wanted = self.people.wants[step.name]
            stage, says, command = "waiting", wanted.what, wanted.command
        took = self.durations.get(step.name)
        if stage in ("running", "waiting") and step.name in self.began_at:
            took = self.services.clock.monotonic() - self.began_at[step.name]
        is_earlier = step.name in self.done_earlier
        return StepView(step.name, step.kind, stage, took, says, is_earlier, command)


def _result_text(result: StepResult) -> str:
    return (result.says if isinstance(result, ActionStepResult) else None) or ""


def is_over_production(detail: RunDetail) -> bool:
    """Return whether this is a recovery whose data replaces that of production."""
    if not isinstance(detail, RecoveryDetail):
        return False
    beside = detail.part is not None and bool(detail.part.into)
    return (detail.in_place or detail.target == IN_PLACE) and not beside
