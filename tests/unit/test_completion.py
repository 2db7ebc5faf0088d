"""Completion, through a real bash that loads the script."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
source <(drd completion bash)
COMP_LINE="$1"; COMP_POINT=${#1}; COMP_TYPE=9; COMPREPLY=()
read -ra COMP_WORDS <<< "$1"; [[ "$1" == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_python_argcomplete drd "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""

SHOP = """\
plan: shop
components: {app: {kind: sqlite, path: /srv/app.db}}
targets: {standby: {app: {path: /srv/a}}, spare: {app: {path: /srv/b}}}
"""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("drd ba", {"backup"}),
        ("drd plan ch", {"check"}),
        ("drd backup --acc", {"--accept-size"}),
        ("drd backup sh", {"shop", "shop-eu"}),
        ("drd --config CONFIG status shop-", {"shop-eu"}),
        ("drd plan show sh", {"shop", "shop-eu"}),
        ("drd drill shop --scenario ", {"database-loss", "region-loss", "host-loss"}),
        ("drd --config /nowhere/drd.yaml backup sh", {""}),
        ("drd recover shop --target ", {"standby", "spare"}),
        ("drd recover shop --target st", {"standby"}),
        ("drd drill shop --component ", {"app"}),
        ("drd recover shop-eu --target ", {""}),
        ("drd recover shop --point ", {""}),
        ("drd run show x", {""}),
        ("drd plan check ./sh", {"./shop.yaml"}),
        ("drd --config oth", {"other.yaml"}),
    ],
)
def test_bash_completes_verbs_options_plans_and_their_names(
    line: str, expected: set[str], tmp_path: Path
) -> None:
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans/shop.yaml").write_text(SHOP)
    (tmp_path / "plans/other.yaml").write_text("plan: shop-eu\n")
    config = tmp_path / "drd.yaml"
    config.write_text(f"state: sqlite:///{tmp_path}/drd.db\nplans: plans\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/drd").write_text(f'#!/bin/sh\nexec {sys.executable} -m drd "$@"\n')
    (tmp_path / "bin/drd").chmod(0o755)
    done = subprocess.run(
        ["bash", "--norc", "-c", SCRIPT, "bash", line.replace("CONFIG", str(config))],
        env={
            **os.environ,
            "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
            "DRD_CONFIG": str(config),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
        cwd=tmp_path / "plans",
        capture_output=True,
        text=True,
        check=True,
    )
    assert {word.strip() for word in done.stdout.splitlines()} == expected, done.stderr
