"""The script of the page by hand: when its servers stop, and what a second run of it does again."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from drd.kit import by_hand as by_hand_page
from drd.kit import stops_by_hand
from drd.kit.document import Commands, Heading, Paragraph
from drd.kit.script import script, script_file
from drd.kit.stops_by_hand import Act, Checked
from drd.model.plan import Plan
from drd.model.runbook import Service, Step
from drd.ports.by_hand import ByHand, Passage
from tests.config_support import GOOD, load

PLAN = (
    GOOD.replace("kind: postgres", "kind: files")
    .replace("dsn: {credential: shop-dsn}", "paths: [/srv/db]")
    .replace("{name: rows, kind: rows, component: db}", "{name: tree, kind: files, component: db}")
    .replace(
        "drill: {every: 7d}",
        "  - {name: asked, kind: sql, component: store, query: select 5, expect: \"5\"}\n"
        "drill: {every: 7d}",
    )
)  # fmt: skip

SERVER = """\
cd {kit}/recovered/shop
[[ ! -e store.pid ]] || rm store.pid
bash -c 'exec -a /tmp/drd-server sleep 300' >/dev/null 2>&1 &
echo $! > store.pid
until grep -qs /tmp/drd-server /proc/$(cat store.pid)/cmdline; do sleep 0.1; done
ask_store() {{ kill -0 "$(cat store.pid)" && echo "asked the server" >&2 && echo 5; }}
"""


def _plan(tmp_path: Path, runbook: str) -> Plan:
    return load(tmp_path, PLAN + "runbook:\n" + runbook).plan


def _hands(kit: Path) -> dict[str, ByHand]:
    data = f'"{kit}/data"'
    restore = Passage("Restore:", f"touch {data}\n", there=f"[[ -e {data} ]]")
    started = Passage("Start:", SERVER.format(kit=kit), always=True)
    stops = 'stop_one TERM "$(cat store.pid)"\n'
    plain = ByHand((Passage("Restore:", "true\n", there="true"),))
    server = ByHand((restore, started), ask="ask_store", change="change_store", stops=stops)
    return {
        "store": replace(server, environment='STORE_PID="$(cat store.pid)"'),
        "etc": plain,
        "db": plain,
    }


def _order(plan: Plan, kit: Path) -> list[str]:
    blocks = by_hand_page._target(plan, None, _hands(kit))
    return [block.text for block in blocks if isinstance(block, Heading)]


def _run(plan: Plan, kit: Path) -> subprocess.CompletedProcess[str]:
    file = script_file("shop", None, several=False)
    (kit / file).parent.mkdir(parents=True, exist_ok=True)
    into = kit / "recovered/shop"
    into.mkdir(parents=True, exist_ok=True)
    begin = Commands(f"set -euo pipefail\nKIT={kit}\ncd {into}\necho '{{}}' > manifest.json\n")
    blocks = [begin, *by_hand_page._target(plan, None, _hands(kit))]
    blocks = [b for b in blocks if not (isinstance(b, Commands) and "DRD_POINT" in b.text)]
    (kit / file).write_bytes(script(blocks, file=file, page="page.html"))
    return subprocess.run(
        ["setsid", "bash", kit / file], cwd="/", stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip


STARTS = """\
  - {{name: data, restore: all}}
  - name: serve
    command: {{run: [sh, -c, "kill -0 $(cat {kit}/recovered/shop/store.pid) 2>/dev/null && echo TWO >>{kit}/told; echo served >>{kit}/told"]}}
  - {{name: after, command: {{run: [sh, -c, "echo after >>{kit}/told"]}}}}
"""  # noqa: E501


def test_a_step_after_the_checks_runs_after_the_servers_of_the_commands(tmp_path: Path) -> None:
    """Else the server of the host and that of the commands work in the same files."""
    runbook = STARTS.format(kit=tmp_path).replace(
        "  - {name: after", "  - {name: look, check: [files]}\n  - {name: after"
    )
    done = _run(_plan(tmp_path, runbook), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "told").read_text() == "served\nafter\n"


START = """\
  - {name: data, restore: all}
  - {name: serve, start: {unit: shop-db.service}, rehearse: skip, reason: it runs}
  - {name: fix, sql: {component: store, query: update t set x = 1}}
  - {name: checks, check: all}
"""


def _script(plan: Plan, kit: Path) -> str:
    file = script_file("shop", None, several=False)
    text = script(list(by_hand_page._target(plan, None, _hands(kit))), file=file, page="p")
    subprocess.run(["bash", "-n"], input=text, check=True)
    return text.decode()


STOP = "Stop the servers that these commands have started"
CHECK = "Check the restored data"


def test_checks_of_a_server_come_before_the_step_that_starts_the_one_of_the_host(
    tmp_path: Path,
) -> None:
    of_fix = next(line for line in START.splitlines(keepends=True) if "name: fix" in line)
    plan = _plan(tmp_path, START.replace(of_fix, ""))
    order = _order(plan, tmp_path)
    assert order[-4:] == [CHECK, STOP, "Step serve", CHECK]
    shown, _, after = _script(plan, tmp_path).partition("systemctl start shop-db.service")
    assert "ask_store 'select 5'" in shown
    assert "ask_store" not in after


def test_no_check_comes_before_the_sql_whose_result_it_checks(tmp_path: Path) -> None:
    plan = _plan(tmp_path, START)
    assert _order(plan, tmp_path)[-4:] == [STOP, "Step serve", "Step fix", CHECK]
    shown, _, after = _script(plan, tmp_path).partition("systemctl start shop-db.service")
    assert "ask_store 'select 5'" not in shown
    assert "a_person_does" in after, "the server of the host has the data now"
    assert "The server that works with the restored files now must do this:" in after
    assert after.count("change_store") == 1, "and only in what the person is told"
    told = "left_to_you 'asked: must be 5. Ask the server that works with the restored files now:"
    assert f"{told}\nask_store '\"'\"'select 5'\"'\"''\n" in after
    assert after.count("ask_store") == 1
    assert "require" not in after


WITH_ADDRESS = """\
  - {{name: data, restore: all}}
  - {{name: first, command: {{run: [sh, -c, "echo first >>{kit}/told"]}}}}
  - {{name: migrate, command: {{component: store, run: [sh, -c, "kill -0 $STORE_PID && echo moved >>{kit}/told"]}}}}
  - {{name: last, command: {{run: [sh, -c, "kill -0 $(cat {kit}/recovered/shop/store.pid) 2>/dev/null || echo alone >>{kit}/told"]}}}}
"""  # noqa: E501


def test_a_command_that_gets_the_address_of_a_server_comes_before_its_stop(tmp_path: Path) -> None:
    plan = _plan(tmp_path, WITH_ADDRESS.format(kit=tmp_path))
    assert _order(plan, tmp_path)[-4:] == ["Step first", "Step migrate", STOP, "Step last"]
    done = _run(plan, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "told").read_text() == "first\nmoved\nalone\n"


def test_a_command_for_a_server_that_has_stopped_is_left_to_a_person(tmp_path: Path) -> None:
    start = "  - {name: serve, start: {unit: shop-db.service}, rehearse: skip, reason: it runs}\n"
    runbook = WITH_ADDRESS.format(kit=tmp_path).replace(
        "  - {name: first", f"{start}  - {{name: first"
    )
    text = _script(_plan(tmp_path, runbook), tmp_path)
    before, _, step = text.partition("== %s\\n' 'Step migrate'")
    assert "systemctl start shop-db.service" in before
    assert "a_person_does 'migrate: " in step
    assert "\nenv DRD_STEP=migrate" in step
    assert step.index("a_person_does 'migrate: ") < step.index("\nenv DRD_STEP=migrate")
    assert step.count("DRD_STEP=migrate") == 1, "only in what the person is told"


ERASURES = """\
  - {name: data, restore: all}
  - {name: erase, erasures: store}
  - {name: serve, start: {unit: shop-db.service}, rehearse: skip, reason: it runs}
erasures:
  component: store
  register: {file: /srv/register}
  replay: {command: [/usr/local/bin/erase]}
  check: {command: [/usr/local/bin/erased]}
"""


def test_erasures_by_a_command_come_before_the_stop_of_the_server(tmp_path: Path) -> None:
    order = _order(_plan(tmp_path, ERASURES), tmp_path)
    assert order[-3:] == ["Step erase", STOP, "Step serve"]


def test_each_server_is_checked_before_its_own_stop_and_not_asked_after_it() -> None:
    """Another server, which was restored later, is no sign that the first one runs."""
    hands = {name: ByHand((), ask=f"ask_{name}", stops="true\n") for name in ("a", "b")}

    def asking(name: str) -> Checked:
        blocks = (Paragraph(f"{name}: must be 5."), Commands(f"ANSWER=$(ask_{name} 5)\n"))
        return Checked(name, blocks, judged=True, asked=f"ask_{name} 5\n")

    def starts(name: str) -> Act:
        step = Step(name, "start", service=Service("start", unit=name))
        return Act(step, blocks=(Commands(f"systemctl start {name}\n"),))

    def fix(name: str) -> Act:
        blocks = (Paragraph("Fix."), Commands(f"ask_{name} fix\n"))
        return Act(Step(f"fix-{name}", "sql"), blocks=blocks, component=name)

    checks = Act(Step("checks", "check"), checks=(asking("a"), asking("b")))

    def order(*between: Act) -> list[str]:
        acts = [
            Act(Step("data-a", "restore"), restores=("a",)), starts("api-a"),
            Act(Step("data-b", "restore"), restores=("b",)), *between, starts("api-b"), checks,
        ]  # fmt: skip
        told = []
        for act in stops_by_hand.arranged(acts, hands):
            name = act.step.name if act.step is not None else "stop"
            of = "".join(c.component or "" for c in act.checks)
            shown = [
                block.shown
                for blocks in (act.blocks, *(c.blocks for c in act.checks))
                for block in blocks
                if isinstance(block, Commands)
            ]
            told.append(name + (f" {of}" if of else "") + (" by a person" if any(shown) else ""))
        return told

    assert order() == [
        "data-a", "checks a", "stop", "api-a", "data-b", "checks b", "stop", "api-b",
    ]  # fmt: skip
    assert order(fix("a")) == [
        "data-a", "stop", "api-a", "data-b", "fix-a by a person", "checks b", "stop", "api-b",
        "checks a by a person",
    ]  # fmt: skip
    assert order(fix("b")) == [
        "data-a", "checks a", "stop", "api-a", "data-b", "fix-b", "checks b", "stop", "api-b",
    ]  # fmt: skip


@pytest.mark.parametrize("target", [" when: {target: elsewhere},", ""])
def test_servers_stop_once_and_at_the_end_if_no_step_comes(tmp_path: Path, target: str) -> None:
    of_others = f"  - {{name: x,{target} wait: 1s}}\n" if target else ""
    targets = "targets: {elsewhere: {etc: {path: /srv/e}}}\n" if target else ""
    runbook = "  - {name: data, restore: all}\n  - {name: checks, check: all}\n" + of_others
    order = _order(_plan(tmp_path, runbook + targets), tmp_path)
    assert order[-1] == "Stop the servers that these commands have started"
    assert len([text for text in order if text.startswith("Stop")]) == 1


AGAIN = """\
  - {{name: data, restore: all}}
  - {{name: tell, command: {{run: [sh, -c, "echo told >>{kit}/told"]}}}}
  - {{name: fails, command: {{run: [sh, -c, "echo tried >>{kit}/told; test -e {kit}/mended"]}}}}
  - {{name: last, command: {{run: [sh, -c, "echo last >>{kit}/told"]}}}}
"""


def test_a_second_run_leaves_out_steps_that_are_done_as_it_does_with_restores(
    tmp_path: Path,
) -> None:
    plan = _plan(tmp_path, AGAIN.format(kit=tmp_path))
    told = tmp_path / "told"
    first = _run(plan, tmp_path)
    assert first.returncode != 0
    assert "The script then skips what it has already restored and done." in first.stderr
    assert told.read_text() == "told\ntried\n"

    (tmp_path / "mended").touch()
    second = _run(plan, tmp_path)
    assert second.returncode == 0, second.stdout + second.stderr
    assert told.read_text() == "told\ntried\ntried\nlast\n"
    assert "step tell: done before by this script (" in second.stdout
    assert "again, start the script again after: rm '" in second.stdout
    assert "step fails: begun before by this script, and perhaps not finished" in second.stdout

    (tmp_path / "data").unlink()  # and now somebody restores the data again
    third = _run(plan, tmp_path)
    assert third.returncode == 0, third.stdout + third.stderr
    assert told.read_text() == "told\ntried\ntried\nlast\ntold\ntried\nlast\n"
    assert "step tell: done before by this script, and now again, because data was" in third.stdout


def test_a_wait_comes_again_like_the_start_before_it(tmp_path: Path) -> None:
    runbook = AGAIN.format(kit=tmp_path).replace(
        "  - {name: fails", "  - {name: rest, wait: 0.1s}\n  - {name: fails"
    )
    plan = _plan(tmp_path, runbook)
    assert _run(plan, tmp_path).returncode != 0
    (tmp_path / "mended").touch()
    second = _run(plan, tmp_path)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "step tell: done before" in second.stdout
    assert "step rest" not in second.stdout
    text = (tmp_path / script_file("shop", None, several=False)).read_text()
    assert "was_done tell" in text
    assert "was_done rest" not in text


@pytest.mark.parametrize("used", [False, True])
def test_nobody_is_told_to_remove_data_that_a_server_of_the_host_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, used: bool
) -> None:
    hands = _hands(tmp_path)
    restore = replace(hands["store"].passages[0], makes="rm -rf -- /live")
    started = Passage("Start:", f"IN_USE={'/live' if used else ''}\nfalse\n", always=True)
    store = replace(hands["store"], passages=(restore, started), stops="")
    monkeypatch.setattr(sys.modules[__name__], "_hands", lambda _: {**hands, "store": store})
    done = _run(_plan(tmp_path, "  - {name: data, restore: all}\n"), tmp_path)
    assert done.returncode != 0
    assert "NOT restored: store (see above)" in done.stderr
    assert ("rm -rf -- /live" in done.stderr) != used
