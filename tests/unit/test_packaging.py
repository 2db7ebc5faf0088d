"""The package contains all files that its code reads: those without code have to be declared."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest

from drd.flows.host.shipped_files import FILES

ROOT = Path(__file__).parents[2]


def _is_packaged(file: Path, data: dict[str, list[str]]) -> bool:
    package = ".".join(file.parent.parts)
    patterns = [*data.get("*", ()), *data.get(package, ())]
    return any(file.match(pattern) for pattern in patterns)


def _package_data() -> dict[str, list[str]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    data: dict[str, list[str]] = settings["tool"]["setuptools"]["package-data"]
    return data


def test_every_file_of_the_package_is_installed() -> None:
    words = ["git", "-C", str(ROOT), "ls-files", "-z", "--", "drd"]
    tracked = subprocess.run(words, capture_output=True, text=True, check=False)
    if tracked.returncode != 0:
        pytest.skip("this checkout has no history of git")
    files = [Path(name) for name in tracked.stdout.split("\0") if name]
    assert len(files) > 500
    data = _package_data()
    missing = [str(file) for file in files if file.suffix != ".py" and not _is_packaged(file, data)]
    assert missing == []


def test_what_the_service_needs_is_installed() -> None:
    data = _package_data()
    missing = [
        name for name in FILES.values() if not _is_packaged(Path("drd/systemd") / name, data)
    ]
    assert missing == []
