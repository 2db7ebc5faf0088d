"""Repositories that another tool fills: `made_by`. drd only reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import Protocol, cast

from drd.model.adopted import Adopted
from drd.model.plan import RepositorySpec, SecretRef
from drd.ports import Repository
from drd.ports.adopted import ForeignTool
from drd.repositories.adopted.repository import AdoptedRepository

TOOLS: Mapping[str, str] = {
    "restic": "drd.repositories.adopted.restic:open_tool",
    "pgbackrest": "drd.repositories.adopted.pgbackrest:open_tool",
    "command": "drd.repositories.adopted.command:open_tool",
}
"""The tools, each with the function that opens the place of its copies (`OpenTool`)."""


class OpenTool(Protocol):
    def __call__(
        self,
        spec: RepositorySpec,
        adopted: Adopted,
        *,
        cache_dir: Path,
        resolve: Callable[[SecretRef], str],
        program: str | None,
    ) -> ForeignTool: ...


def open_adopted(
    spec: RepositorySpec,
    adopted: Adopted,
    *,
    cache_dir: Path,
    resolve: Callable[[SecretRef], str],
    program: str | None,
) -> Repository:
    """Return the repository of another tool as drd sees it. Contacts no server and reads no secret
    yet."""
    open_tool = cast("OpenTool", resolve_name(TOOLS[adopted.made_by]))
    tool = open_tool(spec, adopted, cache_dir=cache_dir, resolve=resolve, program=program)
    return cast("Repository", AdoptedRepository(spec, adopted, tool))
