"""What is known of the runs of a job."""

from __future__ import annotations

import pytest

from drd.model.job_history import JobHistory


@pytest.mark.parametrize(
    ("state", "error", "why"),
    [
        ("paused", "a hold", "a hold"),
        ("paused", None, "paused"),
        ("paused", "", "paused"),
        ("failed", "a hold", None),
        (None, None, None),
    ],
)
def test_a_paused_last_run_has_its_reason(
    state: str | None, error: str | None, why: str | None
) -> None:
    assert JobHistory(last_state=state, last_error=error).paused == why
