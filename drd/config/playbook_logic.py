"""Check that the steps of a playbook fit each other."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from drd.actions.settings import StepSettings
from drd.config.playbook_build import named_steps
from drd.config.playbook_schema import (
    Acting,
    PlaybookFile,
    PlaybookStep,
    Reading,
    RollingBack,
    is_rehearsed,
    step_texts,
)
from drd.config.problems import Report, nearest, require_whole_path
from drd.config.steps import ApproveSettings, ManualSettings
from drd.config.yaml import Path
from drd.fields import Settings
from drd.model.playbook import Playbook
from drd.model.runbook import PEOPLE, ROLLBACK, Ask
from drd.model.values import references

PLAIN_VALUES = ("playbook", "plan", "incident", "run")
"""The values that `${…}` can name in every step, beside the inputs."""
_HEADERS, _BODY, _ENV, _QUERY = "headers", "body", "env", "query"


def unheld_roles(playbook: Playbook, held: Collection[str]) -> list[str]:
    """Return the roles whose answers a run waits for, but that nobody holds."""
    wanted = (s.settings.role for s in playbook.runbook if isinstance(s.settings, Ask))
    return sorted({role for role in wanted if role is not None and role not in held})


def check_playbook(file: PlaybookFile, report: Report) -> None:
    """Report every contradiction in a playbook."""
    _Review(file, report).all()


class _Review:
    def __init__(self, file: PlaybookFile, report: Report) -> None:
        self.file = file
        self.report = report
        self.steps = [(name, step, path) for _, name, step, path in named_steps(file)]
        self.secrets = {one.name for one in file.inputs if one.secret}
        self.inputs = [one.name for one in file.inputs]
        self.above: dict[str, PlaybookStep] = {}

    def all(self) -> None:
        self._names()
        for at, one in enumerate(self.file.inputs):
            self._contradictions(one, ("inputs", at))
        for name, step, path in self.steps:
            self._step(name, step, path)
            self.above[name] = step

    def _names(self) -> None:
        for what, key, names in (
            ("input", "inputs", self.inputs),
            ("task", "tasks", [task.name for task in self.file.tasks]),
        ):
            for at, name in enumerate(names):
                if name in names[:at]:
                    hint = f"give each {what} its own name."
                    self.report.error((key, at, "name"), f'another {what} is called "{name}"', hint)
                if key == "inputs" and name in (*PLAIN_VALUES, "before", "steps"):
                    message = f'drd itself uses the name "{name}" for a value'
                    self.report.error((key, at, "name"), message, "choose another name.")
        seen: set[str] = set()
        for name, _, path in self.steps:
            if name in seen:
                hint = "give each step its own name."
                self.report.error((*path, "name"), f'another step is called "{name}"', hint)
            seen.add(name)

    def _contradictions(self, settings: Settings, path: Path) -> None:
        for wrong in settings.contradictions():
            place = (*path, *wrong.path)
            self.report.error(place, wrong.message, wrong.hint, of_key=wrong.of_key)
        for below, words in settings.all_commands():
            if not references(words[0]):
                require_whole_path(words, (*path, *below, 0), self.report)

    def _step(self, name: str, step: PlaybookStep, path: Path) -> None:
        self._contradictions(step, path)
        if self.report.is_broken(path) or not step.kind:
            return
        more = ["port"] if step.start is not None else []
        self._settings(name, getattr(step, step.kind), (*path, step.kind), more)
        self._service_name(step, path)
        self._condition(name, step, path)
        if step.sql is not None and step.sql.writes:
            self._approved(path)
        if step.approve is not None and step.on_failure == "continue":
            hint = "remove `on_failure`: without the approval, no other step may begin."
            message = "would let the run continue without the approval"
            self.report.error((*path, "on_failure"), message, hint)
        for key in ("before", "done_when", "rollback"):
            inner = getattr(step, key)
            if inner is not None:
                self._inner(name, step, inner, (*path, key))

    def _inner(self, name: str, step: PlaybookStep, inner: Acting | Reading, path: Path) -> None:
        self._contradictions(inner, path)
        if inner.sql is not None and inner.sql.writes:
            self._approved(path)
        if isinstance(inner, RollingBack) and inner.done_when is not None:
            self._inner(name, step, inner.done_when, (*path, "done_when"))
        if inner.kind:
            more = ["before"] if step.before is not None and ROLLBACK in path else []
            self._settings(name, getattr(inner, inner.kind), (*path, inner.kind), more)

    def _settings(self, name: str, settings: StepSettings, path: Path, more: list[str]) -> None:
        self._contradictions(settings, path)
        if is_rehearsed(settings):
            hint = (
                "remove `rehearse`, `reason` and `with`: these keys are only for drills of plans."
            )
            self.report.error(path, "drd cannot rehearse steps of a playbook", hint)
        if isinstance(settings, (ApproveSettings, ManualSettings)) and settings.by == "":
            self.report.error((*path, "by"), "is empty", "name a role.")
        unit = getattr(settings, "unit", None)
        if unit is not None and references(unit):
            hint = "write the name of the unit, or use `command: {run: [systemctl, stop, UNIT]}`."
            self.report.error((*path, "unit"), "cannot contain a value like ${…}", hint)
        for place, text in step_texts(settings):
            self._values(name, text, (*path, *place), place, more)

    def _approved(self, path: Path) -> None:
        if not any(s.kind == "approve" and s.when is None for s in self.above.values()):
            hint = "add a step `approve` without `when` above this step."
            message = "changes a database in operation, and no step above asks for approval"
            self.report.error((*path, "sql", "writes"), message, hint)

    def _service_name(self, step: PlaybookStep, path: Path) -> None:
        """Report a name of a service that already stands for another value."""
        known_as = step.start.known_as if step.start is not None else None
        taken = (*self.inputs, *PLAIN_VALUES, "before", "steps", *self._services())
        if known_as is not None and known_as in taken:
            message = f"${{{known_as}}} already stands for another value"
            self.report.error((*path, "start", "as"), message, "choose another name.")

    def _services(self) -> list[str]:
        """Return the names of the services that the steps above start."""
        started = (one.start for one in self.above.values())
        return [one.known_as for one in started if one is not None and one.known_as is not None]

    def _condition(self, name: str, step: PlaybookStep, path: Path) -> None:
        when = step.when
        if when is None:
            return
        if when.step is None or when.scenario is not None or when.target is not None:
            hint = (
                "write `step: NAME`, with the name of an earlier step; `is` names the state in "
                "which that step must have ended."
            )
            message = "in a playbook, a condition can refer only to a step"
            self.report.error((*path, "when"), message, hint)
        elif when.step not in self.above:
            hint = nearest(when.step, list(self.above)) or "write the name of an earlier step."
            message = f'there is no step "{when.step}" above step {name}'
            self.report.error((*path, "when", "step"), message, hint)

    def _values(
        self, name: str, text: str, path: Path, place: tuple[str | int, ...], more: list[str]
    ) -> None:
        for reference in references(text):
            if reference in self.secrets:
                if place[:1] not in ((_HEADERS,), (_BODY,), (_ENV,), (_QUERY,)):
                    hint = (
                        "use secrets only in `headers`, `body`, `env` or the `query` of `sql`: drd "
                        "shows all other texts to people."
                    )
                    self.report.error(path, f"${{{reference}}} is a secret", hint)
            elif reference.startswith("steps."):
                self._step_value(name, reference, path)
            elif reference not in (values := self._plain(name, more)):
                known = [*values, "steps.NAME.KEY"]
                message = f"drd cannot insert a value for ${{{reference}}} here"
                hint = nearest(reference, known)
                if reference == "before":
                    hint = "use `${before}` only in `rollback`, in a step with the key `before`."
                self.report.error(path, message, hint)

    def _plain(self, name: str, more: list[str]) -> list[str]:
        """Return the names of the values whose names have no dot, and which a step and its
        `rollback` can use."""
        own = next(step.start for other, step, _ in self.steps if other == name)
        itself = [own.known_as] if own is not None and own.known_as is not None else []
        return [*self.inputs, *PLAIN_VALUES, *more, *self._services(), *itself]

    def _step_value(self, name: str, reference: str, path: Path) -> None:
        wanted, _, key = reference.removeprefix("steps.").partition(".")
        step = self.above.get(wanted)
        if step is None:
            hint = nearest(wanted, list(self.above)) or "write the name of an earlier step."
            self.report.error(path, f'there is no step "{wanted}" above step {name}', hint)
        elif key not in (known := list(_given(step))):
            hint = (
                f"{nearest(key, known)} To use a part of the answer, give this part a name under "
                f"`keep` of step {wanted}."
            )
            self.report.error(path, f'step {wanted} has no value "{key}"', hint)


def _given(step: PlaybookStep) -> Iterator[str]:
    yield "state"
    yield from step.keep
    if step.kind in PEOPLE:
        yield from ("by", "comment")
