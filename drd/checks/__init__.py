"""Assertions about restored data, written against the kinds' ports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drd.errors import NotSupported

if TYPE_CHECKING:
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
