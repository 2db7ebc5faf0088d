"""Kinds that are not in use: packages of others that contain them, or may contain them."""

from __future__ import annotations

from drd.model.nearest import closest
from drd.registry import FAMILIES, Unavailable, packages_with, unavailable_with

FAMILY_OF = {"components": "kinds", "checks": "checks", "runbook": "actions", "notify": "notifiers"}
"""The families of the elements in these sections. Packages of others cannot add to other
sections."""


_NEAR = 0.75


def lacking(family: str, name: str) -> Unavailable | None:
    """Return the package of drd.yaml that adds this kind, or may add it, and that drd cannot use;
    None if there is none, or if the name is probably a misspelling. A channel is never such a kind,
    because an error in drd.yaml stops every command."""
    package = unavailable_with(family, name)
    if name in FAMILIES[family] or package is None:
        return None
    if family != "notifiers" and package.members is None and meant(family, name):
        return None
    return package


def meant(family: str, name: str) -> str:
    """Return the kind whose spelling is almost the same; empty if there is none."""
    return closest(name, FAMILIES[family].names, alike=_NEAR)


def unavailable(section: str, name: str) -> tuple[str, str] | None:
    """Return the error of an element of a kind that is `lacking`, and the remedy; None if it is
    not."""
    package = lacking(FAMILY_OF[section], name) if section in FAMILY_OF else None
    if package is None:
        return None
    if package.members is None:
        message = f'unknown kind "{name}": an extension may add it, but {package.why}'
    else:
        message = f'kind "{name}" is unavailable: {package.why}'
    return message, package.remedy


def not_in_use(section: str, name: str) -> str:
    """Return the remedy if an installed package that drd.yaml does not name has this member; empty
    otherwise."""
    packages = packages_with(FAMILY_OF[section], name) if section in FAMILY_OF else ()
    if not packages:
        return ""
    return (
        f'the package {packages[0]} adds "{name}": write extensions: [{packages[0]}] into drd.yaml.'
    )
