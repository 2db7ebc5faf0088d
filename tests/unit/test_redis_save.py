"""Receive the data of a server with a program in the place of redis-cli."""

from __future__ import annotations

from pathlib import Path

import pytest

from drd import process
from drd.errors import DumpFailed
from drd.kinds.redis import save
from drd.kinds.redis.address import address_of
from drd.kinds.redis.client import Login
from drd.kinds.redis.save import Into

_LOGIN = Login(address_of("unix:///nowhere/s"))


def _program(tmp_path: Path, script: str) -> str:
    file = tmp_path / "redis-cli"
    file.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/pid\nfor copy; do :; done\n{script}\n")
    file.chmod(0o755)
    return str(file)


def test_a_server_that_sends_without_end_does_not_fill_the_disk(tmp_path: Path) -> None:
    program = _program(tmp_path, 'exec 3>"$copy"; while :; do head -c 200000 /dev/zero >&3; done')
    into = Into(tmp_path / "copy", 4 << 20)
    with pytest.raises(DumpFailed, match=r"sends more than 4\.0 MiB") as caught:
        save.receive(_LOGIN, program, into, 120, tmp_path)
    assert "right server" in caught.value.hint
    assert not process.process_alive(int((tmp_path / "pid").read_text()), None)


def test_a_saved_file_that_grows_while_it_is_copied_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dump.rdb").write_bytes(b"R" * (5 << 20))
    with pytest.raises(DumpFailed, match=r"sends more than 4\.0 MiB"):
        save._copied(tmp_path / "dump.rdb", Into(tmp_path / "copy", 4 << 20))
    assert (tmp_path / "copy").stat().st_size <= 5 << 20


def test_data_within_the_limit_is_received(tmp_path: Path) -> None:
    program = _program(tmp_path, 'printf REDIS0011 >"$copy"')
    saved = save.receive(_LOGIN, program, Into(tmp_path / "copy", 4 << 20), 120, tmp_path)
    assert (tmp_path / "copy").read_bytes() == b"REDIS0011"
    assert len(saved.sha256) == 64
