"""drd compares the largest files of a copy itself, while pg_verifybackup compares the others."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from drd.errors import RepositoryDamaged
from drd.kinds.postgres.physical import checksums
from drd.kinds.postgres.physical.checksums import compared, share

SIZES = {"base/5/1": 900, "base/5/2": 500, "base/5/3": 80, "global/9": 1000, "base/5/4": 5}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(checksums, "_WORTH_BYTES", 1000)
    monkeypatch.setattr(checksums, "_LEAST_BYTES", 50)
    for name, size in SIZES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode() * size)
    _write(tmp_path, [_entry(tmp_path, name) for name in SIZES])
    return tmp_path


def _entry(data: Path, name: str) -> dict[str, Any]:
    content = (data / name).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return {"Path": name, "Size": len(content), "Checksum-Algorithm": "SHA256", "Checksum": digest}


def _write(data: Path, files: list[dict[str, Any]]) -> None:
    (data / "backup_manifest").write_text(json.dumps({"Files": files}))


def _names(data: Path, jobs: int) -> list[str]:
    return [file.path for file in share(data, jobs)]


def test_drd_takes_its_share_of_large_files_of_tables(data: Path) -> None:
    assert _names(data, 1) == []
    # 19,880 bytes in all: into half of them fit 900 x 8, then not 500 x 8 any more, but 80 x 8.
    assert _names(data, 2) == ["base/5/1", "base/5/3"]
    assert _names(data, 3) == ["base/5/1", "base/5/2", "base/5/3"]


@pytest.mark.parametrize(
    "change", [{"Checksum-Algorithm": "CRC32C"}, {"Path": None}, {"Path": "pg_tblspc/1/2"}]
)
def test_drd_leaves_what_it_does_not_know_to_pg_verifybackup(
    data: Path, change: dict[str, Any]
) -> None:
    entries = [{**_entry(data, "base/5/1"), **change}, _entry(data, "global/9")]
    _write(data, [{k: v for k, v in one.items() if v is not None} for one in entries])
    assert share(data, 2) == []


def test_a_small_copy_and_one_without_a_readable_list_are_left_to_pg_verifybackup(
    data: Path,
) -> None:
    (data / "backup_manifest").write_text("{")
    assert share(data, 2) == []
    (data / "backup_manifest").unlink()
    assert share(data, 2) == []
    _write(data, [_entry(data, "base/5/3")])
    assert share(data, 2) == []


def test_files_as_listed_are_accepted(data: Path) -> None:
    ran = []
    with compared(data, share(data, 3), 3):
        ran.append(True)
    assert ran


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: f.write_bytes(b"x" + f.read_bytes()[1:]), "base/5/2 has a wrong checksum"),
        (lambda f: f.write_bytes(f.read_bytes()[:-1]), "3,999 bytes instead of 4,000"),
        (lambda f: f.unlink(), "base/5/2 is missing"),
        (lambda f: (f.unlink(), f.symlink_to(f.with_name("1"))), "base/5/2 cannot be read"),
        (lambda f: (f.unlink(), f.mkdir()), "base/5/2 cannot be read"),
    ],
)
def test_a_file_that_is_not_as_listed_is_damage(data: Path, damage: Any, said: str) -> None:
    files = share(data, 3)
    damage(data / "base/5/2")
    with pytest.raises(RepositoryDamaged, match=said), compared(data, files, 3):
        pass


def test_an_error_of_the_body_goes_first(data: Path) -> None:
    files = share(data, 3)
    (data / "base/5/2").unlink()
    with pytest.raises(RepositoryDamaged, match="says the other"), compared(data, files, 3):
        raise RepositoryDamaged("says the other")
