"""Attack: a local user to whom the plans directory was left exchanges a plan's file, so that drd
reads his text and judges another file of that name, or follows a link of his to a text that root
did not put in force.

What is judged is the very file that the text was read from, and the whole way to it, with the
links.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from drd.bootstrap import App
from drd.config.exposed_files import exposed_plan, judged
from drd.config.plan_file import load_plan
from drd.config.plan_path import PathWalker
from drd.daemon.plan_texts import PlanTexts
from drd.errors import ConfigError
from tests.e2e.daemons import daemon, until
from tests.e2e.site import Site, small_site
from tests.security.test_exposed_files import MINE, open_site
from tests.user_support import NOBODY, as_root


@pytest.fixture
def site(short_tmp: Path) -> Site:
    """Root's plan is in force, and its directory was left to somebody."""
    return open_site(short_tmp)


def hooked(site: Site) -> str:
    """The plan's text with a command that leaves `proof`."""
    hook = f"shop.db, before: {{command: [touch, {site.base}/proof]}}}}\n"
    return (site.base / "plans/shop.yaml").read_text().replace("shop.db}\n", hook, 1)


def leave(site: Site) -> Path:
    plans = site.base / "plans"
    os.chown(plans, NOBODY, NOBODY)
    return plans / "shop.yaml"


def link_to(plan: Path, target: Path) -> None:
    """As the user to whom the directory was left does it."""
    plan.unlink()
    plan.symlink_to(target)
    os.chown(plan, NOBODY, NOBODY, follow_symlinks=False)


def why(plan: Path) -> str:
    found = exposed_plan(str(plan), MINE)
    return "" if found is None else found.why


# --- exchanged while it is read ---------------------------------------------------------------


@as_root
def test_an_exchanged_file_is_judged_as_it_was_read(site: Site) -> None:
    site.drd("backup", "shop")
    text, plan = hooked(site), leave(site)
    plan.unlink()
    plan.write_text(text)
    os.chown(plan, NOBODY, NOBODY)
    with closing(App(str(site.base / "drd.yaml"))) as app:
        loaded = load_plan(plan)
        link_to(plan, Path("/etc/hostname"))
        with pytest.raises(ConfigError, match="belongs to"):
            app.plans.refuse_exposed(loaded)


@contextmanager
def exchanging(one: Path, other: Path) -> Iterator[None]:
    """The names of two files are exchanged as fast as can be."""
    over, libc = threading.Event(), ctypes.CDLL(None)
    names = (os.fsencode(one), os.fsencode(other))

    def exchange() -> None:
        while not over.is_set():
            assert libc.renameat2(-100, names[0], -100, names[1], 2) == 0

    thread = threading.Thread(target=exchange)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@as_root
@pytest.mark.parametrize("shared", [False, True], ids=["alone", "with ways kept"])
def test_no_moment_reads_his_text_as_roots_file(site: Site, *, shared: bool) -> None:
    """Only the owners differ: the directory and the modes are in order."""
    plans, text = site.base / "plans", hooked(site)
    plan, other = plans / "shop.yaml", plans / "other"
    other.write_text(text)
    os.chown(other, NOBODY, NOBODY)
    seen = set()
    with exchanging(plan, other), PathWalker() as ways:
        for _ in range(400):
            loaded = load_plan(plan, None, ways if shared else None)
            seen.add((loaded.text == text, judged(loaded.reached, MINE) is not None))
    assert seen <= {(True, True), (False, False)}


# --- links ------------------------------------------------------------------------------------


@as_root
def test_link_of_his_to_another_text_of_roots_is_not_followed(site: Site) -> None:
    """No race is needed: an older text of root's, or that of another service, is root's as well."""
    site.drd("backup", "shop")
    older = site.base / "older.yaml"
    older.write_text(hooked(site))
    plan = leave(site)
    link_to(plan, older)
    told = site.drd("backup", "shop")
    assert not (site.base / "proof").exists()
    assert f"{plan} is a symbolic link that belongs to" in told.err
    assert f"{plan} is a symbolic link that belongs to" in site.drd("doctor", code=None).out
    os.chown(plan, 0, 0, follow_symlinks=False)
    assert "its directory" in site.drd("backup", "shop").err
    os.chown(plan.parent, 0, 0)
    site.drd("backup", "shop")
    assert (site.base / "proof").exists(), "root has looked at the link and the directory"


@as_root
def test_link_to_the_text_in_force_goes_on_and_is_reported(site: Site) -> None:
    """The twin: what is in force is not stopped by a layout that was bad before."""
    site.drd("backup", "shop")
    kept = site.base / "kept.yaml"
    plan = leave(site)
    kept.write_text(plan.read_text())
    link_to(plan, kept)
    site.drd("backup", "shop")
    items = site.drd("doctor", "shop", "--json").json["items"]
    [found] = [i for i in items if i["name"] == "exposed file"]
    assert f"{plan} is a symbolic link that belongs to" in found["detail"]


@as_root
def test_daemon_takes_nothing_by_a_link_of_his(site: Site) -> None:
    plan = site.base / "plans/shop.yaml"
    plan.write_text(plan.read_text() + "\nbackup: {every: 1h}\n")
    site.drd("backup", "shop")
    older = site.base / "older.yaml"
    older.write_text(plan.read_text().replace("1h", "2h"))

    def every() -> str:
        items = site.drd("schedule", "shop", "--json").json["items"]
        return str(next(i["why"] for i in items if i["kind"] == "backup"))[:8]

    with daemon(site) as running:
        until(lambda: every() == "every 1h", "the plan", running)
        leave(site)
        link_to(plan, older)
        running.reload()
        until(lambda: running.events("plan.refused"), "the refusal", running)
        assert "is a symbolic link that belongs to" in running.events("plan.refused")[0]["error"]
        assert every() == "every 1h"
        os.chown(plan.parent, 0, 0)
        os.chown(plan, 0, 0, follow_symlinks=False)
        running.reload()
        until(lambda: every() == "every 2h", "the new text", running)


@as_root
def test_a_row_is_not_trusted_for_a_file_behind_his_link(site: Site) -> None:
    """The daemon takes what a command of root's has loaded, where root's file says the same."""
    text = hooked(site)
    older = site.base / "older.yaml"
    older.write_text(text)
    texts, plan = PlanTexts(), site.base / "plans/shop.yaml"
    texts.take("shop", plan, plan.read_text(), None)
    link_to(plan, older)
    assert texts.is_stored("shop", text), "the twin: nobody else can change a link there"
    texts.take("shop", plan, "plan: shop\n", None)
    leave(site)
    assert not texts.is_stored("shop", text)


# --- the way ----------------------------------------------------------------------------------


@as_root
def test_directories_in_which_links_lie_count(tmp_path: Path) -> None:
    """Also those that a link leads away from: who can exchange the link chooses the file."""
    short = tmp_path / "his"
    real, his = tmp_path / "real", short / "plans"
    real.mkdir()
    short.mkdir()
    (real / "p.yaml").write_text("plan: p\n")
    his.symlink_to(real)
    assert why(his / "p.yaml") == ""
    os.chown(short, NOBODY, NOBODY)
    assert why(his / "p.yaml").startswith(f"is not safe: its directory {short} belongs to ")
    os.chown(his, NOBODY, NOBODY, follow_symlinks=False)
    assert why(his / "p.yaml").startswith(f"is not safe: {his} is a symbolic link that belongs to ")


def directory_by_a_link(base: Path) -> Path:
    (base / "git/drd").mkdir(parents=True)
    (base / "plans").symlink_to("git/drd")
    (base / "git/drd/p.yaml").write_text("plan: p\n")
    return base / "plans/p.yaml"


def files_by_links(base: Path) -> Path:
    (base / "git/drd").mkdir(parents=True)
    (base / "git/drd/p.yaml").write_text("plan: p\n")
    (base / "plans").mkdir()
    (base / "plans/p.yaml").symlink_to("../git/drd/p.yaml")
    return base / "plans/p.yaml"


def below_a_shared_directory(base: Path) -> Path:
    """Like /tmp/host/plans."""
    (base / "plans").mkdir(mode=0o755)
    base.chmod(0o1777)
    (base / "plans/p.yaml").write_text("plan: p\n")
    return base / "plans/p.yaml"


@pytest.mark.parametrize("lay", [directory_by_a_link, files_by_links, below_a_shared_directory])
def test_layouts_of_an_administrator_are_in_order(
    tmp_path: Path, lay: Callable[[Path], Path]
) -> None:
    plan = lay(tmp_path)
    assert why(plan) == ""
    with PathWalker() as ways:
        for _ in range(2):
            assert exposed_plan(str(plan), MINE, ways) is None


def test_plans_in_a_directory_like_tmp_are_taken_and_told(short_tmp: Path) -> None:
    """Others can put files beside them, and none in their place."""
    site = small_site(short_tmp)
    (short_tmp / "plans").chmod(0o1777)
    (short_tmp / "secrets").chmod(0o700)
    site.drd("backup", "shop")
    plan = short_tmp / "plans/shop.yaml"
    plan.write_text(plan.read_text().replace("rpo: 15m", "rpo: 16m"))
    site.drd("backup", "shop")
    items = site.drd("doctor", "shop", "--json").json["items"]
    [found] = [i for i in items if i["name"] == "exposed file"]
    assert (found["ok"], found["warning"]) == (True, True)
    assert f"is in {short_tmp / 'plans'}, where other users can put files" in found["detail"]
    assert "refuses" not in site.drd("plan", "check", "shop").out
    (short_tmp / "second").hardlink_to(plan)
    assert "has a second hard link" in why(plan)


def test_plan_from_a_pipe_is_read(site: Site) -> None:
    """Nothing has its name."""
    text = (site.base / "plans/shop.yaml").read_bytes()
    reading, writing = os.pipe()
    os.write(writing, text)
    os.close(writing)
    try:
        loaded = load_plan(Path(f"/proc/self/fd/{reading}"))
    finally:
        os.close(reading)
    assert loaded.text == text.decode()
    assert judged(loaded.reached, MINE) is None


@pytest.mark.parametrize("name", ["", "/", "/..", "/."])
def test_directory_is_not_a_plan(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="is a directory"):
        load_plan(Path(f"{tmp_path}{name}"))
    assert exposed_plan(f"{tmp_path}{name}", MINE) is None


def test_a_missing_plan_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "gone").symlink_to("nowhere")
    for name in ("none", "none/none", "gone", "loop"):
        with pytest.raises(ConfigError, match="cannot read the plan"):
            load_plan(tmp_path / name)
        assert exposed_plan(str(tmp_path / name), MINE) is None


def test_many_directories_take_few_descriptors(tmp_path: Path) -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = count()
    with PathWalker() as ways:
        for number in range(40):
            place = tmp_path / str(number)
            place.mkdir()
            (place / "p.yaml").write_text("plan: p\n")
            assert exposed_plan(str(place / "p.yaml"), MINE, ways) is None
        assert count() < before + 20
    assert count() <= before
