"""Find out what a kind of component says about itself, by the kind's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pkgutil import resolve_name
from typing import Any

from drd.errors import NotSupported
from drd.extension_faults import FOREIGN, attributed, fault
from drd.model.inventory import THIS_HOST
from drd.model.plan import Component, Plan, SecretRef
from drd.ports import Kind
from drd.ports.by_hand import ByHandOf
from drd.ports.grants import GrantsOf
from drd.ports.kinds import UNKNOWN_ROOM, Reveal, no_bytes
from drd.registry import KINDS


def host_of(reveal: Reveal) -> Callable[[Component], str]:
    """Return the server from which a component is read; empty if an extension cannot say it."""

    def host(component: Component) -> str:
        try:
            return KINDS[component.kind].host(component.settings, reveal)
        except FOREIGN as error:
            if fault(error, component.name, KINDS.extension(component.kind)) is None:
                raise
            return ""

    return host


def servers_of(plan: Plan, reveal: Reveal) -> frozenset[str]:
    """Return the servers that have data of a plan: `THIS_HOST`, or the name of the server. A server
    is left out if only a secret names it, and drd cannot read this secret now."""
    known = (_server(component, reveal) for component in plan.components.values())
    return frozenset(server for server in known if server)


def _server(component: Component, reveal: Reveal) -> str:
    hidden = False

    def told(ref: SecretRef) -> str | None:
        nonlocal hidden
        value = reveal(ref)
        hidden = hidden or value is None
        return value

    server = host_of(told)(component)
    return server or ("" if hidden else THIS_HOST)


def room_of(kind: str, size: int, facts: Callable[[], Mapping[str, Any]]) -> int:
    """Return the bytes that a sandbox needs for a snapshot of `size` bytes, even for a kind that no
    longer exists, or if the code of an extension fails. `facts` reads the facts of the snapshot: it
    is called only for a kind whose room depends on them.
    """
    if kind not in KINDS:
        return int(UNKNOWN_ROOM * size)
    spec = KINDS[kind]
    depends = spec.needs is not no_bytes or spec.holes is not no_bytes
    known = facts() if depends else {}
    if not known:
        return int(spec.room * size)
    try:
        return spec.room_for(size, known)
    except FOREIGN as error:
        if fault(error, "", KINDS.extension(kind)) is None:
            raise
        return int(spec.room * size)


def server_users() -> tuple[str, ...]:
    """Return the system users that the servers of kinds usually run as."""
    return tuple(spec.server_user for spec in KINDS if spec.server_user)


def by_hand_of(kind: str) -> ByHandOf:
    """Return the kind's instructions without drd. Raises NotSupported if the kind has none."""
    spec = KINDS[kind]
    if not spec.by_hand:
        raise NotSupported(f"kind {kind} cannot be restored by hand")
    by_hand: ByHandOf = resolve_name(spec.by_hand)
    return by_hand


def grants_of(kind: str) -> GrantsOf:
    """Return the function that writes the rights for components of the kind. Raises NotSupported if
    the kind has none."""
    spec = KINDS[kind]
    if not spec.grants:
        raise NotSupported(f"drd cannot write a script of grants for kind {kind}")
    grants: GrantsOf = resolve_name(spec.grants)
    return grants


@cache
def kind_for(name: str) -> Kind:
    """Return the adapter of a kind; each is imported when it is first needed."""
    with attributed(f"kind {name}", KINDS.extension(name)):
        kind: Kind = KINDS[name].open()
    return kind
