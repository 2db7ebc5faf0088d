"""Check that the steps of a runbook fit each other, and the rest of the plan."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from drd.actions.start import StartSettings
from drd.config.parse import Parsed
from drd.config.problems import Report, nearest
from drd.config.runbook import ERASURES, body, named, steps, texts
from drd.config.step_logic import check_step
from drd.config.steps import ApproveSettings, CheckStep, ManualSettings, RestoreStep, StepKeys
from drd.config.yaml import Path
from drd.model.plan import IN_PLACE, SCENARIOS
from drd.model.runbook import PEOPLE, SANDBOX, before, cycle, groups
from drd.model.values import references
from drd.registry import ACTIONS, KINDS

RESERVED = ("preflight",)
"""Names of the steps that drd adds by itself."""

PLAIN_VALUES = ("plan", "run", "point", "data_time", "scenario", "target")
"""The values that `${…}` can name in every step."""

_GIVEN_BY_PEOPLE = ("by", "comment")


def given_by(kind: str) -> tuple[str, ...]:
    """Return the values that `${steps.NAME.…}` can name for a step of this kind."""
    if kind in PEOPLE:
        return (*_GIVEN_BY_PEOPLE, "state")
    return (*(ACTIONS[kind].gives if kind in ACTIONS else ()), "state")


def check_runbook(parsed: Parsed, report: Report) -> None:
    """Report every contradiction among the steps; broken steps are not checked again."""
    if parsed.file.runbook is None:
        return
    _Review(parsed, report).all()


class _Review:
    """One runbook's steps, each with its path in the file."""

    def __init__(self, parsed: Parsed, report: Report) -> None:
        self.report = report
        self.parsed = parsed
        self.steps = list(named(parsed.file.runbook or ()))
        self.paths: list[Path] = [("runbook", at) for at in parsed.step_at]
        self.by_name = dict(reversed(self.steps))
        self.is_sound = not any(p[0] in ("checks", "runbook") for p in report.broken)
        self.built = steps(parsed.file)
        self.before: dict[str, frozenset[str]] = {}

    def all(self) -> None:
        self._names()
        self._needs()
        self._groups()
        if self.is_sound and not self.report.has_broken(("runbook",)):
            self.before = before(self.built)
        self._restores()
        for (name, step), at in zip(self.steps, self.paths, strict=True):
            path: Path = at
            check_step(step, path, self.report)
            self._body(name, step, path)
            self._condition(name, step, path)
            for place, text in texts(step):
                self._values(name, text, (*path, *place))

    # names and order

    def _names(self) -> None:
        seen: set[str] = set()
        for (name, step), path in zip(self.steps, self.paths, strict=True):
            if name in seen:
                hint = "give each step its own name."
                self.report.error((*path, "name"), f'another step is called "{name}"', hint)
            if step.name in RESERVED:
                message = f'the name "{name}" is reserved for a step of drd\'s own'
                self.report.error((*path, "name"), message, "choose another name.")
            seen.add(name)

    def _needs(self) -> None:
        names = [name for name, _ in self.steps]
        wanted = {n: [w for w in s.needs or () if w in names] for n, s in self.steps}
        circle = cycle(wanted)
        for at, (name, step) in enumerate(self.steps):
            for index, need in enumerate(step.needs or ()):
                path = (*self.paths[at], "needs", index)
                if need not in names:
                    if self.is_sound:
                        hint = nearest(need, [n for n in names if n != name])
                        self.report.error(path, f'there is no step "{need}"', hint)
                elif circle and name in circle and need in circle:
                    way = " → ".join(circle)
                    hint = "remove one of these steps from `needs`."
                    self.report.error(path, f"the steps wait for each other: {way}", hint)
                elif names.index(need) >= at:
                    hint = f"move {need} above {name}, or remove {need} from the needs of {name}."
                    self.report.error(path, f"needs {need}, which comes later in the runbook", hint)
                elif step.group is not None and self.by_name[need].group == step.group:
                    hint = "move one of the two steps out of the group."
                    message = (
                        f"needs {need}, but both start at the same time in the group {step.group}"
                    )
                    self.report.error(path, message, hint)

    def _groups(self) -> None:
        over: set[str] = set()
        at = 0
        for group in groups(self.built):
            name = group[0].group
            if name is not None and name in over:
                hint = (
                    "put the steps of the group next to each other, or give the group another name."
                )
                self.report.error(
                    (*self.paths[at], "group"), f'the group "{name}" also appears further up', hint
                )
            if name is not None:
                over.add(name)
            at += len(group)

    # what comes back, and is looked at

    def _restores(self) -> None:
        restored: dict[str, str] = {}
        checks = {c.name: c.component for c in self.parsed.file.checks}
        for (name, step), path in zip(self.steps, self.paths, strict=True):
            if isinstance(step, RestoreStep):
                self._restore(name, step, (*path, "restore"), restored)
            elif isinstance(step, CheckStep):
                self._check(name, step, (*path, "check"), restored, checks)

    def _restore(self, name: str, step: RestoreStep, path: Path, restored: dict[str, str]) -> None:
        everything = list(self.parsed.kinds)
        if not everything:
            return
        for index, one in enumerate(everything if isinstance(step.restore, str) else step.restore):
            where = path if isinstance(step.restore, str) else (*path, index)
            if one not in everything:
                hint = nearest(one, everything)
                self.report.error(where, f'there is no component "{one}"', hint)
            elif one in restored:
                hint = "remove one of the two restore steps."
                self.report.error(where, f"an earlier step already restores component {one}", hint)
            restored.setdefault(one, name)

    def _check(
        self,
        name: str,
        step: CheckStep,
        path: Path,
        restored: dict[str, str],
        checks: dict[str, str | None],
    ) -> None:
        for index, one in enumerate(checks if isinstance(step.check, str) else step.check):
            where = path if isinstance(step.check, str) else (*path, index)
            if one not in checks:
                if self.is_sound:
                    hint = nearest(one, list(checks))
                    self.report.error(where, f'there is no check "{one}"', hint)
                continue
            component = checks[one]
            if component not in self.parsed.kinds or not self.is_sound:
                continue
            if not self._is_back(component, name, restored):
                hint = f"restore {component} in an earlier step."
                self.report.error(
                    where,
                    f'the check "{one}" reads component {component}, which is not restored yet',
                    hint,
                )

    def _is_back(self, component: str | None, step: str, restored: dict[str, str]) -> bool:
        """Return whether the component has certainly been restored when the step begins."""
        if component not in restored:
            return False
        return not self.before or restored[component] in self.before[step]

    def _component(self, name: str | None, step: str, path: Path) -> None:
        """A component that a step works on: it exists, and is restored by then."""
        if name is None or not self.parsed.kinds:
            return
        if name not in self.parsed.kinds:
            hint = nearest(name, list(self.parsed.kinds))
            self.report.error(path, f'there is no component "{name}"', hint)
        elif self.before and name not in self._back_before(step):
            hint = f"restore {name} in an earlier step."
            self.report.error(
                path, f"when this step begins, component {name} is not restored yet", hint
            )

    def _back_before(self, step: str) -> set[str]:
        done = self.before[step]
        return {c for s in self.built if s.name in done and s.kind == "restore" for c in s.subjects}

    # what a step does

    def _body(self, name: str, step: StepKeys, path: Path) -> None:
        inner = body(step)
        if step.kind == ERASURES:
            self._component(str(inner), name, (*path, ERASURES))
        self._stopped(name, step, path)
        component = ACTIONS[step.kind].component(inner) if step.kind in ACTIONS else None
        if component is not None:
            where = (*path, step.kind, "component")
            self._component(component, name, where)
            self._works_on(step.kind, component, where)
            self._is_able(step.kind, inner, component, path)

    def _stopped(self, name: str, step: StepKeys, path: Path) -> None:
        """The step that started what this one stops."""
        mine = ACTIONS[step.kind].service(body(step)) if step.kind in ACTIONS else None
        if mine is not None and mine.step is not None:
            starts = [s.name for s in self.built if s.starts and s.name != name]
            where = (*path, step.kind, "step")
            self._earlier(mine.step, name, where, starts, "starts something")

    def _works_on(self, kind: str, component: str, path: Path) -> None:
        known = self.parsed.kinds.get(component, "")
        if kind not in ACTIONS or known not in KINDS or ACTIONS[kind].fits(KINDS[known]):
            return
        able = " and ".join(spec.name for spec in KINDS if ACTIONS[kind].fits(spec))
        message = f"a {kind} step cannot work on component {component}, which is of kind {known}"
        self.report.error(path, message, f"this kind of step works on {able} components.")

    def _is_able(self, kind: str, settings: object, component: str, path: Path) -> None:
        known, needed = self.parsed.kinds.get(component, ""), ACTIONS[kind].needs(settings)
        if needed is None or known not in KINDS:
            return
        if needed not in KINDS[known].of(self.parsed.file.components[component]).can:
            message = f"component {component}, of kind {known}, cannot {needed}"
            self.report.error((*path, kind, "database"), message, "leave out `database`.")

    def _earlier(
        self, wanted: str, step: str, path: Path, known: Collection[str], does: str
    ) -> None:
        """A step that this one refers to: it exists, has the right kind, and has ended by then."""
        if wanted not in known:
            if self.is_sound:
                hint = nearest(wanted, sorted(known)) or "check the names of the steps above."
                self.report.error(path, f'there is no step "{wanted}" that {does}', hint)
        elif self.before and wanted not in self.before[step]:
            hint = f"move {wanted} above {step}, or add {wanted} to the needs of {step}."
            self.report.error(
                path, f"when this step begins, step {wanted} may still be running", hint
            )

    def _condition(self, name: str, step: StepKeys, path: Path) -> None:
        when, at = step.when, (*path, "when")
        if when is None:
            return
        if when.scenario is None and when.target is None and when.step is None:
            self.report.error(at, "has no condition", "give `scenario`, `target` or `step`.")
        self._require_known(when.scenario, SCENARIOS, (*at, "scenario"), "scenario")
        targets = (*self.parsed.targets, IN_PLACE, SANDBOX)
        if not self.report.has_broken(("targets",)):
            self._require_known(when.target, targets, (*at, "target"), "target")
        if when.step is not None:
            others = [n for n, _ in self.steps if n != name]
            self._earlier(when.step, name, (*at, "step"), others, "the condition can refer to")
        elif when.ended is not None:
            self.report.error(
                (*at, "is"),
                "needs `step`",
                "add `step: NAME`: the name of the step whose state `is` means.",
                of_key=True,
            )

    def _require_known(
        self, words: list[str] | None, known: Collection[str], path: Path, what: str
    ) -> None:
        for word in words or ():
            if word not in known:
                hint = nearest(word, sorted(known))
                self.report.error(path, f'there is no {what} "{word}"', hint)

    # values

    def _values(self, name: str, text: str, path: Path) -> None:
        for reference in references(text):
            head, _, rest = reference.partition(".")
            if head == "steps":
                self._step_value(name, reference, path)
            elif head == "target" and rest:
                component, _, key = rest.partition(".")
                self._place_value(name, component, key, reference, path)
            elif head in self.parsed.kinds:
                self._place_value(name, head, rest, reference, path)
            elif rest or head not in self._plain(name):
                known = [*self._plain(name), *self.parsed.kinds, "target.COMPONENT", "steps.NAME"]
                if self.is_sound:
                    hint = nearest(reference, known)
                    self.report.error(
                        path,
                        f"drd cannot insert a value for ${{{reference}}} here",
                        hint,
                    )

    def _plain(self, name: str) -> list[str]:
        """Values without a dot in this step: services that were started before among them."""
        inner = body(self.by_name[name]) if name in self.by_name else None
        own = ["port"] if isinstance(inner, StartSettings) else []
        return [*PLAIN_VALUES, *own, *(a for a, _ in self._services(name))]

    def _services(self, name: str) -> Iterator[tuple[str, str]]:
        for other, step in self.steps:
            service = ACTIONS[step.kind].service(body(step)) if step.kind in ACTIONS else None
            if service is None or service.known_as is None:
                continue
            if other == name or not self.before or other in self.before[name]:
                yield service.known_as, other

    def _place_value(self, name: str, component: str, key: str, whole: str, path: Path) -> None:
        if component not in self.parsed.kinds:
            hint = nearest(component, list(self.parsed.kinds))
            self.report.error(path, f'${{{whole}}}: there is no component "{component}"', hint)
        elif key and key not in (known := _values_of_places()):
            hint = nearest(key, known)
            self.report.error(
                path, f'${{{whole}}}: the address of a component has no "{key}"', hint
            )
        else:
            self._component(component, name, path)

    def _step_value(self, name: str, reference: str, path: Path) -> None:
        wanted, _, key = reference.removeprefix("steps.").partition(".")
        others = [n for n, _ in self.steps if n != name]
        self._earlier(wanted, name, path, others, f"${{{reference}}} can refer to")
        if wanted in self.by_name:
            known = given_by(self.by_name[wanted].kind)
            if key not in known:
                hint = nearest(key, known)
                self.report.error(
                    path, f'${{{reference}}}: step {wanted} has no result "{key}"', hint
                )


def _values_of_places() -> tuple[str, ...]:
    """Return the values that `${target.COMPONENT.…}` can name, as far as the kind has them."""
    return ("location", *dict.fromkeys(value for spec in KINDS for value in spec.values))


def roles(parsed: Parsed) -> Iterator[tuple[Path, str]]:
    """Every role that a step requires, with its place."""
    for at, step in zip(parsed.step_at, parsed.file.runbook or (), strict=False):
        inner = body(step)
        if isinstance(inner, (ApproveSettings, ManualSettings)) and inner.by is not None:
            yield ("runbook", at, step.kind, "by"), inner.by


def check_roles(parsed: Parsed, report: Report, known: Collection[str]) -> None:
    """Warn if nobody in drd.yaml holds a role that a step requires. Only a warning: a person who
    has left is no reason to stop backups. `drd readiness` reports it as well."""
    for path, role in roles(parsed):
        if role in known:
            continue
        add = f"`people: [{{name: NAME, roles: [{role}]}}]`"
        near = nearest(role, sorted(known)) if known else ""
        hint = f"{near} Or add a person: {add}." if near else f"add a person: {add}."
        report.warn(path, f'nobody in drd.yaml has the role "{role}"', hint)
