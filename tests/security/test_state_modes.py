"""Who is in the group `drd` may read the status, and had the whole state with it: to write, so that
he was the service and root; and to read, so that he could lock it, or keep SQLite's log growing.

Now the state is its owner's alone, and the group reads a summary that lies elsewhere.
"""

from __future__ import annotations

import fcntl
import grp
import io
import json
import os
import pickle
import sqlite3
import stat
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from drd.catalogue.locks import LockFiles
from drd.cli.status import status_command
from drd.errors import CatalogueError
from drd.flows.status.overview import SUMMARY as NAME
from drd.flows.status.publishing import findings
from drd.flows.status.summary_file import unreadable, write_summary
from drd.modes import UNRECORDED, give_away, make_public_directory
from tests.e2e.daemons import daemon, quick_plan, rows, until
from tests.e2e.site import Site, make_tree
from tests.user_support import NOBODY, as_root

GAMES = 60
"""A group that every system has, in the place of `drd`."""


@pytest.fixture
def site(short_tmp: Path) -> Site:
    site = Site(short_tmp)
    with (site.base / "drd.yaml").open("a") as config:
        config.write("groups: {read: games, operate: games}\n")
    make_tree(site.base / "etc")
    quick_plan(site, "every: 1h, jitter: none")
    return site


def as_member(work: Callable[[], Any], *, group: int = GAMES, user: int = NOBODY) -> Any:
    """What `work` answers to somebody whose only right is a group."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([group])
            os.setgid(NOBODY if user == NOBODY else group)
            os.setuid(user)
            answer = work()
        except BaseException as error:  # noqa: BLE001 - told to the test
            answer = error
        os.write(write, pickle.dumps(answer))
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    return pickle.loads(data)


def status(site: Site, now: datetime | None = None, **options: Any) -> tuple[int, str]:
    out = io.StringIO()
    words = {"plan": None, "json": False, "nagios": False, "colour": False, **options}
    code = status_command(
        state_url=f"sqlite:///{site.base}/state/drd.db",
        plans_dir=site.base / "plans",
        now=now,
        out=out,
        **words,
    )
    return code, out.getvalue()


def everything(state: Path) -> list[Path]:
    return [state, *sorted(state.rglob("*"))]


def opened(paths: list[Path]) -> list[str]:
    """Those of which a descriptor is to be had, if only for reading, or that can be locked."""
    found = []
    for path in paths:
        for how in (os.O_RDONLY, os.O_RDWR):
            try:
                fd = os.open(path, how)
            except OSError:
                continue
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found.append(str(path))
    return found


# --- the group and the state ---------------------------------------------------------------------


@as_root
def test_member_can_open_and_lock_nothing_of_the_state(site: Site) -> None:
    site.drd("backup", "shop")
    state = site.base / "state"
    url = f"file:{state}/drd.db?mode=ro"

    assert as_member(lambda: opened(everything(state))) == []
    held = as_member(lambda: sqlite3.connect(url, uri=True).execute("BEGIN").fetchall())
    assert isinstance(held, sqlite3.OperationalError)
    for path in everything(state):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


@as_root
def test_member_sees_the_status_as_root_does(site: Site) -> None:
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    now = datetime.now(UTC)

    for options in ({}, {"json": True}, {"nagios": True}, {"plan": "shop"}):
        code, of_root = status(site, now, **options)
        theirs, of_member = as_member(lambda options=options: status(site, now, **options))
        if options.get("json"):
            assert json.loads(of_member).pop("written_at") is not None
            of_member = json.dumps({**json.loads(of_member), "written_at": None}, indent=2) + "\n"
        assert (theirs, of_member) == (code, of_root), options
    assert code == 0


@as_root
def test_a_user_outside_the_group_gets_the_command_that_adds_them(site: Site) -> None:
    site.drd("backup", "shop")

    found = as_member(lambda: status(site), group=NOBODY)

    assert isinstance(found, CatalogueError)
    assert "only members of the group " in found.message
    assert "and user nobody is not a member" in found.message
    assert "sudo adduser nobody " in found.hint


@as_root
def test_group_that_the_service_is_not_in_reads_the_status_and_nobody_else_does(
    short_tmp: Path,
) -> None:
    """`groups: {read: games}` beside a service whose only group is another one."""
    public, service, its_group = short_tmp / "public", 4711, 4712
    public.mkdir(mode=0o751)
    os.chown(public, service, its_group)

    def serve() -> bool:
        make_public_directory(public, "games")
        fd = os.open(public, os.O_RDONLY)
        for _ in range(2):
            given = write_summary(fd, b"of today")
        return given

    def reads() -> bytes:
        return (public / NAME).read_bytes()

    assert as_member(serve, user=service, group=its_group) is True
    assert as_member(reads) == b"of today"
    for group in (its_group, NOBODY):
        assert isinstance(as_member(reads, group=group), PermissionError)
    assert isinstance(as_member(lambda: (public / "mine").write_text("")), PermissionError)
    assert findings(public, "games") == []
    assert findings(public, "mail") != []
    assert "only members of the group games can read" in str(
        unreadable(str(public), PermissionError())
    )

    make_public_directory(public, "mail")  # root can give it
    assert as_member(reads) == b"of today", "until it is written anew"
    fd = os.open(public, os.O_RDONLY)
    write_summary(fd, b"of now")
    os.close(fd)
    assert as_member(reads, group=grp.getgrnam("mail").gr_gid) == b"of now"
    assert isinstance(as_member(reads), PermissionError)


@as_root
def test_member_is_told_how_old_the_status_is_and_time_goes_on_for_it(site: Site) -> None:
    """A stale green would be a lie: nobody writes, and the objective is crossed."""
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    now = datetime.now(UTC)

    fresh = as_member(lambda: status(site, now))
    later = as_member(lambda: status(site, now + timedelta(hours=3)))

    assert fresh[0] == 0
    assert "this status is " not in fresh[1]
    assert later[0] == 3
    assert "breached" in later[1]
    assert "this status is 3h" in later[1]
    assert "sudo drd status" in later[1]


@as_root
def test_daemon_shows_a_change_to_the_group_within_two_seconds(site: Site) -> None:
    def points() -> Any:
        found = as_member(lambda: status(site, json=True))
        return [p["rpo"]["exposure_s"] for p in json.loads(found[1])["plans"]]

    with daemon(site) as running:
        until(lambda: rows(site, where="state = 'succeeded'"), "the first backup", running)
        [(ended,)] = rows(site, "finished_at", "kind = 'backup' and state = 'succeeded'")[:1]
        until(lambda: points()[0] is not None, "the summary", running)
        written = (site.base / f"state-public/{NAME}").stat().st_mtime
        assert written - datetime.fromisoformat(ended).timestamp() < 2.5
        assert as_member(lambda: status(site, json=True))[1].count('"running"') == 1
    told = json.loads(as_member(lambda: status(site, json=True))[1])
    assert told["daemon"]["state"] == "stopped"


# --- a state of before, and what others put there ------------------------------------------------


def test_state_that_was_shared_is_closed_by_the_first_command(site: Site) -> None:
    site.drd("backup", "shop")
    state = site.base / "state"
    for path in everything(state):
        path.chmod(0o2770 if path.is_dir() else 0o660)
    for name in ("drd.db.before-0004", UNRECORDED):
        (state / name).write_bytes(b"x")
        (state / name).chmod(0o660)

    said = site.drd("points", "shop").err

    assert [p for p in everything(state) if stat.S_IMODE(p.stat().st_mode) & 0o7077] == []
    assert "drd closed its state to group and others: directories 0700" in said
    assert "drd closed its state" not in site.drd("points", "shop").err


def test_file_of_unrecorded_alerts_is_drds_own(site: Site) -> None:
    """So a directory with nothing but it and the catalogue is drd's as well."""
    state = site.base / "state"
    site.drd("backup", "shop")
    (state / UNRECORDED).write_bytes(b"[]")
    state.chmod(0o755)
    site.drd("points", "shop")
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


def test_directory_that_is_used_for_more_keeps_its_mode(site: Site) -> None:
    """The twin: only what is drd's own is closed."""
    state = site.base / "state"
    state.chmod(0o755)
    (state / "letter.txt").write_text("dear")
    site.drd("backup", "shop")

    assert stat.S_IMODE(state.stat().st_mode) == 0o755
    assert stat.S_IMODE((state / "letter.txt").stat().st_mode) & 0o044
    assert stat.S_IMODE((state / "drd.db").stat().st_mode) == 0o600


def test_lock_that_is_a_link_is_neither_followed_nor_opened_to_others(tmp_path: Path) -> None:
    """`run-x.lock` led to a file of root's, which got the mode 0660."""
    victim = tmp_path / "sudoers"
    victim.write_text("root's")
    victim.chmod(0o400)
    locks = tmp_path / "locks"
    locks.mkdir()
    (locks / "run-deadbeef.lock").symlink_to(victim)

    with pytest.raises(CatalogueError):
        LockFiles(locks).take("run-deadbeef")

    assert stat.S_IMODE(victim.stat().st_mode) == 0o400
    held = LockFiles(locks).take("run-feedface")
    assert held is not None
    assert stat.S_IMODE((locks / "run-feedface.lock").stat().st_mode) == 0o600
    held.discard()


# --- root reads what the service wrote
# -------------------------------------------------------------


def bomb() -> bytes:
    """Small, and a gigabyte when it is unpacked."""
    packing = zlib.compressobj(9)
    return b"".join(packing.compress(b"0" * (1 << 20)) for _ in range(1024)) + packing.flush()


def with_pieces(written: bytes, data: bytes) -> bytes:
    """The header of a summary, and these pieces."""
    first, rest = written.split(b"\n", 1)
    header = json.loads(rest[: int(first.split()[2])])
    header["sizes"] = [[len(data), len(data), len(data)]]
    encoded = json.dumps(header).encode()
    words = first.split()[:2]
    return b"%s %s %d\n" % (*words, len(encoded)) + encoded + 3 * data


def test_a_forged_summary_is_harmless(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drd.cli.status_reading._WORTH_BYTES", -1)
    site.drd("backup", "shop")
    now = datetime.now(UTC)
    healthy = status(site, now)
    summary = site.base / f"state-public/{NAME}"
    written = summary.read_bytes()
    (site.base / "secret").write_text("root's")
    hostile = {
        "bomb": lambda: summary.write_bytes(with_pieces(written, bomb())),
        "cut off": lambda: summary.write_bytes(written[:-20]),
        "deep": lambda: summary.write_bytes(with_pieces(written, zlib.compress(b"[" * 90_000))),
        "others can write": lambda: summary.write_bytes(written.replace(b"shop", b"shut")),
        "link": lambda: summary.symlink_to(site.base / "secret"),
        "fifo": lambda: os.mkfifo(summary),
    }
    for how, put in hostile.items():
        summary.unlink()
        put()
        if summary.is_file() and not summary.is_symlink():
            summary.chmod(0o660 if how == "others can write" else 0o640)

        assert status(site, now) == healthy, f"{how}: from the catalogue"
        assert summary.read_bytes()[:10] == b"drd-status", f"{how}: written anew"


@pytest.mark.parametrize("what", ["pipe", "directory"])
def test_lock_that_is_not_a_file_is_refused_at_once(tmp_path: Path, what: str) -> None:
    """Whoever opened a pipe would wait for somebody at its other end: root's command, too."""
    locks = LockFiles(tmp_path)
    place = tmp_path / "run-abcd0123.lock"
    if what == "pipe":
        os.mkfifo(place, 0o600)
    else:
        place.mkdir()
    with pytest.raises(CatalogueError), locks.glance("run-abcd0123"):
        pass
    with pytest.raises(CatalogueError):
        locks.take("run-abcd0123")
    place.unlink() if what == "pipe" else place.rmdir()
    held = locks.take("run-abcd0123")
    assert held is not None
    with locks.glance("run-abcd0123") as free:
        assert not free
    held.release()


@as_root
def test_install_gives_only_roots_files_in_its_directories_to_the_service(
    tmp_path: Path,
) -> None:
    """The service's user may have put names in there: `drd install` must not give him the files
    that they lead to."""
    state, elsewhere = tmp_path / "state", tmp_path / "etc"
    for directory in (state / "locks", elsewhere):
        directory.mkdir(parents=True)
    shadow = elsewhere / "shadow"
    for file in (state / "drd.db", state / "locks/one.lock", shadow):
        file.touch(mode=0o600)
    (state / "second").hardlink_to(shadow)
    (state / "link").symlink_to(shadow)
    (state / "way").symlink_to(elsewhere)
    os.mkfifo(state / "pipe")
    (state / "theirs").touch()
    os.chown(state / "theirs", GAMES, GAMES)

    left = give_away(state, NOBODY, NOBODY)
    assert sorted(Path(p).name for p in left) == ["link", "pipe", "second", "way"]
    assert {p.stat().st_uid for p in (shadow, elsewhere)} == {0}
    given = ("drd.db", "locks", "locks/one.lock", ".")
    assert {(state / name).stat().st_uid for name in given} == {NOBODY}, "the healthy twin"
    assert (state / "theirs").stat().st_uid == GAMES

    state.rename(tmp_path / "aside")
    state.symlink_to(elsewhere)
    with pytest.raises(OSError, match="Not a directory"):
        give_away(state, NOBODY, NOBODY)
    assert shadow.stat().st_uid == 0
