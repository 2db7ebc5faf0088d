"""What is asked of a kind of component by its name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pkgutil import resolve_name

from drd.errors import NotSupported
from drd.model.plan import Component
from drd.ports import Kind
from drd.ports.by_hand import ByHandOf
from drd.ports.kinds import UNKNOWN_ROOM, Reveal
from drd.registry import KINDS


def host_of(reveal: Reveal) -> Callable[[Component], str]:
    """The server that a component is read from."""
    return lambda component: KINDS[component.kind].host(component.settings, reveal)


def room_of(kind: str) -> float:
    """How many times its size a sandbox for a component of the kind needs, also of a kind that is
    not here any more."""
    return KINDS[kind].room if kind in KINDS else UNKNOWN_ROOM


def server_users() -> tuple[str, ...]:
    """The system users that the servers of kinds usually run as."""
    return tuple(spec.server_user for spec in KINDS if spec.server_user)


def by_hand_of(kind: str) -> ByHandOf:
    """Raises NotSupported for a kind that cannot be brought back without drd."""
    spec = KINDS[kind]
    if not spec.by_hand:
        raise NotSupported(f"kind {kind} cannot be restored by hand")
    by_hand: ByHandOf = resolve_name(spec.by_hand)
    return by_hand


@cache
def kind_for(name: str) -> Kind:
    """The adapter of a kind of component; each is imported when it is first needed."""
    kind: Kind = KINDS[name].open()
    return kind
