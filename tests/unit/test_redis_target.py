"""The data directory of a server as a target: whose it has to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from drd.kinds.redis import target as module
from drd.kinds.redis.target import RedisTargetDirectory
from drd.model.snapshot import ComponentSnapshot
from drd.ports import RestoreOptions
from tests.restic_support import place


def _snapshot(product: str) -> ComponentSnapshot:
    facts = {
        "product": product,
        "version": "8.1.1",
        "dump": "dump.rdb",
        "users": False,
        "appendonly": True,
        "aof_directory": "appendonlydir",
        "aof_name": "appendonly.aof",
    }
    return ComponentSnapshot("cache", product, "captured", bytes=10, facts=facts)


@pytest.mark.parametrize("product", ["redis", "valkey"])
def test_the_directory_of_a_server_gets_the_same_owner_from_each_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, product: str
) -> None:
    directory, snapshot = tmp_path / "data", _snapshot(product)
    target = RedisTargetDirectory(
        "cache", str(directory), place(tmp_path / "work"), RestoreOptions()
    )
    [missing] = target.check_access(snapshot)
    assert f"install -d -o {product} -g {product} -m 0750 {directory}\n" in missing.remedy
    directory.mkdir()
    monkeypatch.setattr(module, "is_root", lambda: True)
    real = Path.stat

    class Roots:
        st_uid = 0

    def of_root(path: Path, **how: bool) -> object:
        return Roots if path == directory else real(path, **how)

    hints = _hints(target, snapshot, monkeypatch, of_root)
    assert f"chown {product} {directory}" in hints


def _hints(
    target: RedisTargetDirectory,
    snapshot: ComponentSnapshot,
    monkeypatch: pytest.MonkeyPatch,
    of_root: object,
) -> str:
    monkeypatch.setattr(module, "no_directory", lambda *_: None)
    monkeypatch.setattr(Path, "stat", of_root)
    try:
        return " ".join(f.remedy for f in target.check_access(snapshot))
    finally:
        monkeypatch.undo()
