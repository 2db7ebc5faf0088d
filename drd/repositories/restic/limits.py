"""Runs restic within the limits of a component."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drd.model.limits import Limits
from drd.process import Command
from drd.process.command import at_priority
from drd.repositories.restic.session import Session


def limited(session: Session, words: Sequence[str], limits: Limits, **how: Any) -> Command:
    """Return restic with its rates (in KiB/s), at the priority of `limits`."""
    rates = {"--limit-upload": limits.upload, "--limit-download": limits.download}
    given = [f"{name}={rate // 1024}" for name, rate in rates.items() if rate is not None]
    return at_priority_of(limits, session.command([*given, *words], **how))


def at_priority_of(limits: Limits, command: Command) -> Command:
    """Return a command at the priority of `limits`."""
    return at_priority(command, nice=limits.nice, ionice=limits.ionice)
