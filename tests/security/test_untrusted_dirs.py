"""Attack: an application's user exchanges the directory that root just restores into.

A recovery's landing lay in the application's own directory, under a name that everybody can see,
and root wrote there by path: through whatever link stood there by then. Now root holds on to
directories, not to names. And the lie beside it: what a target got after the last look was removed
without a word.
"""

from __future__ import annotations

import itertools
import os
import pwd
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from drd.errors import TargetError
from drd.kinds import untrusted_dirs
from drd.kinds.publish import Publication
from tests.e2e.site import Site, make_sqlite, make_tree
from tests.user_support import as_root

APPLICATION = pwd.getpwnam("games")

PLAN = """
components:
  db: {{kind: sqlite, path: {base}/shop.db}}
  conf: {{kind: files, paths: [{base}/etc]}}
checks:
  - {{name: configuration, kind: files, component: conf}}
targets:
  app: {{db: {{path: {app}/shop.db}}, conf: {{path: {app}/etc}}}}
  deep: {{conf: {{path: {app}/sub/etc}}}}
  away: {{conf: {{path: {app}/current/etc}}}}
"""

EXCHANGE = """
import os, sys
app, victim = sys.argv[1:]
count = 0
while True:
    for name in os.listdir(app):
        if name.startswith(".drd_"):
            count += 1
            try:
                os.rename(f"{app}/{name}", f"{app}/away-{count}")
                os.symlink(victim, f"{app}/{name}")
            except OSError:
                pass
"""

PARENT = """
import os, sys
app, victim = sys.argv[1:]
while True:
    try:
        os.rename(f"{app}/sub", f"{app}/was"); os.symlink(victim, f"{app}/sub")
        os.unlink(f"{app}/sub"); os.rename(f"{app}/was", f"{app}/sub")
    except OSError:
        pass
"""


@pytest.fixture
def app(short_tmp: Path) -> Path:
    place = short_tmp / "app"
    place.mkdir(mode=0o755)
    (place / "sub").mkdir()
    if os.geteuid() == 0:
        for path in (place, place / "sub"):
            os.chown(path, APPLICATION.pw_uid, APPLICATION.pw_gid)
    return place


@pytest.fixture
def site(short_tmp: Path, app: Path) -> Site:
    made = Site(short_tmp)
    make_sqlite(made.base / "shop.db")
    make_tree(made.base / "etc")
    for number in range(100):
        (made.base / f"etc/many-{number}").write_text(str(number))
    made.plan(PLAN.format(base=made.base, app=app))
    made.drd("backup", "shop")
    return made


@pytest.fixture
def victim(short_tmp: Path) -> Path:
    place = short_tmp / "victim"
    place.mkdir(mode=0o755)
    (place / "etc").mkdir()
    (place / "etc/shadow").write_text("root's")
    (place / "etc/shadow").chmod(0o600)
    return place


def state(place: Path) -> list[tuple[str, int, int, int]]:
    found = [(p, p.lstat()) for p in (place, *sorted(place.rglob("*")))]
    return [(str(p), i.st_mode, i.st_uid, i.st_ino) for p, i in found]


@contextmanager
def attack(script: str, app: Path, victim: Path) -> Iterator[None]:
    user = [f"--reuid={APPLICATION.pw_uid}", f"--regid={APPLICATION.pw_gid}", "--clear-groups"]
    words = ["/usr/bin/python3", "-I", "-c", script, str(app), str(victim)]
    loop = subprocess.Popen(["setpriv", *user, "--", *words])
    try:
        time.sleep(0.2)
        assert loop.poll() is None
        yield
    finally:
        loop.kill()
        loop.wait()


needs_python = pytest.mark.skipif(
    not Path("/usr/bin/python3").exists(), reason="needs an interpreter that everybody can start"
)


@as_root
@needs_python
@pytest.mark.parametrize("more", [(), ("--no-owner",)])
def test_the_staging_directory_cannot_be_exchanged(
    site: Site, app: Path, victim: Path, more: tuple[str, ...]
) -> None:
    before = state(victim)
    with attack(EXCHANGE, app, victim):
        for _ in range(2):
            told = site.drd("recover", "shop", "--target", "app", "--yes", *more, code=None)
            assert state(victim) == before, told


@as_root
@needs_python
def test_parent_cannot_be_exchanged(site: Site, app: Path, victim: Path) -> None:
    before = state(victim)
    with attack(PARENT, app, victim):
        for _ in range(3):
            told = site.drd(
                "recover", "shop", "--target", "deep", "--overwrite", "--yes", code=None
            )
            assert state(victim) == before, told


@as_root
def test_a_link_of_the_application_does_not_redirect_root(
    site: Site, app: Path, victim: Path
) -> None:
    (app / "current").symlink_to(victim)
    os.lchown(app / "current", APPLICATION.pw_uid, APPLICATION.pw_gid)
    before = state(victim)
    told = site.drd("recover", "shop", "--target", "away", "--overwrite", "--yes", code=None)
    assert told.code not in (0, None)
    assert "and others can change this link" in told.err
    assert state(victim) == before
    # Within its own, it is the application's to say where.
    (app / "current").unlink()
    (app / "current").symlink_to(app / "sub")
    os.lchown(app / "current", APPLICATION.pw_uid, APPLICATION.pw_gid)
    site.drd("recover", "shop", "--target", "away", "--yes")
    assert (app / f"sub/etc{site.base}/etc/app.conf").is_file()


def test_recovery_into_an_applications_directory(site: Site, app: Path) -> None:
    site.drd("recover", "shop", "--target", "app", "--yes")
    site.drd("recover", "shop", "--target", "app", "--overwrite", "--yes")
    (run,) = (r["run"] for r in site.runs()[:1])
    assert (app / f"etc{site.base}/etc/many-7").read_text() == "7"
    with closing(sqlite3.connect(app / "shop.db")) as connection:
        assert connection.execute("select count(*) from orders").fetchone() == (1000,)
    assert not list(app.glob(".drd_*"))
    site.drd("undo", run, "--yes")
    site.drd("done", run, "--yes")
    assert not list(app.glob("*drd_*"))
    site.assert_clean()


# --- what came meanwhile ------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [True, False])
def test_new_content_in_the_target_is_kept_and_reported(tmp_path: Path, keep: bool) -> None:
    target, place = tmp_path / "srv/data", tmp_path / ".drd_abcd0123.web"
    target.mkdir(parents=True)
    way = Publication(
        target, target.with_name(place.name), tmp_path / "target.json", "drd_abcd0123", keep=keep
    )
    way.announce(overwrite=False)
    working = untrusted_dirs.make_landing(way.landing)
    (working / "restored").write_text("restored")
    (target / "precious").write_text("written after the last look")
    way.publish(untrusted_dirs.content(way.landing))
    assert (target / "restored").exists()
    assert (way.before / "precious").read_text() == "written after the last look"
    (said,) = way.appeared()
    assert str(way.before) in said
    assert way.published()
    assert not way.landing.exists()


def test_empty_new_content_leaves_no_kept_copy(tmp_path: Path) -> None:
    target = tmp_path / "data"
    target.mkdir()
    way = Publication(target, tmp_path / ".drd_abcd0123.web", tmp_path / "t.json", "drd_abcd0123")
    way.announce(overwrite=False)
    (untrusted_dirs.make_landing(way.landing) / "restored").write_text("restored")
    way.publish(untrusted_dirs.content(way.landing))
    assert way.appeared() == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "t.json"]


def test_content_overwritten_on_purpose_is_removed(tmp_path: Path) -> None:
    target = tmp_path / "data"
    target.mkdir()
    (target / "old").touch()
    way = Publication(target, tmp_path / ".drd_abcd0123.web", tmp_path / "t.json", "drd_abcd0123")
    way.announce(overwrite=True)
    untrusted_dirs.make_landing(way.landing)
    way.publish(untrusted_dirs.content(way.landing))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "t.json"]


@as_root
def test_a_held_directory_cannot_be_exchanged(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    place = tmp_path / "app"
    place.mkdir()
    os.chown(place, APPLICATION.pw_uid, APPLICATION.pw_gid)
    room = untrusted_dirs.make_landing(place / ".drd_abcd0123.web")
    (place / ".drd_abcd0123.web").rename(place / "away")
    (place / ".drd_abcd0123.web").symlink_to("/etc")
    (room / "file").write_text("x")
    assert (place / "away/tree/file").exists()
    with pytest.raises(
        TargetError, match=r"another process replaced .* while drd worked there as root"
    ):
        untrusted_dirs.content(place / ".drd_abcd0123.web")
    untrusted_dirs.remove_landing(place / ".drd_abcd0123.web")
    assert Path("/etc/passwd").exists()


# --- where a path leads -------------------------------------------------------------------------

EXCHANGE_NAMES = """
import ctypes, sys
libc = ctypes.CDLL(None)
one, two = (w.encode() for w in sys.argv[1:])
while True:
    libc.syscall(316, -100, one, -100, two, 2)
"""

x86 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the number of a system call")


@as_root
@needs_python
@x86
def test_a_changing_link_does_not_redirect_root(app: Path, victim: Path) -> None:
    (app / "link").symlink_to(victim)
    os.lchown(app / "link", APPLICATION.pw_uid, APPLICATION.pw_gid)
    inside, refused, said = 0, 0, set[str]()
    with attack(EXCHANGE_NAMES, app / "sub", app / "link"):
        for _ in range(2000):
            try:
                assert untrusted_dirs.resolved(f"{app}/sub/a.db") == app / "sub/a.db"
                inside += 1
            except TargetError as error:
                said.add(error.message)
                refused += 1
    assert all("and others can change this link" in text for text in said)
    assert inside > 50, (inside, refused)
    assert refused > 50, (inside, refused)


@as_root
@needs_python
@x86
def test_exchanging_names_does_not_redirect_root(app: Path, victim: Path) -> None:
    (app / "link").symlink_to(victim)
    os.lchown(app / "link", APPLICATION.pw_uid, APPLICATION.pw_gid)
    before, made, said = state(victim), 0, set[str]()
    place = app / "sub/.drd_abcd0123.f"
    with attack(EXCHANGE_NAMES, app / "sub", app / "link"):
        for tried in itertools.count():
            if tried >= 300 and (made > 5 or tried >= 30_000):
                break
            try:
                (untrusted_dirs.make_landing(place) / "file").touch()
                untrusted_dirs.remove_landing(place)
                made += 1
            except TargetError as error:
                said.add(error.message)
            finally:
                untrusted_dirs.forget(place)
    assert made > 5
    assert all(text.startswith("another process replaced") for text in said), said
    assert state(victim) == before


@as_root
@needs_python
def test_a_staging_directory_exchanged_for_a_file_is_reported(app: Path) -> None:
    place, said = app / ".drd_abcd0123.f", set[str]()
    (app / "file").touch()
    os.chown(app / "file", APPLICATION.pw_uid, APPLICATION.pw_gid)
    with attack(EXCHANGE_NAMES, place, app / "file"):
        for _ in range(200):
            try:
                untrusted_dirs.make_landing(place)
                untrusted_dirs.remove_landing(place)
            except TargetError as error:
                said.add(error.message)
            finally:
                untrusted_dirs.forget(place)
    assert said
    assert all(text.startswith("another process replaced") for text in said), said


@as_root
def test_other_errors_name_the_directory_and_not_its_descriptor(app: Path) -> None:
    with pytest.raises(OSError, match="too long") as caught, untrusted_dirs.paths_held():
        (untrusted_dirs.opened(app) / ("x" * 300)).mkdir()
    assert caught.value.filename == f"{app}/{'x' * 300}"


@as_root
def test_links_of_root_are_followed(tmp_path: Path, app: Path) -> None:
    tmp_path.chmod(0o755)
    place = Path(os.path.realpath(tmp_path))
    (place / "real/deep").mkdir(parents=True)
    (place / "one").symlink_to("real")
    (place / "two").symlink_to(place / "one/deep/")
    for path, found in {
        "two/../x": "real/x",
        "one/missing/../a.db": "real/a.db",
        "two/none/a.db": "real/deep/none/a.db",
        "two": "real/deep",
        "./one//deep/.": "real/deep",
    }.items():
        assert untrusted_dirs.resolved(f"{place}/{path}") == place / found
        assert untrusted_dirs.resolved(f"{place}/{path}") == Path(os.path.realpath(place / path))
    assert untrusted_dirs.resolved(f"{place}/one/deep", last=False) == place / "real/deep"
    assert untrusted_dirs.resolved(f"{place}/two", last=False) == place / "two"
    (place / "loop").symlink_to("loop")
    with pytest.raises(TargetError, match="too many links"):
        untrusted_dirs.resolved(f"{place}/loop/x")
    # One of the application's, within its own.
    (app / "current").symlink_to("sub")
    os.lchown(app / "current", APPLICATION.pw_uid, APPLICATION.pw_gid)
    assert untrusted_dirs.resolved(f"{app}/current/a.db") == app / "sub/a.db"


@as_root
def test_the_directory_behind_a_link_is_the_one_that_was_checked(app: Path) -> None:
    (app / "current").symlink_to("sub")
    os.lchown(app / "current", APPLICATION.pw_uid, APPLICATION.pw_gid)
    found = untrusted_dirs.resolved(f"{app}/current/a.db")
    with untrusted_dirs.paths_held():
        assert untrusted_dirs.pinned(found).parent.samefile(app / "sub")
    (app / "sub").rename(app / "was")
    (app / "sub").mkdir()
    with (
        untrusted_dirs.paths_held(),
        pytest.raises(
            TargetError, match=r"another process replaced .* while drd worked there as root"
        ),
    ):
        untrusted_dirs.pinned(found)
