"""Suggest files and directories for a new plan: one component for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from drd.kinds.file_system import STANDBY, named_path
from drd.kinds.open_files import units_using
from drd.ports.kinds import Wish

GATEWAYS = (
    "/etc/nginx/nginx.conf",
    "/etc/haproxy/haproxy.cfg",
    "/etc/apache2/apache2.conf",
    "/etc/caddy",
    "/etc/traefik",
    "/etc/envoy",
    "/etc/kong",
)
"""Where gateways have their configuration: a directory, or a file in it; without this file, the
directory belongs to other packages."""


def found() -> tuple[list[Wish], list[str]]:
    """Suggest a component for the configuration of gateways on this host. Does not read the
    files."""
    there = [Path(path) for path in GATEWAYS if Path(path).exists()]
    return wishes([str(path if path.is_dir() else path.parent) for path in there]), []


def wishes(given: Sequence[str]) -> list[Wish]:
    """Suggest a component of these paths. Raises UsageError for a missing path."""
    paths = list(dict.fromkeys(map(named_path, given)))

    def keys(live: Sequence[str], _: str) -> Iterator[tuple[str, Any]]:
        yield "paths", paths
        inside = [file for file in live if any(_is_below(file, path) for path in paths)]
        if inside:
            yield "#", "A live database's files are not copied: the database has its own component."
            yield "exclude", inside

    def target(name: str) -> Iterator[tuple[str, Any]]:
        place = f"{STANDBY}/{name}"
        yield "#", f"A file is restored under its whole path: {place}{paths[0]}"
        yield "path", place

    units = units_using(paths)
    wish = Wish(
        "configuration",
        "files",
        keys,
        names_plan=False,
        target=target,
        units=units,
        where=", ".join(paths),
    )
    return [wish] if paths else []


def _is_below(path: str, directory: str) -> bool:
    return path.startswith(directory.rstrip("/") + "/")
