"""Check whether the logs that a recovery replays fit into the directory of its run. drd fetches the
logs to this directory before it gives them to the restored servers."""

from __future__ import annotations

import shutil

from drd.flows.log.orders import LogOrder
from drd.flows.restore.recovery_plan import RecoveryPlan
from drd.flows.services import Services
from drd.flows.state.run_dirs import believed_root
from drd.model.finding_codes import DISK_SPACE
from drd.model.units import format_size
from drd.ports import Finding


def log_room(services: Services, plan: RecoveryPlan) -> list[Finding]:
    """Return a finding for each component whose log is fetched. All logs together must fit, because
    drd restores components at the same time. The target checks its own room for the log."""
    root = believed_root(services)
    place = next(p for p in (root, *root.parents) if p.exists())
    free, needed = shutil.disk_usage(place).free, sum(o.bytes for o in plan.logs.values())
    return [_finding(name, order, needed, free, str(root)) for name, order in plan.logs.items()]


def _finding(name: str, order: LogOrder, needed: int, free: int, place: str) -> Finding:
    text = f"the log of {name} needs {format_size(order.bytes)}"
    if needed > order.bytes:
        text += f", and all logs of this recovery need {format_size(needed)}"
    text += f"; {format_size(free)} are free in {place}"
    if free > needed:
        return Finding(DISK_SPACE, "ok", name, text)
    hint = "free space in work_dir, or set work_dir to another disk; or recover without the log: "
    return Finding(DISK_SPACE, "error", name, text, f"{hint}--point ID.")
