"""The command that starts a recovery again says all that was asked for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from drd.model.plan import IN_PLACE
from drd.model.recovery_command import recovery_command
from drd.model.run_details import RecoveryDetail
from drd.model.single_item import Part

LOST = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"target": IN_PLACE}, "--in-place"),
        ({"target": "standby"}, "--target standby"),
        ({"target": "standby", "in_place": True}, "--in-place --target standby"),
        ({"target": IN_PLACE, "lost_at": LOST}, "--in-place --lost-at 2026-11-28T12:00:00Z"),
        (
            {"target": "s", "point": "1f0c", "repository": "offsite", "scenario": "host-loss"},
            "--target s --point 1f0c --repository offsite --scenario host-loss",
        ),
        (
            {"target": "s", "components": ("a", "b"), "part": Part(("t",), ("/p q",), "new")},
            "--target s --component a --component b --table t --path '/p q' --into new",
        ),
        (
            {"target": "s", "overwrite": True, "no_owner": True, "no_undo": True},
            "--target s --overwrite --no-owner --no-undo",
        ),
        (
            {"target": "s", "as_owner": True, "accept_paths": True},
            "--target s --as-owner --accept-paths",
        ),
        (
            {"target": "s", "clean_for": 7, "point": "1f0c", "overwrite": True},
            "--target s --incident 7 --clean --overwrite",
        ),
        ({"target": "a\x1b"}, "--target 'a\\x1b'"),
    ],
)
def test_the_command_of_a_recovery(said: dict[str, object], words: str) -> None:
    detail = RecoveryDetail(**said)
    assert recovery_command("shop", detail) == f"drd recover shop {words}"
