"""A dump in a bucket or in a copy of restic is judged by its first and last bytes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import IO

import pytest

from drd.errors import RepositoryError
from drd.repositories.adopted.afar import FIRST, LAST, looked
from drd.repositories.adopted.cut_off import Looked
from drd.repositories.adopted.packers import SMALL
from drd.repositories.adopted.rclone_object import reads_whole
from tests.unit.test_cut_off import WHOLE, zstd

NOISE = os.urandom(3 << 20)
"""What no packer makes smaller."""
PACK = {"gzip": gzip.compress, "zstd": zstd, "bzip2": bz2.compress, "xz": lzma.compress}


class Dump:
    """Implements `Afar` on bytes, and counts how many were read."""

    name = "shop.dump"

    def __init__(self, data: bytes, size: int | None = None) -> None:
        self._data = data
        self.size = len(data) if size is None else size
        self.read = 0

    def first(self, count: int) -> bytes:
        return self._counted(self._data[:count])

    def last(self, count: int) -> bytes:
        return self._counted(self._data[-count:])

    def whole(self, into: IO[bytes]) -> None:
        into.write(self._counted(self._data))

    def _counted(self, data: bytes) -> bytes:
        self.read += len(data)
        return data


@pytest.mark.parametrize("what", WHOLE)
def test_sql_is_judged_by_its_last_line(what: str) -> None:
    begin, end = WHOLE[what][:2000], WHOLE[what][-2000:]
    whole = begin + b"0\tx\n" * 100_000 + end
    dump = Dump(whole)
    seen = looked(dump)
    assert not seen.cut_off
    assert not seen.unknown
    assert dump.read == FIRST + LAST
    assert "which is missing" in looked(Dump(whole[:-3000])).cut_off


@pytest.mark.parametrize("packer", PACK)
def test_a_small_packed_dump_is_read_to_its_end(packer: str) -> None:
    sql = WHOLE["PostgreSQL"]
    assert looked(Dump(PACK[packer](sql))).unknown is False
    assert "which is missing" in looked(Dump(PACK[packer](sql[:-100]))).cut_off
    assert (
        looked(Dump(PACK[packer](sql)[:-9])).cut_off == f"the end that {packer} writes is missing"
    )


@pytest.mark.parametrize("packer", ["bzip2", "xz"])
def test_the_last_bytes_of_these_packers_show_whether_the_end_is_there(packer: str) -> None:
    packed = PACK[packer](NOISE)
    for data in (packed, packed + bytes(8) if packer == "xz" else packed):
        dump = Dump(data)
        assert looked(dump)[:2] == ("", None)
        assert not looked(dump).unknown
    assert Dump(packed).size > dump.read / 2
    for cut in (packed[:-12], packed[: len(packed) // 2]):
        assert looked(Dump(cut)).cut_off == f"the end that {packer} writes is missing"


@pytest.mark.parametrize("packer", ["gzip", "zstd"])
def test_of_a_large_file_of_the_others_drd_says_that_it_does_not_know(packer: str) -> None:
    packed = PACK[packer](NOISE * 3)
    assert len(packed) > SMALL
    dump = Dump(packed[:-9])
    seen = looked(dump)
    assert seen.unknown
    assert not seen.cut_off
    assert dump.read == FIRST + LAST


def test_a_sqlite_file_is_judged_by_its_header(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x")) as made:
        made.execute("create table a (x)")
        made.executemany("insert into a values (?)", [("y" * 500,)] * 1000)
        made.commit()
    data = (tmp_path / "x").read_bytes()
    assert not looked(Dump(data)).cut_off
    assert "the SQLite file has only" in looked(Dump(data[:-4096])).cut_off


def test_a_text_that_says_nothing_of_its_end_is_not_known_to_be_whole() -> None:
    seen = looked(Dump(b"dn: dc=example\n" * 10_000))
    assert seen.unknown
    assert seen.tail.endswith(b"dn: dc=example\n")


def test_an_object_that_is_shorter_than_listed_is_an_error() -> None:
    with pytest.raises(RepositoryError, match=r"only 10 of 65,536 bytes of shop\.dump"):
        looked(Dump(b"x" * 10, size=1 << 20))


def test_what_it_says_of_one_copy_is_always_the_same() -> None:
    assert looked(Dump(b"x" * 100)) == Looked("", None, b"x" * 100, b"x" * 100)


@pytest.mark.parametrize(
    ("words", "whole"),
    [
        (["rclone", "cat", "--config=", ":s3:b/${copy}"], True),
        (["/usr/bin/rclone", "cat", "b:${copy}"], True),
        (["rclone", "cat", "--head=9", "b:${copy}"], False),
        (["rclone", "cat", "--offset", "9", "b:${copy}"], False),
        (["rclone", "cat", "b:${copy}", "--verbose"], False),
        (["rclone", "copyto", "b:${copy}", "/dev/stdout"], False),
        (["cat", "/d/${copy}"], False),
    ],
)
def test_only_a_restore_that_prints_one_object_is_read_in_parts(
    words: list[str], whole: bool
) -> None:
    assert reads_whole(words) is whole
