"""What a kind promises about copies that another tool has made: a part of `KindContract`."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from pkgutil import resolve_name

from drd.model.manifest import component
from drd.model.snapshot import ComponentSnapshot
from drd.ports import Holds, Workplace, no_progress
from drd.ports.adopted import AdoptedPart, AdoptsOf, FoundFile
from drd.testing.rigs import KindRig, assert_same, back_up, sandbox_of, spec_of
from drd.testing.snapshots import Snapshots

_COPY = "the tool's own name"


class AdoptedContract:
    """For a kind with `KindSpec.adopts`. A kind without it is refused in plans with `made_by`."""

    def test_a_copy_of_another_tool_is_described_and_restored_as_drds_own(
        self, rig: KindRig, restic: Snapshots, work: Workplace, tmp_path: Path
    ) -> None:
        spec = spec_of(rig)
        if not spec.adopts:
            return
        own = back_up(rig, restic, work)
        stored = tmp_path / "stored"
        stored.mkdir()
        restic.restore(str(own.snapshot), stored)
        foreign = rig.foreign_file(stored) if spec.holds is not Holds.PATHS else None
        part = _adopted(rig, foreign)
        assert _adopted(rig, foreign) == part, "drd seals the manifest of a copy"
        snapshot = _described(rig, part)
        read_again = component(json.loads(json.dumps(snapshot.to_json())), "here")
        assert read_again == snapshot
        rig.kind.require_written(snapshot, json.loads(json.dumps(dict(part.private))))
        rig.lose_source()
        with sandbox_of(rig, snapshot, work) as sandbox:
            assert not any(f.failed for f in sandbox.preflight(snapshot, overwrite=False))
            sandbox.prepare()
            landing = sandbox.landing()
            if foreign is not None:
                shutil.copyfile(foreign, landing / part.landing.called)
            else:
                restic.restore(str(own.snapshot), landing)
                assert all((landing / p.lstrip("/")).exists() for p in part.landing.paths)
            sandbox.restore(snapshot, part.private, on_progress=no_progress)
            assert_same(rig, sandbox.inspector(), own)


def _adopted(rig: KindRig, foreign: Path | None) -> AdoptedPart:
    """Let the kind describe its part of a copy. The tool knows no owner and no rights."""
    adopts: AdoptsOf = resolve_name(spec_of(rig).adopts)
    if foreign is None:
        return adopts(rig.component, None)
    foreign_file = FoundFile(True, foreign.stat().st_size, None, 0o600, 0, 0)
    part = adopts(rig.component, foreign_file)
    assert part.landing.bytes == foreign_file.bytes
    assert part.landing.file
    assert Path(part.landing.called).name == part.landing.called
    return part


def _described(rig: KindRig, part: AdoptedPart) -> ComponentSnapshot:
    """Return what a manifest of an adopted copy says, without a fingerprint."""
    return ComponentSnapshot(
        component=rig.component.name,
        kind=spec_of(rig).name,
        state="captured",
        data_time=datetime(2026, 11, 25, 12, 0, tzinfo=UTC),
        snapshot="0" * 64,
        bytes=part.landing.bytes,
        facts={**part.facts, "copy": _COPY},
    )
