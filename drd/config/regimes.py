"""Read regimes, those of drd and those of an installation: text, schema, logic.

A file of one's own replaces the shipped one of the same id. All problems are reported with file and
line; a broken file leaves the others usable.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import drd
from drd.config.daemon import DaemonSettings
from drd.config.exposed_files import state_owners
from drd.config.json_schema import JsonSchema, published
from drd.config.own_files import OwnFile, OwnFiles, Sort, broken_findings, read_own, validated
from drd.config.problems import Report, nearest
from drd.config.regime_build import build_regime
from drd.config.regime_schema import RegimeFile
from drd.config.yaml import Path as KeyPath
from drd.errors import Problem
from drd.fields import Contradiction
from drd.model.finding import Finding
from drd.model.obligations import upkeep
from drd.model.obligations.anchors import ID, Source
from drd.model.obligations.regime import Regime, Status

SHIPPED = Path(drd.__file__).parent / "regimes"
_SORT = Sort("regime", "regimes", "id", SHIPPED, "drd obligations list")

_REFERENCE = re.compile(rf"(?:submitted|due)\(({ID})\)")
_NEEDED = ("title", "jurisdiction", "trigger", "source", "checked")
"""The keys that a regime must have once it is complete."""


@dataclass(frozen=True, slots=True)
class Regimes:
    """The regimes by id, sorted by id, and what is wrong with files. `texts` has for each regime
    all its keys, including inherited ones, so that an incident can keep the text that was in force.
    """

    known: Mapping[str, Regime]
    problems: tuple[Problem, ...] = ()
    texts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def load_regimes(
    directory: Path | None, files: Sequence[Path] = (), trusted: Collection[int] | None = None
) -> Regimes:
    """Read the shipped regimes, those of `directory`, and these files.

    With `trusted`, own files that users other than these can change are refused."""
    return _Reader(read_own(_SORT, directory, files, trusted)).read()


def kept_regime(text: Mapping[str, Any]) -> Regime | None:
    """Return the regime of a text that an incident has kept; None if this drd cannot read it."""
    try:
        return build_regime(RegimeFile.model_validate(text), "", own=False)
    except (ValidationError, AssertionError):
        return None


def regime_schema() -> JsonSchema:
    """Return the JSON Schema of a regime, for editors. A key without a value removes the key that
    the file would inherit from the regime that it extends."""
    return published(RegimeFile, "drd regime", nulls=True)


def regimes_of(settings: DaemonSettings, files: Sequence[Path] = ()) -> Regimes:
    """Return the regimes of drd and of an installation, and these files."""
    return load_regimes(settings.regimes_dir, files, state_owners(settings.state_dir))


def findings(settings: DaemonSettings, now: datetime) -> list[Finding]:
    """Return the findings of `drd doctor` about regimes, if drd.yaml contains settings for them:
    broken files, and things that a person should check."""
    if settings.regimes_dir is None and not settings.jurisdictions:
        return []
    regimes = regimes_of(settings)
    broken = broken_findings("regime-file", regimes.problems)
    return [*broken, *upkeep.findings(regimes.known, settings.jurisdictions, now.date())]


class _Reader:
    def __init__(self, files: OwnFiles) -> None:
        self.files = files
        self.texts: dict[str, Mapping[str, Any]] = {}

    def read(self) -> Regimes:
        chosen = self.files.chosen()
        known = {}
        for name, file in chosen.items():
            regime = self._regime(file)
            if regime is not None:
                known[name] = regime
        for name in _with_references(known, chosen):
            del known[name]
        problems = [*self.files.problems]
        for file in self.files.all():
            problems += file.report.errors
        return Regimes(known, tuple(dict.fromkeys(problems)), self.texts)

    def _regime(self, file: OwnFile) -> Regime | None:
        data = self._merged(file, ())
        if data is None:
            return None
        model = validated(RegimeFile, file.report, data)
        if model is None:
            return None
        _check(model, file.report)
        if file.report.errors:
            return None
        self.texts[model.id] = data
        return build_regime(model, file.file, own=file.own)

    def _merged(self, file: OwnFile, above: tuple[str, ...]) -> dict[str, Any] | None:
        """Return the keys of a file and of what it extends; None if that is broken."""
        extends = str(file.data.get("extends") or "")
        if not extends:
            return file.data
        base = self._base(file, extends)
        if base is None:
            known = sorted(self.files.chosen().keys() - {file.name})
            message = f'there is no regime "{extends}"'
            file.report.error(("extends",), message, nearest(extends, known))
            return None
        if file.file in above:
            hint = "remove `extends` from one of these files."
            file.report.error(
                ("extends",),
                "leads back to this file: the files extend each other in a circle",
                hint,
            )
            return None
        inherited = self._merged(base, (*above, file.file))
        if inherited is None:
            if not file.report.errors:
                where = base.file
                hint = "correct that file first."
                file.report.error(("extends",), f"cannot be used, because {where} has errors", hint)
            return None
        kept = {k: v for k, v in inherited.items() if k not in ("id", "extends")}
        if kept.get("status") == Status.TEMPLATE:
            del kept["status"]
        return {**kept, **file.data}

    def _base(self, file: OwnFile, extends: str) -> OwnFile | None:
        """Return the file that this one extends: a file of one's own before a shipped one, unless
        it would be the same."""
        own = self.files.own.get(extends)
        if file.own and own is not None and own is not file:
            return own
        shipped = self.files.shipped.get(extends)
        return shipped if shipped is not file else None


def _check(model: RegimeFile, report: Report) -> None:
    """Report what the schema cannot say."""
    about = RegimeFile.model_fields
    for key in _NEEDED:
        if not getattr(model, key):
            text = about[key].description or ""
            hint = f"add the key `{key}`: {text[:1].lower()}{text[1:]}"
            report.error((), f"{key} is missing", hint)
    for one in model.contradictions():
        _report(one, report)


def _report(one: Contradiction, report: Report) -> None:
    report.error(one.path, one.message, one.hint, of_key=one.of_key)


def _with_references(known: Mapping[str, Regime], files: Mapping[str, OwnFile]) -> set[str]:
    """Report references to regimes that do not exist, and deadlines that wait for themselves;
    return the ids of these regimes."""
    broken = set()
    for name, regime in known.items():
        file = files[name]
        for path, named in _named(file.data):
            if named not in known:
                message = f'there is no regime "{named}"'
                file.report.error(path, message, nearest(named, sorted(known)))
                broken.add(name)
        if name in _waited_for(regime, known):
            hint = "in one of these regimes, use a moment of the incident as `anchor`."
            file.report.error(
                ("rule",), "the deadline depends on itself through other regimes", hint
            )
            broken.add(name)
    return broken


def _named(value: object, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Return the ids of regimes in anchors and conditions, with their places."""
    if isinstance(value, dict):
        keys = ("anchor", "rule", "if", "unless", "prompt", "relief") if not path else value
        for key in keys:
            yield from _named(value.get(key), (*path, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _named(one, (*path, index))
    elif isinstance(value, str):
        yield from ((path, match) for match in _REFERENCE.findall(value))


def _waited_for(regime: Regime, known: Mapping[str, Regime]) -> set[str]:
    """Return the regimes on whose deadlines this one depends, directly or through others."""
    awaited: set[str] = set()
    new = [regime]
    while new:
        names = {a.name for a in new.pop().all_anchors() if a.source is Source.DUE} - awaited
        awaited |= names
        new += [known[name] for name in names if name in known]
    return awaited
