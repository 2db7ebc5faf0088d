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


def room_of(kind: str) -> float:
    """Return how many times its size a sandbox for a component needs, even for a kind that no
    longer exists.
    """
    return KINDS[kind].room if kind in KINDS else UNKNOWN_ROOM


def needs_of(kind: str) -> Callable[[Mapping[str, Any]], int] | None:
    """Return the function that calculates from the facts of a snapshot the bytes that a sandbox
    needs in any case (0 if the code of an extension fails); None for a kind that has no such
    function."""
    if kind not in KINDS or KINDS[kind].needs is no_bytes:
        return None

    def needs(facts: Mapping[str, Any]) -> int:
        try:
            return KINDS[kind].needs(facts)
        except FOREIGN as error:
            if fault(error, "", KINDS.extension(kind)) is None:
                raise
            return 0

    return needs


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
