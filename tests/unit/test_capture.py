"""What a backup refuses of a captured component."""

from __future__ import annotations

import pytest

from drd.flows.backup.run import BackupRequest, backup
from drd.kinds.files.source import FilesCapture
from drd.model.run import RunState
from tests.flow_support import World


class OwnShape:
    """A fingerprint as no reader of manifests knows it."""

    def to_json(self) -> dict[str, str]:
        return {"type": "own"}


def test_a_fingerprint_that_could_not_be_read_back_is_refused_by_the_name_of_its_kind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FilesCapture, "fingerprint", lambda _: OwnShape())
    monkeypatch.setattr(FilesCapture, "verify", lambda *_: OwnShape())
    done = backup(world.services, world.plan, BackupRequest())
    assert (done.state, done.point) == (RunState.FAILED, None)
    [error] = [row.error for row in done.components if row.component == "conf"]
    assert error == (
        "kind files describes conf by OwnShape: drd could not read this fingerprint from a "
        "repository"
    )
    assert world.catalogue.runs.get(done.run).detail.permanent
