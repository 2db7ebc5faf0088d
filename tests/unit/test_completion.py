"""Completion, through a real bash that loads the script."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

SCRIPT = """
source "$2"
COMP_LINE="$1"; COMP_POINT=${#1}; COMP_TYPE=9; COMPREPLY=()
read -ra COMP_WORDS <<< "$1"; [[ "$1" == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_python_argcomplete drd "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""

SHOP = """\
plan: shop
components: {app: {kind: sqlite, path: /srv/app.db}}
repositories: {primary: {url: /srv/r}, offsite: {url: /srv/o}}
targets: {standby: {app: {path: /srv/a}}, spare: {app: {path: /srv/b}}}
"""


CATALOGUE = """
CREATE TABLE runs (id, plan, due_at);
CREATE TABLE evidence (id, finished_at);
CREATE TABLE points (id, plan, data_time, forgotten_at);
CREATE TABLE alerts (id, resolved_at);
CREATE TABLE steps (run, name);
INSERT INTO runs VALUES ('4f2a0001', 'shop', 1), ('4f2a0002', 'shop', 2);
INSERT INTO points VALUES ('7c1e0001', 'shop', 1, NULL), ('7c1e0002', 'shop', 2, 3);
INSERT INTO evidence VALUES ('7c1e-4f2a0001', 1);
INSERT INTO alerts VALUES ('a1e70001', NULL), ('a1e70002', 1);
INSERT INTO steps VALUES ('4f2a0001', 'traffic'), ('4f2a0002', 'other');
INSERT INTO runs VALUES ('4f2a$(id)', 'shop', 3), ('--config=4', 'shop', 4);
INSERT INTO alerts VALUES ('a1;id', NULL);
INSERT INTO steps VALUES ('4f2a0001', 't' || char(27) || '[2J');
"""


def known_catalogue(file: Path) -> None:
    """Only what a completion reads of the catalogue."""
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(CATALOGUE)


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `drd completion bash` prints, which is the same for every word."""
    printed = subprocess.run(
        [sys.executable, "-m", "drd", "completion", "bash"], stdout=subprocess.PIPE, check=True
    )
    file = tmp_path_factory.mktemp("completion") / "script"
    file.write_bytes(printed.stdout)
    return file


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("drd ba", {"backup"}),
        ("drd plan ch", {"check"}),
        ("drd backup --acc", {"--accept-size"}),
        ("drd backup sh", {"shop", "shop-eu"}),
        ("drd --config CONFIG status shop-", {"shop-eu"}),
        ("drd plan show sh", {"shop", "shop-eu"}),
        ("drd drill shop --scenario ", {"database-loss", "region-loss", "host-loss", "operator"}),
        ("drd --config /nowhere/drd.yaml backup sh", {""}),
        ("drd recover shop --target ", {"standby", "spare"}),
        ("drd recover shop --target st", {"standby"}),
        ("drd drill shop --component ", {"app"}),
        ("drd recover shop-eu --target ", {""}),
        ("drd run show x", {""}),
        ("drd run show 4", {"4f2a0001", "4f2a0002"}),
        ("drd undo 4f2a0002", {"4f2a0002"}),
        ("drd run ca", {"cancel"}),
        ("drd approve 4f2a0001 t", {"traffic"}),
        ("drd ru", {"run"}),
        ("drd runs --li", {"--limit"}),
        ("drd recover shop --point ", {"7c1e0001"}),
        ("drd recover shop-eu --point ", {""}),
        ("drd diff shop --component app --point 7", {"7c1e0001"}),
        ("drd hold 7", {"7c1e0001"}),
        ("drd alert ack a1", {"a1e70001"}),
        ("drd points shop --component ", {"app"}),
        ("drd verify shop --repository ", {"primary", "offsite"}),
        ("drd evidence show 7", {"7c1e-4f2a0001"}),
        ("drd plan check ./sh", {"./shop.yaml"}),
        ("drd --config oth", {"other.yaml"}),
    ],
)
def test_bash_completes_verbs_options_plans_their_names_and_what_the_catalogue_knows(
    line: str, expected: set[str], tmp_path: Path, script: Path
) -> None:
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans/shop.yaml").write_text(SHOP)
    (tmp_path / "plans/other.yaml").write_text("plan: shop-eu\n")
    config = tmp_path / "drd.yaml"
    config.write_text(f"state: sqlite:///{tmp_path}/drd.db\nplans: plans\n")
    known_catalogue(tmp_path / "drd.db")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/drd").write_text(f'#!/bin/sh\nexec {sys.executable} -m drd "$@"\n')
    (tmp_path / "bin/drd").chmod(0o755)
    done = subprocess.run(
        ["bash", "--norc", "-c", SCRIPT, "bash", line.replace("CONFIG", str(config)), script],
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


@pytest.mark.parametrize("line", ["drd ", "drd run show ", "drd alert ack a"])
def test_a_completion_reads_neither_kinds_nor_extensions(line: str, tmp_path: Path) -> None:
    config = tmp_path / "drd.yaml"
    config.write_text(f"state: sqlite:///{tmp_path}/drd.db\nextensions: [drd-example]\n")
    known_catalogue(tmp_path / "drd.db")
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "drd"],
        env={
            **os.environ,
            "DRD_CONFIG": str(config),
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "told"),
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (tmp_path / "told").read_text()
    imported = {row.rpartition("|")[2].strip() for row in done.stderr.splitlines()}
    assert "drd.catalogue.known_ids" in imported
    assert not imported & {"drd.registry", "drd.config.extensions", "pydantic", "sqlalchemy"}
