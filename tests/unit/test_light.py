"""What the tests spare the processor is the same as without."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from drd.repositories.restic import ResticRepository, keys, maintenance, runner
from tests import light_repository, light_tools
from tests.repository_support import local_repository
from tests.restic_format import LIGHT


def test_new_repository_and_its_copy_have_light_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "add", keys.add)
    monkeypatch.setattr(maintenance, "_initialise", _by_restic)
    light_repository.install()
    source, copy = (local_repository(tmp_path, name=name) for name in ("local", "copy"))
    assert source.initialise() == source.identity()
    assert copy.initialise(chunker_from=source) == copy.identity()
    assert _key(source) | LIGHT == _key(source)
    assert _key(copy) | LIGHT == _key(copy)


def test_version_of_the_installed_restic_alone_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed, ask = shutil.which("restic"), runner.version
    assert installed is not None
    asked: list[str] = []
    monkeypatch.setattr(runner, "version", lambda program: asked.append(program) or "another")
    light_tools.know_restic()
    assert runner.version(installed) == ask(installed)
    assert asked == []
    beside = str(tmp_path / "restic")
    shutil.copy(installed, beside)
    assert runner.version(beside) == "another"
    assert asked == [beside]


def _by_restic(*_: object) -> str:
    raise AssertionError("restic was to make it")


def _key(repository: ResticRepository) -> dict[str, object]:
    (file,) = Path(repository.url, "keys").iterdir()
    return dict(json.loads(file.read_text()))
