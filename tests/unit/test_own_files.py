"""When drd's own catalogue is stored beside a restore point."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from drd.flows.backup.own_files import is_due

NOW = datetime(2026, 11, 25, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("ago", "repositories", "due"),
    [
        (None, 10_000, True),
        (HOUR, 1, True),
        (0.99 * HOUR, 1, False),
        (HOUR, 60, True),
        (HOUR, 120, False),
        (2 * HOUR, 120, True),
        (20 * HOUR, 10_000, False),
        (timedelta(days=7), 10_000, True),
        (-HOUR, 10_000, True),  # a clock was set back
    ],
)
def test_each_repository_gets_it_hourly_and_all_together_one_a_minute(
    ago: timedelta | None, repositories: int, due: bool
) -> None:
    last = None if ago is None else NOW - ago
    assert is_due(last, NOW, lambda: repositories) is due
