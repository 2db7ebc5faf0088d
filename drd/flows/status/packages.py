"""The versions of installed packages, for `drd status`: by the names of the directories that pip
writes. Nothing of a package is read or imported.

This module uses only the standard library, since `drd status` starts cold in monitoring.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from time import monotonic

from drd.model.package_names import normal_name

_KNOWN_FOR_S = 10.0
"""The daemon asks again after this time: a package may have changed meanwhile."""

_known: tuple[float, dict[str, str | None]] = -_KNOWN_FOR_S, {}
"""The time of the last read, and the version of each package, by the normal form of its name."""


def changed_package(packages: Mapping[str, str]) -> str:
    """Return which package of a plan is missing, or has another first number of its version than
    when the plan was loaded; empty if there is none."""
    for name, number in packages.items():
        version = installed_version(name)
        if version is None:
            return f"the plan uses package {name}, which is not installed in {sys.prefix}"
        if version.partition(".")[0] != number:
            return (
                f"the plan uses package {name}, which now has version {version}, but had "
                f"version {number} when drd loaded the plan"
            )
    return ""


def missing_packages(names: Iterable[str]) -> tuple[str, ...]:
    """Return the packages that are not installed."""
    return tuple(name for name in names if installed_version(name) is None)


def installed_version(name: str) -> str | None:
    """Return the version of an installed package; None if it is not installed."""
    global _known  # noqa: PLW0603 (one process has one set of packages)
    read_at, versions = _known
    if monotonic() - read_at >= _KNOWN_FOR_S:
        versions = {**_by_directories()}
        _known = monotonic(), versions
    key = normal_name(name)
    if key not in versions:
        versions[key] = _by_metadata(name)
    return versions[key]


def _by_directories() -> dict[str, str]:
    """Return the versions in the names of the directories; of several, the first one counts."""
    versions: dict[str, str] = {}
    for place in sys.path:
        try:
            entries = os.listdir(place or ".")  # noqa: PTH208 (pathlib costs 4 ms)
        except OSError:
            continue
        for entry in entries:
            if entry.endswith(".dist-info"):
                package, _, version = entry.removesuffix(".dist-info").partition("-")
                if version:
                    versions.setdefault(normal_name(package), version)
    return versions


def _by_metadata(name: str) -> str | None:
    """Return the version of a package that was installed in another way. Slow, and rare."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except (PackageNotFoundError, ValueError):
        return None
