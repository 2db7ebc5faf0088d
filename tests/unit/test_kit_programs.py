"""Which programs of a plan go into a kit, and which are only named."""

from __future__ import annotations

from pathlib import Path

import pytest

from drd.config.plan_file import plan_of_text
from drd.kit.layout import LostHost, lay_out
from drd.kit.programs import KitPrograms
from drd.model.plan import SecretRef

PLAN = """\
plan: shop
objectives: {{rpo: 15m, rto: 30m}}
components:
  conf: {{kind: files, paths: [{at}/replay]}}
repositories:
  primary: {{url: /srv/repo, password: {{credential: restic}}}}
checks:
  - {{name: asks, kind: command, run: [python3, {at}/ask.py]}}
runbook:
  - {{restore: [conf]}}
  - {{name: replay, command: {{run: [{at}/replay, "--all"]}}, rollback: {{run: [{at}/gone]}}}}
  - {{name: load, command: {{run: [{at}/large]}}, rehearse: simulate, with: [{at}/binary]}}
  - {{name: serve, start: {{unit: shop.service}}, rehearse: skip, reason: it is live}}
"""


@pytest.fixture
def at(tmp_path: Path) -> Path:
    """Where somebody keeps programs of their own."""
    (tmp_path / "replay").write_text("#!/usr/bin/env perl\n")
    (tmp_path / "replay").chmod(0o750)
    (tmp_path / "ask.py").write_text("print()\n")
    (tmp_path / "large").write_text("#!/bin/sh\n" + "#" * (1 << 20))
    (tmp_path / "binary").write_bytes(b"\x7fELF\0")
    return tmp_path


def test_small_scripts_go_into_the_kit_and_the_rest_is_named(at: Path) -> None:
    programs = KitPrograms()
    needs = programs.take(plan_of_text(PLAN.format(at=at), Path("/etc/drd/plans/shop.yaml")))
    assert {p.path: p.mode for p in programs.files.values()} == {
        f"{at}/replay": 0o750,
        f"{at}/ask.py": 0o644,
    }
    held = {path: programs.contents[p.file] for path, p in programs.files.items()}
    assert held[f"{at}/replay"] == b"#!/usr/bin/env perl\n"
    assert set(needs) == {
        "python3",
        "perl",
        f"{at}/large has 1.0 MiB, which is too large for the kit",
        f"{at}/binary is not a script",
        f"{at}/gone did not exist on the host that made the kit",
        "systemd unit shop.service",
    }


def test_scripts_get_their_places_and_below_a_root_the_plan_leads_there(at: Path) -> None:
    text = PLAN.format(at=at)
    held = {f"{at}/replay": (b"#!", 0o750), f"{at}/ask.py": (b"print()", 0o644)}
    secrets = {SecretRef("credential", "restic"): "r"}
    belongings = LostHost({"shop": text}, None, "/etc/drd/drd.yaml", secrets, programs=held)
    layout = lay_out(belongings, Path("/"))
    placed = {str(f.path): f for f in layout.files}
    assert placed[f"{at}/replay"].mode == 0o750
    assert placed[f"{at}/replay"].yields
    assert placed["/etc/drd/plans/shop.yaml"].content.decode() == text
    assert [n.path for n in layout.needed if n.restoring] == [f"{at}/gone"]
    layout = lay_out(belongings, Path("/r"))
    placed = {str(f.path): f for f in layout.files}
    assert placed[f"/r{at}/replay"].content == b"#!"
    moved = placed["/r/etc/drd/plans/shop.yaml"].content.decode()
    assert f"run: [/r{at}/replay, " in moved
    assert f"run: [python3, /r{at}/ask.py]" in moved
    assert f"paths: [{at}/replay]" in moved, "what is protected stays where it is"
