"""Alerts in the catalogue, and the facts that they are computed from."""

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
"""Returns the messages about these transitions, each with its channel. It is called within a
transaction, so it must be pure."""


def no_notifications(_: Sequence[Transition]) -> Sequence[Routed]:
    """Send nothing: for a caller without channels."""
    return ()


@dataclass(frozen=True, slots=True)
class Watched:
    """What the catalogue knows about copies, verifications and readiness, by plan."""

    verifications: Mapping[str, tuple[VerificationFacts, ...]] = field(default_factory=dict)
    readiness: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)


class AlertBook(Protocol):
    """The alerts. Every method is one transaction, and raises CatalogueError."""

    def open(self, plan: str | None = None) -> list[Alert]:
        """Return the alerts that are not resolved, of all plans or of one, by plan, kind and
        subject."""

    def apply(
        self, transitions: Sequence[Transition], at: datetime, tell: Tell = no_notifications
    ) -> list[Transition]:
        """Record the transitions, and in the same transaction the messages about them.

        Returns the transitions that were recorded. A transition is passed over when somebody else
        has changed its alert meanwhile, or when it fires an alert that is open already; the next
        evaluation decides about these again.
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
        """Silence an open alert until `until`, or until it is resolved. If the alert is
        acknowledged already, the new words replace the old. Without an `actor`, the acknowledgement
        belongs to the user who runs this process. Raises UsageError when no alert or several start
        with `prefix`."""

    def history(self, plan: str | None = None, *, limit: int = 50) -> list[Alert]:
        """Return the open alerts, and as many resolved ones, newest first."""

    def remove_old(self, before: datetime) -> None:
        """Delete the alerts that were resolved before that time."""

    def watched(self, plan: str | None = None) -> Watched:
        """Return what the catalogue knows about copies, verifications and readiness runs, of all
        plans or of one."""
