"""The hint about a Unix socket that drd may not use names the group that may."""

from __future__ import annotations

import grp
import os
import pwd
import socket
from pathlib import Path

import pytest

from drd.errors import SourceUnreachable
from drd.kinds import closed_sockets
from drd.kinds.closed_sockets import is_closed, who_may
from drd.kinds.mariadb import connection as of_mariadb
from drd.kinds.mariadb.address import address_of as mariadb_address
from drd.kinds.postgres import connection as of_postgres
from drd.kinds.postgres.address import Address
from drd.model.plan import SecretRef


@pytest.fixture
def place(short_tmp: Path) -> Path:
    """A socket on which nobody listens, under the name that PostgreSQL gives it."""
    made = short_tmp / ".s.PGSQL.5432"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(made))
    if os.geteuid() == 0:
        os.chown(made, -1, 33)
    made.chmod(0o770)
    return made


def _join(place: Path) -> str:
    group = grp.getgrgid(place.stat().st_gid).gr_name
    return f"usermod -aG {group} {pwd.getpwuid(os.geteuid()).pw_name}"


def test_who_may(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _join(place) in who_may(place, "open it")
    place.chmod(0o700)
    assert who_may(place, "open it").startswith("open it. Then, as root: usermod")
    monkeypatch.setattr(os, "access", lambda path, *_, **__: path != place.parent)
    place.parent.chmod(0o700)
    if place.parent.stat().st_gid != 0:
        assert f"to enter {place.parent} (chmod g+x)" in who_may(place, "open it")


def test_only_a_socket_that_exists_is_closed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_closed(place)
    assert not is_closed(place.with_name("none"))
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    assert is_closed(place)
    assert not is_closed(place.with_name("none"))


@pytest.mark.parametrize("product", ["mariadb", "postgres"])
def test_a_server_behind_a_closed_socket(
    place: Path, monkeypatch: pytest.MonkeyPatch, product: str
) -> None:
    def connect() -> None:
        if product == "mariadb":
            of_mariadb.connect(
                mariadb_address(SecretRef("text", f"mariadb:///shop?socket={place}"))
            )
        else:
            of_postgres.connect(Address({"host": str(place.parent), "port": "5432"}))

    with pytest.raises(SourceUnreachable) as told:
        connect()
    assert "check that the server runs" in told.value.hint
    monkeypatch.setattr(closed_sockets.os, "access", lambda path, *_, **__: path != place)
    with pytest.raises(SourceUnreachable) as told:
        connect()
    assert _join(place) in told.value.hint
    assert "dsn" not in told.value.hint
