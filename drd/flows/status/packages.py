"""The versions of installed packages, for `drd status`: by the names of the directories that pip
writes. Nothing of a package is read or imported.

This module uses only the standard library, since `drd status` starts cold in monitoring.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from time import monotonic

_KNOWN_FOR_S = 10.0
"""The daemon asks again after this time: a package may have changed meanwhile."""

_versions: dict[str, tuple[float, str | None]] = {}
"""The versions by name, and when they were read."""


def changed_package(packages: Mapping[str, str]) -> str:
    """Say which package of a plan is missing, or has another first number of its version than when
    the plan was loaded; empty if none."""
    for name, number in packages.items():
        version = installed_version(name)
        if version is None:
            return f"the plan uses package {name}, which is not installed in {sys.prefix}"
        if version.partition(".")[0] != number:
            return (
                f"the plan uses package {name}, which now has version {version}, and had version "
                f"{number} when drd loaded the plan"
            )
    return ""


def missing_packages(names: Iterable[str]) -> tuple[str, ...]:
    """Return those of the packages that are not installed."""
    return tuple(name for name in names if installed_version(name) is None)


def installed_version(name: str) -> str | None:
    """Return the version of an installed package, None for a missing one."""
    now = monotonic()
    read_at, version = _versions.get(name, (now - _KNOWN_FOR_S, None))
    if now - read_at >= _KNOWN_FOR_S:
        version = _by_directories(name) or _by_metadata(name)
        _versions[name] = now, version
    return version


def _by_directories(name: str) -> str:
    """Return the version in the name of the first directory; empty if there is none."""
    wanted = _normal(name)
    for place in sys.path:
        try:
            entries = os.listdir(place or ".")  # noqa: PTH208 (pathlib costs 4 ms)
        except OSError:
            continue
        for entry in entries:
            if entry.endswith(".dist-info"):
                package, _, version = entry.removesuffix(".dist-info").partition("-")
                if version and _normal(package) == wanted:
                    return version
    return ""


def _by_metadata(name: str) -> str | None:
    """Return the version of a package that was installed in another way. Slow, and rare."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except (PackageNotFoundError, ValueError):
        return None


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()
