"""Bandwidth and priority of a component: in plans, in commands, and not in what is proven."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd.config.plan_file import plan_of_text
from drd.errors import ConfigError
from drd.flows.log.keeper import Keeper
from drd.model.limits import UNLIMITED, Limits
from drd.process.command import Command, at_priority

PLAN = """\
plan: shop
objectives: {{rpo: 15m, rto: 30m}}
components:
  store: {{kind: sqlite, path: /srv/shop.db{limits}}}
repositories:
  primary: {{url: /srv/repo, password: {{file: /etc/pw}}}}
checks:
  - {{name: rows, kind: rows, component: store}}
"""


def loaded(limits: str = "") -> object:
    return plan_of_text(PLAN.format(limits=limits), Path("shop.yaml"))


def test_limits_are_read_and_need_no_new_drill() -> None:
    plain = plan_of_text(PLAN.format(limits=""), Path("shop.yaml"))
    text = ", limits: {upload: 5M, download: 512K, nice: 10, ionice: idle}"
    limited = plan_of_text(PLAN.format(limits=text), Path("shop.yaml"))
    assert plain.components["store"].limits == UNLIMITED
    assert limited.components["store"].limits == Limits(5 << 20, 512 << 10, 10, "idle")
    assert limited.digest != plain.digest
    assert limited.proof == plain.proof


@pytest.mark.parametrize(
    "limits", ["nice: 20", "nice: -1", "ionice: 8", "ionice: real", "upload: 10", "upload: fast"]
)
def test_limits_that_cannot_be_are_refused(limits: str) -> None:
    with pytest.raises(ConfigError):
        loaded(f", limits: {{{limits}}}")


def test_a_command_keeps_its_name_and_its_words_at_another_priority() -> None:
    command = Command(("cat", "--", "-n"), name="dump")
    assert at_priority(command) is command
    low = at_priority(command, nice=10, ionice=7)
    assert low.title == "dump"
    assert list(low.argv) == [
        "nice", "-n", "10", "ionice", "-c", "2", "-n", "7", "cat", "--", "-n",
    ]  # fmt: skip
    assert list(at_priority(command, ionice="idle").argv[:3]) == ["ionice", "-c", "3"]


class _Sent(Exception):
    """What restic would have run with."""


class _Repository:
    def store(self, *_: Any, **how: Any) -> None:
        raise _Sent(how["limits"])


def test_the_log_of_a_component_is_stored_within_its_limits(tmp_path: Path) -> None:
    limits = Limits(upload=5 << 20, nice=10)
    keeper = cast("Any", Keeper.__new__(Keeper))
    keeper._component = SimpleNamespace(limits=limits)
    keeper._plan, keeper._place = SimpleNamespace(name="shop"), tmp_path
    keeper._repository = _Repository()
    keeper._staged = lambda *_: SimpleNamespace(tags=lambda _: ())
    with pytest.raises(_Sent) as sent:
        keeper.push(None, None, None)
    assert sent.value.args == (limits,)
