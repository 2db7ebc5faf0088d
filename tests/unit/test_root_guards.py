"""Root's guards around the stores of another user: none passes on a method by itself."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_type_hints

import pytest

from drd.flows.root import noted
from drd.ports import Catalogue
from drd.ports.points import PointStore
from drd.ports.runs import RunStore
from drd.ports.steps import DecisionStore, StepStore

GUARDS = {
    RunStore: noted.NotedRuns,
    StepStore: noted.NotedSteps,
    DecisionStore: noted.NotedDecisions,
    PointStore: noted.NotedPoints,
}

RESUMES_NOTHING = {
    "plans", "copies", "evidence", "kits", "repositories", "queue", "outbox", "alerts", "origins",
    "health", "keeping", "custody", "records", "incidents", "intake", "signatures", "stamps",
}  # fmt: skip
"""Stores that have no guard: no recovery is resumed by their rows alone."""


def methods(cls: type) -> set[str]:
    return {name for name, value in vars(cls).items() if callable(value) and name[0] != "_"}


@pytest.mark.parametrize("port", GUARDS)
def test_a_guard_names_each_method_of_its_port(port: type) -> None:
    guard = GUARDS[port]
    assert methods(guard) == methods(port)
    assert guard.__mro__ == (guard, object)
    assert "__getattr__" not in vars(guard)


def test_each_store_is_guarded_or_named_here() -> None:
    ports: dict[str, Any] = get_type_hints(Catalogue)
    stores = {f.name: ports[f.name] for f in fields(Catalogue)}
    assert {name for name, port in stores.items() if port not in GUARDS} == RESUMES_NOTHING
    assert {port for port in stores.values() if port in GUARDS} == set(GUARDS)
