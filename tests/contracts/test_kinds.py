"""Every kind of drd's own, and the example in a package of its own, keeps what kinds promise."""

from __future__ import annotations

from pathlib import Path

import pytest

from drd.ports import Workplace
from drd.registry import KINDS
from drd.testing.kinds import KindContract, KindRig
from tests.contracts.kind_rigs import RIGS
from tests.restic_support import Restic, place


class TestKinds(KindContract):
    @pytest.fixture(params=sorted(RIGS))
    def rig(self, request: pytest.FixtureRequest, short_tmp: Path) -> KindRig:
        directory = short_tmp / "rig"
        directory.mkdir()
        return RIGS[request.param](request, directory)

    @pytest.fixture(scope="module")
    def restic(self, tmp_path_factory: pytest.TempPathFactory) -> Restic:
        return Restic(tmp_path_factory.mktemp("restic"))

    @pytest.fixture
    def work(self, short_tmp: Path) -> Workplace:
        return place(short_tmp / "w")


def test_every_kind_has_something_real_to_protect() -> None:
    assert set(RIGS) >= set(KINDS.names)
