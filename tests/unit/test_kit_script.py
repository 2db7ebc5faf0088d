"""The page by hand as a script."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drd.checks.expectation import by_hand_words, parse_expectation
from drd.config.plan_file import load_plan
from drd.kinds.files.by_hand import by_hand
from drd.kinds.files.settings import FilesSettings, FilesTarget
from drd.kinds.redis.by_hand import by_hand as server_by_hand
from drd.kinds.redis.settings import RedisTarget, ServerSettings
from drd.kit import by_hand as by_hand_page
from drd.kit import stops_by_hand
from drd.kit.adopted_by_hand import _select
from drd.kit.answers import judges, judging
from drd.kit.document import (
    Block,
    Commands,
    Following,
    Heading,
    Paragraph,
    Restoring,
    Stage,
    html,
    markdown,
)
from drd.kit.script import script, script_file
from drd.model.plan import Component
from drd.ports.by_hand import ByHand, Passage
from tests.config_support import write_plan
from tests.user_support import NOBODY, as_root

PLANS = Path(__file__).parents[2] / "plans"

OF_MARIADB = """
plan: wiki
objectives: {rpo: 1h, rto: 1h}
components:
  wiki: {kind: mariadb, dsn: mariadb:///wiki}
repositories: {primary: {url: /srv/r, password: {env: PW}}}
"""


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


def test_a_script_says_what_is_not_restored_if_a_server_cannot_be_stopped(tmp_path: Path) -> None:
    done = _run(
        tmp_path,
        Commands('stop_servers() ( false )\nmkdir -p -m 700 "$NOTES"\nfalse\n'),
    )
    assert done.returncode == 1
    assert "Correct the cause, then start the script again: bash '" in done.stderr


@pytest.mark.parametrize("ours", [True, False])
def test_servers_are_stopped_on_a_host_without_ps(tmp_path: Path, ours: bool) -> None:
    """Debian's images for containers do not have it."""
    (tmp_path / "recovered/shop").mkdir(parents=True)
    hand = ByHand((), stops='stop_one TERM "$(cat pid)"\n')
    [_, function] = stops_by_hand.begin("shop", {"db": hand})
    assert isinstance(function, Commands)
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    for name in ("bash", "cat", "grep", "sleep"):
        (bin_dir / name).symlink_to(str(shutil.which(name)))
    name = "--socket=/tmp/drd-abc/s" if ours else "--socket=/run/s"
    server = subprocess.Popen(["bash", "-c", "while :; do sleep 0.1; done", name])
    try:
        (tmp_path / "recovered/shop/pid").write_text(f"{server.pid}\n")
        text = f"set -euo pipefail\n{function.text}stop_servers"
        subprocess.run(
            ["bash", "-c", text], env={"PATH": str(bin_dir), "KIT": str(tmp_path)}, check=True,
            timeout=60,
        )  # fmt: skip
        assert (server.poll() is not None) == ours
    finally:
        server.kill()
        server.wait()


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


@pytest.mark.parametrize(("holes", "option"), [("echo 2130702336", " --sparse"), ("false", "")])
def test_files_with_holes_take_no_more_room_by_hand(
    tmp_path: Path, holes: str, option: str
) -> None:
    settings = FilesSettings.model_validate({"kind": "files", "paths": ["/srv/images"]})
    target = FilesTarget(path=str(tmp_path / "back"))
    hand = by_hand(Component("images", "files", settings), target, place="", resolve=str)
    stubs = (
        "set -euo pipefail\nsnapshot() { echo 5ca1ab1e; }\n"
        f"fact() {{ [[ $* == 'images holes' ]] && {holes}; }}\n"
        'restic() { echo "restic $*"; }\n'
    )
    words = ["bash", "-c", stubs + "".join(p.commands for p in hand.passages[:2])]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == f"restic restore 5ca1ab1e --target {target.path}{option}\n"


def test_each_of_several_targets_has_a_script() -> None:
    assert script_file("shop", "b", several=True) == "runbooks/shop/recover-by-hand-b.sh"


IN_PLACE_AND_A_TARGET = """
plan: shop
objectives: {rpo: 1h, rto: 1h}
components:
  files: {kind: files, paths: [/srv/a]}
repositories: {primary: {url: /srv/r, password: {env: PW}}}
targets: {standby: {files: {path: /srv/b}}}
runbook:
  - {name: stop-app, stop: {unit: app.service}, when: {target: in-place},
     rehearse: skip, reason: runs during a drill}
  - {name: data, restore: all}
  - {name: compare, check: all}
  - {name: sign, start: {unit: sign.service}, when: {target: standby},
     rehearse: skip, reason: runs during a drill}
"""


def test_a_step_of_other_targets_and_a_step_without_checks_are_on_no_page(tmp_path: Path) -> None:
    plan = load_plan(write_plan(tmp_path, IN_PLACE_AND_A_TARGET)).plan
    hand = ByHand((Passage("Restore:", "true\n"),))
    blocks = by_hand_page.sections(
        plan,
        by_hand_page.KitPlaces({plan.primary.password: "pw"}, {}),
        {"standby": {"files": hand}},
    )
    page, text = markdown(blocks).decode(), script(blocks, file="runbooks/s.sh", page="p").decode()
    for said in (page, text):
        assert "Restore files into the target standby" in said
        assert "Step sign, target standby" in said
        assert "stop-app" not in said
        assert "Check the restored data" not in said


def test_a_group_without_commands_does_nothing(tmp_path: Path) -> None:
    done = _run(tmp_path, Following("nothing", ()), Commands("echo end\n"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "end\n" in done.stdout


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


def test_the_page_names_the_program_of_each_product_that_a_kind_is_for(tmp_path: Path) -> None:
    of_both = by_hand_page._needs(load_plan(write_plan(tmp_path, OF_MARIADB)).plan)
    assert "mariadb, curl" in of_both
    assert of_both.endswith(
        " For a backup of MySQL, mariadb is not needed, but mysql of MySQL's own packages."
    )
    assert "MySQL" not in by_hand_page._needs(load_plan(PLANS / "orders-api.yaml").plan)


@pytest.mark.parametrize("client", ["mariadb", "mysql", ""])
def test_the_script_takes_the_client_of_either_product(tmp_path: Path, client: str) -> None:
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    for program in filter(None, ("restic", "jq", client)):
        (bin_dir / program).symlink_to("/bin/true")
    begin = by_hand_page._begin(load_plan(write_plan(tmp_path, OF_MARIADB)).plan)
    done = subprocess.run(
        ["/bin/bash"], input=begin, env={"PATH": str(bin_dir)}, cwd=tmp_path,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0, "this is no directory of a kit"
    missing = "mariadb or mysql is missing: apt-get install restic jq mariadb-client"
    assert (missing in done.stderr) is not bool(client)


@pytest.mark.parametrize(
    ("left_out", "chosen"), [((), "cc"), (("cc",), "aa"), (("cc", "aa"), "00")]
)
def test_the_page_chooses_the_newest_complete_point_that_drills_could_restore(
    left_out: tuple[str, ...], chosen: str, tmp_path: Path
) -> None:
    """The repository has 00, aa, the incomplete bb, and cc."""
    plan = load_plan(PLANS / "orders-api.yaml").plan
    points = {i: _point(i, *plan.components) for i in ("00", "aa", "bb", "cc")}
    points["bb"]["complete"] = False
    done = _run(
        tmp_path,
        _restic_with(points, tmp_path),
        Commands(by_hand_page._manifest(plan, left_out)),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f'"point": "{chosen}"' in done.stdout


def test_the_page_refuses_a_point_without_a_component_of_its_plan(tmp_path: Path) -> None:
    """A component has another name since the kit was exported."""
    plan = load_plan(PLANS / "orders-api.yaml").plan
    *others, renamed = plan.components
    restic = _restic_with({"aa": _point("aa", *others, "new-name")}, tmp_path)
    done = _run(tmp_path, restic, Commands(by_hand_page._manifest(plan, ())))
    assert done.returncode == 1
    assert f"The restore point has no component {renamed}: it was made by another" in done.stdout
    assert done.stdout.splitlines()[-1] == '"new-name"'


def _point(point: str, *components: str) -> dict[str, Any]:
    held = [{"component": name} for name in components]
    at = "2026-11-25T00:31:00Z"
    return {"point": point, "complete": True, "data_time": at, "components": held}


def _restic_with(points: Mapping[str, Mapping[str, Any]], into: Path) -> Commands:
    """Return a restic that has these manifests, the newest last."""
    listed = json.dumps([{"id": name, "time": name} for name in points])
    for name, manifest in points.items():
        (into / f"{name}.json").write_text(json.dumps(manifest))
    return Commands(f"""\
cd {into}
restic() {{
    if [[ $1 == snapshots ]]; then echo '{listed}'; else cat "$2.json"; fi
}}
""")


def test_the_page_leaves_out_copies_of_restic_that_drills_could_not_restore() -> None:
    copies = [{"id": i * 32, "time": i, "paths": ["/srv"]} for i in ("aa", "bb", "cc")]
    for left_out, chosen in (((), "cc"), (("cccccccc",), "bb"), (("cccccccc", "bbbbbbbb"), "aa")):
        done = subprocess.run(
            ["jq", "-er", "--argjson", "wanted", '["/srv/shop.dump"]', _select(left_out)],
            input=json.dumps(copies), capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        assert done.stdout.strip() == chosen * 32


def _judged(kit: Path, *asked: tuple[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the checks of these answers and expectations, and what follows."""
    described = Commands('echo \'{"data_time": "2026-11-28T10:00:00Z"}\' >manifest.json\n')
    blocks: list[Block] = [Commands(f"cd {kit}\n"), described, *judges()]
    for answer, expect in asked:
        words = by_hand_words(parse_expectation(expect))
        passage = Passage(f"must be {expect}.", f"printf %s '{answer}'\n", judged=words)
        blocks.append(Commands(judging("it's rows", passage)))
    return _run(kit, *blocks, Commands("echo end\n"))


def test_a_script_shows_each_answer_that_is_as_the_plan_expects(tmp_path: Path) -> None:
    done = _judged(
        tmp_path,
        ("2", "> 0"), ("2.50", "2.5"), ("-3", "< 0"), ("4900", "within 10% of 5000"), ("7", "<= 7"),
        ("draft", "!= final"), ("it's".replace("'", "'\\''"), "== it's"), ("t", "true"),
        ("t", "> 0"), ("f", "false"), ("8", "!= 7"), ("two words", "!= 7"),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "it's rows: 2 (must be > 0)\n" in done.stdout
    assert "it's rows: it's (must be == it's)\n" in done.stdout
    assert done.stdout.endswith("end\nEvery command succeeded.\n")


@pytest.mark.parametrize(
    ("answer", "expect"),
    [
        ("0", "> 0"), ("", "> 0"), ("", "!= 7"), ("", "!= final"), ("x", "== 0"), ("7", ">= 7.5"),
        ("4000", "within 10% of 5000"), ("final", "!= final"), ("f", "true"), ("", "== x"),
        ("lies:t", "> 0"), ("lies:f", "== 0"), ("x:t", "true"),
    ],
)  # fmt: skip
def test_a_script_ends_at_the_first_answer_that_the_plan_does_not_expect(
    answer: str, expect: str, tmp_path: Path
) -> None:
    done = _judged(tmp_path, ("1", "1"), (answer, expect))
    assert done.returncode == 1
    shown = f"the answer is {answer or 'empty'}, and must be {expect}\n"
    assert done.stderr.startswith("WRONG: it's rows: ")
    assert shown in done.stderr or answer == "f"
    assert "end" not in done.stdout.split("\n")
    assert "Every command succeeded" not in done.stdout


def test_a_script_shows_no_answer_that_a_terminal_would_obey(tmp_path: Path) -> None:
    for answer, expect in (("\x1b[2Jx", "!= y"), ("\x1b[2Jx", "== y"), ("\x1b[2Jx", "null")):
        done = _judged(tmp_path, (answer, expect))
        assert "\x1b" not in done.stdout + done.stderr
        assert "?[2Jx" in done.stdout + done.stderr


def test_a_script_leaves_to_a_person_what_it_cannot_compare(tmp_path: Path) -> None:
    done = _judged(tmp_path, ("2026-11-27", "within 26h"), ("", "null"), ("9", "within 10%"))
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        "A person must decide: it's rows: the answer is 2026-11-27, and must be within 26h "
        "(data time 2026-11-28T10:00:00Z)\n"
    ) in done.stdout
    assert done.stdout.endswith("Every command succeeded.\nLeft to you (see above): 3\n")


def test_the_script_names_a_data_directory_that_is_missing_before_it_restores_anything(
    tmp_path: Path,
) -> None:
    plan = load_plan(PLANS / "sessions.yaml").plan
    directory = tmp_path / "it's the data"
    server = server_by_hand(
        plan.components["sessions"], RedisTarget(path=str(directory)), place="", resolve=str
    )
    restores = (Passage("", "echo restored\n"),)
    hands = {"files": ByHand(restores), "sessions": replace(server, passages=restores)}
    blocks = list(by_hand_page._target(replace(plan, runbook=()), "standby", hands))
    done = _run(tmp_path, *blocks)
    assert done.returncode == 1
    assert "restored" not in done.stdout
    said, how, command = done.stderr.splitlines()
    assert said == f"The data directory of sessions does not exist: {directory}"
    assert how == ("Mount its disk. Or make the directory as below, and run the script again:")
    assert command.startswith("install -d -o valkey -g valkey -m 0750 -- ")
    plainly = command.replace("-o valkey -g valkey ", "")
    subprocess.run(["bash", "-c", plainly], check=True)
    again = _run(tmp_path, *blocks)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.count("restored\n") == 2


def test_without_a_known_data_directory_a_script_looks_for_none() -> None:
    plan = load_plan(PLANS / "sessions.yaml").plan
    sessions = plan.components["sessions"]
    assert isinstance(sessions.settings, ServerSettings)
    settings = sessions.settings.model_copy(update={"dir": None})
    nowhere = replace(sessions, settings=settings)
    assert server_by_hand(nowhere, None, place="", resolve=str).first == ""


# --- a script that is started again after a failure -------------------------------------------


def _stage(kit: Path, name: str, *, fails: bool = False, there: bool = True) -> list[Block]:
    """A component that makes a file in the kit, which must not be there before."""
    place = f'"{kit}/it\'s {name}"'
    passages = (
        Passage("Log in.", f"echo login of {name}\n", always=True),
        Passage("None.", f"TARGET={place}\n[[ ! -e $TARGET ]] || {{ echo full; false; }}\n"),
        Passage("Make.", 'echo data > "$TARGET"\n', makes="rm -f -- ${TARGET@Q}"),
        Passage(
            "Compare.",
            f"echo comparing {name}\n" + ("false\n" if fails else ""),
            compares=True,
            there=f"[[ -e {place} ]]" if there else "",
        ),
    )
    return list(by_hand_page._component(name, ByHand(passages), "here", adopted=False))


def _manifest(kit: Path, point: str = "0a1b2c3d") -> Commands:
    into = kit / "recovered/shop"
    into.mkdir(parents=True, exist_ok=True)
    return Commands(f"cd {into}\necho '{point}' > manifest.json\n")


def _removal(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line.strip() for line in done.stderr.splitlines() if line.startswith("  ")]


def test_a_script_started_again_goes_on_where_it_ended(tmp_path: Path) -> None:
    first, second = _stage(tmp_path, "a"), _stage(tmp_path, "b", fails=True)
    failed = _run(tmp_path, _manifest(tmp_path), *first, *second)
    assert failed.returncode == 1
    assert "b was not restored completely. The script goes on with the other" in failed.stderr
    assert f"again: bash '{tmp_path}/runbooks/shop/recover-by-hand.sh'\n" in failed.stderr
    again = _run(tmp_path, _manifest(tmp_path), *first, *second)
    assert "a: restored before by this script, from the same restore point\n" in again.stdout
    assert "login of a\n" in again.stdout
    assert "comparing a" not in again.stdout
    assert again.stdout.endswith("login of b\nfull\n")
    [remove] = _removal(again)
    assert _removal(failed) == [remove]
    subprocess.run(["bash", "-c", remove], check=True)
    assert not (tmp_path / "it's b").exists()
    assert (tmp_path / "it's a").exists()


def _of(kit: Path, name: str, commands: str) -> list[Block]:
    hand = ByHand((Passage("", f"cd {kit}\n{commands}\necho rest of {name}\n"),))
    return list(by_hand_page._component(name, hand, "here", adopted=False))


@pytest.mark.parametrize(
    "commands",
    [
        "test -e nothing-of-it",
        "[[ -e nothing-of-it ]]",
        "{ echo why; false; }",
        "((1 == 2))",
        "X=$(fails_in_a_function)",
        "fails_in_a_function",
        "true | fails_in_a_function | cat >/dev/null",
        "printf '1\\n2\\n' | while read -r one; do [[ $one == 1 ]]; done",
        "(true; fails_in_a_function; true)",
        "if true; then for one in 1 2; do test $one = 1; done; fi",
        "! true || { echo why; false; }",
        "cat <<END >/dev/null\n$(date)\nEND\nfalse",
    ],
)
def test_a_script_goes_on_with_the_other_components_after_one_that_fails(
    commands: str, tmp_path: Path
) -> None:
    function = Commands("fails_in_a_function() {\nlocal x\nx=$(test -e nothing)\necho deep\n}\n")
    after = Following("step start-app", (Paragraph("Start."), Commands("echo started\n")))
    done = _run(
        tmp_path,
        _manifest(tmp_path),
        function,
        *_of(tmp_path, "a-first", "true"),
        *_of(tmp_path, "b", commands),
        Following("step look", (Commands("echo looked\n"),)),
        *_of(tmp_path, "c", "[[ $PWD == */recovered/shop ]] || cd ..; pwd"),
        after,
    )
    assert done.returncode == 1, done.stdout
    assert "rest of a-first\n" in done.stdout
    assert "rest of c\n" in done.stdout
    for left in ("rest of b", "deep", "looked", "started", "Every command"):
        assert left not in done.stdout
    lines = done.stderr.splitlines()
    assert "Left out, because b could not be restored: step look" in lines
    start = f"'{tmp_path}/runbooks/shop/recover-by-hand.sh'"
    assert lines[-6:] == [
        "restored:     a-first",
        "NOT restored: b (see above)",
        "restored:     c",
        "left out:     step look",
        "left out:     step start-app",
        f"Correct the cause, then start the script again: bash {start}",
    ]
    told = [line for line in lines if line.startswith("This command failed (line ")]
    assert bool(told) == ("false" not in commands)


def test_a_script_without_a_failure_does_every_step(tmp_path: Path) -> None:
    steps = Following("step look", (Paragraph("Only words."),))
    last = Following("step start", (Commands("echo started\n"),))
    done = _run(tmp_path, _manifest(tmp_path), steps, *_of(tmp_path, "a", "true"), last)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("rest of a\nstarted\nEvery command succeeded.\n")


@pytest.mark.parametrize("command", ["test -e nothing", "[[ a == b ]]", "X=$(test -e nothing)"])
def test_a_script_never_ends_without_a_message(command: str, tmp_path: Path) -> None:
    step = Following("step look", (Commands(f"{command}\n"),))
    done = _run(tmp_path, _manifest(tmp_path), *_of(tmp_path, "a", "true"), step)
    assert done.returncode == 1
    assert f" of the script): {command}\n" in done.stderr
    assert "restored:     a\n" in done.stderr
    alone = _run(tmp_path, Commands(f"{command}\n"))
    assert (alone.returncode, alone.stderr.count("This command failed")) == (1, 1)


def test_a_script_names_no_command_that_removes_what_others_made(tmp_path: Path) -> None:
    (tmp_path / "it's a").write_text("of production")
    failed = _run(tmp_path, _manifest(tmp_path), *_stage(tmp_path, "a"))
    assert failed.returncode == 1
    assert "full\n" in failed.stdout
    assert _removal(failed) == []


@pytest.mark.parametrize("change", ["point", "script", "gone"])
def test_a_script_restores_again_what_another_point_or_script_restored_or_what_is_gone(
    change: str, tmp_path: Path
) -> None:
    assert _run(tmp_path, _manifest(tmp_path), *_stage(tmp_path, "a")).returncode == 0
    if change == "gone":
        (tmp_path / "it's a").unlink()
    point = "ffffffff" if change == "point" else "0a1b2c3d"
    other = [Commands("echo another kit\n")] if change == "script" else []
    again = _run(tmp_path, _manifest(tmp_path, point), *other, *_stage(tmp_path, "a"))
    assert "restored before" not in again.stdout
    assert again.returncode == (0 if change == "gone" else 1)
    assert bool(_removal(again)) == (change != "gone")


def test_a_part_without_a_sign_that_it_is_there_is_restored_in_each_run(tmp_path: Path) -> None:
    blocks = _stage(tmp_path, "a", there=False)
    assert _run(tmp_path, _manifest(tmp_path), *blocks).returncode == 0
    again = _run(tmp_path, _manifest(tmp_path), *blocks)
    assert (again.returncode, "full\n" in again.stdout) == (1, True)
    assert len(_removal(again)) == 1


@as_root
@pytest.mark.parametrize("how", ["file of another", "open directory", "link"])
def test_a_script_believes_no_note_that_others_could_have_written(how: str, tmp_path: Path) -> None:
    """Else a component would count as restored that nobody restored."""
    blocks = _stage(tmp_path, "a")
    assert _run(tmp_path, _manifest(tmp_path), *blocks).returncode == 0
    (tmp_path / "it's a").write_text("of the attacker")
    notes = tmp_path / "recovered/shop/.recover-by-hand"
    note = notes / "a.1"
    assert (stat.S_IMODE(notes.stat().st_mode), stat.S_IMODE(note.stat().st_mode)) == (0o700, 0o600)
    if how == "file of another":
        os.chown(note, NOBODY, NOBODY)
    elif how == "open directory":
        notes.chmod(0o777)
    else:
        note.rename(notes / "former")
        note.symlink_to("former")
    again = _run(tmp_path, _manifest(tmp_path), *blocks)
    assert again.returncode == 1
    assert "restored before" not in again.stdout


def test_a_page_shows_the_command_that_removes_what_its_commands_make(tmp_path: Path) -> None:
    page = markdown(_stage(tmp_path, "a")).decode()
    assert '```text\nrm -f -- "$TARGET"\n```' in page
    assert html(_stage(tmp_path, "a")).decode().count("<pre") == 5
    assert "note " not in page


def _once(kit: Path, name: str) -> Following:
    """A step that fails, after it has said that it ran, as long as a file `NAME.broken` is
    there."""
    command = f"echo {name} runs\n[[ ! -e '{kit}/{name}.broken' ]]\n"
    return Following(f"step {name}", (Commands(command),), name)


def _ran(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [x.removesuffix(" runs") for x in done.stdout.splitlines() if x.endswith(" runs")]


@pytest.mark.parametrize("ends_at", ["first", "erase"])
def test_a_run_that_ends_after_a_new_restore_leaves_the_steps_to_the_next_run(
    ends_at: str, tmp_path: Path
) -> None:
    """Else erased people are back in the data, and the step counts as done."""
    steps = [_once(tmp_path, name) for name in ("first", "erase", "last")]
    blocks = [_manifest(tmp_path), *_stage(tmp_path, "a"), *steps]
    (tmp_path / "last.broken").touch()
    assert _ran(_run(tmp_path, *blocks)) == ["first", "erase", "last"]
    (tmp_path / "it's a").unlink()
    (tmp_path / f"{ends_at}.broken").touch()
    second = _run(tmp_path, *blocks)
    assert second.returncode == 1
    assert _ran(second)[-1] == ends_at
    (tmp_path / f"{ends_at}.broken").unlink()
    (tmp_path / "last.broken").unlink()
    third = _run(tmp_path, *blocks)
    assert third.returncode == 0, third.stderr
    assert "a: restored before by this script" in third.stdout
    assert "erase" in _ran(third)
    again = "step erase: done before by this script, and now again, because data was restored since"
    assert (again in third.stdout) == (ends_at == "first")
    assert _ran(_run(tmp_path, *blocks)) == []


def test_a_step_that_has_begun_for_another_point_is_not_done_for_the_first(tmp_path: Path) -> None:
    blocks = [_once(tmp_path, "erase"), _once(tmp_path, "last")]
    assert _ran(_run(tmp_path, _manifest(tmp_path), *blocks)) == ["erase", "last"]
    (tmp_path / "erase.broken").touch()
    assert _ran(_run(tmp_path, _manifest(tmp_path, "ffffffff"), *blocks)) == ["erase"]
    back = _run(tmp_path, _manifest(tmp_path), *blocks)
    assert _ran(back) == ["erase"]


def test_steps_before_a_restore_stay_done(tmp_path: Path) -> None:
    blocks = [
        _manifest(tmp_path), *_stage(tmp_path, "a"), _once(tmp_path, "of-a"),
        *_stage(tmp_path, "b"), _once(tmp_path, "of-b"), _once(tmp_path, "last"),
    ]  # fmt: skip
    (tmp_path / "last.broken").touch()
    assert _ran(_run(tmp_path, *blocks)) == ["of-a", "of-b", "last"]
    (tmp_path / "it's b").unlink()
    (tmp_path / "of-b.broken").touch()
    assert _ran(_run(tmp_path, *blocks)) == ["of-b"]
    (tmp_path / "of-b.broken").unlink()
    assert _ran(_run(tmp_path, *blocks)) == ["of-b", "last"]


def test_a_restore_that_was_killed_is_not_the_one_that_an_earlier_run_has_noted(
    tmp_path: Path,
) -> None:
    sound = _stage(tmp_path, "a")
    kill = Commands(f"[[ ! -e {tmp_path}/kill ]] || kill -9 $$\n")

    def killed(block: Block) -> Block:
        if not isinstance(block, Restoring):
            return block
        stages = (
            replace(one, blocks=(*one.blocks, kill)) if isinstance(one, Stage) else one
            for one in block.blocks
        )
        return replace(block, blocks=tuple(stages))

    blocks = [_manifest(tmp_path), *map(killed, sound)]
    assert _run(tmp_path, *blocks).returncode == 0
    (tmp_path / "it's a").unlink()
    (tmp_path / "kill").touch()
    assert _run(tmp_path, *blocks).returncode == -9
    assert (tmp_path / "it's a").exists()
    (tmp_path / "kill").unlink()
    third = _run(tmp_path, *blocks)
    assert "restored before" not in third.stdout
    assert (third.returncode, len(_removal(third))) == (1, 1)
