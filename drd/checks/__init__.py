"""Assertions about restored data, written against the kinds' ports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drd.errors import NotSupported

if TYPE_CHECKING:
    from drd.checks.settings import FilesCheck, RowsCheck
    from drd.model.plan import CheckSpec, Component
    from drd.ports import Check

KINDS = ("sql", "rows", "files", "command")


def check_for(kind: str) -> Check:
    """The check of this kind; only its own module is imported. Raises NotSupported."""
    if kind == "sql":
        from drd.checks.sql import SqlValue

        return SqlValue()
    if kind == "rows":
        from drd.checks.rows import RowCounts

        return RowCounts()
    if kind == "files":
        from drd.checks.files import TreeComparison

        return TreeComparison()
    if kind == "command":
        from drd.checks.command import OwnCommand

        return OwnCommand()
    raise NotSupported(
        f"checks of kind {kind} are not supported yet", hint=f"use one of {', '.join(KINDS)}."
    )


def comparison(component: Component, name: str) -> CheckSpec:
    """A check of that name, of the component against its fingerprint."""
    from drd.checks.settings import FilesCheck, RowsCheck
    from drd.model.plan import CheckSpec

    settings: FilesCheck | RowsCheck
    if component.kind == "files":
        settings = FilesCheck(kind="files", name=name, component=component.name)
    else:
        settings = RowsCheck(kind="rows", name=name, component=component.name)
    return CheckSpec(name, settings.kind, component.name, settings)
