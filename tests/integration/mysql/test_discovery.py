"""`drd plan new` finds the databases of a MySQL server, with the client of either product."""

from __future__ import annotations

import pytest

from drd.kinds.mariadb import discovery
from drd.kinds.mariadb.flavour import FLAVOURS, Flavour
from tests.integration.mysql.conftest import MysqlShop
from tests.servers.mariadb import which


@pytest.mark.parametrize("flavour", FLAVOURS.values(), ids=FLAVOURS)
def test_databases_of_a_socket_are_found(
    shop: MysqlShop, monkeypatch: pytest.MonkeyPatch, flavour: Flavour
) -> None:
    if which(flavour.client) is None:
        pytest.skip(f"this host has no {flavour.client}")
    monkeypatch.setattr(discovery, "FLAVOURS", {flavour.key: flavour})
    monkeypatch.setattr(discovery, "SOCKETS", (str(shop.server.socket),))
    owner = shop.server.socket.stat().st_uid
    monkeypatch.setattr(discovery, "_servers_users", lambda: iter([owner]))
    shop.fill()
    empty = f"{shop.name}_empty"
    shop.server.execute(f"CREATE DATABASE {empty}")
    try:
        wishes, notes = discovery.found()
    finally:
        shop.server.execute(f"DROP DATABASE {empty}")
    assert empty not in {wish.name for wish in wishes}
    assert any(empty in note and "no table, routine or event" in note for note in notes)
    assert [wish.where for wish in wishes if wish.name == shop.name] == [
        f"mariadb:///{shop.name}?socket={shop.server.socket}"
    ]
    assert not {"mysql", "sys"} & {wish.name for wish in wishes}
