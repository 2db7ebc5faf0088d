"""Warn of recoveries that would ask a service or a server that nobody has started."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile

from drd.config import runbook
from drd.config.parse import Parsed
from drd.config.problems import Report
from drd.config.yaml import Path
from drd.model.plan import IN_PLACE
from drd.model.runbook import LOOKING, Step
from drd.model.text import either
from drd.ports import Ability
from drd.registry import KINDS

_STARTS_NOTHING = (*LOOKING, "approve", "notify", "wait")


def advise_on_services(parsed: Parsed, report: Report) -> None:
    """Warn if checks of a component ask its service in a recovery, and no step between the restore
    and the first of these checks could have started it."""
    if not all(check.name for check in parsed.file.checks):
        return
    steps = runbook.steps(parsed.file)
    _advise_on_erasures(parsed, report, steps)
    for name, component in parsed.file.components.items():
        checks = {check.name for check in parsed.file.checks if check.component == name}
        for target, path, place in _places(parsed, name):
            key = KINDS[component.kind].asks_service(component, place)
            if key and _asks_too_early(steps, name, checks, target):
                report.warn(path, *_words(name, key, target))


def _advise_on_erasures(parsed: Parsed, report: Report, steps: Sequence[Step]) -> None:
    """Warn if the commands of `erasures` ask a server that a recovery does not start, and no step
    before them could have started it. A drill has a server of its own, so it does not find this."""
    erasures = parsed.file.erasures
    name = erasures.component if erasures is not None else ""
    if erasures is None or not KINDS[parsed.kinds[name]].needs_start:
        return
    keys = [key for key, words in erasures.all_commands() if key[0] != "register"]
    spec = KINDS[parsed.kinds[name]].of(parsed.file.components[name])
    early = [
        target
        for target, _, _ in _places(parsed, name)
        if (target != IN_PLACE or Ability.IN_PLACE in spec.can)
        and _erases_too_early(steps, name, target)
    ]
    if keys and early:
        report.warn(("erasures", *keys[0]), *_about_erasures(name, early))


def _erases_too_early(steps: Sequence[Step], component: str, target: str) -> bool:
    used = [step for step in steps if _is_for(step, target)]
    restored = [n for n, s in enumerate(used) if s.kind == "restore" and component in s.subjects]
    after = used[restored[-1] + 1 :] if restored else []
    before = list(takewhile(lambda s: s.kind != runbook.ERASURES, after))
    return len(before) < len(after) and all(s.kind in _STARTS_NOTHING for s in before)


def _about_erasures(component: str, targets: Sequence[str]) -> tuple[str, str]:
    where = either("in place" if target == IN_PLACE else f"to {target}" for target in targets)
    message = (
        f"in a recovery {where}, this command has no server to ask: no step between the restore of "
        f"{component} and the erasures starts its server. A drill does not find this, because it "
        "has a server of its own"
    )
    hint = (
        "start the server in a step after the restore, for example {start: {unit: NAME.service}, "
        "rehearse: skip, reason: a drill has its own server}, and write the step "
        f"{{erasures: {component}}} after it"
    )
    return message, f"{hint}; docs/recovery.md, Erasures since the point."


def _places(parsed: Parsed, component: str) -> Iterator[tuple[str, Path, object]]:
    """Yield each target that can receive the component, its path in the file, and its settings."""
    yield IN_PLACE, ("components", component), parsed.file.components[component]
    for target, places in parsed.targets.items():
        if component in places:
            yield target, ("targets", target, component), places[component]


def _asks_too_early(steps: Sequence[Step], component: str, checks: set[str], target: str) -> bool:
    used = [step for step in steps if _is_for(step, target)]
    restored = [n for n, s in enumerate(used) if s.kind == "restore" and component in s.subjects]
    if not restored:
        return False
    after = used[restored[-1] + 1 :]
    before = list(takewhile(lambda s: not (s.kind == "check" and checks & {*s.subjects}), after))
    return len(before) < len(after) and all(s.kind in _STARTS_NOTHING for s in before)


def _is_for(step: Step, target: str) -> bool:
    return step.when is None or not step.when.targets or target in step.when.targets


def _words(component: str, key: str, target: str) -> tuple[str, str]:
    how = "in place" if target == IN_PLACE else f"to {target}"
    message = (
        f"in a recovery {how}, the checks of component {component} fail: `{key}` asks its service "
        "at `address`, and no step of the runbook starts this service after the restore"
    )
    hint = (
        "add a step that starts the service between the restore and the checks, for example "
        "{start: {unit: NAME.service}, rehearse: skip, reason: a drill has its own server}"
    )
    return message, f"{hint}; docs/command.md has an example."
