"""Find out whether the wall clock is still the one that drd has trusted since this boot.

drd compares the wall clock with a clock that counts from the boot and that nobody can set. If they
differ more than before, somebody set the wall clock. The catalogue records this, because another
process may make the next check.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any

from drd import log, process
from drd.flows.services import Services
from drd.model.clock import JUMP_S
from drd.ports import Catalogue

_SLEWED_S = 1.0
"""A smaller difference is not recorded: it is not worth a write."""


def jumped_s(services: Services) -> float | None:
    """Return by how many seconds the clock was set since it was last trusted; None if it was not.
    The first check after a boot trusts it, unless it is behind an earlier time.
    """
    boot = services.booted()
    if boot is None:
        return None
    now_s = services.clock.now().timestamp()
    noted = services.catalogue.queue.noted(_key())
    before: Any = noted[1] if noted is not None else {}
    if before.get("boot") == boot.id:
        moved_s = now_s - boot.up_s - before["offset_s"]
    else:
        moved_s = min(0.0, now_s - before.get("at_s", now_s))
    if abs(moved_s) > JUMP_S:
        return float(moved_s)
    if before.get("boot") != boot.id or abs(moved_s) > _SLEWED_S:
        _trust(services.catalogue, services, boot)
    return None


def trust_again(services: Services, why: str) -> None:
    """Trust the present time of the clock."""
    boot = services.booted()
    if boot is not None:
        log.get().info("clock.trusted", why=why)
        _trust(services.catalogue, services, boot)


def is_confirmed(services: Services, ahead: Iterable[float | None], *, far: bool) -> bool:
    """Return whether someone else confirms the clock: a repository server (`ahead` has the
    differences, of servers where it is `far`), or the kernel, whose clock NTP synchronises."""
    if far and any(s is not None and abs(s) <= JUMP_S for s in ahead):
        return True
    return services.booted() is not None and process.clock_agrees(JUMP_S)


def _trust(catalogue: Catalogue, services: Services, boot: process.Boot) -> None:
    now = services.clock.now()
    value = {"boot": boot.id, "offset_s": now.timestamp() - boot.up_s, "at_s": now.timestamp()}
    catalogue.queue.note(_key(), value, now)


def _key() -> str:
    return f"clock {socket.gethostname()}"[:40]
