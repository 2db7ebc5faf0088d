"""The file for node exporter: whole or old, readable by others, and clear about what is wrong."""

from __future__ import annotations

import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drd.errors import MetricsUnwritable
from drd.metrics import write_textfile
from tests.user_support import NOBODY, acting_as, as_root


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def test_file_is_for_everybody_to_read_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "drd.prom"
    with umask(0o077):
        write_textfile(path, [b"drd_plans 1\n"])
    assert path.read_bytes() == b"drd_plans 1\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert names(tmp_path) == ["drd.prom"]


def test_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "drd.prom"
    texts = [letter * 2_000_000 for letter in (b"a", b"b")]
    write_textfile(path, [texts[0]])
    over = threading.Event()

    def write() -> None:
        for number in range(30):
            write_textfile(path, [texts[number % 2]])
        over.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not over.is_set():
        seen.add(path.read_bytes())
    writer.join()
    assert seen <= set(texts)


def test_a_half_written_file_of_a_killed_writer_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".drd.prom.new").write_bytes(b"half")
    write_textfile(tmp_path / "drd.prom", [b"x\n"])
    assert names(tmp_path) == ["drd.prom"]


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"keep")
    directory = tmp_path / "node-exporter"
    directory.mkdir()
    for name in (".drd.prom.new", "drd.prom"):
        (directory / name).symlink_to(precious)
    write_textfile(directory / "drd.prom", [b"x\n"])
    assert precious.read_bytes() == b"keep"
    assert not (directory / "drd.prom").is_symlink()


def test_directory_that_is_not_there_is_named_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(MetricsUnwritable) as caught:
        write_textfile(tmp_path / "nowhere/drd.prom", [b"x\n"])
    assert caught.value.message.endswith(f"directory {tmp_path}/nowhere does not exist")
    assert "prometheus-node-exporter" in caught.value.hint
    assert "metrics.textfile" in caught.value.hint
    assert names(tmp_path) == []


def test_path_that_leads_through_a_file_has_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MetricsUnwritable, match="does not exist"):
        write_textfile(tmp_path / "file/drd.prom", [b"x\n"])


def test_directory_in_the_files_place_is_an_error_that_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "drd.prom").mkdir()
    with pytest.raises(MetricsUnwritable, match="is a directory"):
        write_textfile(tmp_path / "drd.prom", [b"x\n"])
    assert names(tmp_path) == ["drd.prom"]


@as_root
def test_directory_of_another_user_names_the_right_that_is_missing(short_tmp: Path) -> None:
    with acting_as(NOBODY), pytest.raises(MetricsUnwritable) as caught:
        write_textfile(short_tmp / "drd.prom", [b"x\n"])
    assert "permission denied" in caught.value.message
    assert f"chgrp drd {short_tmp}" in caught.value.hint


@as_root
def test_full_disk_keeps_the_old_figures(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        path = disk / "drd.prom"
        write_textfile(path, [b"old\n"])
        with pytest.raises(MetricsUnwritable) as caught:
            write_textfile(path, [b"x" * 2_000_000])
        assert "no space left" in caught.value.message
        assert "free space" in caught.value.hint
        assert path.read_bytes() == b"old\n"
        assert names(disk) == ["drd.prom"]


@as_root
def test_disk_that_may_only_be_read_names_the_units_directive(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with pytest.raises(MetricsUnwritable) as caught:
            write_textfile(disk / "drd.prom", [b"x\n"])
        assert f"ReadWritePaths={disk}" in caught.value.hint


@contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)
