"""Find, check and import the packages of others that extend drd (`extensions` in drd.yaml).

They run with drd's keys, and as root if drd does. So drd imports only packages that drd.yaml names,
and as root only packages that nobody but root can change. Nothing in a plan, a kit or a repository
makes drd import a package. If drd cannot use a package, drd warns, and plans that use the package
have an error; other plans are not affected."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType
from typing import Literal, NamedTuple, get_args, get_origin

from drd import registry
from drd.checks.settings import CheckSettings
from drd.config.exposed_files import exposed_plan, judged
from drd.config.plan_path import PathWalker, PlanPath
from drd.config.problems import Report
from drd.config.steps import ENGINE_STEPS, KEYS_OF_EVERY_STEP
from drd.config.yaml import Document, read
from drd.errors import ConfigError
from drd.fields import Settings
from drd.model.package_names import normal_name
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


class Loaded(NamedTuple):
    """What the packages add, and the packages that drd cannot use."""

    added: tuple[Added, ...] = ()
    unavailable: tuple[Unavailable, ...] = ()


def load_extensions(
    names: Sequence[str], report: Report, reached: PlanPath | None = None
) -> Loaded:
    """Return the members that these packages add. If a package cannot be used, the report gets a
    warning with its line; if it is named twice, an error. `reached` is the file with the list as it
    was opened; without it, the rights of the file that now has this name are checked.
    """
    places: dict[str, int] = {}
    for at, name in enumerate(names):
        if normal_name(name) in places:
            report.error(("extensions", at), f"names {name} twice", "remove one of the two lines.")
        places.setdefault(normal_name(name), at)
    different = tuple(places)
    loaded = (
        _those_in_use(different) if registry.is_closed() else _loaded(different, report, reached)
    )
    for one in loaded.unavailable:
        report.warn(("extensions", places[one.name]), one.text, one.remedy)
    return loaded


def use_extensions(names: Sequence[str], report: Report, reached: PlanPath) -> None:
    """Use the members that these packages add, and no others, from now on. See
    `load_extensions`."""
    registry.use(*load_extensions(names, report, reached))


def use_those_of(names: Sequence[str], file: Path | None) -> None:
    """Use the members that these packages of a drd.yaml add from now on. Raises ConfigError."""
    _use(names, Report(Document(str(file), {"extensions": list(names)}, {})))


def use_those_of_text(text: str, file: str) -> None:
    """Use the extensions in the text of a drd.yaml that a person has accepted for this host."""
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
    hint = (
        "if this host needs the package, add its name to `extensions` in the drd.yaml of this host."
    )
    unavailable = [
        before.get(name)
        or Unavailable(
            name, f"the drd.yaml of this host does not name the extension {name}", hint, None
        )
        for name in names
        if name in before or name not in known
    ]
    return Loaded(registry.in_use(), tuple(unavailable))


def _loaded(names: Sequence[str], report: Report, reached: PlanPath | None) -> Loaded:
    exposed = _exposed_list(report, reached) if names and rights.may_be_root() else None
    disputes = _disputes(names)
    members: list[Added] = []
    unavailable: list[Unavailable] = []
    for name in names:
        try:
            if exposed is not None:
                raise exposed
            members += _members(name, disputes)
        except _NotUsable as error:
            unavailable.append(Unavailable(name, error.message, error.hint, _promised(name)))
        else:
            unavailable += _disputed(name, disputes)
    return Loaded(tuple(members), tuple(unavailable))


Disputes = Mapping[tuple[str, str], Sequence[str]]


def _disputes(names: Sequence[str]) -> Disputes:
    """Return the members that several of these packages add, with those packages. None of them is
    used, whichever drd.yaml names first."""
    claims: dict[tuple[str, str], list[str]] = {}
    for name in names:
        for member in _promised(name) or ():
            claims.setdefault(member, []).append(name)
    return {member: packages for member, packages in claims.items() if len(packages) > 1}


def _disputed(name: str, disputes: Disputes) -> Iterator[Unavailable]:
    """Say that a package in use lacks the members that other packages add as well."""
    mine = {member: packages for member, packages in disputes.items() if name in packages}
    if not mine:
        return
    said = [
        f"the packages {' and '.join(packages)} add a {_SINGULAR[family]} with the same name, "
        f"{member}"
        for (family, member), packages in sorted(mine.items())
    ]
    others = sorted({other for packages in mine.values() for other in packages} - {name})
    remedy = f"remove {name} or {' and '.join(others)} from `extensions`."
    if len({tuple(packages) for packages in mine.values()}) == 1:
        remedy = "remove one of the packages from `extensions`."
    yield Unavailable(name, "; ".join(said), remedy, frozenset(mine), others_stay=True)


def _promised(name: str) -> frozenset[tuple[str, str]] | None:
    """Return what a package would add, by its metadata, or what it adds if it is loaded; None if
    it is not installed. drd's own members cannot be replaced."""
    package = _installed(name)
    if package is None:
        return None
    known = _still_imported(name)
    points = known.points if known is not None else _points(package)
    members = {(GROUPS[point.group], point.name) for point in points}
    return frozenset((f, n) for f, n in members if not FAMILIES[f].is_own(n))


def _exposed_list(report: Report, reached: PlanPath | None) -> _NotUsable | None:
    """Return the error if others than root can write drd.yaml, and so choose what root imports."""
    if reached is not None:
        exposed = judged(reached, {0})
    else:
        exposed = exposed_plan(report.document.file, {0})
    if exposed is None or exposed.is_told_only:
        return None
    message = f"drd as root does not import the extensions of this file: {exposed}"
    return _NotUsable(message, exposed.remedy)


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except (PackageNotFoundError, ValueError):
        return None


def _points(package: Distribution) -> list[EntryPoint]:
    return [point for point in package.entry_points if point.group in GROUPS]


class _Imported(NamedTuple):
    """A package that this process has imported. Python keeps its modules, so that another version
    that is installed meanwhile is used only by the next process."""

    extension: Extension
    points: Sequence[EntryPoint]
    modules: Mapping[str, ModuleType]


_imported: dict[str, _Imported] = {}


def _still_imported(name: str) -> _Imported | None:
    """Return a package whose modules this process has; None if it has others or none."""
    known = _imported.get(name)
    if known is None:
        return None
    same = all(sys.modules.get(name) is module for name, module in known.modules.items())
    return known if same else None


def outdated() -> Iterator[tuple[str, str]]:
    """Yield each package of drd.yaml of which another version is installed than the version that
    this process has imported, with a text that says so."""
    named = {one.name for one in registry.extensions()}
    named |= {one.name for one in registry.unavailable()}
    for name in sorted(named & _imported.keys()):
        used = _imported[name].extension.version
        package = _installed(name)
        if package is not None and package.version != used:
            text = (
                f"the daemon still uses version {used} of the package {name}, but version "
                f"{package.version} is installed now: the daemon loads a new version only when "
                "it restarts"
            )
            yield name, text


def _package(name: str) -> _Imported:
    """Return what is imported of a package, or what there is to import."""
    package = _installed(name)
    if package is None:
        hint = (
            f"install {name} into {sys.prefix}, from the address that its author gave you: `pip "
            f"install {name}` alone may install a stranger's package from PyPI. Or remove {name} "
            "from `extensions` in drd.yaml, and remove what uses it from the plans."
        )
        raise _NotUsable(f"the package {name} is not installed", hint)
    known = _still_imported(name)
    points = known.points if known is not None else _points(package)
    if not points:
        hint = f"the package needs entry points in {', '.join(GROUPS)}: {PAGE}"
        raise _NotUsable(f"the package {name} adds nothing to drd", hint)
    if rights.may_be_root():
        _require_roots_alone(name, package, points)
    return known or _Imported(Extension(name, package.version), points, {})


def _members(name: str, disputes: Disputes) -> list[Added]:
    package = _package(name)
    points = [p for p in package.points if (GROUPS[p.group], p.name) not in disputes]
    try:
        return [_member(point, package.extension) for point in points]
    finally:
        names = {point.module for point in package.points}
        modules = {name: sys.modules[name] for name in names if name in sys.modules}
        if modules:
            _imported[name] = package._replace(modules=modules)


def _member(point: EntryPoint, extension: Extension) -> Added:
    """Import one member."""
    family, name = GROUPS[point.group], point.name
    what = f"the package {extension.name} adds the {_SINGULAR[family]} {name}"
    if FAMILIES[family].is_own(name):
        raise _NotUsable(
            f"{what}, but drd itself has a {_SINGULAR[family]} {name}",
            f"remove the package from `extensions`, or rename the {_SINGULAR[family]} in it: "
            f"{PAGE}",
        )
    try:
        spec = point.load()
    except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {error}"
        hint = f"to see the whole error: {sys.executable} -c 'import {point.module}'"
        raise _NotUsable(f"drd cannot import the package {extension.name}: {said}", hint) from error
    fault = member_fault(family, name, spec)
    if fault:
        raise _NotUsable(f"{what}, which {fault}", PAGE)
    return Added(family, name, spec, extension, point.module)


def member_fault(family: str, name: str, spec: object) -> str:
    """Say why this cannot be a member of the family under this name; empty if it can."""
    if not isinstance(spec, FAMILIES[family].spec_class):
        return f"is not a {FAMILIES[family].spec_class.__name__}"
    if getattr(spec, "name", None) != name:
        return f"calls itself {getattr(spec, 'name', None)}"
    if isinstance(spec, ActionKind):
        if not name.isidentifier() or name in RESERVED_STEPS:
            return "is not a valid name of a step"
        return ""
    if not NAME.fullmatch(name):
        return "is not a valid name: use lower-case letters, digits and hyphens"
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
        for place in _searched_before(points):
            exposed = exposed_plan(str(place), {0}, ways)
            if exposed is not None and not exposed.is_told_only:
                message = (
                    f"drd as root does not import the package {name}: Python looks for it in "
                    f"{place} first, and {exposed}"
                )
                raise _NotUsable(message, exposed.remedy)


def _searched_before(points: Sequence[EntryPoint]) -> Iterator[Path]:
    """The directories in which Python looks before it finds the modules: whoever can write there
    can put others in their place, also after drd has looked at the files. Of one that is missing,
    the directory in which somebody could make it."""
    tops = dict.fromkeys(point.module.partition(".")[0] for point in points)
    for entry in dict.fromkeys(sys.path):
        place = Path(entry or ".").absolute()
        there = [t for t in tops if (place / t).is_dir() or (place / f"{t}.py").exists()]
        tops = {t: None for t in tops if t not in there}
        if not tops and there:
            return
        while not place.exists():
            place = place.parent
        if place.is_dir():
            yield place


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
