"""The state of open alerts while the catalogue cannot be written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from drd.model.alerts import Alert, AlertChange, Transition


class UnsavedAlerts:
    """Keeps changes that could not be recorded, one for each alert, until they can be.

    Without it a full disk would make every check send the same alerts again. `former` is what the
    last daemon could not record."""

    def __init__(self, former: Iterable[Transition] = ()) -> None:
        self._unsaved = {t.after.id: t for t in former}
        alerts = (t.after for t in self._unsaved.values())
        self._known: dict[str, Alert] = {a.id: a for a in alerts if a.resolved_at is None}

    @property
    def known(self) -> list[Alert]:
        """The open alerts as they were after the last check."""
        return list(self._known.values())

    @property
    def unsaved(self) -> bool:
        """Whether something is still to be recorded."""
        return bool(self._unsaved)

    @property
    def unsaved_changes(self) -> list[Transition]:
        return list(self._unsaved.values())

    def merged(self, rows: Iterable[Alert]) -> list[Alert]:
        """Return the open alerts of the catalogue with the unrecorded changes.

        If a person acknowledged one meanwhile, the acknowledgement counts, and the check decides
        again."""
        alerts = {row.id: row for row in rows}
        for alert, unsaved in list(self._unsaved.items()):
            before, row = unsaved.before, alerts.get(alert)
            is_new = before is None and row is None
            if is_new or (before is not None and row is not None and _is_unchanged(before, row)):
                alerts[alert] = unsaved.after
            else:
                del self._unsaved[alert]
        return [alert for alert in alerts.values() if alert.resolved_at is None]

    def pending(self, transitions: Sequence[Transition]) -> list[Transition]:
        """Return these and the unrecorded changes: one for each alert, from its state in the
        catalogue to its present state.
        """
        together = dict(self._unsaved)
        for transition in transitions:
            alert = transition.after.id
            together[alert] = _then(together.get(alert), transition)
        return list(together.values())

    def remember(
        self, known: Iterable[Alert], transitions: Iterable[Transition], *, saved: bool
    ) -> None:
        """Note the end of a check: either everything was recorded, or nothing."""
        self._unsaved = {} if saved else {t.after.id: t for t in self.pending(list(transitions))}
        now = {a.id: a for a in known} | {t.after.id: t.after for t in transitions}
        self._known = {key: alert for key, alert in now.items() if alert.resolved_at is None}


def _then(first: Transition | None, second: Transition) -> Transition:
    if first is None:
        return second
    if first.before is None:
        change = AlertChange.FIRED
    else:
        change = first.change if second.change is AlertChange.KEPT else second.change
    return Transition(change, first.before, second.after, second.brief)


def _is_unchanged(before: Alert, row: Alert) -> bool:
    return (before.state, before.acknowledged_by, before.acknowledged_until) == (
        row.state,
        row.acknowledged_by,
        row.acknowledged_until,
    )
