"""Attack: somebody without any right keeps others from the daemon's socket by connecting in a loop.

The kernel turns him away: the socket's access control list names the groups and the mapped users.
Where a file system has no such lists everybody can connect, and costs the daemon no thread.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import replace

import pytest

from drd.cli import remote
from tests.api_support import (
    ANNA,
    MAIL,
    OPERATORS,
    READERS,
    STRANGER,
    House,
    ask,
    connected,
    somebody,
)
from tests.user_support import as_root

pytestmark = as_root


def test_peer_of_no_group_cannot_connect(house: House) -> None:
    for uid, groups in ((STRANGER, [MAIL]), (ANNA, [])):
        with pytest.raises(PermissionError):
            connected(house.path, uid, groups)
    assert ask(house.path, STRANGER, [OPERATORS], "/v1/whoami")[0] == 200
    assert ask(house.path, 0, [], "/v1/whoami")[0] == 200


def test_healthy_twin_mapped_person_needs_no_group(peopled: House) -> None:
    assert ask(peopled.path, ANNA, [], "/v1/whoami")[0] == 200
    with pytest.raises(PermissionError):
        connected(peopled.path, STRANGER, [MAIL])


def test_users_added_later_can_connect(house: House) -> None:
    with pytest.raises(PermissionError):
        connected(house.path, ANNA, [])
    house.app.settings = replace(house.app.settings, users={"daemon": "Anna"})
    house.server.reconfigured()
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        with suppress(PermissionError):
            assert ask(house.path, ANNA, [], "/v1/whoami")[0] == 200
            return
        time.sleep(0.02)
    pytest.fail("she did not get in")


@pytest.fixture
def without_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that has no access control lists."""

    def no(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "not here")

    monkeypatch.setattr(os, "setxattr", no)


@pytest.fixture
def open_house(without_lists: None, house: House) -> House:
    return house


@pytest.mark.parametrize("address", ["/v1/runs", "/v1/whoami", "/v1/plans/shop/points", "/v1/x"])
def test_peer_of_no_group_is_refused_where_all_can_connect(open_house: House, address: str) -> None:
    assert stat.S_IMODE(open_house.path.lstat().st_mode) == 0o666
    status, found = ask(open_house.path, STRANGER, [MAIL], address)
    assert status == 403
    assert found["error"]["message"] == "user sys may not use the socket of the daemon"
    assert "sudo usermod -aG games sys" in found["error"]["hint"]


def test_users_without_rights_do_not_block_others(open_house: House) -> None:
    threads = threading.active_count()
    idle = [connected(open_house.path, 4, []) for _ in range(300)]
    for one in idle:
        assert one.recv(100).startswith(b"HTTP/1.1 403 ")
    assert threading.active_count() <= threads
    assert ask(open_house.path, STRANGER, [READERS], "/v1/runs")[0] == 200
    for one in idle:
        one.close()


FLOOD = """
import os, socket, sys, time
os.fork()
over = time.monotonic() + 30
while time.monotonic() < over:
    with socket.socket(socket.AF_UNIX) as one:
        one.setblocking(False)
        try: one.connect(sys.argv[1])
        except OSError: pass
"""


def test_users_connecting_in_a_loop_do_not_block_others(house: House) -> None:
    how = ["setpriv", "--reuid=4", "--regid=65534", "--clear-groups", "--"]
    argv = [*how, "/usr/bin/python3", "-c", FLOOD, str(house.path)]
    with subprocess.Popen(argv, process_group=0) as flood:
        try:
            time.sleep(0.5)
            for _ in range(20):
                with somebody(STRANGER, [READERS]), socket.socket(socket.AF_UNIX) as one:
                    one.setblocking(False)  # as curl does, which does not come again
                    one.connect(str(house.path))
                assert ask(house.path, STRANGER, [READERS], "/v1/whoami")[0] == 200
                time.sleep(0.06)
        finally:
            os.killpg(flood.pid, signal.SIGKILL)


def test_connecting_to_a_full_queue_is_retried(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connects of somebody without rights, faster than they are refused."""
    monkeypatch.setattr(remote, "_PATIENCE_S", 5.0)
    crowd: list[socket.socket] = []
    other = house.path.parent / "crowded"
    other.mkdir()
    with socket.socket(socket.AF_UNIX) as runner:
        runner.bind(str(other / "drd.sock"))
        runner.listen(0)
        with suppress(BlockingIOError):
            while len(crowd) < 8:
                crowd.append(socket.socket(socket.AF_UNIX))
                crowd[-1].setblocking(False)
                crowd[-1].connect(str(other / "drd.sock"))
        assert len(crowd) < 8
        later = threading.Timer(0.3, runner.accept)
        later.start()
        with socket.socket(socket.AF_UNIX) as member:
            member.settimeout(5)
            remote._connect(member, str(other / "drd.sock"))
        later.join()
    for one in crowd:
        one.close()
