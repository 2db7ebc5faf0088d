"""Units of systemd that steps start and stop."""

from __future__ import annotations

import time
from typing import Literal

from drd import process
from drd.actions.command import is_there
from drd.model.finding import Finding

_LOOK_S = 0.2


def unit_state(unit: str) -> Literal["up", "down", "unknown"]:
    """Return whether a unit is running; for oneshot units that is not known."""
    told = _properties(unit)
    if told.get("Type") == "oneshot" or not told:
        return "unknown"
    return "up" if told.get("ActiveState") in ("active", "activating", "reloading") else "down"


def is_absent(unit: str) -> bool:
    """Return whether systemd answers that this host has no such unit."""
    return _properties(unit).get("LoadState") == "not-found"


def nothing_to_stop(unit: str) -> str:
    return f"{unit} does not exist on this host, so there is nothing to stop"


def how_to_get(unit: str) -> str:
    return (
        f"install {unit} before that step: its package, or its file in /etc/systemd/system and "
        "`systemctl daemon-reload`. If the unit has another name here, correct `unit` in the plan"
    )


def unit_findings(unit: str | None, *, starts: bool) -> list[Finding]:
    """Return a warning if this host lacks the unit of a step; an earlier step may bring it."""
    told = _properties(unit) if unit is not None else {}
    if unit is None or not told:
        return []
    if starts and told.get("LoadState") == "masked":
        text = f"systemd does not start {unit}, because the unit is masked"
        return [Finding("systemd-unit", "warning", "", text, f"systemctl unmask {unit}")]
    if told.get("LoadState") != "not-found":
        return []
    if starts:
        text = f"{unit} does not exist on this host, so the step cannot start it"
        return [Finding("systemd-unit", "warning", "", text, how_to_get(unit))]
    remedy = "if the unit has another name here, correct `unit` in the plan"
    return [Finding("systemd-unit", "warning", "", nothing_to_stop(unit), remedy)]


def has_ended(unit: str, within_s: float) -> str | None:
    """Watch a unit that was just started. Return how it ended, or that systemd starts it again and
    again; None if it stays up. systemd calls a simple service active as soon as it has begun.
    """
    limit = time.monotonic() + within_s
    restarts = _properties(unit).get("NRestarts", "")
    while True:
        process.check_cancelled()
        told = _properties(unit)
        if told.get("ActiveState") == "failed":
            return f"{unit} ended right after its start ({told.get('Result') or 'failed'})"
        if told.get("SubState") == "auto-restart" or told.get("NRestarts", "") != restarts:
            return f"{unit} ends right after its start, and systemd starts it again and again"
        if time.monotonic() > limit or not told:
            return None
        time.sleep(_LOOK_S)


def _properties(unit: str) -> dict[str, str]:
    """Return what systemd knows of a unit; empty where no systemd answers."""
    if not is_there("systemctl"):
        return {}
    words = (
        "systemctl",
        "show",
        "--property=LoadState,ActiveState,SubState,Type,Result,NRestarts",
        "--",
        unit,
    )
    told = process.run(process.Command(words, deadline_s=30.0)).stdout.split()
    return dict(line.split("=", 1) for line in told if "=" in line)
