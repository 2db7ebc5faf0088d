"""Check that the keys of one step of a runbook fit each other; `runbook_logic` checks all steps
together.
"""

from __future__ import annotations

from drd.actions.settings import StepSettings
from drd.config.problems import Report, reported, require_whole_path
from drd.config.runbook import body, commands, rehearsal
from drd.config.steps import StepKeys
from drd.config.yaml import Path
from drd.fields import Words
from drd.model.runbook import PEOPLE
from drd.model.values import references
from drd.registry import ACTIONS


def check_step(step: StepKeys, path: Path, report: Report) -> None:
    """Report contradictions in the step at `path`."""
    with reported(report, path):
        _StepReview(report).check(step, path)


class _StepReview:
    def __init__(self, report: Report) -> None:
        self.report = report

    def check(self, step: StepKeys, path: Path) -> None:
        self._rehearsal(step, path)
        self._keys(step, path)
        inner = body(step)
        if isinstance(inner, StepSettings):
            for wrong in inner.contradictions():
                where = (*path, step.kind, *wrong.path)
                self.report.error(where, wrong.message, wrong.hint, of_key=wrong.of_key)
        for below, words in commands(step):
            self._command(words, (*path, *below))

    def _rehearsal(self, step: StepKeys, path: Path) -> None:
        how, kind = rehearsal(step), step.kind
        at = self._where_said(step, path)
        if kind == "approve" and (how.rehearse or how.reason or how.stand_in):
            message = (
                "a drill always rehearses an approval: it grants the approval and reports that"
            )
            self.report.error(at, message, "remove `rehearse`.")
        elif how.rehearse == "skip" and how.reason is None:
            self.report.error(
                at, "a step with `rehearse: skip` needs a reason", "add `reason: TEXT`."
            )
        elif how.rehearse == "simulate" and how.stand_in is None:
            hint = "add `with: [COMMAND, …]`. A drill runs this command instead of the step."
            self.report.error(at, "needs the key `with`: the command that simulates the step", hint)
        elif how.rehearse == "simulate" and kind in ("restore", "check"):
            hint = "remove `rehearse`, or write `rehearse: skip` and `reason: TEXT`."
            self.report.error(at, f"a {kind} step cannot be simulated", hint)
        elif how.rehearse == "run" and kind == "manual":
            hint = (
                "remove `rehearse`, or simulate the step: `rehearse: simulate` and "
                "`with: [COMMAND, …]`."
            )
            self.report.error(at, "a drill cannot run a manual step", hint)
        elif how.reason is not None and how.rehearse != "skip" and kind != "manual":
            self.report.error(
                at,
                "`reason` is allowed only in a step with `rehearse: skip`",
                "add `rehearse: skip` to this step, or remove `reason`.",
            )
        elif how.stand_in is not None and how.rehearse != "simulate":
            hint = "add `rehearse: simulate` to this step, or remove `with`."
            self.report.error(
                at, "`with` is allowed only in a step with `rehearse: simulate`", hint
            )
        elif how.rehearse in (None, "run") and self._is_of_host(step):
            message = f"a drill cannot {kind} a systemd unit of the host"
            hint = (
                "add `rehearse: skip` and `reason: TEXT`, or `rehearse: simulate` and "
                "`with: [COMMAND, …]`."
            )
            self.report.error((*path, kind, "unit"), message, hint)

    def _is_of_host(self, step: StepKeys) -> bool:
        service = ACTIONS[step.kind].service(body(step)) if step.kind in ACTIONS else None
        return service is not None and service.unit is not None and not service.program

    def _where_said(self, step: StepKeys, path: Path) -> Path:
        kind = step.kind
        for key in ("rehearse", "with", "reason"):
            for place in (path, (*path, kind)):
                if (*place, key) in self.report.document.places:
                    return (*place, key)
        return path

    def _keys(self, step: StepKeys, path: Path) -> None:
        kind = step.kind
        if step.timeout is not None and kind in ("restore", "check", "wait", *PEOPLE):
            hints = {
                "check": "remove `timeout` here, and set `timeout` in each check.",
                "restore": "remove `timeout`: a restore ends by itself when data stops arriving.",
                "wait": "remove it.",
            }
            hint = hints.get(kind, f"remove `timeout`, and set `expires` under `{kind}`.")
            message = f"is not allowed in a step of kind {kind}"
            self.report.error((*path, "timeout"), message, hint, of_key=True)
        if kind in PEOPLE and step.retries:
            hint = "remove it."
            message = f"is not allowed in a step of kind {kind}"
            self.report.error((*path, "retries"), message, hint, of_key=True)
        if kind in PEOPLE and not step.repeat:
            message = f"false is not allowed in a step of kind {kind}: drd can always ask again"
            self.report.error((*path, "repeat"), message, "remove it.", of_key=True)

    def _command(self, words: Words, path: Path) -> None:
        if not references(words[0]):
            require_whole_path(words, (*path, 0), self.report)
