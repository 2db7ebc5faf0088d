"""Replication slots that no receiver uses: what drd says of them, and how they go."""

from __future__ import annotations

import argparse
import os
import struct
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd.cli import uninstall
from drd.kinds.postgres.address import Address
from drd.kinds.postgres.physical.wal.receiver import WalReceiver
from drd.ports.logs import LogLost
from tests.flow_support import World
from tests.servers import PostgresServer

SLOT = "drd_wal_shop_server_1a2b3c4d"
_SLOTS = f"select count(*) from pg_replication_slots where slot_name = '{SLOT}'"


def _run(postgres: PostgresServer, command: str) -> None:
    reached = {"PGHOST": str(postgres.socket_dir), "PGPORT": str(postgres.port)}
    around = {**os.environ, **reached, "PGUSER": "postgres"}
    subprocess.run(["/bin/sh", "-c", command], env=around, check=True, capture_output=True)


def test_uninstall_names_a_slot_that_is_left_and_its_command_drops_it(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    world = World(tmp_path)
    known = {"kind": "postgres-cluster", "name": SLOT}
    world.catalogue.queue.note("log-slot:shop:server", known, world.clock.now())
    world.catalogue.queue.note("log-slot:shop:other", {}, world.clock.now())
    postgres.execute(f"select pg_create_physical_replication_slot('{SLOT}', true)")
    try:
        [said] = uninstall._left(argparse.Namespace(config=str(tmp_path / "drd.yaml")))
        text, _, command = said.partition(" On this server, run as a superuser: ")
        assert text == (
            "the server of component server of plan shop keeps its log for drd's replication slot "
            f"{SLOT}."
        )
        _run(postgres, command)
        assert postgres.execute(_SLOTS) == [(0,)]
    finally:
        postgres.execute(f"{_DROP} where slot_name = '{SLOT}'")
        world.close()


_DROP = "select pg_drop_replication_slot(slot_name) from pg_replication_slots"


def test_uninstall_says_where_to_look_without_a_catalogue(tmp_path: Path) -> None:
    (tmp_path / "drd.yaml").write_text(f"state_dir: {tmp_path}/none\nplans_dir: {tmp_path}\n")
    [said] = uninstall._left(argparse.Namespace(config=str(tmp_path / "drd.yaml")))
    assert "TABLE pg_replication_slots;" in said


def test_a_server_that_dsn_left_is_named_with_the_slot_that_it_keeps(tmp_path: Path) -> None:
    """The WAL that has arrived is of the server to which `dsn` led before."""
    segment = struct.pack("<HHIQII QII", 0xD118, 2, 1, 1 << 24, 0, 0, 222, 16 << 20, 8192)
    (tmp_path / f"{1:08X}{0:08X}{1:08X}").write_bytes(segment)
    answers = SimpleNamespace(fetchone=lambda: ("111", 16 << 20))
    connection: Any = SimpleNamespace(execute=lambda *_: answers)
    receiver = WalReceiver(
        connection, Address({}), tmp_path, SLOT, programs=cast(Any, None), environment={}
    )
    says = r"another server \(222\): `dsn` now names server 111"
    with pytest.raises(LogLost, match=says) as caught:
        receiver.require()
    assert "reach server 222" in caught.value.hint
    assert caught.value.hint.endswith(
        f"psql -d postgres -c \"SELECT pg_drop_replication_slot('{SLOT}')\""
    )
