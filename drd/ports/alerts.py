"""Alerts in the catalogue, and what they are worked out from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from drd.model.actor import Actor
from drd.model.alert_facts import VerificationFacts
from drd.model.alerts import Alert, Transition
from drd.model.finding import Finding
from drd.model.message import Routed

Tell = Callable[[Sequence[Transition]], Sequence[Routed]]
"""What goes out about these transitions, and through which channels. Pure: it is called within a
transaction."""


def no_notifications(_: Sequence[Transition]) -> Sequence[Routed]:
    """Where there is no channel."""
    return ()


@dataclass(frozen=True, slots=True)
class Watched:
    """By plan, as far as the catalogue knows."""

    verifications: Mapping[str, tuple[VerificationFacts, ...]] = field(default_factory=dict)
    readiness: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)


class AlertBook(Protocol):
    """Every method is one transaction. Raises CatalogueError."""

    def open(self, plan: str | None = None) -> list[Alert]:
        """Those that are not resolved, of all plans or one, by plan, kind and subject."""

    def apply(
        self, transitions: Sequence[Transition], at: datetime, tell: Tell = no_notifications
    ) -> list[Transition]:
        """Write what changed, and in the same transaction what is to be told about it.

        Returns what was written: not a transition whose alert somebody else changed meanwhile,
        or that fires what is open already. The next look decides anew about those.
        """

    def acknowledge(
        self,
        prefix: str,
        *,
        by: str,
        until: datetime | None,
        why: str | None,
        at: datetime,
        tell: Tell = no_notifications,
        actor: Actor | None = None,
    ) -> Alert:
        """Silence an open alert until then, or until it is resolved; one that is acknowledged
        already gets the new words. `actor` is who does, else whoever runs this process. Raises
        UsageError when none or several begin with `prefix`."""

    def history(self, plan: str | None = None, *, limit: int = 50) -> list[Alert]:
        """The open ones, and as many resolved ones, the newest first."""

    def remove_old(self, before: datetime) -> None:
        """Delete what was resolved before that."""

    def watched(self, plan: str | None = None) -> Watched:
        """What is known of copies, verifications and readiness runs: of all plans, or of one."""
