"""What a person reads of a restore point that the kit does not list."""

from __future__ import annotations

from datetime import UTC, datetime

from drd.flows.restore.kit_origin import Origin
from drd.model.seals import KitBase
from drd.model.snapshot import RestorePoint

MADE = datetime(2026, 11, 25, 12, tzinfo=UTC)


def said_of(point: str) -> str:
    found = RestorePoint(
        id=point,
        plan="shop",
        data_time=MADE,
        available_at=MADE,
        complete=True,
        plan_digest="",
        components=(),
    )
    return " ".join(Origin(KitBase(MADE, listed=True), found, {}).lines())


def test_a_copy_of_another_tool_is_not_a_point_whose_date_or_plan_is_suspicious() -> None:
    said = said_of("pgbackrest-0eb783b3")
    assert "does not list restore point pgbackrest-0eb783b3: pgbackrest stored this point" in said
    assert "Do not trust" not in said
    assert "the restore point does not contain a plan: drd uses the plan of the kit" in said
    assert "Do not trust this restore point" in said_of("a1b2c3d4")
