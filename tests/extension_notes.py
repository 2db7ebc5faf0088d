"""The example of a kind in a package of its own."""

from __future__ import annotations

import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "extensions" / "drd-notes"
MODULE = HERE / "drd_notes.py"


def notes() -> Any:
    """Its module, imported from where it lies."""
    if str(HERE) not in sys.path:
        sys.path.append(str(HERE))
    return import_module("drd_notes")


def install_notes(directory: Path) -> Path:
    """As pip would; the directory belongs on Python's path."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    version, points = project["version"], project["entry-points"]
    about = directory / f"drd_notes-{version}.dist-info"
    about.mkdir(parents=True)
    (directory / MODULE.name).write_text(MODULE.read_text())
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n"
    )
    (about / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in members.items())
            for group, members in points.items()
        )
    )
    return directory
