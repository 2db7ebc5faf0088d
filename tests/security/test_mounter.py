"""What the mounter does for whom: it runs as root, and drd's user may ask it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from drd.errors import SandboxUnavailable
from drd.instant import mounter
from drd.process.mounter import WORDS, Mounter, clear_room, make_room
from drd.process.mounts import mounted_at
from tests.user_support import NOBODY, acting_as, as_root

pytestmark = as_root


@contextmanager
def asking(user: int) -> Iterator[socket.socket]:
    """A connection to a mounter, by a user."""
    with acting_as(user):
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its, ours, subprocess.Popen(WORDS, stdin=its.fileno()) as program:
        its.close()
        yield ours
        ours.close()
        assert program.wait(20) == 0


def answer(
    client: socket.socket, asked: dict[str, Any], room: Path, mounts: str = "/proc/self/ns/mnt"
) -> dict[str, Any]:
    fds = [os.open(mounts, os.O_RDONLY), os.open(room, os.O_PATH)]
    try:
        socket.send_fds(client, [json.dumps(asked).encode()], fds)
    finally:
        for fd in fds:
            os.close(fd)
    data, received, _, _ = socket.recv_fds(client, 1 << 16, 4)
    for fd in received:
        os.close(fd)
    return dict(json.loads(data))


@pytest.fixture
def room(short_tmp: Path) -> Path:
    made = short_tmp / "room"
    make_room(made, lambda place: os.chown(place, NOBODY, NOBODY))
    os.chown(made, NOBODY, NOBODY)
    return made


@pytest.mark.parametrize("uid", [0, 1])
def test_a_user_mounts_for_nobody_else(room: Path, uid: int) -> None:
    with asking(NOBODY) as client:
        asked = {"do": "mount", "room": str(room), "uid": uid, "gid": uid}
        assert "may not mount for" in answer(client, asked, room)["error"]


@pytest.mark.parametrize("what", ["try", "mount"])
def test_a_user_mounts_for_no_other_group(room: Path, what: str) -> None:
    """The overlay would copy a setgid file of this group into the user's directory."""
    with asking(NOBODY) as client:
        asked = {"do": what, "room": str(room), "uid": NOBODY, "gid": 0}
        assert "may not mount for group 0" in answer(client, asked, room)["error"]


def test_it_enters_no_namespace_of_mounts_that_a_user_has_made(room: Path) -> None:
    words = ["unshare", "--user", "--mount", "cat"]
    with asking(NOBODY) as client, subprocess.Popen(words, stdin=subprocess.PIPE) as other:
        own = Path("/proc/self/ns/mnt").readlink()
        until = time.monotonic() + 20
        while Path(f"/proc/{other.pid}/ns/mnt").readlink() == own and time.monotonic() < until:
            time.sleep(0.02)
        asked = {"do": "mount", "room": str(room), "uid": NOBODY, "gid": NOBODY}
        there = f"/proc/{other.pid}/ns/mnt"
        assert "made by an ordinary user" in answer(client, asked, room, there)["error"]
        other.communicate(timeout=20)


def test_a_user_mounts_in_no_directory_of_others(short_tmp: Path) -> None:
    theirs = short_tmp / "theirs"
    make_room(theirs, lambda _: None)
    for what in ("mount", "unmount"):
        with asking(NOBODY) as client:
            asked = {"do": what, "room": str(theirs), "uid": NOBODY, "gid": NOBODY}
            assert "belongs to another user" in answer(client, asked, theirs)["error"]


def test_a_room_with_directories_of_others_is_refused(room: Path) -> None:
    os.chown(room / "changes", 0, 0)
    with asking(NOBODY) as client:
        asked = {"do": "mount", "room": str(room), "uid": NOBODY, "gid": NOBODY}
        assert "changes does not belong" in answer(client, asked, room)["error"]


def test_a_room_that_was_replaced_is_refused(room: Path, short_tmp: Path) -> None:
    other = short_tmp / "other"
    other.symlink_to(room)
    with asking(NOBODY) as client:
        asked = {"do": "mount", "room": str(other), "uid": NOBODY, "gid": NOBODY}
        assert "error" in answer(client, asked, room)


def test_it_unmounts_nothing_that_it_has_not_mounted(room: Path) -> None:
    there = room / mounter.SHOWN
    subprocess.run(["mount", "-t", "tmpfs", "someone", str(there)], check=True)
    try:
        with asking(NOBODY) as client:
            assert answer(client, {"do": "unmount"}, room) == {"done": True}
        assert clear_room(room) is False
        assert mounted_at(there) is not None
    finally:
        subprocess.run(["umount", str(there)], check=True)


def test_no_link_among_the_served_files_is_followed(tmp_path: Path) -> None:
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot/out").symlink_to("/etc")
    top = os.open(tmp_path, os.O_PATH)
    try:
        os.close(mounter._below(top, "snapshot"))
        with pytest.raises(OSError, match="Not a directory"):
            mounter._below(top, "snapshot/out")
        for path in ("snapshot/../..", "/snapshot", "snapshot//out"):
            with pytest.raises(mounter.Refused):
                mounter._below(top, path)
    finally:
        os.close(top)


def test_an_ordinary_user_cannot_have_one_and_hears_what_to_do() -> None:
    with acting_as(NOBODY), pytest.raises(SandboxUnavailable) as caught:
        Mounter()
    assert "only root and drd's service may mount" in caught.value.message
    assert "run the drill as root" in caught.value.hint
    assert "leave `restore: instant` out" in caught.value.hint
