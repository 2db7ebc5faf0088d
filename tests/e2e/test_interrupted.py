"""Ctrl-C in a command: what was stopped, what stays, and the command that goes on."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.e2e.copies import copied_site, write_plan
from tests.e2e.daemons import daemon, until
from tests.e2e.site import SMALL, Site, small_site

SLOW = """#!/bin/sh
at=$(cat {base}/slow-at 2>/dev/null) && case " $* " in *" $at "*)
    touch {base}/begun; exec sleep 600 ;;
esac
exec {restic} "$@"
"""


@pytest.fixture
def site(short_tmp: Path) -> Site:
    """With two points, a copy without them, and a restic that hangs where it is told to."""
    site = copied_site(short_tmp)
    write_plan(site, SMALL, more="retention: {last: 1}\n")
    for _ in range(2):
        site.drd("backup", "shop")
    tools = site.base / "bin"
    tools.mkdir()
    (tools / "restic").write_text(SLOW.format(base=site.base, restic=shutil.which("restic")))
    (tools / "restic").chmod(0o755)
    site.environment["PATH"] = f"{tools}:{os.environ['PATH']}"
    return site


def interrupted(site: Site, at: str, *words: str) -> str:
    """Press Ctrl-C while restic works; returns what is said then."""
    begun = site.base / "begun"
    begun.unlink(missing_ok=True)
    (site.base / "slow-at").write_text(at)
    child = site.start(*words)
    until(begun.exists, f"restic's work for {words}")
    os.kill(child.pid, signal.SIGINT)
    _, said = child.communicate(60)
    assert child.wait(60) == 130, said
    (site.base / "slow-at").unlink()
    return said.decode()


def test_ctrl_c_says_what_stays_and_the_command_that_goes_on(site: Site) -> None:
    newest, oldest = [str(p["point"]) for p in site.points()]
    assert interrupted(site, "copy", "copy", "shop") == (
        "drd: the copy of shop to repository offsite was cancelled: it had copied nothing\n"
        "HINT: to copy the rest: drd copy shop --repository offsite\n"
    )
    assert interrupted(site, "check", "verify", "shop", "--repository", "primary") == (
        "drd: the verification of repository primary was cancelled: it changed nothing, and "
        "drd does not keep the result of this verification\nHINT: to start again: drd verify "
        "shop --repository primary\n"
    )
    assert interrupted(site, "ls", "ls", "shop", newest) == (
        f"drd: the listing of restore point {newest} was cancelled: nothing was changed\n"
        f"HINT: to start again: drd ls shop {newest}\n"
    )
    assert interrupted(site, "forget", "retention", "shop") == (
        "drd: the retention of shop was cancelled: the restore points that drd had forgotten "
        "by then are gone, all others are still there\nHINT: to start again: drd retention "
        "shop\n"
    )
    assert {p["point"] for p in site.points()} == {newest, oldest}
    site.drd("retention", "shop")
    assert interrupted(site, "prune", "prune", "shop", "--repository", "primary") == (
        "drd: the prune of repository primary was cancelled: all restore points are still "
        "there, and a part of the unused data, too\nHINT: to remove the rest: drd prune shop "
        "--repository primary\n"
    )
    phrase = site.base / "passphrase"
    phrase.write_text("a long passphrase of eight words\n")
    phrase.chmod(0o600)
    kit, opened = str(site.base / "shop.kit"), ("--passphrase-file", str(phrase))
    site.drd("kit", "export", "shop", "--to", kit, *opened)
    assert interrupted(site, "cat", "kit", "verify", kit, *opened) == (
        "drd: the verification of the kit was cancelled: it changed nothing\n"
        f"HINT: to start again: drd kit verify {kit}\n"
    )
    assert interrupted(site, "cat", "doctor", "shop") == (
        "drd: drd doctor was cancelled, and drd ended restic\n"
    )
    for words in ("copy shop", "prune shop", "verify shop", "drill shop"):
        site.drd(*words.split())
    site.assert_clean()


UNITS = """#!/bin/sh
case $1 in
show) echo "ActiveState=$(cat {base}/unit)"; echo Type=simple ;;
stop) echo inactive >{base}/unit ;;
start) echo active >{base}/unit ;;
esac
"""
HANGS = """
runbook:
  - {{name: stop-shop, stop: {{unit: shop.service}}, rehearse: skip, reason: in production only}}
  - {{name: config, restore: [conf]}}
  - name: slow
    command: {{run: ["{base}/bin/slow"]}}
    rehearse: skip
    reason: in production only
  - {{name: data, restore: [db]}}
  - {{name: start-shop, start: {{unit: shop.service}}, rehearse: skip, reason: in production only}}
"""
SLOW_ONCE = """#!/bin/sh
[ -e {base}/begun ] && exit 0
touch {base}/begun; exec sleep 600
"""


def stopped_recovery(
    base: Path, runbook: str = HANGS, by: signal.Signals = signal.SIGINT, *, empty: bool = False
) -> tuple[Site, str, str]:
    """End a recovery in place between its first component and the second, by Ctrl-C or another
    signal, over data or (`empty`) over nothing; returns the run as well, and what was said.
    """
    site = small_site(base)
    tools = base / "bin"
    tools.mkdir(exist_ok=True)
    for name, text in (("systemctl", UNITS), ("slow", SLOW_ONCE)):
        (tools / name).write_text(text.format(base=base))
        (tools / name).chmod(0o755)
    (base / "unit").write_text("active\n")
    site.environment["PATH"] = f"{tools}:{os.environ['PATH']}"
    plan = base / "plans/shop.yaml"
    plan.write_text(plan.read_text() + runbook.format(base=base))
    site.drd("backup", "shop")
    if empty:
        (base / "shop.db").unlink()
        shutil.rmtree(base / "etc")
    child = site.start("recover", "shop", "--in-place", "--overwrite", "--yes")
    until((base / "begun").exists, "the recovery is in the middle")
    os.kill(child.pid, by)
    said = child.communicate(60)[1].decode()
    assert child.wait(60) == (130 if by is signal.SIGINT else -by), said
    run = str(next(r["run"] for r in site.runs() if r["kind"] == "recovery"))
    return site, run, said


def unfinished(site: Site) -> list[str]:
    """Return the remarks of the status about a recovery that was not finished."""
    plans = site.drd("status", "shop", "--json", code=None).json["plans"]
    return [r["text"] for r in plans[0]["remarks"] if "was not finished" in r["text"]]


def test_ctrl_c_in_a_recovery_in_place_says_how_far_it_came_and_the_ways_out(
    short_tmp: Path,
) -> None:
    site, run, said = stopped_recovery(short_tmp)
    assert said.endswith(
        "drd: the recovery of shop was cancelled: already replaced: conf; not replaced: db; "
        "stopped and not started again: shop.service\n"
        f"HINT: to finish the recovery: `drd resume {run}`. To put the old data back: "
        f"`drd undo {run}`, then `systemctl start shop.service`\n"
    )
    [text] = unfinished(site)
    assert text.startswith("a recovery in place was not finished (cancelled at ")
    assert text.endswith(
        "already replaced: conf; not replaced: db; stopped and not started again: shop.service). "
        f"To finish the recovery: `drd resume {run}`. To put the old data back: `drd undo {run}`, "
        f"then `systemctl start shop.service`. drd done {run} would keep this mixture of old and "
        "restored data, and delete the kept old data for good"
    )
    assert f"drd resume {run}" in site.drd("status", code=None).out
    undone = site.drd("undo", run, "--yes").out
    assert "  stopped    the recovery stopped shop.service and did not start it again" in undone
    assert "  to start it: systemctl start shop.service\n" in undone
    assert unfinished(site) == []
    site.drd("undo", run, "--redo", "--yes")
    assert len(unfinished(site)) == 1
    asked = site.drd("done", run, "--dry-run")
    assert "would remove" in asked.out
    assert f"kept copies all the same, drd done {run} needs --accept-unfinished" in asked.err
    refused = site.drd("done", run, "--yes", code=2).err
    assert (
        f"drd: recovery {run} was not finished: already replaced: conf; not replaced: db; stopped "
        "and not started again: shop.service. drd done would delete the old data for good\n"
    ) in refused
    assert f"drd undo {run}" in refused
    site.drd("done", run, "--yes", "--accept-unfinished")
    assert unfinished(site) == []


def test_an_unfinished_recovery_leaves_the_status_when_it_is_resumed(short_tmp: Path) -> None:
    site, run, _ = stopped_recovery(short_tmp)
    assert len(unfinished(site)) == 1
    asked = site.drd("resume", code=2)
    assert f"resume recovery {run} of shop, begun " in asked.out
    assert "  so far     already replaced: conf; not replaced: db; stopped" in asked.out
    assert f"resume recovery {run} without naming it needs your confirmation" in asked.err
    assert f"HINT: drd resume {run}\n" in asked.err
    site.drd("resume", "--yes", code=5)  # the runbook has no check
    assert "no recovery over production is unfinished" in site.drd("resume", "--yes", code=2).err
    assert unfinished(site) == []
    assert (site.base / "unit").read_text() == "active\n"
    assert "stopped_units" in site.drd("undo", run, "--dry-run", "--json").json


def test_a_recovery_in_place_that_was_killed_is_interrupted_and_a_critical_alert(
    short_tmp: Path,
) -> None:
    site, run, said = stopped_recovery(short_tmp, by=signal.SIGKILL)
    assert said.count("cancelled") == 0
    [listed] = [r for r in site.runs() if r["run"] == run]
    assert (listed["state"], listed["finished_at"]) == ("interrupted", None)
    shown = site.drd("run", "show", run).out
    assert shown.startswith(f"recovery {run} of shop: interrupted\n")
    assert "  error      the process of this recovery died\n" in shown
    steps = site.drd("run", "show", run, "--json").json["steps"]
    assert steps[-1]["state"] == "interrupted", steps
    assert "running" not in shown
    assert shown.endswith(
        "  so far     already replaced: conf; not replaced: db; stopped and not started again: "
        "shop.service\n"
        f"  to finish the recovery: drd resume {run}\n"
        f"  to put the old data back, if drd kept any: drd undo {run}\n"
        "  to start the services that the recovery stopped: systemctl start shop.service\n"
    )
    # Nobody has noted the death yet.
    [text] = unfinished(site)
    assert text.startswith("a recovery in place was not finished (begun at ")
    assert "; its process died; already replaced: conf; not replaced: db; stopped and " in text
    assert f"drd resume {run}" in site.drd("status", code=3).out
    with daemon(site) as running:  # as after a reboot
        until(lambda: running.events("alert.fired"), "an alert", running)
        [alert] = [
            a for a in site.drd("alerts", "--json").json["alerts"]
            if a["kind"] == "recovery-unfinished"
        ]  # fmt: skip
    assert (alert["severity"], alert["command"]) == ("critical", f"drd resume {run}")
    [text] = unfinished(site)
    assert text.startswith("a recovery in place was not finished (its process died, noticed at ")
    assert "; already replaced: conf; not replaced: db; stopped and not started again: s" in text
    assert f". To put the old data back, if drd kept any: `drd undo {run}`, then `sys" in text
    again = ("recover", "shop", "--in-place", "--overwrite", "--yes")
    assert f'"run": "{run}"' in site.drd(*again, "--json", code=5).out, "the same command goes on"
    assert unfinished(site) == []
    assert (site.base / "unit").read_text() == "active\n"


@pytest.mark.parametrize("empty", [True, False])
def test_a_stopped_recovery_offers_no_undo_without_kept_copies(
    short_tmp: Path, empty: bool
) -> None:
    """Nothing was there before, or nothing was replaced: both have no data to put back."""
    steps = HANGS if empty else HANGS.replace("  - {{name: config, restore: [conf]}}\n", "")
    if not empty:
        steps = steps.replace("restore: [db]", "restore: [conf, db]")
    site, run, said = stopped_recovery(short_tmp, steps, empty=empty)
    far = "already replaced: conf; not replaced: db" if empty else "nothing was replaced"
    ways = (
        f"o finish the recovery: `drd resume {run}`. To keep the present state: `drd done {run}`, "
        "then `systemctl start shop.service`"
    )
    assert said.endswith(
        f"cancelled: {far}; stopped and not started again: shop.service\nHINT: t{ways}\n"
    )
    [text] = unfinished(site)
    assert text.endswith(f"; {far}; stopped and not started again: shop.service). T{ways}")
    shown = site.drd("run", "show", run).out
    assert f"  to keep the present state: drd done {run}\n" in shown
    assert "undo" not in shown
    assert "nothing to undo" in site.drd("undo", run, "--yes", code=2).err
    site.drd("done", run, "--yes")
    assert unfinished(site) == []


def test_an_undo_of_a_recovery_that_was_killed_takes_its_line_from_the_status(
    short_tmp: Path,
) -> None:
    site, run, _ = stopped_recovery(short_tmp, by=signal.SIGKILL)
    site.drd("backup", "shop")  # notices it, too
    assert len(unfinished(site)) == 1
    assert "stopped    the recovery stopped shop.service" in site.drd("undo", run, "--yes").out
    assert unfinished(site) == []
    assert site.drd("run", "show", run, "--json").json["unfinished"] is None


BY_COMMANDS = """
runbook:
  - name: halt
    command: {{run: [sh, -c, "systemctl stop shop && echo done"]}}
    rehearse: skip
    reason: in production only
  - name: halt-container
    command: {{run: ["{base}/bin/docker", stop, shop]}}
    rehearse: skip
    reason: in production only
  - {{name: config, restore: [conf]}}
  - name: slow
    command: {{run: ["{base}/bin/slow"]}}
    rehearse: skip
    reason: in production only
  - {{name: data, restore: [db]}}
"""


def test_a_stopped_recovery_names_what_commands_of_the_runbook_have_stopped(
    short_tmp: Path,
) -> None:
    (short_tmp / "bin").mkdir()
    (short_tmp / "bin/docker").symlink_to("/bin/true")
    site, run, said = stopped_recovery(short_tmp, BY_COMMANDS)
    stopped = f"shop.service, what `{site.base}/bin/docker stop shop` stopped"
    assert f"stopped and not started again: {stopped}\n" in said
    assert "then `systemctl start shop.service`\n" in said
    [text] = unfinished(site)
    assert f"; stopped and not started again: {stopped})" in text
    undone = site.drd("undo", run, "--yes", "--json").json
    assert undone["stopped_units"] == ["shop.service"]


CHECKED = """
runbook:
  - {{name: stop-shop, stop: {{unit: shop.service}}, rehearse: skip, reason: in production only}}
  - {{name: data, restore: [conf, db]}}
  - {{name: looks, check: all}}
  - {{name: start-shop, start: {{unit: shop.service}}, rehearse: skip, reason: in production only}}
"""


def test_a_recovery_that_stops_at_its_checks_is_the_first_line_and_the_first_alert(
    short_tmp: Path,
) -> None:
    site = small_site(short_tmp)
    tools = short_tmp / "bin"
    tools.mkdir()
    (tools / "systemctl").write_text(UNITS.format(base=short_tmp))
    (tools / "systemctl").chmod(0o755)
    (short_tmp / "unit").write_text("active\n")
    site.environment["PATH"] = f"{tools}:{os.environ['PATH']}"
    plan = short_tmp / "plans/shop.yaml"
    plan.write_text(plan.read_text().replace("> 0", "> 1000000") + CHECKED.format())
    site.drd("backup", "shop")
    site.drd("recover", "shop", "--in-place", "--overwrite", "--yes", code=4)
    run = str(next(r["run"] for r in site.runs() if r["kind"] == "recovery"))
    with daemon(site) as running:
        until(lambda: running.events("alert.fired"), "an alert", running)
        alerts = {a["kind"]: a for a in site.drd("alerts", "--json").json["alerts"]}
        site.drd("skip", run, "looks", "--why", "the number is from another day")
        [decided] = unfinished(site)
        status = site.drd("status", code=None).out
    alert = alerts["recovery-unfinished"]
    assert alert["severity"] == "critical"
    assert "recovery-failing" not in alerts, "one recovery, one alert"
    said = alert["text"]
    assert f"(run {run} failed at " in said
    assert " in step looks: " in said
    assert "stopped and not started again: shop.service" in said
    for way in ("resume", "skip", "undo"):
        assert f"`drd {way} {run}" in said
    assert f"drd resume {run}" in status
    assert "died" not in decided
    assert f"(run {run} stopped in step looks; a person decided at " in decided
    assert site.drd("run", "show", run).out.count("died") == 0
    site.drd("resume", run, "--yes", code=None)
    assert unfinished(site) == []
    assert (site.base / "unit").read_text() == "active\n"
