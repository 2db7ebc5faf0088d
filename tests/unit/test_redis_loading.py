"""How long drd waits for a server that loads restored data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from drd.errors import SandboxUnavailable
from drd.kinds.redis import server as module
from drd.kinds.redis.programs import ServerProgram
from drd.kinds.redis.server import SandboxServer
from drd.kinds.redis.server_facts import Version
from tests.restic_support import place

if TYPE_CHECKING:
    from drd.process import Child


class _Running:
    exit_code = None


class _Clock:
    """A clock on which each look at the server takes 40 s."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, _: float) -> None:
        self.now += 40.0


def _wait(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, loaded: list[int | None]) -> _Clock:
    clock, answers = _Clock(), iter(loaded)
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(SandboxServer, "_loaded", lambda _: next(answers))
    program = ServerProgram("/usr/bin/redis-server", Version("redis", "8.0.2"))
    server: Any = SandboxServer(place(tmp_path / "w"), program)
    server._await(cast("Child", _Running()), 100.0)
    return clock


def test_a_server_that_loads_more_has_as_much_time_as_it_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock = _wait(monkeypatch, tmp_path, [0, 5, 5, 900, 900, 2_000, 3_000, 3_000, None])
    assert clock.now == 320.0  # the limit is 100 s


@pytest.mark.parametrize(
    ("loaded", "says"),
    [
        ([0] * 9, "has loaded no data for 1m 40s: "),
        ([0, 5 << 20, *[5 << 20] * 9], "has loaded no data for 1m 40s after the first 5.0 MiB: "),
        ([9 << 20, *[1 << 20] * 9], "has loaded no data for 1m 40s after the first 9.0 MiB: "),
    ],
)
def test_a_server_that_loads_nothing_more_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, loaded: list[int | None], says: str
) -> None:
    with pytest.raises(SandboxUnavailable, match=r"^the sandbox's Redis 8\.0\.2 ") as caught:
        _wait(monkeypatch, tmp_path, loaded)
    assert says in caught.value.message
