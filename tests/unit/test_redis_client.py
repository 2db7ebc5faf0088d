"""A server that answers wrongly, endlessly or not at all."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from drd.errors import DeadlineExceeded, SourceError, SourceUnreachable
from drd.kinds.redis.address import Address, address_of, wrong_url
from drd.kinds.redis.client import Client, Login, ServerRefused

Serve = Callable[[bytes], Client]


@pytest.fixture
def serve(short_tmp: Path) -> Iterator[Serve]:
    """Make a client whose server gives one answer, whatever it is asked."""
    place = short_tmp / "s"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place))
    listener.listen()
    clients: list[Client] = []

    def work(answer: bytes) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1 << 16)
            with suppress(BrokenPipeError, ConnectionResetError):  # it reads no more
                connection.sendall(answer)
                connection.recv(1)

    def make(answer: bytes) -> Client:
        threading.Thread(target=work, args=(answer,), daemon=True).start()
        client = Client(Login(Address(socket=str(place))))
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()
    listener.close()


def test_answers_are_read_by_their_types(serve: Serve) -> None:
    answer = b"*5\r\n$3\r\na\r\n\r\n:7\r\n$-1\r\n+OK\r\n*0\r\n"
    assert serve(answer).ask("X") == [b"a\r\n", 7, None, b"OK", []]


def test_an_answer_of_millions_of_empty_lists_is_not_read_to_its_end(serve: Serve) -> None:
    """Each takes four bytes of the answer, and much more in memory."""
    inner = b"*100000\r\n" + b"*0\r\n" * 100_000
    assert len(serve(b"*5\r\n" + inner * 5).ask("X")) == 5
    with pytest.raises(SourceError, match="too many parts"):
        serve(b"*40\r\n" + inner * 40).ask("X")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"$99999999999\r\n",
        b"*99999999\r\n",
        b"*1\r\n" * 40,
        b"+" + b"x" * 70_000,
        b":no number\r\n",
    ],
    ids=["http", "huge text", "huge list", "deep list", "long line", "no number"],
)
def test_answers_of_another_protocol_and_huge_ones_are_refused(serve: Serve, answer: bytes) -> None:
    with pytest.raises(SourceError, match="does not answer as a Redis or Valkey server does"):
        serve(answer).ask("INFO")


def test_an_error_of_the_server_is_escaped_and_has_a_remedy(serve: Serve) -> None:
    with pytest.raises(ServerRefused) as caught:
        serve(b"-NOPERM \x1b[2J no\r\n").ask("INFO")
    assert caught.value.message == "NOPERM \\x1b[2J no"
    assert "rights" in caught.value.hint


def test_a_server_that_says_nothing_is_left_in_time(serve: Serve) -> None:
    with pytest.raises(DeadlineExceeded, match="did not answer within"):
        serve(b"").ask("INFO", timeout_s=0.05)


def test_a_server_that_is_not_there_is_named(short_tmp: Path) -> None:
    with pytest.raises(SourceUnreachable, match="no such file or directory"):
        Client(Login(Address(socket=str(short_tmp / "none"))))


@pytest.mark.parametrize(
    ("gid", "mode", "said"),
    [
        (-1, 0o770, "as root: usermod -aG {group} {user}; then restart drd"),
        (-1, 0o700, "set `unixsocketperm 770` in the configuration of the server"),
        (0, 0o770, "let {place} belong to a group that {user} can join: now its group is root"),
    ],
)
def test_a_socket_that_this_user_may_not_use_names_the_group_that_may(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch, gid: int, mode: int, said: str
) -> None:
    place = short_tmp / "s"
    if gid != 0:
        gid = next(g.gr_gid for g in grp.getgrall() if g.gr_gid in {*os.getgroups(), 33} - {0})
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
    place.chmod(mode)
    os.chown(place, -1, gid)

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("drd.kinds.redis.client.socket.socket.connect", refused)
    with pytest.raises(SourceUnreachable, match="permission denied") as told:
        Client(Login(Address(socket=str(place))))
    names = {"group": grp.getgrgid(gid).gr_name, "user": pwd.getpwuid(os.geteuid()).pw_name}
    assert said.format(place=place, **names) in (told.value.hint or "")
    assert "`bind`" not in (told.value.hint or "")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://:secret@db/0", "contains a login"),
        ("redis://db/3", "names a database"),
        ("redis://", "names no host"),
        ("redis://db:0", "names no host"),
        ("redis://db:x", "is not an address"),
        ("unix://relative/s", "does not name a socket"),
        ("https://db", "is not the address of a server"),
        ("redis://db?x=1", "contains a query (?) or a fragment (#), which drd does not support"),
    ],
)
def test_addresses_that_cannot_be_are_refused(url: str, said: str) -> None:
    assert said in wrong_url(url)


def test_addresses_are_read() -> None:
    assert address_of("redis://db") == Address(host="db", port=6379)
    assert address_of("rediss://[::1]:7000").named == "[::1]:7000"
    assert address_of("unix:///run/r%20s") == Address(socket="/run/r s")
