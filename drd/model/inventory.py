"""What a service has and what it depends on, by its plan: whom and what an incident affects.
Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drd.model.plan import Plan

THIS_HOST = "this host"
"""The server of data that lies on the host on which drd runs; no server has this name."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential of the service. `rotate_with` is the playbook that replaces it, empty if the
    plan names none. `reference` says in words where the service keeps it (`file /etc/app/key`); it
    is not one of drd's references, because drd neither needs nor reads the secret.
    """

    name: str
    reference: str = ""
    rotate_with: str = ""


@dataclass(frozen=True, slots=True)
class DataSet:
    """Data about people. `people` is an estimate, None if unknown; `residents` are codes of
    countries and states, each with the number of people, None if unknown. `where` are components
    and tables (COMPONENT.TABLE). `count` is the SQL that counts the people. `encrypted` is None if
    nobody knows whether a person who gets the data could read it.
    """

    what: str
    categories: tuple[str, ...] = ()
    special: bool = False
    people: int | None = None
    residents: tuple[tuple[str, int | None], ...] = ()
    where: tuple[str, ...] = ()
    count: str | None = None
    encrypted: bool | None = None
    processors: tuple[str, ...] = ()

    @property
    def components(self) -> tuple[str, ...]:
        """The names of the components that have it."""
        return tuple(dict.fromkeys(place.partition(".")[0] for place in self.where))


@dataclass(frozen=True, slots=True)
class Risk:
    """A risk. `what` is the name of a threat (`drd.model.risks`) or free text; `likelihood` and
    `impact` are low, medium, high or empty; `reviewed` is a day (2026-11-28) or empty. `covers`
    are scenarios of drills, `playbook:NAME` and `control:NAME`.
    """

    what: str
    likelihood: str = ""
    impact: str = ""
    treatment: str = "reduce"
    owner: str = ""
    reviewed: str = ""
    covers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a plan says about its service. `tier` 1 is the most important, None if not given."""

    tier: int | None = None
    business_owner: str = ""
    depends_on: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    credentials: tuple[Credential, ...] = ()
    data: tuple[DataSet, ...] = ()
    risks: tuple[Risk, ...] = ()


@dataclass(frozen=True, slots=True)
class Dependent:
    """A plan that an incident of another one reaches, and how: `depends on orders-api`."""

    plan: str
    why: str


def dependents(
    plans: Mapping[str, Plan],
    affected: Iterable[str],
    servers: Mapping[str, Collection[str]] | None = None,
) -> list[Dependent]:
    """Return the other plans that an incident of the `affected` plans reaches: plans that depend on
    them, or that use the same repository or the same secret; also indirectly. Ordered by distance.
    Then come plans with data on the same server as one of these plans; `servers` has the servers of
    each plan, each as `THIS_HOST` or a name.
    """
    reached = dict.fromkeys(affected)
    found: list[Dependent] = []
    for at in ({}, servers or {}):
        waiting = [name for name in reached if name in plans]
        while waiting:
            source = waiting.pop(0)
            for name, plan in plans.items():
                if name in reached:
                    continue
                why = _link(plan, plans[source]) or _same_server(name, source, at)
                if why:
                    reached[name] = None
                    found.append(Dependent(name, why))
                    waiting.append(name)
    return found


def _same_server(name: str, source: str, servers: Mapping[str, Collection[str]]) -> str:
    """Return in words which server two plans share, without its name, which can be a secret."""
    shared = {*servers.get(name, ())} & {*servers.get(source, ())}
    if not shared:
        return ""
    if shared == {THIS_HOST}:
        return f"has data on this host, as {source} does"
    return f"has data on the same server as {source}"


def _link(plan: Plan, source: Plan) -> str:
    """Return how an incident of `source` reaches a plan; empty if it does not."""
    if source.name in plan.inventory.depends_on:
        return f"depends on {source.name}"
    urls = {r.url for r in source.repositories.values()}
    shared = next((r.url for r in plan.repositories.values() if r.url in urls), None)
    if shared is not None:
        return f"uses repository {shared}, as {source.name} does"
    keys = _secrets(source)
    secret = next((words for words in _secrets(plan) if words in keys), None)
    return f"uses {secret}, as {source.name} does" if secret is not None else ""


def _secrets(plan: Plan) -> dict[str, None]:
    """Return in words the secrets of a plan's repositories, and those that its inventory names."""
    refs = [ref for r in plan.repositories.values() for ref in r.secrets().values()]
    words = [ref.describe() for ref in refs if ref.source != "text"]
    words += [c.reference for c in plan.inventory.credentials if c.reference]
    return dict.fromkeys(words)
