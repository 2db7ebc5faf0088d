"""A restore without the rights of root leaves out device nodes, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd.errors import RepositoryDamaged, TargetUnwritable
from drd.flows.components.fetch import Fetch
from drd.model.recovery_phases import Span
from drd.ports import Fetched
from drd.repositories.restic.restore import _check_restored

MKNOD = "mknod {into}/srv/dev/null: operation not permitted"


def restored(into: Path, *complaints: tuple[str, str], files: int, total: int = 2) -> Fetched:
    """What drd makes of a restore of `total` entries, of which restic wrote `files`."""
    said = [
        {"message_type": "error", "error": {"message": text}, "during": "restore", "item": item}
        for item, text in complaints
    ]
    summary = {"total_files": total, "files_restored": files, "total_bytes": 5}
    done = SimpleNamespace(exit_code=1 if said else 0, stderr="\n".join(map(json.dumps, said)))
    told: Any = SimpleNamespace(runner=SimpleNamespace(url="/srv/repository"))
    listener: Any = SimpleNamespace(summary={**summary, "bytes_restored": 5})
    return _check_restored(told, cast(Any, done), listener, into, part=False)


def test_device_nodes_that_only_root_can_make_are_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "srv").mkdir()
    got = restored(tmp_path, ("/srv/dev/null", MKNOD.format(into=tmp_path)), files=1)
    assert got == Fetched(5, devices=("/srv/dev/null",))
    (note,) = Fetch(Span("fetch", 0.0, 1.0), got.torn, got.devices).notes
    assert note == "not restored: device nodes, which only root can make: /srv/dev/null"
    assert restored(tmp_path, files=2).devices == ()


def test_a_device_node_excuses_nothing_else_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "srv").mkdir()
    node = ("/srv/dev/null", MKNOD.format(into=tmp_path))
    with pytest.raises(TargetUnwritable, match="cannot write"):
        restored(tmp_path, node, ("/srv/a", "open /srv/a: permission denied"), files=0)
    with pytest.raises(RepositoryDamaged, match="0 of 1 files"):
        restored(tmp_path, node, files=0)
