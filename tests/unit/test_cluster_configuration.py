"""A restored data directory of PostgreSQL whose configuration files are elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from drd.kinds.postgres.physical import target
from drd.kinds.postgres.physical.target import configuration


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "etc/17/main/postgresql.conf"
    file.parent.mkdir(parents=True)
    monkeypatch.setattr(target, "_DEBIAN", tmp_path / "etc")
    return file


@pytest.mark.parametrize(
    ("line", "has"),
    [
        ("data_directory = '{data}'\t# use data in another directory", True),
        ("  data_directory '{data}/'", True),
        ("#data_directory = '{data}'", False),
        ("data_directory = '{data}2'", False),
        ("data_directory = '{data}'\ndata_directory = '/srv/other'", False),
    ],
)
def test_a_directory_without_configuration_files_says_how_to_start_it(
    debian: Path, tmp_path: Path, line: str, has: bool
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    debian.write_text(line.format(data=data))
    task = configuration(data, "17")
    assert (task is None) == has
    if task is not None:
        assert task.text.startswith(f"{data} has no postgresql.conf and no pg_hba.conf")
        assert task.command == f"pg_createcluster 17 restored -d {data}"


def test_a_directory_with_its_own_configuration_needs_nothing(debian: Path, tmp_path: Path) -> None:
    (tmp_path / "postgresql.conf").touch()
    assert configuration(tmp_path, "17") is None
