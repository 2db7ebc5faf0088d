"""Try for `drd doctor` whether this host can mount restore points for instant drills."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator

from drd.errors import SandboxUnavailable
from drd.flows.services import Services
from drd.model.plan import Plan
from drd.model.scenarios import INSTANT
from drd.ports import Finding
from drd.process.mounter import Mounter


def try_mounts(services: Services, plan: Plan) -> list[Finding]:
    """Return the finding whether this process can mount a restore point for a server; empty for a
    plan without instant drills."""
    return list(_tried(services, plan))


def _tried(services: Services, plan: Plan) -> Iterator[Finding]:
    if plan.drill.full_every_s is None:
        return
    if not set(plan.drill.scenarios) & set(INSTANT):
        text = "no drill of this plan is instant: drills of scenario host-loss restore everything"
        hint = "leave `restore: instant` out of the section `drill:`, or add another scenario."
        yield Finding("instant-drill", "warning", "", text, hint)
        return
    try:
        _try(services)
    except SandboxUnavailable as error:
        yield Finding("instant-drill", "error", "", error.message, error.hint)
    else:
        text = "drd can mount restore points for instant drills: a test of the mounts succeeded"
        yield Finding("instant-drill", "ok", "", text)


def _try(services: Services) -> None:
    uid, gid = os.geteuid(), os.getegid()
    if services.run_as is not None:
        account = pwd.getpwnam(services.run_as)
        uid, gid = account.pw_uid, account.pw_gid
    mounter = Mounter()
    try:
        mounter.require_possible(uid, gid)
    finally:
        mounter.close()
