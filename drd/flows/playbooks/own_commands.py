"""Steps of a playbook that are a command of drd's own, with a run of its own: backup, recover,
preserve."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drd import process
from drd.errors import StepFailed
from drd.flows.incidents.texts import reason_of
from drd.flows.playbooks.values import Values
from drd.masking import masked
from drd.model.incidents.preservation import preserved
from drd.model.plan import NAME as PLAN_NAME
from drd.model.run import CheckVerdict
from drd.model.runbook import OwnRun, Preserving, Step
from drd.model.step_results import ActionStepResult
from drd.model.text import counted, escaped, some
from drd.model.values import filled
from drd.ports import Catalogue
from drd.process import rights
from drd.process.rights import Purpose

_DAY_S = 86400.0
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class OwnCommand:
    """The commands of one run of a playbook. `config` is the drd.yaml that they use."""

    values: Values
    config: str | None
    run: str

    def execute(self, step: Step, catalogue: Catalogue) -> ActionStepResult:
        """Carry out a step. Raises StepFailed."""
        settings = step.settings
        if isinstance(settings, Preserving):
            return self._preserve(step, settings, catalogue)
        assert isinstance(settings, OwnRun)
        plan = self._plan(settings.plan)
        if settings.recovers and self.values.in_sandbox:
            return self._drill(step, settings, plan)
        words = [step.kind, plan, "--json"]
        if settings.recovers:
            words += self._recovery(settings)
        told = self._answer(step, words)
        said = f"drd {words[0]} {words[1]}: done"
        point = told.get("point")
        if settings.recovers and isinstance(point, str):
            said = f"plan {plan} was recovered from restore point {escaped(point)}"
            said += self._which(settings)
        return ActionStepResult.of({"says": said})

    def _drill(self, step: Step, settings: OwnRun, plan: str) -> ActionStepResult:
        """Practise a recovery: restore into a sandbox by the code of the recovery, and check."""
        words = ["drill", plan, f"--point={self._text(settings.point) or 'latest'}", "--json"]
        point = escaped(str(self._answer(step, words).get("point")))
        said = f"rehearsed: restore point {point} of plan {plan} was restored into a sandbox"
        return ActionStepResult.of({"says": f"{said}, and its checks passed"})

    def _recovery(self, settings: OwnRun) -> Iterator[str]:
        target, incident = self._text(settings.target), self.values.incident
        yield f"--target={target}" if target else "--in-place"
        if settings.point:
            yield f"--point={self._text(settings.point)}"
        if settings.before:
            yield f"--before={self._text(settings.before)}"
        if self._is_clean(settings):
            yield "--clean"
        if settings.overwrite:
            yield "--overwrite"
        if incident is not None:
            yield f"--incident={incident}"
        yield "--yes"

    def _is_clean(self, settings: OwnRun) -> bool:
        """An incident always has a first sign: at the latest the time when it was opened."""
        return settings.clean or (settings.clean_if_known and self.values.incident is not None)

    def _which(self, settings: OwnRun) -> str:
        if self._is_clean(settings):
            return f", the newest from before the first sign of incident {self.values.incident}"
        return ", the newest: no incident was given" if settings.clean_if_known else ""

    def _preserve(self, step: Step, settings: Preserving, catalogue: Catalogue) -> ActionStepResult:
        """Preserve evidence, unless an earlier try of this step has preserved a whole set."""
        plan, number = self._plan(settings.plan), self.values.incident
        words = [f"--plan={plan}", "--json"]
        words += [f"--component={one}" for one in settings.components]
        words += [f"--path={self._text(one)}" for one in settings.paths]
        words += ["--volatile"] if settings.volatile else []
        if self.values.in_sandbox:
            told = self._answer(step, ["incident", "preserve", "--rehearse", *words])
            return self._kept(told, f"rehearsed: evidence of {plan}", "")
        if number is None:
            raise StepFailed(
                "the evidence belongs to an incident, but this run was started without --incident",
                hint=f"start the playbook anew: drd playbook run {self.values.playbook.name} "
                "--incident N",
            )
        mark = f"playbook {self.values.playbook.name}, run {self.run}, step {step.name}"
        entries = catalogue.incidents.entries(catalogue.incidents.get(number))
        reason = reason_of(f"{self._text(settings.reason)} ({mark})")
        there = [one for one in preserved(entries) if one.reason == reason]
        whole = next((one for one in there if one.is_whole and not one.is_released), None)
        if whole is not None:
            said = f"evidence {whole.id} was preserved by an earlier try of this step"
            return ActionStepResult.of({"says": said, "preserved": whole.id})
        words = ["incident", "preserve", str(number), *words, f"--reason={reason}"]
        told = self._answer(step, words)
        name = str(told.get("preserved") or "")
        return self._kept(told, f"evidence {name} of {plan}", name)

    def _kept(self, told: Mapping[str, Any], what: str, name: str) -> ActionStepResult:
        """Say what `drd incident preserve` has stored, and what not."""
        items, missing = told.get("items") or [], told.get("missing") or []
        said = f"{what}: {counted(len(items), 'item')}"
        if missing:
            said += f"; not preserved: {some([str(one) for one in missing], 5, between='; ')}"
        return ActionStepResult.of({"says": masked(said), "preserved": name})

    def _text(self, written: str) -> str:
        return filled(written, self._value)

    def _value(self, name: str) -> str:
        return self.run if name == "run" else self.values.get(name, shown=False) or ""

    def _plan(self, written: str) -> str:
        plan = self._text(written or "${plan}")
        if not PLAN_NAME.fullmatch(plan):
            raise StepFailed(f"{escaped(plan)!r} is not the name of a plan")
        return plan

    def _answer(self, step: Step, words: Sequence[str]) -> Mapping[str, Any]:
        """Run a command of drd and return its JSON document. Raises StepFailed."""
        # Root's command: no module of the working directory, which may be anybody's, replaces drd.
        config = [f"--config={Path(self.config).absolute()}"] if self.config else []
        argv = (sys.executable, "-P", "-m", "drd", *words, *config)
        command = process.Command(argv, cwd=Path("/"), deadline_s=step.timeout_s or _DAY_S)
        with rights.root(Purpose.PROCESSES):
            done = process.run(command)
        if done.exit_code != 0:
            says = masked(_why(done))[:_LONGEST]
            raise StepFailed(
                f"`drd {words[0]} {words[1]}` ended with exit code {done.exit_code}"
                + (f": {says}" if says else ""),
                hint=f"to see the run of this command: {_shown_by(_told(done), words[1])}"
                if words[0] != "incident" or self.values.in_sandbox
                else f"to see what was preserved: drd incident preserve {words[2]} --list",
            )
        return _told(done)


def _told(done: process.Completed) -> Mapping[str, Any]:
    """Return the JSON document that a command has printed; empty if it has printed none."""
    with suppress(ValueError):
        told = json.loads(done.stdout)
        if isinstance(told, dict):
            return told
    return {}


def _shown_by(told: Mapping[str, Any], plan: str) -> str:
    run = told.get("run")
    return f"drd run show {escaped(run)}" if isinstance(run, str) else f"drd runs {plan}"


def _why(done: process.Completed) -> str:
    """Return the error that a command has printed as JSON, why its drill has not passed, or the
    last line of its output."""
    told = _told(done)
    with suppress(TypeError, KeyError):
        said = told["error"]["message"] if "error" in told else told["fact"]
        return escaped(said or f"the result of the drill is {told['result']}: {_checks(told)}")
    return done.says[-1] if done.says else ""


def _checks(told: Mapping[str, Any]) -> str:
    """Return what the checks of a drill say, if nothing else says why it has not passed."""
    failed = [str(c["name"]) for c in told["checks"] if c["verdict"] == CheckVerdict.FAILED]
    return f"failed checks: {some(failed)}" if failed else "no check proved the data"
