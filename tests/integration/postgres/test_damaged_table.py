"""A table with a damaged page, on a server without checksums: no program notices the damage while
it copies the files, and the restored table has it as well."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from drd.checks.expectation import Tolerance
from drd.checks.rows import compare
from drd.flows.backup.capture import _warn_of_damage
from drd.kinds.postgres.address import address_of
from drd.kinds.postgres.physical import contents
from drd.kinds.postgres.physical.settings import ClusterSettings
from drd.model.plan import Component
from drd.model.snapshot import DatabaseFingerprint, fingerprint_from_json
from tests.servers import PostgresServer, postgres_server

_NO_HEADER = b"\xde\xad\xbe\xef" * 4
_AFTER_THE_LSN = 8


def _settings(server: PostgresServer) -> ClusterSettings:
    said = {"kind": "postgres-cluster", "dsn": server.dsn("shop")}
    return ClusterSettings.model_validate(said)


def _seen(server: PostgresServer) -> DatabaseFingerprint:
    reach = address_of(_settings(server).dsn).to_database
    return contents.fingerprint(reach, ["shop"], mode="counts", budget_s=60, properties={})


def test_a_damaged_table_is_named_by_the_backup_and_fails_the_comparison(short_tmp: Path) -> None:
    with postgres_server(short_tmp / "pg", major=17) as server:
        server.execute("create database shop")
        server.execute("create table orders as select generate_series(1, 900) as n", "shop")
        server.execute('create table "Odd name" as select generate_series(1, 900) as n', "shop")
        sound = _seen(server)
        [(file,)] = server.execute("select pg_relation_filepath('\"Odd name\"')", "shop")
        server.stop()
        with (server.data_dir / file).open("r+b") as page:
            page.seek(_AFTER_THE_LSN)
            page.write(_NO_HEADER)
        server.start()
        seen = _seen(server)
        component = Component("server", "postgres-cluster", _settings(server))
    assert sound.damaged == frozenset()
    assert seen.damaged == {'shop.public."Odd name"'}
    assert seen.only(['shop.public."Odd name"']).damaged == seen.damaged
    assert seen.only(["shop.public.orders"]).damaged == frozenset()
    # The manifest has only the reason. The backup may have read the table, or not.
    for at_backup in (sound, seen):
        found = compare(fingerprint_from_json(at_backup.to_json()), seen, Tolerance())
        [text] = found.differing
        assert text.startswith('shop.public."Odd name" is damaged and cannot be read: invalid page')
        assert (found.compared, found.unknown) == (1, {})
    told: list[str] = []
    services = cast(Any, SimpleNamespace(warn=told.append))
    _warn_of_damage(services, component, seen)
    [text] = told
    assert 'server: shop.public."Odd name" is damaged in the source and cannot be read' in text
