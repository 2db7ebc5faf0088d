"""Report the service's state to systemd: sd_notify(3) without a library.

A message that cannot be delivered is dropped: the daemon's work does not depend on it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress

from drd import log

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class ServiceManager:
    """Sends messages to the service manager; does nothing if there is none (`address` is empty).
    `watchdog_s` is how long the manager waits for a `watchdog()` before it kills the service; None
    if it does not watch. Send one at least every half of that time."""

    def __init__(self, address: str = "", *, watchdog_s: float | None = None) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        self.watchdog_s = watchdog_s

    @classmethod
    def from_environment(
        cls, environment: MutableMapping[str, str] | None = None
    ) -> ServiceManager:
        """Return the manager that started this process; removes its variables from the environment,
        so that no child can send messages for the service.

        Ignores a watchdog for another process (WATCHDOG_PID)."""
        around = os.environ if environment is None else environment
        address, watchdog, pid = (around.pop(name, "") for name in _VARIABLES)
        ours = watchdog.isdecimal() and int(watchdog) > 0 and pid in ("", str(os.getpid()))
        return cls(address, watchdog_s=int(watchdog) / 1e6 if ours else None)

    @property
    def connected(self) -> bool:
        """Whether a manager listens."""
        return bool(self._address)

    def ready(self, status: str = "") -> None:
        """Report: started, or a reload is finished."""
        self._send("READY=1", *_status(status))

    def reloading(self, status: str = "") -> None:
        """Report that a reload begins; `ready` reports its end. The time shows to the manager which
        of its requests this answers (Type=notify-reload)."""
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now_us}", *_status(status))

    def stopping(self, status: str = "") -> None:
        """Report that the service is stopping."""
        self._send("STOPPING=1", *_status(status))

    def status(self, text: str) -> None:
        """The line that `systemctl status` shows; secrets in it are masked."""
        self._send(*_status(text))

    def watchdog(self) -> None:
        """Report that the service is alive: call it from the loop that must not hang, never from
        another thread."""
        if self.watchdog_s is not None:
            self._send("WATCHDOG=1")

    def extend_timeout(self, seconds: float) -> None:
        """Ask for this much more time to start, reload or stop; each call counts from now."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, *lines: str) -> None:
        if not self._address or not lines:
            return
        with suppress(OSError):
            if self._socket is None:
                self._socket = socket.socket(
                    socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
                )
                # A manager whose queue is full must not block the loop that the watchdog watches.
                self._socket.setblocking(False)
            message = "\n".join(lines).encode("utf-8", "backslashreplace")
            self._socket.sendto(message, self._address)


def _status(text: str) -> list[str]:
    """STATUS is one line: the next one would be another assignment."""
    return [f"STATUS={' '.join(log.masked(text).split())}"] if text else []
