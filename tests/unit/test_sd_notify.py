"""What the service manager hears, on a real datagram socket."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from drd import log
from drd.daemon.sd_notify import ServiceManager


class Manager:
    """The manager's end."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.settimeout(5)
        self.address = address

    def hears(self) -> dict[str, str]:
        lines = self.socket.recv(1 << 16).decode().split("\n")
        return dict(line.split("=", 1) for line in lines)

    def hears_nothing(self) -> bool:
        self.socket.setblocking(False)
        try:
            self.socket.recv(1)
        except BlockingIOError:
            return True
        return False


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, short_tmp: Path) -> Iterator[Manager]:
    address = f"{short_tmp}/notify" if request.param == "path" else f"@drd{short_tmp}"
    made = Manager(address)
    with closing(made.socket):
        yield made


def test_start_reload_and_stop_are_reported(manager: Manager) -> None:
    systemd = ServiceManager(manager.address)
    systemd.ready("no plans")
    assert manager.hears() == {"READY": "1", "STATUS": "no plans"}
    before = time.monotonic_ns() // 1000
    systemd.reloading()
    told = manager.hears()
    assert told.keys() == {"RELOADING", "MONOTONIC_USEC"}
    assert before <= int(told["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    systemd.stopping("2 runs are ending")
    assert manager.hears() == {"STOPPING": "1", "STATUS": "2 runs are ending"}
    systemd.extend_timeout(1.5)
    assert manager.hears() == {"EXTEND_TIMEOUT_USEC": "1500000"}


def test_status_is_one_masked_line(manager: Manager) -> None:
    log.mask("correct-horse")
    ServiceManager(manager.address).status("failed:\nREADY=1 with correct-horse\udcff")
    assert manager.hears() == {"STATUS": r"failed: READY=1 with ***\udcff"}


def test_the_watchdog_is_fed_only_if_enabled(manager: Manager) -> None:
    ServiceManager(manager.address).watchdog()
    assert manager.hears_nothing()
    ServiceManager(manager.address, watchdog_s=30.0).watchdog()
    assert manager.hears() == {"WATCHDOG": "1"}


def test_environment_is_read_and_emptied(manager: Manager) -> None:
    around = {
        "NOTIFY_SOCKET": manager.address,
        "WATCHDOG_USEC": "30000000",
        "WATCHDOG_PID": str(os.getpid()),
        "PATH": "/bin",
    }
    systemd = ServiceManager.from_environment(around)
    assert around == {"PATH": "/bin"}
    assert systemd.watchdog_s == 30.0
    systemd.ready()
    assert manager.hears() == {"READY": "1"}


def test_environment_of_the_process_is_meant_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/no/such/socket")
    assert ServiceManager.from_environment().connected
    assert "NOTIFY_SOCKET" not in os.environ


@pytest.mark.parametrize(("usec", "pid"), [("30000000", "1"), ("0", ""), ("soon", ""), ("", "")])
def test_watchdog_of_another_process_or_none_is_not_ours(usec: str, pid: str) -> None:
    around = {"WATCHDOG_USEC": usec, "WATCHDOG_PID": pid}
    assert ServiceManager.from_environment(around).watchdog_s is None
    assert not around


def test_without_a_service_manager_nothing_is_sent() -> None:
    systemd = ServiceManager.from_environment({})
    assert not systemd.connected
    systemd.ready("nobody listens")


def test_manager_that_is_gone_or_does_not_read_stops_nothing(short_tmp: Path) -> None:
    ServiceManager(f"{short_tmp}/gone").ready()
    deaf = Manager(f"{short_tmp}/deaf")
    systemd = ServiceManager(deaf.address, watchdog_s=30.0)
    with closing(deaf.socket), closing(systemd):
        for _ in range(5000):
            systemd.watchdog()
