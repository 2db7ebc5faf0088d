"""Where a control group for a drill may be made: in what was handed to this user, and nowhere
else."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from drd.process import cgroup
from drd.process.mounts import Mounted
from tests.api_support import somebody
from tests.fence_support import own_directory
from tests.user_support import as_root

pytestmark = as_root
USER = 2


@pytest.fixture
def unit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The group of a service as systemd hands it over, with the service in a group below it."""
    codecs.lookup("ascii")  # which another user may not be able to read
    with own_directory() as root:
        made = root / "system.slice" / "drd.service"
        (made / "daemon").mkdir(parents=True)
        for group in (root, made.parent, made, made / "daemon"):
            for name in ("cgroup.procs", "cgroup.subtree_control"):
                (group / name).write_text("")
        for place in (made, *made.rglob("*")):
            os.chown(place, USER, USER)
        monkeypatch.setattr(
            cgroup, "_mounts", lambda: [Mounted(1, "0:1", root, "cgroup2", "cgroup2")]
        )
        monkeypatch.setattr(cgroup, "_own_path", lambda: "/system.slice/drd.service/daemon")
        yield made


def test_service_is_given_a_group_below_its_own(unit: Path) -> None:
    with somebody(USER):
        assert cgroup._v2_groups() == [unit]
    assert (unit / "cgroup.subtree_control").read_text() == "+memory +pids"


def test_group_that_is_not_handed_over_stays_as_it_is(unit: Path) -> None:
    with somebody(3):
        assert cgroup._v2_groups() == []
    assert cgroup._v2_groups() == []  # root's own way is a group of the host's
    os.chown(unit / "cgroup.procs", 0, 0)
    with somebody(USER):
        assert cgroup._v2_groups() == []
    assert (unit / "cgroup.subtree_control").read_text() == ""


def test_group_without_the_controllers_is_left_out(unit: Path) -> None:
    os.chown(unit / "cgroup.subtree_control", 0, 0)
    with somebody(USER):
        assert cgroup._v2_groups() == []
