"""Which components a recovery of a single item is about."""

from __future__ import annotations

from pathlib import Path

import pytest

from drd.errors import NotSupported
from drd.flows.restore.recovery_plan import plan_recovery
from drd.flows.restore.recovery_request import RecoveryRequest
from drd.model.plan import IN_PLACE
from drd.model.single_item import Part
from tests.flow_support import World


def test_an_item_needs_only_what_its_own_component_is_able_to_do(tmp_path: Path) -> None:
    """The other one cannot be restored in place."""
    world = World(tmp_path)
    world.backup()
    sessions = "  sessions: {kind: valkey, url: 'unix:///run/none/valkey.sock'}\n"
    text = world.file.read_text()
    world.file.write_text(text.replace("targets:\n", f"{sessions}targets:\n", 1))
    plan = world.app.plans.load(str(world.file))
    file = f"{tmp_path}/etc/file"
    one = RecoveryRequest(target=IN_PLACE, part=Part((), (file,), None))
    assert plan_recovery(world.services, plan, one).components == ("conf",)
    with pytest.raises(NotSupported, match="component sessions: kind valkey cannot be restored"):
        plan_recovery(world.services, plan, RecoveryRequest(target=IN_PLACE))
    world.close()
