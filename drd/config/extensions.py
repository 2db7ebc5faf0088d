"""Packages of others that extend drd (`extensions` in drd.yaml): found, checked, imported.

They run with drd's keys, and as root if drd does. So drd imports only those that drd.yaml names,
and under root only those that nobody but root can change. Nothing in a plan, a kit or a repository
makes drd import one.

A package that drd cannot use is a warning, and an error of the plans that use it: others go on."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal, NamedTuple, get_args, get_origin

from drd import registry
from drd.checks.settings import CheckSettings
from drd.config.exposed_files import exposed_plan
from drd.config.plan_path import PathWalker
from drd.config.problems import Report
from drd.config.steps import ENGINE_STEPS, KEYS_OF_EVERY_STEP
from drd.config.yaml import Document, read
from drd.errors import ConfigError
from drd.fields import Settings
from drd.model.plan import NAME
from drd.model.step_results import OWN_KINDS
from drd.notifiers.settings import Carrier
from drd.ports.action import ActionKind
from drd.ports.check import CheckKind
from drd.ports.kinds import KindSpec
from drd.ports.notify import ChannelKind
from drd.process import rights
from drd.registry import FAMILIES, Added, Extension, Unavailable

GROUPS = {f"drd.{family}": family for family in FAMILIES}
"""The families by the groups of entry points that add to them."""

_SINGULAR = {
    "kinds": "kind",
    "checks": "check",
    "actions": "step",
    "notifiers": "channel",
}

PAGE = "see docs/extending.md."

RESERVED_STEPS = frozenset({*KEYS_OF_EVERY_STEP, *ENGINE_STEPS, *OWN_KINDS, "simulate"})
"""Names that no step of a package can have: keys of steps, and kinds of steps that drd records."""


class _NotUsable(Exception):
    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class _Disputed(_NotUsable):
    """Two packages add the same member: neither is used, whichever drd.yaml names first."""


class Loaded(NamedTuple):
    """What the packages add, and those that drd cannot use."""

    added: tuple[Added, ...] = ()
    unavailable: tuple[Unavailable, ...] = ()


def load_extensions(names: Sequence[str], report: Report) -> Loaded:
    """Return the members that these packages add. A package that cannot be used is a warning in the
    report, on its line; one that is named twice is an error.
    """
    for at, name in enumerate(names):
        if name in names[:at]:
            report.error(("extensions", at), f"names {name} twice", "remove one of them.")
    names = tuple(dict.fromkeys(names))
    loaded = _those_in_use(names) if registry.is_closed() else _loaded(names, report)
    for one in loaded.unavailable:
        report.warn(("extensions", names.index(one.name)), one.text, one.remedy)
    return loaded


def use_extensions(names: Sequence[str], report: Report) -> None:
    """Use the members that these packages add from now on, and no others."""
    registry.use(*load_extensions(names, report))


def use_those_of(names: Sequence[str], file: Path | None) -> None:
    """Use the members that these packages of a drd.yaml add from now on. Raises ConfigError."""
    _use(names, Report(Document(str(file), {"extensions": list(names)}, {})))


def use_those_of_text(text: str, file: str) -> None:
    """Do the same for the text of a drd.yaml that a person has accepted as this host's own."""
    document = read(text.encode(), file, allow_empty=True)
    names = document.data.get("extensions") if isinstance(document.data, dict) else None
    if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
        _use(names, Report(document))


def _use(names: Sequence[str], report: Report) -> None:
    loaded = load_extensions(names, report)
    if report.errors:
        raise ConfigError(report.errors)
    registry.use(*loaded)


def _those_in_use(names: Sequence[str]) -> Loaded:
    known = {one.name for one in registry.extensions()}
    before = {one.name: one for one in registry.unavailable()}
    hint = "if this host needs the package, add it to `extensions` in this host's own drd.yaml."
    unavailable = [
        before.get(name)
        or Unavailable(
            name, f"the drd.yaml of this host does not name the extension {name}", hint, None
        )
        for name in names
        if name not in known
    ]
    return Loaded(registry.in_use(), tuple(unavailable))


def _loaded(names: Sequence[str], report: Report) -> Loaded:
    exposed = _exposed_list(report) if names and rights.may_be_root() else None
    members: list[Added] = []
    unavailable: list[Unavailable] = []
    disputed: frozenset[tuple[str, str]] = frozenset()
    for name in names:
        try:
            if exposed is not None:
                raise exposed
            members += _members(name, members)
        except _NotUsable as error:
            promised = _promised(name)
            unavailable.append(Unavailable(name, error.message, error.hint, promised))
            if isinstance(error, _Disputed) and promised is not None:
                disputed |= promised
    kept = (one for one in members if (one.family, one.name) not in disputed)
    return Loaded(tuple(kept), tuple(unavailable))


def _promised(name: str) -> frozenset[tuple[str, str]] | None:
    """Return what a package would add, by its metadata; None if it is not installed. drd's own
    members cannot be replaced."""
    try:
        points = _points(distribution(name))
    except (PackageNotFoundError, ValueError):
        return None
    members = {(GROUPS[point.group], point.name) for point in points}
    return frozenset((f, n) for f, n in members if not FAMILIES[f].is_own(n))


def _exposed_list(report: Report) -> _NotUsable | None:
    """Return the error if others than root can write drd.yaml, and so choose what root imports."""
    exposed = exposed_plan(report.document.file, {0})
    if exposed is None or exposed.is_told_only:
        return None
    message = f"drd as root does not import the extensions of this file: {exposed}"
    return _NotUsable(message, exposed.remedy)


def _points(package: Distribution) -> list[EntryPoint]:
    return [point for point in package.entry_points if point.group in GROUPS]


def _members(name: str, before: Sequence[Added]) -> list[Added]:
    try:
        package = distribution(name)
    except (PackageNotFoundError, ValueError):
        hint = (
            f"install it into {sys.prefix}, from the place where {name} was published for you (by "
            "its name alone, pip may install a stranger's package from PyPI); or remove it from "
            "`extensions`."
        )
        raise _NotUsable(f"the package {name} is not installed", hint) from None
    points = _points(package)
    if not points:
        hint = f"the package needs entry points in {', '.join(GROUPS)}: {PAGE}"
        raise _NotUsable(f"the package {name} adds nothing to drd", hint)
    if rights.may_be_root():
        _require_roots_alone(name, package, points)
    extension = Extension(name, package.version)
    members: list[Added] = []
    for point in points:
        members.append(_member(point, extension, [*before, *members]))
    return members


def _member(point: EntryPoint, extension: Extension, before: Sequence[Added]) -> Added:
    """Import one member."""
    family, name = GROUPS[point.group], point.name
    what = f"the package {extension.name} adds the {_SINGULAR[family]} {name}"
    if FAMILIES[family].is_own(name):
        raise _NotUsable(
            f"{what}, but drd itself has a {_SINGULAR[family]} {name}",
            f"remove the package from `extensions`, or rename the {_SINGULAR[family]} in it: "
            f"{PAGE}",
        )
    for other in before:
        if (other.family, other.name) == (family, name):
            raise _Disputed(
                f"{what}, but the package {other.extension.name} adds a "
                f"{_SINGULAR[family]} with the same name",
                "remove one of the two packages from `extensions`.",
            )
    try:
        spec = point.load()
    except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {error}"
        hint = f"this shows the whole error: python -c 'import {point.module}'"
        raise _NotUsable(f"drd cannot import the package {extension.name}: {said}", hint) from error
    fault = _fault(family, name, spec)
    if fault:
        raise _NotUsable(f"{what}, which {fault}", PAGE)
    return Added(family, name, spec, extension, point.module)


def _fault(family: str, name: str, spec: object) -> str:
    """Say why this cannot be a member of the family under this name; empty if it can."""
    if not isinstance(spec, FAMILIES[family].spec_class):
        return f"is not a {FAMILIES[family].spec_class.__name__}"
    if getattr(spec, "name", None) != name:
        return f"calls itself {getattr(spec, 'name', None)}"
    if isinstance(spec, ActionKind):
        if not name.isidentifier() or name in RESERVED_STEPS:
            return "is not a possible name of a step"
        return ""
    if not NAME.fullmatch(name):
        return "is not a possible name: use lower-case letters, digits and hyphens"
    return _fault_of_settings(name, spec)


def _fault_of_settings(name: str, spec: object) -> str:
    base: type[Settings] = Settings
    if isinstance(spec, CheckKind):
        base = CheckSettings
    elif isinstance(spec, ChannelKind):
        base = Carrier
    assert isinstance(spec, KindSpec | CheckKind | ChannelKind)
    if not issubclass(spec.settings, base):
        return f"has settings that are not a {base.__name__}"
    kind = spec.settings.model_fields.get("kind")
    said = kind.annotation if kind is not None else None
    if get_origin(said) is not Literal or get_args(said) != (name,):
        return f'has settings without kind: Literal["{name}"]'
    return ""


# --- whose files they are ---------------------------------------------------------------------


def _require_roots_alone(name: str, package: Distribution, points: Sequence[EntryPoint]) -> None:
    """Check that root imports only what nobody but root can have written."""
    with PathWalker() as ways:
        for file in _files(package, points):
            exposed = exposed_plan(str(file), {0}, ways)
            if exposed is not None and not exposed.is_told_only:
                message = f"drd as root does not import the package {name}: {exposed}"
                raise _NotUsable(message, exposed.remedy)


def _files(package: Distribution, points: Sequence[EntryPoint]) -> Iterator[Path]:
    """The files of the package, as it lists them and as Python would find them."""
    for listed in package.files or ():
        yield Path(str(listed.locate()))
    for top in dict.fromkeys(point.module.partition(".")[0] for point in points):
        try:
            module = importlib.util.find_spec(top)
        except (ImportError, ValueError):
            continue
        if module is None:
            continue
        for place in module.submodule_search_locations or ():
            yield from (Path(place), *Path(place).rglob("*"))
        if module.origin is not None:
            yield Path(module.origin)
