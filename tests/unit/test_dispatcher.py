"""The daemon's dispatcher: which open runs of other commands hold what is due."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd.daemon.dispatcher import Dispatcher
from drd.model.dispatch import RunLimits
from drd.model.plan import IN_PLACE
from drd.model.run import Run, RunKind, RunState
from drd.model.run_details import RecoveryDetail
from drd.model.single_item import Part
from tests.unit.test_dispatch import due

NOW = datetime(2026, 11, 30, 20, 0, tzinfo=UTC)


def recovery(**request: Any) -> Run:
    return Run(
        "r1", "orders-api", RunKind.RECOVERY, "manual", RunState.RUNNING, NOW,
        detail=RecoveryDetail(**request),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "held"),
    [
        ({"target": IN_PLACE}, True),
        ({"target": "standby", "in_place": True}, True),
        ({"target": "standby"}, False),
        ({"target": IN_PLACE, "part": Part(tables=("t",), into="t_old")}, False),
    ],
)
def test_a_recovery_over_production_holds_the_backup(request_: dict[str, Any], held: bool) -> None:
    waiting = due()
    agenda = SimpleNamespace(
        due=lambda now: [waiting], backups_ahead=lambda now: [], schedule=lambda plan: None
    )
    catalogue = SimpleNamespace(queue=SimpleNamespace(accepted=lambda plan: None))
    dropped: list[str] = []
    agenda.drop_plan = dropped.append
    dispatcher = Dispatcher(
        cast(Any, catalogue), cast(Any, agenda), cast(Any, None), RunLimits(), lambda run: None
    )
    dispatcher.start_due([recovery(**request_)], waiting.at)
    assert bool(dispatcher.waiting) is held
    assert dropped == ([] if held else ["orders-api"])  # the forgotten plan was about to start
