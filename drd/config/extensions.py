"""Packages of others that extend drd (`extensions` in drd.yaml): found, checked, imported.

They run with drd's keys, and as root if drd does. So drd imports only those that drd.yaml names,
and under root only those that nobody but root can change. Nothing in a plan, a kit or a repository
makes drd import one."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal, get_args, get_origin

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
from drd.registry import FAMILIES, Added, Extension

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


def load_extensions(names: Sequence[str], report: Report) -> tuple[Added, ...]:
    """Return the members that these packages add. Errors of a package go into the report, on its
    line.
    """
    if registry.is_closed():
        return _those_in_use(names, report)
    if names and rights.may_be_root() and not _is_roots_alone(report):
        return ()
    members: list[Added] = []
    for at, name in enumerate(names):
        try:
            if name in names[:at]:
                raise _NotUsable(f"names {name} twice", "remove one of them.")
            members += _members(name, members)
        except _NotUsable as error:
            report.error(("extensions", at), error.message, error.hint)
    return tuple(members)


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
    added = load_extensions(names, report)
    if report.errors:
        raise ConfigError(report.errors)
    registry.use(added)


def _those_in_use(names: Sequence[str], report: Report) -> tuple[Added, ...]:
    known = {added.extension.name for added in registry.in_use()}
    for at, name in enumerate(names):
        if name not in known:
            hint = (
                "if this host needs the package, add it to `extensions` in this host's own "
                "drd.yaml."
            )
            report.error(
                ("extensions", at),
                f"the drd.yaml of this host does not name the extension {name}",
                hint,
            )
    return registry.in_use()


def _is_roots_alone(report: Report) -> bool:
    """Return whether only root can write drd.yaml, and so choose what root imports."""
    exposed = exposed_plan(report.document.file, {0})
    if exposed is None or exposed.is_told_only:
        return True
    message = f"drd as root does not import the extensions of this file: {exposed}"
    report.error(("extensions",), message, exposed.remedy)
    return False


def _members(name: str, before: Sequence[Added]) -> list[Added]:
    try:
        package = distribution(name)
    except (PackageNotFoundError, ValueError):
        hint = f"install it beside drd: pip install {name}; or remove {name} from `extensions`."
        raise _NotUsable(f"the package {name} is not installed", hint) from None
    points = [point for point in package.entry_points if point.group in GROUPS]
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
            raise _NotUsable(
                f"{what}, but the package {other.extension.name} adds a "
                f"{_SINGULAR[family]} with the same name",
                "remove one of the two packages from `extensions`.",
            )
    try:
        spec = point.load()
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        hint = f"this shows the whole error: python -c 'import {point.module}'"
        raise _NotUsable(f"drd cannot import the package {extension.name}: {said}", hint) from error
    fault = _fault(family, name, spec)
    if fault:
        raise _NotUsable(f"{what}, which {fault}", PAGE)
    return Added(family, name, spec, extension)


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
