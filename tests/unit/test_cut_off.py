"""A dump that is cut off is recognised by its own format, and a whole one is not refused."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from drd.errors import RepositoryDamaged
from drd.repositories.adopted.cut_off import Looked, of_path, require_whole, why_cut_off
from drd.repositories.adopted.packers import PACKERS

ROWS = b"".join(b"%d\tx\n" % n for n in range(5000))

WHOLE = {
    "PostgreSQL": b"--\n-- PostgreSQL database dump\n--\n\n\\restrict k\n\nCOPY a FROM stdin;\n"
    + ROWS
    + b"\\.\n\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict k\n\n",
    "pg_dumpall": b"--\n-- PostgreSQL database cluster dump\n--\n\nSET x;\n--\n"
    b"-- PostgreSQL database dump\n--\n"
    + ROWS
    + b"--\n-- PostgreSQL database dump complete\n--\n\n--\n"
    b"-- PostgreSQL database cluster dump complete\n--\n\n",
    "MySQL": b"-- MySQL dump 10.13  Distrib 8.0.36\n--\n"
    + ROWS
    + b"\n-- Dump completed on 2026-11-25 12:00:00\n",
    "MariaDB": b"/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19\n--\n"
    + ROWS
    + b"-- Dump completed\n",
    "SQLite": b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n" + ROWS + b"COMMIT;\n",
}


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-q"], input=data, check=True, capture_output=True).stdout


PACK = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd,
    "": bytes,
}


def why(data: bytes, base: Path, **asked: float) -> str:
    path = base / "dump"
    path.write_bytes(data)
    with path.open("rb") as file:
        return why_cut_off(file, unpacks=True, **asked)


@pytest.mark.parametrize("packed", PACK)
@pytest.mark.parametrize("what", WHOLE)
def test_sql_without_its_last_line_is_cut_off_packed_or_not(
    what: str, packed: str, tmp_path: Path
) -> None:
    whole = WHOLE[what]
    half = whole[: whole.index(b"\n", len(whole) // 2) + 1]
    assert why(PACK[packed](whole), tmp_path) == ""
    assert "which is missing" in why(PACK[packed](half), tmp_path)
    if what == "pg_dumpall":
        assert why(PACK[packed](whole[: whole.rindex(b"\n--\n-- Post")]), tmp_path)


@pytest.mark.parametrize("packed", [name for name in PACK if name])
def test_a_packed_file_without_its_end_is_cut_off(packed: str, tmp_path: Path) -> None:
    data = PACK[packed](ROWS)
    assert why(data, tmp_path) == ""
    assert why(data + data, tmp_path) == ""
    for cut in (data[: len(data) // 2], data[:-1], data[:5]):
        if cut.startswith(data[:6]) or packed not in ("xz", "zstd"):
            assert why(cut, tmp_path) == f"the end that {packed} writes is missing"


def test_a_file_of_sqlite_has_all_of_its_pages(tmp_path: Path) -> None:
    path = tmp_path / "dump"
    with closing(sqlite3.connect(path)) as made:
        made.execute("create table a (x)")
        made.executemany("insert into a values (?)", [("y" * 500,)] * 100)
        made.commit()
    data = path.read_bytes()
    assert of_path(path, len(data)) == Looked("", None, data[:1024], data[-4096:], unknown=False)
    assert "the SQLite file has " in why(data[: len(data) // 2], tmp_path)
    assert of_path(path, len(data)) == Looked(), "another file than the list describes"
    assert of_path(path, len(data) // 2).cut_off


def test_dumps_of_these_tools_are_whole(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as made:
        made.execute("create table a (x)")
        made.commit()
    printed = subprocess.run(
        ["sqlite3", tmp_path / "x.db", ".dump"], check=True, capture_output=True
    ).stdout
    assert why(printed, tmp_path) == ""
    assert "'COMMIT;'" in why(printed.removesuffix(b"COMMIT;\n"), tmp_path)


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"PGDMP" + bytes(500), b"\x1f\x8b", b"# v2 git bundle\n", bytes(2000)],
)
def test_a_file_without_a_known_end_is_left_to_the_command_that_restores_it(
    data: bytes, tmp_path: Path
) -> None:
    assert why(data, tmp_path) in ("", "the end that gzip writes is missing")


def test_a_packed_file_that_takes_too_long_is_left_to_the_drill(tmp_path: Path) -> None:
    cut = gzip.compress(os.urandom(3 << 20))[:-9]
    assert why(cut, tmp_path)
    assert why(cut, tmp_path, seconds=-1.0) == ""


def test_empty_members_do_not_keep_drd_from_looking_at_the_time(tmp_path: Path) -> None:
    for packed in ("gzip", "bzip2"):
        path = tmp_path / packed
        path.write_bytes(PACK[packed](ROWS) + PACK[packed](b"") * 5000 + bytes(99))
        with path.open("rb") as file:
            packer = next(p for m, p in PACKERS.items() if path.read_bytes().startswith(m))
            blocks = list(packer.blocks(file))
        assert len(blocks) > 5000
        assert b"".join(blocks) == ROWS


def test_an_xz_file_that_wants_much_memory_is_left_to_the_command_that_restores_it(
    tmp_path: Path,
) -> None:
    large = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 29}]
    data = io.BytesIO()
    with lzma.open(data, "wb", filters=large) as file:
        file.write(b"x" * 1000)
    assert why(data.getvalue()[:-20], tmp_path) == ""


def test_a_copy_that_landed_half_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_bytes(WHOLE["MySQL"][:2000])
    with pytest.raises(
        RepositoryDamaged, match=r"copy shop-1\.sql is cut off: a dump of MySQL ends"
    ):
        require_whole(path, "shop-1.sql", "")
    path.write_bytes(WHOLE["MySQL"])
    require_whole(path, "shop-1.sql", "")


@pytest.mark.parametrize("packed", PACK)
def test_a_dump_ends_as_the_plan_says(packed: str, tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_bytes(PACK[packed](b"version: 1\n" + ROWS + b"# end\n\n"))
    require_whole(path, "people-1", "# end")
    path.write_bytes(PACK[packed](b"version: 1\n" + ROWS))
    require_whole(path, "people-1", "")
    with pytest.raises(RepositoryDamaged, match="is cut off: it does not end with '# end'"):
        require_whole(path, "people-1", "# end")
