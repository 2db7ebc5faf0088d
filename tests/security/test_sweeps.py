"""Attack: somebody leaves a directory where drd sweeps, with a journal that names what is not
theirs.

A run that nobody knew counted as over after a day, and root removed what its `target.json` said.
Now only what belongs to whoever sweeps, lies where nobody else can write and bears the stamp of a
known run is believed; what is left of killed runs goes as before.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drd.catalogue.sql_catalogue import open_catalogue
from drd.flows.state.run_dirs import make_started, run_directory, started_directory
from drd.flows.state.run_removal import sweep_started
from drd.kinds.files.kind import FilesKind
from drd.kinds.postgres.kind import PostgresKind
from drd.model.run import RunKind, RunState
from drd.process import process_start_time
from drd.process.background import MARK, BackgroundProgram, end, note
from drd.process.private import make_private, why_not_private
from tests.catalogue_support import at, plan
from tests.e2e.site import Site, small_site
from tests.user_support import NOBODY, acting_as, as_root

LONG_AGO = time.time() - 2 * 86400
UNKNOWN = "run-feedface"


@pytest.fixture
def site(short_tmp: Path) -> Site:
    return small_site(short_tmp)


@pytest.fixture
def victim(short_tmp: Path) -> Path:
    place = short_tmp / "victim"
    place.mkdir(mode=0o700)
    (place / "precious").write_text("precious")
    return place


def journals(victim: Path, mark: str) -> dict[str, object]:
    """Each kind of note that a sweep reads, with the victim in the place of what it removes."""
    way = {"target": f"{victim}/x", "landing": f"{victim}", "mark": mark, "companions": []}
    return {
        "x.files/target.json": {**way, "inside": False, "overwrite": True, "keep": False},
        "y.sqlite/target.json": {**way, "inside": False, "overwrite": True, "keep": False},
        "z.files/target.json": {**way, "inside": True, "overwrite": True, "keep": False},
        "v.files/in-place.json": {
            "component": "v", "mark": mark, "paths": [f"{victim}"], "landing": f"{victim}",
            "overwrite": True, "keep": False,
        },
        "w.files/part.json": {"landing": f"{victim}", "mark": mark, "overwrite": True},
    }  # fmt: skip


def plant(root: Path, name: str, victim: Path) -> Path:
    directory = root / name
    for path, journal in journals(victim, f"drd_{name.removeprefix('run-')}").items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(json.dumps(journal))
    os.utime(directory, (LONG_AGO, LONG_AGO))
    return directory


@pytest.fixture
def everybodys() -> Iterator[Path]:
    """Where everybody could put something, and root swept it."""
    place = Path("/var/tmp/drd-sandboxes")
    if place.exists():
        pytest.skip(f"{place} is there already")
    with acting_as(NOBODY):
        place.mkdir()
    yield place
    shutil.rmtree(place)


@as_root
def test_directory_of_a_stranger_is_not_swept(site: Site, victim: Path, everybodys: Path) -> None:
    with acting_as(NOBODY):
        plant(everybodys, UNKNOWN, victim)
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    assert (victim / "precious").read_text() == "precious"
    assert (everybodys / UNKNOWN).is_dir()


@as_root
@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_stranger_in_work_dir_is_not_swept(site: Site, victim: Path, mode: int) -> None:
    (site.base / "work").chmod(mode)
    with acting_as(NOBODY):
        plant(site.base / "work", UNKNOWN, victim)
    site.drd("backup", "shop")
    assert (victim / "precious").exists()
    assert (site.base / "work" / UNKNOWN).is_dir()
    assert why_not_private(site.base / "work") is None, "drd closes what is its own"


def test_directories_of_unknown_runs_are_reported_and_stay(site: Site, victim: Path) -> None:
    left = plant(site.base / "work", UNKNOWN, victim)
    (site.base / "elsewhere").mkdir()
    (site.base / "work/run-beefbeef").symlink_to(site.base / "elsewhere")
    site.drd("backup", "shop")
    assert (victim / "precious").exists()
    assert left.is_dir()
    told = site.drd("doctor", "shop", code=None).out
    assert f"{left} has the name of a run's work directory and contains" in told
    assert "the catalogue does not contain run feedface" in told
    assert f"rm -r {left}" in told
    assert left.is_dir()
    assert (site.base / "elsewhere").is_dir()


def test_directory_with_the_name_of_a_known_run_needs_its_stamp(site: Site, victim: Path) -> None:
    site.drd("backup", "shop")
    (run,) = (r["run"] for r in site.runs())
    left = plant(site.base / "work", f"run-{run}", victim)
    (left / "stamp").write_text("0" * 32)
    site.drd("backup", "shop")
    assert (victim / "precious").exists()
    assert left.is_dir()
    assert (
        f"run {run} of this drd did not create this directory"
        in site.drd("doctor", "shop", code=None).out
    )


@pytest.mark.parametrize("mark", ["drd_feedface", "drd_0badcafe", "", "/", None])
def test_journal_names_nothing_but_what_bears_the_mark(
    tmp_path: Path, victim: Path, mark: str
) -> None:
    for path, journal in journals(victim, mark).items():
        place = tmp_path / UNKNOWN / path
        place.parent.mkdir(parents=True)
        place.write_text(json.dumps(journal))
        assert FilesKind().sweep(place.parent) == []
    assert (victim / "precious").exists()


@as_root
def test_journal_of_a_stranger_or_behind_a_link_is_none(tmp_path: Path, victim: Path) -> None:
    place = tmp_path / UNKNOWN / "x.files"
    place.mkdir(parents=True)
    landing = victim / ".drd_feedface.x"
    landing.mkdir()
    journal = journals(victim, "drd_feedface")["x.files/target.json"]
    (tmp_path / "real.json").write_text(json.dumps({**journal, "landing": f"{landing}"}))  # type: ignore[dict-item]
    (place / "target.json").symlink_to(tmp_path / "real.json")
    assert FilesKind().sweep(place) == []
    (place / "target.json").unlink()
    (tmp_path / "real.json").rename(place / "target.json")
    os.chown(place / "target.json", NOBODY, NOBODY)
    assert FilesKind().sweep(place) == []
    assert landing.is_dir()
    os.chown(place / "target.json", 0, 0)
    assert FilesKind().sweep(place), "its own is believed"
    assert not landing.exists()


@pytest.mark.parametrize(
    "words", [("drill", "shop"), ("recover", "shop", "--target", "standby", "--yes")]
)
def test_own_leftovers_are_swept(site: Site, words: tuple[str, ...]) -> None:
    site.drd("backup", "shop")
    site.killed_at("undone:restore conf", *words)
    (left,) = (site.base / "work").glob("run-*")
    if words[0] == "recover":
        site.drd("recover", *words[1:])  # another one, which gives the dead one up
    else:
        site.drd("backup", "shop")
    assert not left.exists()
    assert not list((site.base / "back").glob(".drd_*"))
    site.assert_clean()


# --- what was started ---------------------------------------------------------------------------


def services(tmp_path: Path) -> object:
    class Clock:
        def now(self) -> object:
            return at(0)

    class Made:
        catalogue = open_catalogue(f"sqlite:///{tmp_path}/drd.db", create=True)
        work_dir = tmp_path
        clock = Clock()
        is_root = os.geteuid() == 0

    return Made()


@pytest.mark.parametrize("around", ["", f"{MARK}=other/serve"])
def test_process_that_no_step_started_is_not_ended(tmp_path: Path, around: str) -> None:
    env = dict(os.environ) | dict([around.split("=")] if around else [])
    bystander = subprocess.Popen(["sleep", "60"], env=env, start_new_session=True)
    try:
        while not Path(f"/proc/{bystander.pid}/environ").read_bytes():
            pass  # an exec has begun: nobody sees an environment yet
        note(tmp_path, "serve", BackgroundProgram(bystander.pid, process_start_time(bystander.pid)))
        assert not end(tmp_path, "serve", key="abcd0123/serve", grace_s=0.1)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_process_that_a_step_started_is_ended(tmp_path: Path) -> None:
    env = {**os.environ, MARK: "abcd0123/serve"}
    service = subprocess.Popen(["sleep", "60"], env=env, start_new_session=True)
    try:
        note(tmp_path, "serve", BackgroundProgram(service.pid, process_start_time(service.pid)))
        assert end(tmp_path, "serve", key="abcd0123/serve", grace_s=0.1)
        assert service.wait(5) != 0
    finally:
        service.kill()


def test_notes_without_the_stamp_are_refused(tmp_path: Path) -> None:
    here = services(tmp_path)
    try:
        _refused_without_a_stamp(here, tmp_path)
    finally:
        here.catalogue.close()


def _refused_without_a_stamp(here: Any, tmp_path: Path) -> None:
    begun = here.catalogue.runs.begin(plan(), RunKind.RECOVERY, trigger="manual", at=at(0))
    forged = tmp_path / f"started-{begun.run.id}"
    forged.mkdir()
    with pytest.raises(Exception, match=f"because run {begun.run.id} did not make it"):
        started_directory(here, begun.run.id)  # type: ignore[arg-type]
    here.catalogue.runs.finish(begun, RunState.SUCCEEDED, at=at(1))
    sweep_started(here)  # type: ignore[arg-type]
    assert forged.is_dir()
    forged.rmdir()
    assert make_started(here, begun.run.id).is_dir()  # type: ignore[arg-type]
    assert run_directory(here, begun.run.id).is_dir()  # type: ignore[arg-type]
    sweep_started(here)  # type: ignore[arg-type]
    assert not forged.exists(), "its own goes"


# --- what is private ----------------------------------------------------------------------------


def test_a_directory_is_private_if_nobody_else_can_change_it(tmp_path: Path) -> None:
    place = tmp_path / "a/b"
    make_private(place)
    assert why_not_private(place) is None
    (tmp_path / "a").chmod(0o777)
    assert "everybody can write" in (why_not_private(place) or "")
    (tmp_path / "a").chmod(0o1777)
    assert why_not_private(place) is None, "as below /tmp"
    place.chmod(0o1777)
    assert why_not_private(place) is not None
    make_private(place)
    assert why_not_private(place) is None
    (tmp_path / "link").symlink_to(place)
    assert why_not_private(tmp_path / "link") is None
    with pytest.raises(OSError, match="link"):
        make_private(tmp_path / "link")


@as_root
def test_a_strangers_link_makes_a_path_not_private(tmp_path: Path) -> None:
    place = tmp_path / "a"
    place.mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(place)
    os.lchown(tmp_path / "link", NOBODY, NOBODY)
    assert "belongs to user nobody" in (why_not_private(tmp_path / "link") or "")
    os.chown(place, NOBODY, NOBODY)
    assert "belongs to user nobody" in (why_not_private(place) or "")


# --- what a sandbox's server, or what the data made it do, leaves ---------------------------------


@as_root
@pytest.mark.parametrize("linked", [True, False])
def test_sweep_follows_no_link_of_a_sandboxs_server(tmp_path: Path, linked: bool) -> None:
    production, base = tmp_path / "production", tmp_path / "run-feedface/db.postgres/server"
    base.mkdir(parents=True)
    production.mkdir()
    sockets = Path(tempfile.mkdtemp(prefix="drd-"))
    (base / "sockets").symlink_to(sockets)
    if linked:
        (base / "data").symlink_to(production)
        os.chown(base, NOBODY, NOBODY)
    else:
        production = base / "data"
        production.mkdir()
    server = subprocess.Popen(["postgres", "60"], executable="/bin/sleep", cwd=production)
    while not Path(f"/proc/{server.pid}/cmdline").read_bytes():
        time.sleep(0.01)  # its exec is not over yet
    try:
        PostgresKind().sweep(base.parent)
        if linked:
            assert server.poll() is None
        else:
            assert server.wait(timeout=60) < 0, "a signal ended it"
        assert sockets.is_dir() is linked
        assert not base.exists()
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(sockets, ignore_errors=True)
