"""Packages of others, installed into a directory with the metadata that pip would write."""

from __future__ import annotations

import shutil
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parent / "extensions"


def install_example(
    directory: Path, name: str = "drd-example", *, version: str | None = None
) -> Path:
    """One of the example packages; the directory belongs on Python's path."""
    package = EXAMPLES / name
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    modules = {str(f.relative_to(package)): f.read_text() for f in package.rglob("*.py")}
    points, version = project["entry-points"], version or project["version"]
    return install(directory, project["name"], modules, points, version=version)


def install(
    directory: Path,
    name: str,
    modules: dict[str, str],
    points: dict[str, dict[str, str]],
    *,
    version: str = "1.2.0",
) -> Path:
    """A package of these modules (text by path) with these entry points by group."""
    base = name.replace("-", "_")
    for old in directory.glob(f"{base}-*.dist-info"):
        shutil.rmtree(old)
    metadata = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "INSTALLER": "pip\n",
        "entry_points.txt": "".join(
            f"[{group}]\n" + "".join(f"{one} = {place}\n" for one, place in members.items())
            for group, members in points.items()
        ),
    }
    files = modules | {f"{base}-{version}.dist-info/{k}": text for k, text in metadata.items()}
    files[f"{base}-{version}.dist-info/RECORD"] = "".join(f"{path},,\n" for path in files)
    for path, text in files.items():
        place = directory / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return directory


def example(name: str, module: str) -> Any:
    """A module of an example package, imported from where it lies."""
    place = str(EXAMPLES / name)
    if place not in sys.path:
        sys.path.append(place)
    return import_module(module)
