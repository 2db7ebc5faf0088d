"""Packages of others, installed into a directory with the metadata that pip would write."""

from __future__ import annotations

import shutil
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from drd import registry
from drd.config.daemon import load_settings
from drd.errors import ConfigError, Problem

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


@contextmanager
def packages_in(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory on Python's path; before and afterwards nothing of it is known."""
    monkeypatch.syspath_prepend(str(site))
    forget_modules()
    yield site
    registry.use(())
    forget_modules()


def forget_modules() -> None:
    for name in [n for n in sys.modules if n.split(".")[0] in ("drd_example", "mine")]:
        del sys.modules[name]


def settings_of(directory: Path, text: str) -> Path:
    file = directory / "drd.yaml"
    file.write_text(text)
    return file


def use(directory: Path, text: str = "extensions: [drd-example]\n") -> None:
    load_settings(settings_of(directory, text), explicit=True)


ONLY_THOSE = "; drd refuses only the plans that use this package"


def unusable(directory: Path, text: str | None) -> Problem:
    """The one warning about a package of a drd.yaml (None: of the one there), which is read all the
    same: without its end, which is always the same."""
    file = directory / "drd.yaml" if text is None else settings_of(directory, text)
    settings = load_settings(file, explicit=True)
    (problem,) = settings.warnings
    assert problem.message.endswith(ONLY_THOSE)
    return problem._replace(message=problem.message.removesuffix(ONLY_THOSE))


def refused(directory: Path, text: str) -> Problem:
    with pytest.raises(ConfigError) as caught:
        use(directory, text)
    (problem,) = caught.value.problems
    return problem


def mine(packages: Path, code: str, group: str = "drd.checks", name: str = "odd") -> None:
    install(packages, "drd-mine", {"mine.py": code}, {group: {name: "mine:SPEC"}})
