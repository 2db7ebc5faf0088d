"""Contradictions between the inventory and the controls of a plan, and the rest of it."""

from __future__ import annotations

from collections.abc import Iterator

from drd.config.parse import Parsed
from drd.config.problems import Report, nearest
from drd.config.yaml import Path
from drd.fields import Contradiction
from drd.model.location import is_s3
from drd.ports.kinds import Ability
from drd.registry import KINDS


def check_inventory(parsed: Parsed, report: Report) -> None:
    """Report names of components that the plan does not have, queries that nothing can answer, and
    duplicate names."""
    for at, data in enumerate(parsed.file.data):
        for place, where in enumerate(data.where):
            component = where.partition(".")[0]
            if parsed.kinds and component not in parsed.kinds:
                hint = nearest(component, list(parsed.kinds))
                message = f'there is no component "{component}"'
                report.error(("data", at, "where", place), message, hint)
        for one in (*data.contradictions(), *_unanswered(parsed, at)):
            report.error(("data", at, *one.path), one.message, one.hint)
    for at, control in enumerate(parsed.file.controls):
        for one in control.contradictions():
            report.error(("controls", at, *one.path), one.message, one.hint)
        named = getattr(control, "component", None)
        if parsed.kinds and named is not None and named not in parsed.kinds:
            hint = nearest(named, list(parsed.kinds))
            report.error(("controls", at, "component"), f'there is no component "{named}"', hint)
        _bucket(parsed, at, getattr(control, "repository", None), report)
    _covering(parsed, report)
    _twice([c.name for c in parsed.file.controls], ("controls",), "name", report)
    _twice([c.name for c in parsed.file.credentials], ("credentials",), "name", report)
    _twice([r.what for r in parsed.file.risks], ("risks",), "what", report)


def _covering(parsed: Parsed, report: Report) -> None:
    """Warn of controls that cover a risk and that the plan does not have: nothing would check
    them."""
    known = [control.name for control in parsed.file.controls]
    for at, risk in enumerate(parsed.file.risks):
        for place, word in enumerate(risk.covers):
            kind, _, name = word.partition(":")
            if kind == "control" and name not in known:
                hint = (
                    nearest(name, known)
                    if known
                    else ("add this control under `controls`, or remove its name here.")
                )
                message = f'there is no control "{name}", so it cannot cover the risk'
                report.warn(("risks", at, "covers", place), message, hint)


def _bucket(parsed: Parsed, at: int, name: str | None, report: Report) -> None:
    """Report a repository that the plan does not have, or that is not in a bucket."""
    known = parsed.file.repositories
    if name is None or not known:
        return
    place = ("controls", at, "repository")
    if name not in known:
        report.error(place, f'there is no repository "{name}"', nearest(name, list(known)))
    elif not is_s3(known[name].url):
        hint = "name a repository whose url begins with s3:"
        report.error(place, f'repository "{name}" is not in a bucket', hint)


def _unanswered(parsed: Parsed, at: int) -> Iterator[Contradiction]:
    data = parsed.file.data[at]
    component = data.where[0].partition(".")[0] if data.where else ""
    kind = parsed.kinds.get(component, "")
    if data.count is None or kind not in KINDS:
        return
    if Ability.SQL not in KINDS[kind].can:
        hint = "put a component with tables first in `where`, or remove `count`."
        message = f'component "{component}" is of kind {kind}, which cannot execute SQL'
        yield Contradiction(("count",), message, hint)


def _twice(names: list[str], section: Path, key: str, report: Report) -> None:
    for at, name in enumerate(names):
        if name in names[:at]:
            line = report.document.line((*section, names.index(name), key))
            report.error((*section, at, key), f'line {line} already has "{name}"', "remove one.")
