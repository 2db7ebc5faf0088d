"""Runbooks: the ordered steps of a recovery, written out or by default."""

from __future__ import annotations

from collections.abc import Sequence

from drd.config.parse import Parsed
from drd.config.problems import Report, nearest
from drd.config.schema import PlanFile, RestoreStep
from drd.config.yaml import Path
from drd.model.plan import Step


def steps(file: PlanFile) -> tuple[Step, ...]:
    """The steps with `all` written out and each with a name of its own.

    Without a runbook: restore all components, then run all checks.
    """
    if file.runbook is None:
        found = [Step("restore", "restore", tuple(file.components))]
        if file.checks:
            found.append(Step("check", "check", tuple(c.name for c in file.checks)))
        return tuple(found)
    taken = {step.name for step in file.runbook if step.name is not None}
    result: list[Step] = []
    for step in file.runbook:
        if isinstance(step, RestoreStep):
            subjects = _written_out(step.restore, list(file.components))
            name = step.name or _free("restore", taken)
            result.append(Step(name, "restore", subjects))
        else:
            subjects = _written_out(step.check, [c.name for c in file.checks])
            name = step.name or _free("check", taken)
            result.append(Step(name, "check", subjects))
        taken.add(name)
    return tuple(result)


def _written_out(names: list[str] | str, everything: Sequence[str]) -> tuple[str, ...]:
    return tuple(everything if isinstance(names, str) else names)


def _free(kind: str, taken: set[str]) -> str:
    """`restore`, `restore-2`, …: the first that no step has."""
    number, name = 1, kind
    while name in taken:
        number += 1
        name = f"{kind}-{number}"
    return name


def check_runbook(parsed: Parsed, report: Report) -> None:
    """Names exist, no component comes back twice, nothing is checked before it is there."""
    review = _Review(parsed, report)
    for at, step in zip(parsed.step_at, parsed.file.runbook or (), strict=False):
        path: Path = ("runbook", at)
        review.name(step.name, path)
        if isinstance(step, RestoreStep):
            review.restore(step.restore, (*path, "restore"))
        else:
            review.check(step.check, (*path, "check"))


class _Review:
    """Walks the steps in order and remembers what has come back."""

    def __init__(self, parsed: Parsed, report: Report) -> None:
        self.report = report
        self.parsed = parsed
        self.checks = {c.name: c.component for c in parsed.file.checks}
        self.whole = not any(p[0] in ("checks", "runbook") for p in report.broken)
        self.restored: set[str] = set()
        self.names: set[str] = set()

    def name(self, name: str | None, path: Path) -> None:
        if name in self.names:
            hint = "give each step its own name."
            self.report.error((*path, "name"), f'another step is called "{name}"', hint)
        if name is not None:
            self.names.add(name)

    def restore(self, names: list[str] | str, path: Path) -> None:
        everything = list(self.parsed.kinds)
        if not everything:
            return
        for index, name in enumerate(everything if isinstance(names, str) else names):
            where = path if isinstance(names, str) else (*path, index)
            if name not in everything:
                hint = nearest(name, everything)
                self.report.error(where, f'there is no component "{name}"', hint)
            elif name in self.restored:
                hint = "restore each component once."
                self.report.error(where, f"{name} is restored a second time", hint)
            self.restored.add(name)

    def check(self, names: list[str] | str, path: Path) -> None:
        for index, name in enumerate(self.checks if isinstance(names, str) else names):
            where = path if isinstance(names, str) else (*path, index)
            if name not in self.checks:
                if self.whole:
                    hint = nearest(name, list(self.checks))
                    self.report.error(where, f'there is no check "{name}"', hint)
                continue
            component = self.checks[name]
            if component in self.parsed.kinds and component not in self.restored and self.whole:
                hint = f"restore {component} in a step before."
                self.report.error(where, f'"{name}" looks at {component} before it is back', hint)
