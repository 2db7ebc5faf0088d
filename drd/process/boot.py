"""Identify the current boot of this machine, and when it began."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from drd.presence import boot_id

UNSYNCHRONISED = 0x0040
"""STA_UNSYNC of adjtimex(2)."""
_STATUS_AT = 40
"""The offset of `status` in struct timex on 64 bits."""


class Boot(NamedTuple):
    """`id` is the kernel's random id of this boot; `up_s` counts the seconds since then, including
    sleep, and nobody can set it.
    """

    id: str
    up_s: float


def booted() -> Boot | None:
    """Read from files, because a library that fakes the time (in tests) fakes calls. None where
    /proc does not report it.
    """
    boot = boot_id()
    try:
        up_s = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return Boot(boot, up_s) if boot is not None else None


def kernel_clock_s() -> float | None:
    """Return the wall clock as the kernel derives it from its boot time, to the second; None where
    it is not reported.
    """
    up = booted()
    try:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    began = next((line.split()[1] for line in lines if line.startswith("btime ")), None)
    return float(began) + up.up_s if began is not None and up is not None else None


def is_synchronised() -> bool | None:
    """Return whether the kernel reports that its clock is synchronised (by NTP); None where it does
    not report it, for example in a service without that right.
    """
    import ctypes  # imported here: most commands never need it

    if ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    asked = ctypes.create_string_buffer(512)
    state = ctypes.CDLL(None).adjtimex(asked)
    if state < 0:
        return None
    status = ctypes.c_int.from_buffer(asked, _STATUS_AT).value
    return not status & UNSYNCHRONISED


def clock_agrees(within_s: float) -> bool:
    """Return whether this process sees the kernel's own clock, which NTP synchronises."""
    kernel_s = kernel_clock_s()
    return (
        kernel_s is not None
        and abs(kernel_s - time.time()) <= within_s
        and is_synchronised() is True
    )
