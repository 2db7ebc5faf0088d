"""Suggest files and directories for a new plan, with a component for each that a person names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

from drd.errors import UsageError
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


_CONFIGURATION = "configuration"
_ALL_OF_IT = "/etc"
"""The directory of a host's whole configuration."""


def found() -> tuple[list[Wish], list[str]]:
    """Suggest one component for the configuration of all gateways on this host. Does not read the
    files."""
    there = [Path(path) for path in GATEWAYS if Path(path).exists()]
    paths = [named_path(str(path if path.is_dir() else path.parent)) for path in there]
    return [_wish(_CONFIGURATION, list(dict.fromkeys(paths)))] if paths else [], []


def wishes(given: Sequence[str]) -> list[Wish]:
    """Suggest a component for each of these paths, named by its directory or file. Raises
    UsageError for a missing path, and for one below another."""
    paths = list(dict.fromkeys(map(named_path, given)))
    for path in paths:
        above = next((other for other in paths if _is_below(path, other)), None)
        if above is not None:
            raise UsageError(
                f"--files {path} is below --files {above}, which contains it already",
                hint=f"leave out --files {path}.",
            )
    names = [_name(path) for path in paths]
    return [
        _wish(name if names.count(name) == 1 else _name(path, with_parent=True), [path])
        for name, path in zip(names, paths, strict=True)
    ]


def _name(path: str, *, with_parent: bool = False) -> str:
    """Return the name of the component of a path, with that of the directory above if the path
    shares its last part with another one."""
    if path == _ALL_OF_IT:
        return _CONFIGURATION
    last = PurePath(path)
    return f"{last.parent.name}-{last.name}" if with_parent else last.name


def _wish(name: str, paths: Sequence[str]) -> Wish:
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

    return Wish(
        name,
        "files",
        keys,
        names_plan=False,
        target=target,
        units=units_using(paths),
        where=", ".join(paths),
    )


def _is_below(path: str, directory: str) -> bool:
    return path.startswith(directory.rstrip("/") + "/") and path != directory
