"""A server that questions share is opened for the first and closed after the last one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from drd.errors import SourceUnreachable
from drd.kinds.held import Held


class _Server:
    def __init__(self) -> None:
        self.events: list[str] = []
        self.fails = False

    @contextmanager
    def opened(self) -> Iterator[str]:
        if self.fails:
            raise SourceUnreachable("it does not start")
        self.events.append("start")
        try:
            yield "address"
        finally:
            self.events.append("stop")


@pytest.fixture
def server() -> _Server:
    return _Server()


def test_a_question_alone_opens_and_closes(server: _Server) -> None:
    held = Held(server.opened)
    for _ in range(2):
        with held() as address:
            assert address == "address"
    assert server.events == ["start", "stop"] * 2


def test_questions_in_a_row_share_one_server(server: _Server) -> None:
    held = Held(server.opened)
    with held.kept():
        assert server.events == []  # nobody has asked yet
        with held(), held():
            pass
        with held.kept(), held():
            pass
        assert server.events == ["start"]
    assert server.events == ["start", "stop"]
    with held():
        assert server.events == ["start", "stop", "start"]


def test_nothing_is_closed_that_nobody_has_opened(server: _Server) -> None:
    with Held(server.opened).kept():
        pass
    assert server.events == []


def test_after_an_error_the_next_question_gets_another_server(server: _Server) -> None:
    held = Held(server.opened)
    with held.kept():
        with pytest.raises(SourceUnreachable), held():
            raise SourceUnreachable("the server has ended")
        assert server.events == ["start", "stop"]
        server.fails = True
        with pytest.raises(SourceUnreachable, match="does not start"), held():
            pass
        server.fails = False
        with held():
            assert server.events == ["start", "stop", "start"]
    assert server.events == ["start", "stop"] * 2


def test_it_stays_open_for_a_question_that_lasts_longer_than_the_block(server: _Server) -> None:
    held = Held(server.opened)
    with held.kept():
        asking = held()
        asking.__enter__()
    assert server.events == ["start"]
    asking.__exit__(None, None, None)
    assert server.events == ["start", "stop"]
