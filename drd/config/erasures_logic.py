"""Check that the erasures of a plan fit the rest of the plan."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from drd.actions.erasures import ErasuresSettings
from drd.config.parse import Parsed
from drd.config.problems import Report, nearest, require_whole_path
from drd.config.runbook import ERASURES, body, steps
from drd.config.runbook_logic import PLAIN_VALUES
from drd.config.yaml import Path
from drd.fields import Words
from drd.model.runbook import Step, before
from drd.model.text import either
from drd.model.values import references
from drd.ports.kinds import Ability
from drd.registry import CHECKS, KINDS


def check_erasures(parsed: Parsed, report: Report) -> None:
    """Report every contradiction."""
    erasures = parsed.file.erasures
    if not report.has_broken(("erasures",)):
        _explicit(parsed, report)
    if erasures is None:
        return
    _one_of_each(erasures, report)
    _component(parsed, erasures, report)
    _register(parsed, erasures, report)
    for below, words in erasures.all_commands():
        _check_command(parsed, words, ("erasures", *below), report)
    if not report.broken:
        _comparisons(parsed, erasures.component, report)


def _explicit(parsed: Parsed, report: Report) -> None:
    """At most one step, for the component of the plan's `erasures`."""
    erasures, seen = parsed.file.erasures, False
    for at, step in zip(parsed.step_at, parsed.file.runbook or (), strict=False):
        if step.kind != ERASURES:
            continue
        path = ("runbook", at, ERASURES)
        if erasures is None:
            hint = (
                "add a section `erasures` to the plan: docs/recovery.md, Erasures since the point."
            )
            report.error(path, "this step replays erasures, but the plan has no `erasures`", hint)
        elif body(step) != erasures.component:
            hint = f"write `erasures: {erasures.component}`."
            report.error(
                path,
                f"the component of this step is not {erasures.component}, which the section "
                "`erasures` names",
                hint,
            )
        elif seen:
            report.error(
                path, "an earlier step already replays the erasures", "remove one of the two steps."
            )
        seen = True


def _one_of_each(erasures: ErasuresSettings, report: Report) -> None:
    for key, part, names in (
        ("register", erasures.register_, ("file", "command")),
        ("replay", erasures.replay, ("sql", "command")),
        ("check", erasures.check, ("sql", "command")),
    ):
        if sum(getattr(part, name) is not None for name in names) != 1:
            both = " and ".join(names)
            hint = f"give {either(names)}, not both."
            report.error(("erasures", key), f"needs exactly one of the keys {both}", hint)


def _component(parsed: Parsed, erasures: ErasuresSettings, report: Report) -> None:
    name = erasures.component
    kind = parsed.kinds.get(name, "")
    if parsed.kinds and name not in parsed.kinds:
        hint = nearest(name, list(parsed.kinds))
        report.error(("erasures", "component"), f'there is no component "{name}"', hint)
    lacks = kind in KINDS and Ability.DATABASES not in KINDS[kind].can
    if erasures.database is not None and lacks:
        message = f"component {name} (kind {kind}) does not have several databases"
        report.error(("erasures", "database"), message, "leave out `database`.")
    for key, part in (("replay", erasures.replay), ("check", erasures.check)):
        if part.sql is not None and kind in KINDS and Ability.SQL not in KINDS[kind].can:
            message = f"component {name} is of kind {kind}, which cannot execute SQL"
            report.error(("erasures", key, "sql"), message, "give `command` instead of `sql`.")


def _register(parsed: Parsed, erasures: ErasuresSettings, report: Report) -> None:
    """A register that the plan restores would be as old as the point, and useless."""
    file = erasures.register_.file
    if file is None:
        return
    for what, place in _places(parsed):
        if PurePosixPath(file).is_relative_to(place):
            message = f"is in {what}: a recovery would replace this list with an old version"
            hint = "keep the list of erased people outside of what the plan restores."
            report.error(("erasures", "register", "file"), message, hint)
            return


def _places(parsed: Parsed) -> Iterator[tuple[str, str]]:
    for name, component in parsed.file.components.items():
        paths = KINDS[parsed.kinds[name]].paths(component)
        yield from ((f"the component {name}", path) for path in paths)
    for target, settings in parsed.targets.items():
        for name, place in settings.items():
            paths = KINDS[parsed.kinds[name]].paths(place)
            yield from ((f"the target {target} of {name}", path) for path in paths)


def _check_command(parsed: Parsed, words: Words, path: Path, report: Report) -> None:
    require_whole_path(words, (*path, 0), report)
    known = [*PLAIN_VALUES, *parsed.kinds]
    for at, word in enumerate(words):
        for reference in references(word):
            if reference.partition(".")[0] not in known:
                hint = nearest(reference, known)
                report.error(
                    (*path, at),
                    f"drd cannot insert a value for ${{{reference}}} here",
                    hint,
                )


def _comparisons(parsed: Parsed, component: str, report: Report) -> None:
    """Checks that compare with the backup find a difference after erasures were replayed."""
    built = steps(parsed.file)
    mine = next(s.name for s in built if s.kind == ERASURES)
    compare = {
        c.name for c in parsed.file.checks if c.component == component and CHECKS[c.kind].compares
    }
    earlier = before(built)
    places = {s.name: at for at, s in zip(parsed.step_at, _own_steps(parsed), strict=False)}
    for step in built:
        late = sorted(compare & set(step.subjects)) if step.kind == "check" else []
        if late and mine in earlier[step.name] and step.name in places:
            hint = "run this check in an earlier step, right after the restore."
            message = (
                f'the check "{late[0]}" compares with the backup, but erasures were replayed before'
            )
            report.warn(("runbook", places[step.name]), message, hint)


def _own_steps(parsed: Parsed) -> Iterator[Step]:
    """The runbook's steps, as built, without the one that drd adds."""
    written = parsed.file.runbook or ()
    explicit = any(s.kind == ERASURES for s in written)
    yield from (s for s in steps(parsed.file) if explicit or s.kind != ERASURES)
