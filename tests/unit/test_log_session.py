"""The log is stored once in each interval, however long storing takes."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd.errors import SourceUnreachable
from drd.flows.log import session as sessions


class _Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class _Receiver:
    exit_code: int | None = None


@pytest.mark.parametrize(
    ("turn_s", "waits_until"),
    [(0.0, 105.0), (3.0, 105.0), (4.5, 105.5), (9.0, 110.0)],
)
def test_the_interval_is_from_turn_to_turn(
    monkeypatch: pytest.MonkeyPatch, turn_s: float, waits_until: float
) -> None:
    clock = _Clock()
    monkeypatch.setattr(sessions, "time", clock)
    roomy = cast("Any", SimpleNamespace(has_room=lambda: True))
    session = sessions.Session(roomy, cast("Any", None), Path("/nowhere"))
    began = clock.monotonic()
    clock.sleep(turn_s)
    session._await(cast("Any", _Receiver()), began + 5.0)
    assert clock.now == pytest.approx(waits_until)


def test_a_server_that_fills_the_disk_between_two_turns_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever controls the server can send more in an interval than the disk holds."""
    clock, child = _Clock(), _Child()
    monkeypatch.setattr(sessions, "time", clock)
    disk = cast("Any", SimpleNamespace(has_room=lambda: clock.now < 102.0))
    session = sessions.Session(disk, cast("Any", None), Path("/nowhere"))
    session._await(cast("Any", child), clock.now + 30.0)
    assert child.exit_code is not None
    assert session._held, "it is started again, for the next turn"
    assert clock.now == pytest.approx(130.0), "it is not started again and again"


def test_only_the_last_words_of_a_program_are_kept() -> None:
    said = sessions._Said()
    with said.written() as writing:
        for _ in range(1000):
            os.write(writing, b"NOTICE: nothing\n" * 1000)
        os.write(writing, b"requested WAL segment has already been removed")
    assert said.last().endswith("NOTICE: nothing\nrequested WAL segment has already been removed")
    assert len(said.last()) == sessions._KEPT


class _Child:
    def __init__(self) -> None:
        self.exit_code: int | None = None

    def stop(self) -> None:
        self.exit_code = 1


class _FullDisk:
    """A keeper on a disk that has no room while drd stores, and its receiver."""

    every_s = 0.0
    received = "/work/logs/shop/server/received"

    def __init__(self, *, says: str = "") -> None:
        self.started: list[_Child] = []
        self.turns = 0
        self._says = says

    def start(self, said: int) -> _Child:
        self.started.append(_Child())
        os.write(said, f"program {len(self.started)}: {self._says}".encode())
        return self.started[-1]

    def has_room(self) -> bool:
        return False

    def lost(self, said: str) -> str:
        return ""

    program = "pg_receivewal"


def _session(disk: _FullDisk) -> sessions.Session:
    return sessions.Session(cast("Any", disk), cast("Any", disk), Path(disk.received))


def test_what_drd_has_stopped_for_want_of_room_receives_again_once_all_is_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = _FullDisk()
    session = _session(disk)

    def turn(child: _Child) -> bool:
        disk.turns += 1
        if disk.turns == 3:
            child.stop()  # this time, it ends by itself
            return True
        session._bound(cast("Any", child))
        assert child.exit_code is not None
        return True

    monkeypatch.setattr(session, "_turn", turn)
    monkeypatch.setattr(session, "_await", lambda *_: None)
    with pytest.raises(SourceUnreachable, match=r"pg_receivewal ended: program 3:$"):
        session.run()
    assert len(disk.started) == 3


def test_a_receiver_that_ends_because_the_disk_is_full_names_the_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = _FullDisk(says="could not write: No space left on device")
    session = _session(disk)
    monkeypatch.setattr(session, "_turn", lambda child: child.stop() or True)
    monkeypatch.setattr(session, "_await", lambda *_: None)
    with pytest.raises(SourceUnreachable) as raised:
        session.run()
    assert raised.value.hint is not None
    assert raised.value.hint.endswith(f"free space in {disk.received}.")
