"""What checks are run with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drd.model.plan import BackupPolicy, DrillPolicy, Objectives, Plan, RetentionPolicy
from drd.model.snapshot import ComponentSnapshot, RestorePoint
from drd.ports import CheckContext, Inspector

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

PLAN = Plan(
    name="orders",
    owner="",
    description="",
    objectives=Objectives(rpo_s=900.0, rto_s=1800.0),
    components={},
    repositories={},
    backup=BackupPolicy(),
    retention=RetentionPolicy(),
    checks=(),
    runbook=(),
    targets={},
    drill=DrillPolicy(),
    digest="d",
    file="/etc/drd/plans/orders.yaml",
)


def point(*snapshots: ComponentSnapshot) -> RestorePoint:
    return RestorePoint("7c1e", "orders", AT, AT, True, "d", tuple(snapshots))


def context(
    inspectors: Mapping[str, Inspector],
    *snapshots: ComponentSnapshot,
    is_root: bool = False,
    last_observed: Mapping[str, Any] | None = None,
    directory: Path = Path("/"),
) -> CheckContext:
    return CheckContext(
        plan=PLAN,
        point=point(*snapshots),
        inspectors=inspectors,
        now=AT,
        is_root=is_root,
        last_observed=last_observed or {},
        directory=directory,
    )
