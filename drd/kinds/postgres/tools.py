"""Find the PostgreSQL programs of a major version.

Debian's /usr/bin/pg_dump is a wrapper that chooses a version by itself, so the versioned
directories come first.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from drd import process
from drd.errors import ToolMissing, ToolTooOld

VERSIONED = Path("/usr/lib/postgresql")
"""The directory in which Debian keeps MAJOR/bin."""


@dataclass(frozen=True, slots=True)
class PostgresPrograms:
    """One directory of PostgreSQL programs; `version` is what the requested program reports
    (`17.12`). With `inside`, the directory is in this container.
    """

    directory: Path
    version: str
    inside: process.Container | None = None

    @property
    def major(self) -> int:
        return int(re.split(r"\D", self.version, maxsplit=1)[0])

    def path(self, name: str) -> str:
        return str(self.directory / name)

    def has(self, name: str) -> bool:
        return os.access(self.directory / name, os.X_OK)


def programs_for(
    major: int,
    tool: str,
    *,
    bin_dir: str | None,
    package: str = "postgresql-client",
    inside: process.Container | None = None,
) -> PostgresPrograms:
    """Return the programs for a server of this major version: of the same major version, else of
    the next newer. `tool` is the program that has to exist. Raises ToolMissing, or ToolTooOld,
    which names both versions, if only older versions are installed.
    """
    if inside is not None:
        return _fitting_in(inside, major, tool, bin_dir)
    if bin_dir is not None:
        candidates = [_asked(Path(bin_dir), tool, package=f"{package}-{major}")]
    else:
        candidates = _installed(tool)
    if not candidates:
        raise ToolMissing(
            f"{tool} is not installed",
            hint=f"apt-get install {package}-{major}; or set `bin_dir` of the component to the "
            "directory of the programs.",
        )
    fitting = [p for p in candidates if p.major >= major]
    if not fitting:
        newest = max(candidates, key=lambda p: p.major)
        raise ToolTooOld(
            f"{tool} {newest.version} is older than the server's version {major}",
            hint=f"apt-get install {package}-{major}; or set `bin_dir` of the component to the "
            "directory of newer programs.",
        )
    return min(fitting, key=lambda p: p.major)


def _fitting_in(
    container: process.Container, major: int, tool: str, bin_dir: str | None
) -> PostgresPrograms:
    places = f"{bin_dir}/{tool}" if bin_dir else f"{VERSIONED}/*/bin/{tool}"
    installed = [
        PostgresPrograms(Path(path).parent, match[1], container)
        for path, said in process.programs_in(container, tool, places)
        if (match := _VERSION.search(said))
        and (bin_dir is None or Path(path).parent == Path(bin_dir))
    ]
    fitting = [p for p in installed if p.major >= major]
    if fitting:
        return min(fitting, key=lambda p: p.major)
    remedy = (
        f"use an image with the programs of PostgreSQL {major} or newer, such as postgres:{major}, "
        "or set `bin_dir` of the component to their directory in the container."
    )
    if not installed:
        raise ToolMissing(f"there is no {tool} in the {container}", hint=remedy)
    newest = max(installed, key=lambda p: p.major)
    raise ToolTooOld(
        f"{tool} {newest.version} in the {container} is older than the server's version {major}",
        hint=remedy,
    )


_VERSION = re.compile(r"\s(\d+(?:\.\d+)?\w*)")


def newest_major(tool: str, bin_dir: str | None) -> int:
    """Return the newest installed major version, 0 if there is none."""
    if bin_dir is not None:
        return 0  # the programs that the plan names are used, whatever their version
    return max((p.major for p in _installed(tool)), default=0)


def _asked(directory: Path, tool: str, *, package: str) -> PostgresPrograms:
    path = process.find_tool(tool, package=package, bin_dir=directory)
    return PostgresPrograms(directory, _version(path))


def _installed(tool: str) -> list[PostgresPrograms]:
    """Return the programs of the versioned directories; else those in PATH."""
    programs = [
        PostgresPrograms(path.parent, _version(str(path)))
        for path in sorted(VERSIONED.glob(f"[0-9]*/bin/{tool}"))
        if os.access(path, os.X_OK)
    ]
    if programs:
        return programs
    on_path = shutil.which(tool)
    if on_path is None:
        return []
    return [PostgresPrograms(Path(on_path).parent, _version(on_path))]


def _version(path: str) -> str:
    done = process.run(process.Command([path, "--version"], deadline_s=20.0))
    match = _VERSION.search(done.stdout)
    if done.exit_code != 0 or match is None:
        raise ToolMissing(
            f"drd cannot use {path}: {done.complaint}",
            hint="install the package of this program again, or remove the program; or set "
            "`bin_dir` of the component to the directory of programs that work.",
        )
    return match[1]
