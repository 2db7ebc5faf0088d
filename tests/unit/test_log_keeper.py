"""The log is stored once in each interval, however long storing takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from drd.flows.log import keeper


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
    monkeypatch.setattr(keeper, "time", clock)
    session = keeper._Session(cast("Any", None), cast("Any", None), Path("/nowhere"))
    began = clock.monotonic()
    clock.sleep(turn_s)
    session._await(cast("Any", _Receiver()), began + 5.0)
    assert clock.now == pytest.approx(waits_until)
