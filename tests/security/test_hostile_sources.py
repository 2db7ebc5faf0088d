"""Attack: the server that drd copies names the files that pg_basebackup and mariadb-binlog write,
and a name leads out of their directory: by `..`, or through a link that the server made before. So
whoever controls a server that drd backs up could replace the catalogue or a repository of drd's.
"""

from __future__ import annotations

import shutil
import tarfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd.errors import SourceError
from drd.kinds.mariadb.connection import Connection
from drd.kinds.mariadb.physical import copy as physical_copy
from drd.kinds.mariadb.physical.binlog.receiver import BinlogReceiver
from drd.kinds.mariadb.tools import program
from drd.kinds.postgres.address import Address
from drd.kinds.postgres.physical import base_backup
from drd.kinds.postgres.tools import programs_for
from drd.process import Child
from tests.servers import rogue


class _Answers:
    """A session in which the server says that it has one file of a binary log."""

    def rows(self, query: str) -> Sequence[tuple[Any, ...]]:
        return [("bin.000001", 1000)] if query == "SHOW BINARY LOGS" else [(1,)]


def _received(base: Path, file: str, arrived: Callable[[Child], bool]) -> str:
    options = base / "receiver.cnf"
    options.write_text(f"[client]\nuser=drd\nsocket={base / 's'}\nskip-ssl\n")
    (base / "received").mkdir()
    with rogue.mariadb(base / "s", file), (base / "said").open("wb") as said:
        receiver = BinlogReceiver(
            cast(Connection, _Answers()),
            base / "received",
            "drd_wal_test",
            tool=program("mariadb-binlog", None),
            options=options,
        )
        child = receiver.start(said.fileno())
        try:
            end = time.monotonic() + 30
            while not arrived(child):
                assert time.monotonic() < end
                time.sleep(0.05)
        finally:
            child.stop()
    return (base / "said").read_text()


def test_a_server_that_names_a_file_elsewhere_in_its_binary_log_replaces_no_file(
    short_tmp: Path,
) -> None:
    victim = short_tmp / "drd.db"
    victim.write_text("the catalogue")

    said = _received(short_tmp, "../../drd.db", lambda child: child.exit_code is not None)

    assert victim.read_text() == "the catalogue"
    assert "Permission denied" in said


def test_a_server_that_names_its_binary_log_as_usual_is_received(short_tmp: Path) -> None:
    file = short_tmp / "received" / "came-00000001" / "bin.000001"

    _received(short_tmp, "bin.000001", lambda _: file.exists() and file.stat().st_size > 200)

    assert file.read_bytes().startswith(b"\xfebin")


def _file(name: str) -> tarfile.TarInfo:
    return tarfile.TarInfo(name)


def _link(name: str, to: Path) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, str(to)
    return member


@pytest.mark.parametrize("attack", ["name", "link"])
def test_a_server_whose_base_backup_leads_elsewhere_replaces_no_file(
    short_tmp: Path, attack: str
) -> None:
    state = short_tmp / "state"
    state.mkdir()
    victim = state / "drd.db"
    victim.write_text("the catalogue")
    members = (
        [_file("../../state/drd.db")]
        if attack == "name"
        else [_link("pg_tblspc", state), _file("pg_tblspc/drd.db")]
    )
    into = short_tmp / "copy"
    into.mkdir()
    programs = programs_for(17, "pg_basebackup", bin_dir=None)
    order = base_backup.Order(
        Address({"host": str(short_tmp), "port": "5432", "user": "drd"}, None),
        {}, programs, {}, "fast", into, "drd", left_s=10.0,
    )  # fmt: skip

    with rogue.postgres(short_tmp, members), pytest.raises(SourceError):
        base_backup.copy(order)

    assert victim.read_text() == "the catalogue"


# --- the disk -------------------------------------------------------------------------------------


@pytest.fixture
def endless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A program that writes to a disk which is full then, and does not end."""
    file = tmp_path / "program"
    file.write_text(f"#!/bin/sh\necho x > {tmp_path}/copy/written\nexec sleep 300\n")
    file.chmod(0o755)
    (tmp_path / "copy").mkdir()

    def usage(_: Path) -> SimpleNamespace:
        full = (tmp_path / "copy/written").exists()
        return SimpleNamespace(free=1 if full else 1 << 40)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    return str(file)


def test_a_server_that_sends_more_than_it_says_does_not_fill_the_disk(
    tmp_path: Path, endless: str
) -> None:
    """The room is counted before the copy, by what the server says."""
    programs = cast(Any, SimpleNamespace(path=lambda _: endless))
    address = Address({"host": str(tmp_path)}, None)
    order = base_backup.Order(address, {}, programs, {}, "fast", tmp_path / "copy", "drd")
    with pytest.raises(SourceError, match="pg_basebackup has written until only 1 B were free"):
        base_backup.copy(order)


def test_a_server_whose_files_grow_does_not_fill_the_disk(tmp_path: Path, endless: str) -> None:
    tool = cast(Any, SimpleNamespace(path=endless, version="11.8"))
    order = physical_copy.Order(tool, tmp_path / "cnf", "/data", tmp_path / "copy/data", 1)
    with pytest.raises(SourceError, match="mariadb-backup has written until only 1 B were free"):
        physical_copy.copy(order, {})
