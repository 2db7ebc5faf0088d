"""The unit of a process is what systemd gave it: groups below that are named by others."""

from __future__ import annotations

from pathlib import Path

import pytest

from drd.process import open_files


@pytest.mark.parametrize(
    ("group", "unit"),
    [
        (b"/system.slice/shop.service", "shop.service"),
        (b"/system.slice/system-shop.slice/shop@1.service", "shop@1.service"),
        (b"/system.slice/shop.service/evil.service", "shop.service"),
        (b"/system.slice/docker-abc.scope/mysql.service", ""),
        (b"/system.slice/x;touch PWNED;.service", ""),
        (b"/user.slice/user-1000.slice/e\xff.service", ""),
        (b"/system.slice/e\xff.service", ""),
        (b"/system.slice/$(reboot).service", ""),
    ],
)
def test_unit_comes_from_systemd_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: bytes, unit: str
) -> None:
    file = tmp_path / "cgroup"
    file.write_bytes(b"0::" + group + b"\n")
    monkeypatch.setattr(open_files, "Path", lambda _: file)
    assert open_files.unit_of(1) == unit
