"""Execute each kind of step, and provide the values that its texts may name."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from drd import process
from drd.errors import Cancelled, DrdError, ExtensionFailed, StepFailed
from drd.extension_faults import attributed, noted, require_json, require_type
from drd.flows.components.restoration import ENDS_ALL
from drd.flows.runbook import live
from drd.flows.runbook.surroundings import Surroundings
from drd.flows.services import Services
from drd.flows.state.run_dirs import make_started
from drd.log import masked
from drd.masking import MASK
from drd.model.finding_codes import PORT
from drd.model.malformed import Malformed
from drd.model.message import Message
from drd.model.run import StepState
from drd.model.runbook import LOOKING, Ask, Live, Notice, OwnRun, Preserving, Step, Wait
from drd.model.step_record import StepRecord
from drd.model.step_results import ActionStepResult, NotifyStepResult, StepResult, WaitStepResult
from drd.model.text import in_one_line
from drd.model.titles import titled
from drd.model.units import to_rfc3339
from drd.model.values import filled
from drd.ports import Finding
from drd.ports.action import ActionContext, Lasting, keep_nothing
from drd.process import rights
from drd.process.rights import Purpose
from drd.registry import ACTIONS

OURS = (Ask, Notice, OwnRun, Preserving, Wait)
"""Settings of steps that are not actions."""

_TURN_S = 0.1


class StepRunner:
    """Executes single steps of one run. Safe in several threads: `note_result` records a step's
    results, from the thread that keeps the order."""

    def __init__(self, around: Surroundings, directory: Path) -> None:
        """`directory` is where started services are noted."""
        self.around = around
        self.services = around.services
        self.run = around.runner.run
        self.directory = directory
        self._results: dict[str, StepResult] = {}
        self._unmasked: dict[tuple[str, str], str] = {}
        self._states: dict[str, StepState] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()

    def stop(self) -> None:
        """The run ends: steps that only wait end now."""
        self._over.set()

    def pause(self, seconds: float) -> None:
        """Wait, until the run ends. Raises Cancelled then."""
        limit = time.monotonic() + seconds
        while (left := limit - time.monotonic()) > 0:
            process.check_cancelled()
            if self._over.wait(min(_TURN_S, left)):
                raise Cancelled("the run has ended")

    def note_result(self, step: str, state: StepState, result: StepResult) -> None:
        """Record how a step ended, and its results."""
        with self._lock:
            self._results[step] = result
            self._states[step] = state

    def perform(self, step: Step, before: StepRecord | None) -> StepResult:
        """Try the step once. `before` is the record if an earlier process left the step unfinished.
        Raises StepFailed and the errors of its kind."""
        if self.around.drill and step.rehearse == "simulate":
            return self._run_action("simulate", step)
        if isinstance(step.settings, Wait):
            return self._wait(step.settings, before)
        if isinstance(step.settings, Notice):
            return self._notify(step, step.settings)
        if step.kind not in ACTIONS:
            return self.around.carry_out(step)
        if step.live is not None:
            read_before = partial(self._read_before, step, step.live)
            stands_s = step.live.expires_s
            until = self.services.clock.now() + timedelta(seconds=stands_s) if stands_s else None
            return live.changed(
                step,
                step.live,
                before,
                partial(self._act, step),
                read_before,
                expires_at=to_rfc3339(until) if until is not None else None,
            )
        return self._run_action(step.kind, step)

    def roll_back(self, step: Step, before: StepRecord | None = None) -> ActionStepResult:
        """Run the step's rollback. Its output is not a result of the step. `before` is an earlier
        try of the rollback whose outcome nobody knows: if the rollback has a `done_when`, drd first
        checks whether the rollback has happened."""
        if step.live is not None and step.live.rollback is not None:
            back, act = step.live.rollback, partial(self._act, step)
            look = back.live.done_when if back.live is not None else None
            if before is not None and look is not None and live.holds(look, act):
                return ActionStepResult.of({"says": live.HAPPENED})
            act(back)
            return ActionStepResult()
        return self._run_action("rollback", step, keep=keep_nothing)

    # steps that change a service in operation

    def _act(self, of: Step, acting: Step) -> live.Answer:
        """Carry out the step `of` itself, or an action that belongs to it, and return its whole
        answer."""
        whole: dict[str, str] = {}
        value = partial(self._value_beside, of)
        try:
            reported = self._run_action(acting.kind, acting, keep=whole.__setitem__, value=value)
        except StepFailed as error:
            error.result = live.without_answer(error.result)
            raise
        return live.Answer(reported, whole)

    def _read_before(self, of: Step, change: Live, reading: Step) -> None:
        """Read the state before a step changes it; only once, even if the step is tried again."""

        def read() -> ActionStepResult:
            result, value = live.taken(change, reading, partial(self._act, of))
            self._keep(reading.name, live.VALUE, value)
            return result

        result = self.around.runner.step(reading.name, live.BEFORE, read, subject=of.name)
        self.note_result(reading.name, StepState.SUCCEEDED, result)

    def _value_beside(self, of: Step, name: str) -> str:
        """Return the value of `${name}`. `${before}` is the state that drd read before the step."""
        if name == live.BEFORE and of.live is not None and of.live.before is not None:
            return self._given(of.live.before.name, live.VALUE, shown=False)
        return self._value(name)

    def text(self, text: str) -> str:
        """Return a text for people with its values, masked."""
        return masked(filled(text, lambda name: self._value(name, shown=True)))

    # the deeds

    def _run_action(
        self,
        kind: str,
        step: Step,
        *,
        keep: Callable[[str, str], None] | None = None,
        value: Callable[[str], str] | None = None,
    ) -> ActionStepResult:
        context = self._context(step)
        context = context if keep is None else replace(context, keep=keep)
        context = context if value is None else replace(context, value=value)
        starts = kind == step.kind and step.starts_program
        if starts and not self.around.drill:
            make_started(self.services, self.run.id)
        with rights.root(self._purpose):
            if starts and self.around.drill:  # in the run's own directory
                self.directory.mkdir(mode=0o700, exist_ok=True)
            package = ACTIONS.extension(kind)
            with attributed("", package), noted(f"step {step.name}"):
                reported = self.services.actions(kind).run(context)
                reported = require_type(reported, Mapping, f"run of step {kind}", package)
                reported = require_json(reported, f"run of step {kind}", package)
        return _as_result(kind, reported)

    @property
    def _purpose(self) -> Purpose:
        """Purposes for which steps of a runbook may need root's rights: restored data of a drill
        belongs to others, and a recovery starts and stops the host's services."""
        return Purpose.OWNERS if self.around.drill else Purpose.PROCESSES

    def lasts(self, step: Step) -> bool:
        """Return whether the program that a step has started still runs."""
        action, context = self.services.actions(step.kind), self._context(step)
        with (
            rights.root(self._purpose),
            attributed(f"step {step.name}", ACTIONS.extension(step.kind)),
        ):
            return not isinstance(action, Lasting) or action.lasts(context)

    def _context(self, step: Step) -> ActionContext:
        return ActionContext(
            step=step,
            key=f"{self.run.id}/{step.name}",
            value=self.value,
            environment=self._environment(step),
            inspectors=self.around.inspector,
            directory=self.directory,
            stays=not self.around.drill,
            fence=lambda written: self.around.fence(step.name, written),
            keep=partial(self._keep, step.name),
            older=self.around.older,
        )

    def _environment(self, step: Step) -> dict[str, str]:
        own = {"DRD_STEP": step.name, "DRD_STEP_KEY": f"{self.run.id}/{step.name}"}
        return {**self.around.environment(), **own}

    def _wait(self, pause: Wait, before: StepRecord | None) -> WaitStepResult:
        """Wait for the rest of the time, if an earlier process has waited for a part of it."""
        clock = self.services.clock
        left = pause.seconds
        if before is not None:
            waited = (clock.now() - before.started_at).total_seconds()
            left -= min(max(0.0, waited), pause.seconds)
        self.pause(left)
        return WaitStepResult()

    def _notify(self, step: Step, notice: Notice) -> NotifyStepResult:
        run, plan, what = self.run, self.around.plan, self.around.what
        words = self.text(notice.text)
        said = f"{'this is a drill: ' if self.around.drill else ''}{in_one_line(words)}"
        told = self.services.notify_now(
            Message(
                event=self.around.event,
                plan=plan,
                severity="info" if self.around.drill else notice.severity,
                title=titled(plan, said),
                text=f"{words}\nStep {step.name} of {what} run {run.id}.",
                # The same in every try, so that receivers recognise a repetition.
                at=run.started_at or self.services.clock.now(),
                run=run.id,
                details={"step": step.name, "kind": what},
            )
        )
        return NotifyStepResult(told=tuple(told))

    # values

    def value(self, name: str) -> str:
        """The value of `${name}`. Raises StepFailed if it does not exist yet, or does
        not any more."""
        return self._value(name)

    def _value(self, name: str, *, shown: bool = False) -> str:
        """`shown` to people it may be masked."""
        head, _, rest = name.partition(".")
        if name == "run":
            return self.run.id
        if head == "steps":
            return self._given(*rest.partition(".")[::2], shown=shown)
        value = self.around.value(name, shown=shown)
        return self._service(name, shown=shown) if value is None else value

    def _keep(self, step: str, key: str, value: str) -> None:
        with self._lock:
            self._unmasked[step, key] = value

    def _given(self, step: str, key: str, *, shown: bool) -> str:
        with self._lock:
            result, state = self._results.get(step), self._states.get(step)
            unmasked = self._unmasked.get((step, key))
        if key == "state":
            return str(state or "to come")
        value = result.given(key) if result is not None else None
        if value is None and self._answer_is_lost(step, key, result):
            raise StepFailed(
                f"the {key} of step {step} is lost: an earlier try has carried out the step, and "
                "ended before drd had the answer",
                hint=f"find this {key} at the service, and do by hand what this step does. Then "
                "skip this step: drd skip RUN STEP --why TEXT",
            )
        if value is None:
            raise StepFailed(
                f"the result of step {step} has no value {key!r} (state of the step: "
                f"{state or 'not executed'})",
                hint="correct ${…} in the step that uses this value, or the order of the steps.",
            )
        known = str(value) if unmasked is None else unmasked
        if unmasked is None and self._is_masked(step) and MASK in known and not shown:
            raise StepFailed(
                f"the {key} of step {step} contains a secret that drd knows only as {MASK}, "
                "because drd keeps no secret",
                hint=f"do by hand what this step does, with the value from {step}; or start a new "
                f"{self.around.what}.",
            )
        return known

    def _answer_is_lost(self, name: str, key: str, result: StepResult | None) -> bool:
        """Return whether a step has happened in an earlier try, whose answer drd never had."""
        if result is None or result.given("says") != live.HAPPENED:
            return False
        lives = [s.live for s in self.around.steps if s.name == name and s.live is not None]
        return any(key in one.keep for one in lives)

    def _is_masked(self, name: str) -> bool:
        """Return whether the catalogue masks a step's results. Only the process that executed it
        has the true values."""
        return name.startswith(f"{live.BEFORE} ") or any(
            s.name == name and s.kind in ACTIONS for s in self.around.steps
        )

    def _service(self, name: str, *, shown: bool) -> str:
        """Return the address of the service that a step has started under this name."""
        for step in self.around.steps:
            if step.service is None or step.service.known_as != name:
                continue
            with self._lock:
                result = self._results.get(step.name)
            if result is not None and result.given("url"):
                return self._given(step.name, "url", shown=shown)
        raise StepFailed(
            f"${{{name}}} has no value, because no step has started this service yet",
            hint="correct the order of the steps, or the name after `as` in the start step.",
        )


def _as_result(kind: str, reported: Mapping[str, Any]) -> ActionStepResult:
    try:
        return ActionStepResult.of(reported)
    except Malformed as error:
        raise StepFailed(
            f"the result of this step is malformed: {error}",
            hint=f"report this to the authors of the package that adds the step {kind}.",
        ) from error


def _may_free_ports(step: Step) -> bool:
    """Return whether a port may be free after this step."""
    return step.kind == "manual" or (step.kind in ACTIONS and ACTIONS[step.kind].frees_ports)


def preflight_step(
    services: Services, step: Step, earlier: Collection[Step] | None = None
) -> list[Finding]:
    """Check what an action step lacks on this host, with the step as the subject. Returns warnings,
    but an error for a port that is in use and that no `earlier` step can free.
    """
    if step.kind in LOOKING or step.settings is None or isinstance(step.settings, OURS):
        return []
    package = ACTIONS.extension(step.kind)
    try:
        with attributed("its preflight", package):
            findings = list(services.actions(step.kind).preflight(step))
            for finding in findings:
                require_type(finding, Finding, f"preflight of step {step.kind}", package)
    except ExtensionFailed as error:
        findings = [Finding("extension", "warning", "", error.message, error.hint)]
    if earlier is not None and not any(map(_may_free_ports, earlier)):
        findings = [replace(f, severity="error") if f.code == PORT else f for f in findings]
    where = f"step {step.name}"
    return [
        replace(f, where=where, text=f"{where}: {f.text}" if f.failed else f.text) for f in findings
    ]


def is_failure(error: DrdError, kind: str) -> bool:
    """Return whether the error is the step's own; other errors end the run, or leave the decision
    to others."""
    if isinstance(error, StepFailed):
        return True
    return kind not in ("restore", "check") and not isinstance(error, ENDS_ALL)
