"""Playbooks are in force as the daemon loaded them; an edited file is named, and not executed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from drd.config.playbooks import playbooks_of
from drd.daemon.playbooks import PlaybookWatch, load_playbooks
from drd.errors import UsageError
from drd.flows.playbooks.in_force import in_force_findings, not_in_force, require_in_force
from drd.model.drd_facts import SIGN_OF_LIFE
from drd.model.playbook import Playbook
from drd.model.playbook_conditions import NOT_LOADED
from tests.flow_support import World
from tests.unit.test_playbooks import OWN


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, copies=False)
    (tmp_path / "playbooks").mkdir()
    made.app.settings = replace(made.app.settings, playbooks_dir=tmp_path / "playbooks")
    yield made
    made.close()


def known(world: World, name: str = "block") -> Playbook:
    return playbooks_of(world.app.settings).get(name)


def write(world: World, text: str, name: str = "block") -> None:
    (world.base / f"playbooks/{name}.yaml").write_text(text)


def why(world: World, name: str = "block") -> str | None:
    return not_in_force(world.catalogue, known(world, name), world.clock.now())


def load(world: World) -> tuple[str, ...]:
    world.catalogue.queue.note(SIGN_OF_LIFE, {"pid": 1}, world.clock.now())
    return load_playbooks(world.app)


def alerts(world: World, watch: PlaybookWatch) -> list[tuple[str, str, str]]:
    found = watch.conditions(world.app, world.clock.now())
    return [(c.kind, c.subject, c.remedy) for c in found]


def test_an_edited_playbook_is_refused_until_it_was_loaded(world: World) -> None:
    write(world, OWN)
    assert why(world) is None  # no daemon has loaded anything
    assert load(world) == ()
    assert (why(world), why(world, "insider")) == (None, None)
    write(world, OWN.replace("deny", "refuse"))
    assert "block.yaml was edited after the daemon loaded" in (why(world) or "")
    with pytest.raises(
        UsageError, match="the present text of playbook block is not in force"
    ) as refused:
        require_in_force(world.catalogue, known(world), world.clock.now())
    assert "systemctl reload drd" in refused.value.hint
    write(world, OWN.replace("block\n", "later\n", 1), "later")
    assert "later.yaml was added after" in (why(world, "later") or "")
    playbooks = playbooks_of(world.app.settings).known.values()
    found = list(in_force_findings(world.catalogue, playbooks, world.clock.now()))
    assert [(f.code, f.subject) for f in found] == [
        ("playbook-file", "block"),
        ("playbook-file", "later"),
    ]
    load(world)
    assert (why(world), why(world, "later")) == (None, None)


def test_one_of_drd_does_not_take_the_place_of_a_loaded_one_that_is_gone(world: World) -> None:
    write(world, OWN.replace("block\n", "insider\n", 1), "insider")
    load(world)
    assert known(world, "insider").own
    (world.base / "playbooks/insider.yaml").unlink()
    assert "but this file does not exist any more" in (why(world, "insider") or "")


def test_without_a_running_daemon_each_text_is_in_force(world: World) -> None:
    write(world, OWN)
    load(world)
    write(world, OWN.replace("deny", "refuse"))
    world.catalogue.queue.note(SIGN_OF_LIFE, {"state": "stopped"}, world.clock.now())
    assert why(world) is None


def test_a_refused_file_and_a_forgotten_reload_are_alerts(world: World) -> None:
    watch, remedy = PlaybookWatch(), "drd playbook check && systemctl reload drd"
    assert alerts(world, watch) == []
    write(world, OWN)
    write(world, "playbook: [", "broken")
    assert load(world) == ("broken",)
    world.clock.at += timedelta(minutes=2)
    assert alerts(world, watch) == [(NOT_LOADED, "broken", remedy)]
    write(world, OWN.replace("deny", "refuse"))
    world.clock.at += timedelta(minutes=2)
    assert len(alerts(world, watch)) == 1  # there is time for the reload
    world.clock.at += timedelta(minutes=6)
    assert alerts(world, watch)[1:] == [(NOT_LOADED, "block", remedy)]
    (world.base / "playbooks/broken.yaml").unlink()
    load(world)
    world.clock.at += timedelta(minutes=2)
    assert alerts(world, watch) == []


def test_what_was_loaded_before_a_refusal_stays_in_force(world: World) -> None:
    write(world, OWN)
    load(world)
    write(world, "playbook: [")
    assert load(world) == ("block",)
    write(world, OWN)
    assert why(world) is None
