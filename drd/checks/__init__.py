"""Assertions about restored data, which use the kinds' ports: a module for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drd.model.plan import CheckSpec
from drd.registry import CHECKS, KINDS

if TYPE_CHECKING:
    from drd.model.plan import Component
    from drd.ports import Check


def check_for(kind: str) -> Check:
    """Return the check of this kind. Raises NotSupported."""
    return CHECKS[kind].check


def comparison(component: Component, name: str) -> CheckSpec | None:
    """Return a check of this name that compares the component with its fingerprint; None if its
    kind has no such check."""
    kind = KINDS[component.kind].comparison
    if kind is None:
        return None
    given = {"kind": kind, "name": name, "component": component.name}
    return CheckSpec(name, kind, component.name, CHECKS[kind].settings.model_validate(given))
