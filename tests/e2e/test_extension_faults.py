"""What the code of an extension must not raise becomes a plain error that names the package."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.e2e.site import Site, make_tree
from tests.extension_support import EXAMPLES, install

PLAN = """
components:
  todo: {{kind: notes, path: {base}/todo.txt}}
  conf: {{kind: files, paths: [{base}/etc]}}
targets:
  standby: {{todo: {{path: {base}/back/todo.txt}}, conf: {{path: {base}/back/etc}}}}
checks:
  - {{name: all lines are back, kind: rows, component: todo}}
  - {{name: all files are back, kind: files, component: conf}}
"""

RECOVER = ("recover", "shop", "--target", "standby", "--yes")
AUTHOR = (
    "report this to the author of drd-broken, with the traceback. To see it: "
    "journalctl -u drd, or run the command with DRD_LOG=info"
)

BREAKS = """
import os


def _broken(*_, **__):
    if os.path.exists({flag!r}):
        raise {error}


def _breaking(method):
    def called(*args, **kwargs):
        _broken()
        return method(*args, **kwargs)

    return called


{target} = _breaking({target})
"""


def _site(
    directory: Path, target: str, error: str = "OSError('out of order')"
) -> tuple[Site, Path]:
    """A site with the kind of drd-notes, of which `target` fails while the returned file exists."""
    flag = directory / "broken"
    code = (EXAMPLES / "drd-notes/drd_notes.py").read_text().replace("drd_notes:", "drd_broken:")
    code += BREAKS.format(flag=str(flag), error=error, target=target)
    points = {"drd.kinds": {"notes": "drd_broken:SPEC"}}
    packages = install(directory / "packages", "drd-broken", {"drd_broken.py": code}, points)
    site = Site(directory / "site", environment={"PYTHONPATH": str(packages)})
    with (site.base / "drd.yaml").open("a") as settings:
        settings.write("extensions: [drd-broken]\n")
    (site.base / "todo.txt").write_text("buy milk\ncall home\n")
    (site.base / "back").mkdir()
    make_tree(site.base / "etc")
    site.plan(PLAN.format(base=site.base))
    return site, flag


RAISED = "the package drd-broken 1.2.0 raised OSError: out of order"


@pytest.mark.parametrize("target", ["NotesSource.probe", "NotesCapture.fingerprint"])
def test_a_backup_names_the_package_and_stores_the_other_components(
    short_tmp: Path, target: str
) -> None:
    site, flag = _site(short_tmp, target)
    flag.touch()
    said = site.drd("backup", "shop", code=1)
    assert f"drd: todo: {RAISED}\n" in said.err
    assert AUTHOR in said.err
    (point,) = site.points()
    assert not point["complete"]
    site.assert_clean()
    (run,) = site.runs()
    assert (run["state"], run["fact"]) == ("incomplete", f"todo: {RAISED}")
    assert run["remedy"] == AUTHOR


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("NotesKind.sandbox", ("drill", "shop")),
        ("NotesInspector.fingerprint", ("drill", "shop")),
        ("NotesKind.target", RECOVER),
        ("NotesInspector.fingerprint", RECOVER),
    ],
)
def test_drill_and_recovery_name_the_package(
    short_tmp: Path, target: str, words: tuple[str, ...]
) -> None:
    site, flag = _site(short_tmp, target)
    site.drd("backup", "shop")
    flag.touch()
    said = site.drd(*words, code=None)
    assert said.code != 0
    assert RAISED in said.out + said.err
    assert "this is a bug in drd" not in said.out + said.err
    site.assert_clean()
    (run,) = (r["run"] for r in site.runs() if r["kind"] in ("drill", "recovery"))
    flag.unlink()
    if target == "NotesKind.target":
        site.drd("resume", run, "--yes")
    if words is RECOVER:
        assert (site.base / "back/todo.txt").read_text() == "buy milk\ncall home\n"
    site.assert_clean()


def test_a_check_of_drd_that_an_extension_breaks_is_not_run_and_the_others_are(
    short_tmp: Path,
) -> None:
    site, flag = _site(short_tmp, "NotesInspector.fingerprint")
    site.drd("backup", "shop")
    flag.touch()
    rows = site.drd("drill", "shop", "--json", code=None).json["checks"]
    verdicts = {row["name"]: row["verdict"] for row in rows}
    assert verdicts["all lines are back"] == "not_run"
    assert verdicts["all files are back"] == "passed"


def test_doctor_names_the_package_and_examines_the_rest(short_tmp: Path) -> None:
    site, flag = _site(short_tmp, "NotesSource.probe")
    flag.touch()
    items = site.drd("doctor", "shop", "--json", code=1).json["items"]
    assert [i["text"] for i in items if "drd-broken" in i["text"]] == [f"todo: {RAISED}"]
    assert any(i["code"] == "repository" for i in items)


def test_the_traceback_is_in_the_log(short_tmp: Path) -> None:
    site, flag = _site(short_tmp, "NotesSource.probe")
    flag.touch()
    site.environment["DRD_LOG"] = "info"
    with pytest.raises(AssertionError, match=r"Traceback .*in _broken"):
        site.drd("backup", "shop", code=1)


@pytest.mark.parametrize("error", ["SystemExit(3)", "KeyError('x')"])
def test_a_kind_that_cannot_be_opened_stops_only_what_uses_it(short_tmp: Path, error: str) -> None:
    site, flag = _site(short_tmp, "NotesKind.source", error)
    flag.touch()
    said = site.drd("backup", "shop", code=1).err
    assert f"todo: the package drd-broken 1.2.0 raised {error.partition('(')[0]}: " in said
    site.assert_clean()


def test_a_plan_whose_settings_break_is_refused_and_others_are_not(short_tmp: Path) -> None:
    site, flag = _site(short_tmp, "NotesSettings.contradictions")
    site.plan(PLAN.format(base=site.base).replace("kind: notes", "kind: files"), name="other")
    flag.touch()
    said = site.drd("plan", "check", code=2).out
    assert f"{site.base}/plans/shop.yaml:11: components.todo: {RAISED}" in said
    assert AUTHOR in said
    assert RAISED in site.drd("backup", "shop", code=2).err


def test_a_check_that_does_not_react_to_a_cancel_is_left_at_the_second_signal(
    short_tmp: Path,
) -> None:
    here = short_tmp / "hangs"
    hangs = f"(open({str(here)!r}, 'w').close(), __import__('time').sleep(1000))"
    site, flag = _site(short_tmp, "NotesInspector.fingerprint", hangs)
    site.drd("backup", "shop")
    flag.touch()
    child = site.start("drill", "shop")
    limit = time.monotonic() + 60
    while not here.exists() and time.monotonic() < limit:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    time.sleep(1)
    assert child.poll() is None
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=60) == 130
    flag.unlink()
    site.drd("drill", "shop")
    site.assert_clean()
    states = [r["state"] for r in site.runs() if r["kind"] == "drill"]
    assert sorted(states) == ["interrupted", "succeeded"]
