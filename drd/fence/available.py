"""Find which parts of a fence this kernel, and drd's own confinement, allow."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from drd.fence import kernel, landlock
from drd.fence.parts import CALLS, FILES, NETWORK, PARTS, SIGNALS
from drd.fence.syscall_numbers import AUDIT_ARCH

_ACTION_AVAILABLE = 2
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_ATTACH_FOR_CHILDREN = 1


@dataclass(frozen=True, slots=True)
class FenceParts:
    """`missing` has the reason for each part that is not available."""

    parts: tuple[str, ...]
    missing: Mapping[str, str]
    landlock_abi: int


@cache
def detect() -> FenceParts:
    """Ask the kernel which parts of a fence it has; start nothing."""
    abi = kernel.landlock_abi()
    missing = {}
    if abi < landlock.FILES_SINCE:
        missing[FILES] = _landlock(abi, landlock.FILES_SINCE, "6.2")
    if abi < landlock.SIGNALS_SINCE:
        missing[SIGNALS] = _landlock(abi, landlock.SIGNALS_SINCE, "6.12")
    calls = _calls()
    if calls is not None:
        missing[CALLS] = missing[NETWORK] = calls
    else:
        network = _network()
        if network is not None:
            missing[NETWORK] = network
    return FenceParts(tuple(p for p in PARTS if p not in missing), missing, abi)


def _landlock(abi: int, wanted: int, since: str) -> str:
    if not abi:
        return "the kernel has no Landlock (its lsm= does not name it, or drd may not use it)"
    return f"the kernel has Landlock version {abi}; drd needs version {wanted} (Linux {since})"


def _calls() -> str | None:
    if kernel.MACHINE not in AUDIT_ARCH or kernel.SECCOMP < 0:
        return f"drd has no fence for processors of type {kernel.MACHINE}"
    if not _knows(_ALLOW):
        return "the kernel has no seccomp filters, or drd may not use them"
    return None


def _knows(action: int) -> bool:
    try:
        value = ctypes.c_uint32(action)
        kernel.syscall(kernel.SECCOMP, _ACTION_AVAILABLE, 0, ctypes.byref(value))
    except OSError:
        return False
    return True


def _network() -> str | None:
    if not _knows(_NOTIFY):
        return (
            "the kernel cannot pass system calls to a supervisor (seccomp; this needs Linux "
            "5.0 or later)"
        )
    scope = _yama()
    if scope > _ATTACH_FOR_CHILDREN and os.geteuid() != 0:
        return f"kernel.yama.ptrace_scope is {scope}: only root can supervise a process"
    return None


def _yama() -> int:
    try:
        return int(Path("/proc/sys/kernel/yama/ptrace_scope").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0
