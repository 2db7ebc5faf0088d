"""Packages of others, installed into a directory with the metadata that pip would write."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

EXAMPLE = Path(__file__).parent / "extension_example"


def install_example(directory: Path, *, version: str = "1.2.0") -> Path:
    """The example package; the directory belongs on Python's path."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    modules = {str(file.relative_to(EXAMPLE)): file.read_text() for file in EXAMPLE.rglob("*.py")}
    return install(directory, project["name"], modules, project["entry-points"], version=version)


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
