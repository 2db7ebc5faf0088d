"""The page by hand as a script."""

from __future__ import annotations

import subprocess
from pathlib import Path

from drd.config.plan_file import load_plan
from drd.kinds.files.by_hand import by_hand
from drd.kinds.files.settings import FilesSettings
from drd.kit import by_hand as by_hand_page
from drd.kit.document import Block, Commands, Heading, Paragraph
from drd.kit.script import script, script_file
from drd.model.plan import Component

PLANS = Path(__file__).parents[2] / "plans"


def _run(kit: Path, *blocks: Block) -> subprocess.CompletedProcess[str]:
    file = script_file("shop", None, several=False)
    path = kit / file
    path.parent.mkdir(parents=True, exist_ok=True)
    begin = Commands("set -euo pipefail\npwd\n")
    path.write_bytes(script([begin, *blocks], file=file, page="runbooks/shop/runbook.html"))
    return subprocess.run(
        ["setsid", "bash", path], cwd="/", stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_script_runs_from_anywhere_and_names_what_is_left_to_a_person(tmp_path: Path) -> None:
    done = _run(
        tmp_path,
        Heading(3, "It's a heading"),
        Paragraph("see: it's here; $(false)", left=True),
        Commands("false --adapt 'me'\n", shown=True),
        Commands("echo end\n"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    left = "This script does not do this, it is left to you: see: it's here; $(false)\n"
    assert done.stdout == (
        f"{tmp_path}\n\n== It's a heading\n{left}false --adapt 'me'\nend\n"
        "Every command succeeded.\nLeft to you (see above): 1\n"
    )


def test_a_script_ends_at_a_failed_command_and_never_passes_a_persons_step(tmp_path: Path) -> None:
    failed = _run(tmp_path, Commands("false\n"), Commands("echo end\n"))
    assert (failed.returncode, failed.stdout) == (1, f"{tmp_path}\n")
    alone = _run(tmp_path, Paragraph("pull the plug", waits=True), Commands("echo end\n"))
    assert alone.returncode != 0
    assert alone.stdout == f"{tmp_path}\npull the plug\n"


def test_a_directory_at_the_top_is_never_replaced_by_a_command() -> None:
    settings = FilesSettings.model_validate({"kind": "files", "paths": ["/etc", "/srv/a b"]})
    component = Component("gateway", "files", settings)
    hand = by_hand(component, None, place="", resolve=lambda _: "")
    last = hand.passages[-1]
    assert last.adapt
    assert last.commands == (
        'cp -a -- "$TARGET"/etc/NAME /etc/\ncp -a -- "$TARGET"\'/srv/a b\' /srv/\n'
    )
    assert hand.environment == 'DRD_PATH="$PWD/gateway"'


def test_each_of_several_targets_has_a_script() -> None:
    assert script_file("shop", "b", several=True) == "runbooks/shop/recover-by-hand-b.sh"


def test_the_script_names_a_program_that_is_missing_before_it_does_anything(
    tmp_path: Path,
) -> None:
    plan = load_plan(PLANS / "orders-api.yaml").plan
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    for program in ("restic", "psql"):
        (bin_dir / program).symlink_to("/bin/true")
    done = subprocess.run(
        ["/bin/bash"], input=by_hand_page._begin(plan), env={"PATH": str(bin_dir)}, cwd=tmp_path,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("jq is missing: apt-get install restic jq "), done.stderr
    assert list(tmp_path.iterdir()) == [bin_dir]
