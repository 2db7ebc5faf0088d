"""`drd readiness` of all plans says on a terminal what it is doing."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from drd.cli.main import main
from drd.cli.readiness import _text_of_check
from drd.model.adopted import Adopted, CommandTool
from tests.flow_support import World


def test_each_of_several_plans_is_named_before_it_is_checked(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.close()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    config = ["--config", str(world.base / "drd.yaml")]
    main([*config, "readiness"])
    assert "drd checks plan shop\n" in capsys.readouterr().err
    main([*config, "readiness", "shop"])
    assert "drd checks plan" not in capsys.readouterr().err


def test_a_list_command_that_may_take_long_is_named(world: World) -> None:
    tool = CommandTool(("ls",), ("cat",))
    primary = replace(world.plan.primary, adopted=Adopted("ls", "shop", command=tool))
    plan = replace(world.plan, repositories={"primary": primary})
    assert _text_of_check(plan) == (
        "drd checks plan shop: the command `list` of this plan may take up to 2m"
    )
