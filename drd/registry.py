"""The registries of everything that can be added to drd: kinds of components, checks, steps of
runbooks, channels.

Each family is a registry: one line for each member, with the place of its specification. A module
is imported when its member is first needed. Packages of others add members, which are imported
already (`drd/config/extensions.py`), if drd.yaml names the package.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar, cast

from drd.errors import NotSupported
from drd.model.source_version import SourceVersion

if TYPE_CHECKING:
    from drd.model.plan import Plan
    from drd.model.snapshot import ComponentSnapshot
    from drd.ports.action import ActionKind
    from drd.ports.check import CheckKind
    from drd.ports.control import ControlKind
    from drd.ports.kinds import KindSpec
    from drd.ports.notify import ChannelKind

Member = TypeVar("Member")


class Extension(NamedTuple):
    """An installed package of others."""

    name: str
    version: str

    @property
    def major(self) -> str:
        """The first number of the version."""
        return self.version.partition(".")[0]


class Added(NamedTuple):
    """A member that a package adds to a family, by its entry point in a `module`."""

    family: str
    name: str
    spec: object
    extension: Extension
    module: str = ""


class Unavailable(NamedTuple):
    """A package that drd.yaml names, and that drd cannot use: why, and the remedy. `members` are
    the families and names that it would add, None if drd cannot know them. If `others_stay`, drd
    uses what else the package adds."""

    name: str
    why: str
    remedy: str
    members: frozenset[tuple[str, str]] | None
    others_stay: bool = False

    @property
    def text(self) -> str:
        """Say what is wrong, and what follows."""
        if self.others_stay:
            return (
                f"{self.why}; drd does not use the parts that several packages add, and "
                "refuses only the plans that need these parts"
            )
        return f"{self.why}; drd refuses only the plans that use this package"

    def may_add(self, family: str, name: str) -> bool:
        return self.members is None or (family, name) in self.members


class Registry(Generic[Member]):
    """The members of one family by name: drd's own members, then the members of packages in use."""

    def __init__(self, family: str, called: str, spec: str, own: Mapping[str, str]) -> None:
        """Messages use the name `called` for members. `spec` is the place of the specifications'
        class, `own` the places of drd's members."""
        self.family = family
        self._called = called
        self._spec = spec
        self._own = dict(own)
        self._added: dict[str, Added] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return (*self._own, *self._added)

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._added

    def __getitem__(self, name: str) -> Member:
        """Return a member's specification. Raises NotSupported."""
        if name in self._own:
            return cast("Member", _import(self._own[name]))
        if (added := self._added.get(name)) is not None:
            return cast("Member", added.spec)
        raise NotSupported(
            f"{self._called} {name} are not supported", hint=f"use {', '.join(self.names)}."
        )

    def __iter__(self) -> Iterator[Member]:
        return (self[name] for name in self.names)

    def extension(self, name: str) -> Extension | None:
        """Return the package that has added a member; None for drd's own."""
        added = self._added.get(name)
        return added.extension if added is not None else None

    def is_own(self, name: str) -> bool:
        return name in self._own

    @property
    def spec_class(self) -> type:
        """The class of the specifications of this family."""
        return cast("type", _import(self._spec))

    def use(self, added: Sequence[Added]) -> None:
        """Use these members beside drd's own from now on."""
        self._added = {one.name: one for one in added if one.family == self.family}


def _import(place: str) -> object:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


KINDS: Registry[KindSpec] = Registry(
    "kinds",
    "components of kind",
    "drd.ports.kinds:KindSpec",
    {
        "postgres": "drd.kinds.postgres:SPEC",
        "postgres-cluster": "drd.kinds.postgres.physical:SPEC",
        "sqlite": "drd.kinds.sqlite:SPEC",
        "files": "drd.kinds.files:SPEC",
        "command": "drd.kinds.command:SPEC",
        "http": "drd.kinds.http:SPEC",
        "redis": "drd.kinds.redis:SPEC",
        "valkey": "drd.kinds.redis:VALKEY",
        "mariadb": "drd.kinds.mariadb:SPEC",
        "mariadb-server": "drd.kinds.mariadb.physical:SPEC",
    },
)

CHECKS: Registry[CheckKind] = Registry(
    "checks",
    "checks of kind",
    "drd.ports.check:CheckKind",
    {
        "sql": "drd.checks.sql:SPEC",
        "rows": "drd.checks.rows:SPEC",
        "files": "drd.checks.files:SPEC",
        "documents": "drd.checks.documents:SPEC",
        "command": "drd.checks.command:SPEC",
    },
)

ACTIONS: Registry[ActionKind] = Registry(
    "actions",
    "steps of kind",
    "drd.ports.action:ActionKind",
    {
        "start": "drd.actions.start:SPEC",
        "stop": "drd.actions.stop:SPEC",
        "command": "drd.actions.command:SPEC",
        "http": "drd.actions.http:SPEC",
        "sql": "drd.actions.sql:SPEC",
        "erasures": "drd.actions.erasures:SPEC",
    },
)

NOTIFIERS: Registry[ChannelKind] = Registry(
    "notifiers",
    "channels of kind",
    "drd.ports.notify:ChannelKind",
    {
        "webhook": "drd.notifiers.webhook:SPEC",
        "smtp": "drd.notifiers.smtp:SPEC",
        "exec": "drd.notifiers.command:SPEC",
        "apprise": "drd.notifiers.apprise:SPEC",
        "heartbeat": "drd.notifiers.heartbeat:SPEC",
    },
)

CONTROLS: Registry[ControlKind] = Registry(
    "controls",
    "controls of kind",
    "drd.ports.control:ControlKind",
    {
        "encryption": "drd.controls.encryption:SPEC",
        "http": "drd.controls.http:SPEC",
        "limit": "drd.controls.limit:SPEC",
        "tls": "drd.controls.tls:SPEC",
        "unchanged": "drd.controls.unchanged:SPEC",
    },
)
"""Controls of drd only: packages of others cannot add any."""

FAMILIES: Mapping[str, Registry[object]] = {
    one.family: cast("Registry[object]", one) for one in (KINDS, CHECKS, ACTIONS, NOTIFIERS)
}

_in_use: tuple[Added, ...] = ()
_unavailable: tuple[Unavailable, ...] = ()
_closed: ContextVar[bool] = ContextVar("_closed", default=False)


def in_use() -> tuple[Added, ...]:
    """Return the members that packages of others add now."""
    return _in_use


def extensions() -> frozenset[Extension]:
    """Return the packages of others that are in use."""
    return frozenset(added.extension for added in _in_use)


def extension_of_module(module: str) -> Extension | None:
    """Return the package in use that a Python module belongs to; None for all other modules."""
    top = module.partition(".")[0]
    return next(
        (added.extension for added in _in_use if added.module.partition(".")[0] == top), None
    )


def unavailable() -> tuple[Unavailable, ...]:
    """Return the packages that drd.yaml names and that drd cannot use."""
    return _unavailable


def unavailable_with(family: str, name: str) -> Unavailable | None:
    """Return the package that would add this member if drd could use the package; if none is known,
    return a package whose members drd does not know. If there are several, the result names all."""
    known = [one for one in _unavailable if one.members is not None and one.may_add(family, name)]
    extension_parts = known or [one for one in _unavailable if one.members is None]
    if not extension_parts:
        return None
    return extension_parts[0]._replace(
        name=", ".join(one.name for one in extension_parts),
        why=", and ".join(dict.fromkeys(one.why for one in extension_parts)),
        remedy=" ".join(dict.fromkeys(one.remedy for one in extension_parts)),
    )


@contextmanager
def unless_refused() -> Iterator[None]:
    """Restore the members that were in use before if the body fails."""
    before = _in_use, _unavailable
    try:
        yield
    except BaseException:
        use(*before)
        raise


@contextmanager
def only_those_in_use() -> Iterator[None]:
    """During the body, a drd.yaml that is read does not cause imports: it comes from a kit in a
    drill."""
    token, before = _closed.set(True), (_in_use, _unavailable)
    try:
        yield
    finally:
        _closed.reset(token)
        use(*before)


def is_closed() -> bool:
    """Return whether the set of members in use may no longer change."""
    return _closed.get()


def extensions_of(
    kinds: Iterable[str], checks: Iterable[str], actions: Iterable[str]
) -> tuple[Extension, ...]:
    """Return the packages that members of these names come from, by their names."""
    used = (
        *map(KINDS.extension, kinds),
        *map(CHECKS.extension, checks),
        *map(ACTIONS.extension, actions),
    )
    return tuple(sorted({one for one in used if one is not None}))


def extensions_used(plan: Plan) -> tuple[Extension, ...]:
    """Return the packages from which the plan uses something."""
    return extensions_of(
        (component.kind for component in plan.components.values()),
        (check.kind for check in plan.checks),
        (step.kind for step in plan.runbook),
    )


def source_version(snapshot: ComponentSnapshot) -> SourceVersion:
    """Return the version from which a component was backed up, as its kind reads the snapshot;
    empty for a kind that is not in use here.
    """
    if snapshot.kind not in KINDS:
        return SourceVersion()
    return KINDS[snapshot.kind].version(snapshot.facts)


def holes(snapshot: ComponentSnapshot) -> int:
    """Return how many bytes of a component are holes of files, as its kind reads the snapshot; 0
    for a kind that is not in use here.
    """
    if snapshot.kind not in KINDS:
        return 0
    return min(snapshot.bytes, KINDS[snapshot.kind].holes(snapshot.facts))


def how_made(snapshot: ComponentSnapshot) -> str:
    """Return how a snapshot was made, in words of its kind; empty if the kind says nothing."""
    if snapshot.kind not in KINDS or snapshot.state != "captured":
        return ""
    return KINDS[snapshot.kind].made(snapshot.facts)


def packages_with(family: str, name: str) -> tuple[str, ...]:
    """Return the installed packages that would add this member, by their metadata, without
    importing them. Slow, because it searches all installed packages.
    """
    from importlib.metadata import entry_points

    points = entry_points(group=f"drd.{family}", name=name)
    return tuple(sorted({point.dist.name for point in points if point.dist is not None}))


def use(added: Sequence[Added], unavailable: Sequence[Unavailable] = ()) -> None:
    """Use these members besides drd's own from now on, and no others. `unavailable` are packages
    that should add more members."""
    global _in_use, _unavailable
    _in_use, _unavailable = tuple(added), tuple(unavailable)
    for registry in FAMILIES.values():
        registry.use(_in_use)
