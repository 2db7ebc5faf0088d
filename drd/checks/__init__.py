"""Assertions about restored data, written against the kinds' ports: a module for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drd.model.plan import CheckSpec
from drd.registry import CHECKS, KINDS

if TYPE_CHECKING:
    from drd.model.plan import Component
    from drd.ports import Check


def check_for(kind: str) -> Check:
    """What carries out checks of this kind. Raises NotSupported."""
    return CHECKS[kind].check


def comparison(component: Component, name: str) -> CheckSpec:
    """A check of that name, of the component against its fingerprint."""
    kind = KINDS[component.kind].comparison
    given = {"kind": kind, "name": name, "component": component.name}
    return CheckSpec(name, kind, component.name, CHECKS[kind].settings.model_validate(given))
