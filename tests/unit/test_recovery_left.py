"""What the last line of a recovery proposes that did not restore everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd.cli.recover import _how_on
from drd.model.run import StepState
from drd.model.runbook import Step

BOOK = (Step("back", "restore", ("db",)), Step("checks", "check"), Step("announce", "command"))


def left(tasks: Sequence[Mapping[str, str]] = (), **states: StepState) -> str:
    outcome: Any = SimpleNamespace(
        evidence=SimpleNamespace(run="cce73e58"),
        outcome=SimpleNamespace(states=states),
        restoration=SimpleNamespace(plan=SimpleNamespace(runbook=BOOK)),
    )
    return _how_on(cast(Any, outcome), tasks)


@pytest.mark.parametrize("more", [{}, {"checks": StepState.FAILED}])
def test_checks_of_data_that_was_not_restored_are_not_to_be_skipped(
    more: dict[str, StepState],
) -> None:
    assert left(back=StepState.FAILED, **more) == "not recovered. Continue: drd resume cce73e58"


def test_where_the_data_is_at_fault_the_next_older_point_is_proposed_first() -> None:
    older = {"code": "older-point", "command": "drd recover shop --target standby --point p1"}
    assert left([older, {"code": "resume", "command": "x"}], back=StepState.FAILED) == (
        "not recovered. To recover the next older restore point: `drd recover shop --target "
        "standby --point p1`. To continue with this one, after its data was repaired: `drd resume "
        "cce73e58`"
    )


def test_a_step_that_fails_after_the_restore_can_be_skipped() -> None:
    assert left(back=StepState.SUCCEEDED, announce=StepState.FAILED) == (
        "not recovered. To try announce again: `drd resume cce73e58`. To continue without "
        "announce: `drd skip cce73e58 announce --why TEXT`, then `drd resume cce73e58`"
    )
