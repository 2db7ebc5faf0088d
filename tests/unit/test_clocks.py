"""What the daemon makes of three clocks: the wall's, and two that nobody sets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from drd.daemon.clocks import Clocks
from drd.model.clock import doubt

HOUR = 3600.0


class SetClocks(Clocks):
    """The wall clock, the one that counts sleep, and the one that does not, as a test says."""

    def __init__(self) -> None:
        self.now = (1e9, 500.0, 100.0)
        super().__init__()

    def _read_clocks(self) -> tuple[float, float, float]:  # type: ignore[override]
        return self.now

    def pass_by(self, wall: float, boot: float, awake: float) -> str:
        was = self.now
        self.now = (was[0] + wall, was[1] + boot, was[2] + awake)
        return str(self.check() or "")


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        ((1.0, 1.0, 1.0), ""),
        ((HOUR, HOUR, HOUR), ""),  # the process was stopped, or starved: time passed for all
        ((1.5, 1.0, 1.0), ""),  # slewed
        ((HOUR, 0.0, 0.0), "the clock was set forward by 1h"),
        ((-HOUR, 1.0, 1.0), "the clock was set back by 1h"),
        ((1.0 - HOUR, 1.0, 1.0), "the clock was set back by 1h"),
        ((2.0 - HOUR, 1.0, 1.0), "the clock was set back by 59m 59s"),
        ((-30.0 * 365 * 86400, 0.0, 0.0), "the clock was set back by 10950d"),
        ((8 * HOUR, 8 * HOUR, 1.0), "the host slept for 7h 59m"),
        ((9 * HOUR, 8 * HOUR, 0.0), "the clock was set forward by 1h and the host slept for 8h"),
    ],
)  # fmt: skip
def test_jumps_and_sleep_are_told_apart(passed: tuple[float, float, float], said: str) -> None:
    clocks = SetClocks()
    assert clocks.pass_by(*passed) == said
    assert clocks.pass_by(1.0, 1.0, 1.0) == "", "told once"


NEWEST = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "newest", "said"),
    [
        (NEWEST + timedelta(seconds=1), NEWEST, None),
        (NEWEST - timedelta(seconds=60), NEWEST, None),
        (NEWEST + timedelta(days=300), NEWEST, None),
        (NEWEST, None, None),
        (
            NEWEST - timedelta(days=1),
            NEWEST,
            (
                "the clock of this host says 2026-11-27 12:00 UTC, and point p is dated 2026-11-28 "
                "12:00 UTC, 1d later: the clock is wrong, or was wrong then"
            ),
        ),
        (
            NEWEST + timedelta(days=1000),
            NEWEST,
            (
                "the clock of this host says 2029-08-24 12:00 UTC, 1000d after point p: the clock "
                "may be wrong, or was wrong then"
            ),
        ),
        (
            datetime(1970, 1, 1, tzinfo=UTC),
            None,
            (
                "the clock of this host says 1970-01-01 00:00 UTC, which is before this version of "
                "drd was made: the clock is wrong"
            ),
        ),
    ],
)
def test_a_clock_that_is_evidently_wrong(
    now: datetime, newest: datetime | None, said: str | None
) -> None:
    assert doubt(now, newest, "point p") == said
