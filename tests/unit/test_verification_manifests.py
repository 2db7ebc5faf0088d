"""A verification does not take back that a manifest was refused before it has read the manifest."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from drd.errors import ManifestRefused
from drd.flows.components.repository_choice import Holders
from drd.flows.repository.observed_state import note_damage
from drd.flows.upkeep.verification import verification
from drd.model.run import RunState
from drd.ports.health import KnownRepository
from tests.flow_support import NOON, World


def known(world: World) -> KnownRepository:
    [one] = world.catalogue.health.of_plan("shop")
    return one


def test_a_refused_manifest_stays_damaged_until_it_can_be_read(tmp_path: Path) -> None:
    world = World(tmp_path, copies=False)
    try:
        sound = world.backup()
        world.stored("aaaaaaaa", NOON)  # its manifest is {}
        for point in (world.point("aaaaaaaa"), sound):
            with pytest.raises(ManifestRefused) as refused:
                Holders(world.services, world.plan, world.point("aaaaaaaa")).manifest()
            note_damage(world.services, "shop", point.id, {"primary": refused.value})
        assert known(world).affected is not None
        assert set(known(world).affected or ()) == {"aaaaaaaa", sound.id}

        world.clock.at += timedelta(hours=1)
        outcome = verification(world.services, world.plan)
        assert (outcome.state, outcome.affected) == (RunState.FAILED, ("aaaaaaaa",))
        assert isinstance(outcome.damage, ManifestRefused)
        assert known(world).affected == ("aaaaaaaa",), "the other manifest is drd's"

        world.catalogue.points.forget(["aaaaaaaa"], world.clock.now())
        assert verification(world.services, world.plan).state is RunState.SUCCEEDED
        assert known(world).damage is None
    finally:
        world.close()
