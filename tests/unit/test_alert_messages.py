"""What people read about an alert."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from drd.flows.alerts.messages import message, routed
from drd.model.alerts import AlertChange, Transition
from drd.model.message import ChannelSpec
from tests.alert_support import NOON, World, after, bad

MAIL = ChannelSpec("mail", "smtp", None, on=("firing",), severities=("critical",))


def transition(change: AlertChange, severity: str = "critical") -> Transition:
    world = World()
    world.look(NOON, bad(severity=severity))  # type: ignore[arg-type]
    over = {"resolved_at": after(hours=2), "gone_at": after(hours=1, minutes=55)}
    acknowledged = {"acknowledged_by": "anna", "acknowledged_until": after(hours=8)}
    changes: dict[AlertChange, dict[str, Any]] = {
        AlertChange.RESOLVED: over,
        AlertChange.ACKNOWLEDGED: acknowledged,
    }
    return Transition(change, None, replace(world.one, **changes.get(change, {})))


@pytest.mark.parametrize(
    ("change", "event", "title", "last"),
    [
        (AlertChange.FIRED, "firing", "late", "To silence it: drd ack a1 --by NAME"),
        (
            AlertChange.ESCALATED,
            "firing",
            "now critical: late",
            "To silence it: drd ack a1 --by NAME",
        ),
        (
            AlertChange.EXPIRED,
            "firing",
            "acknowledgement ended: late",
            "To silence it: drd ack a1 --by NAME",
        ),
        (AlertChange.REMINDED, "firing", "still: late", "To silence it: drd ack a1 --by NAME"),
        (AlertChange.ACKNOWLEDGED, "acknowledged", ("acknowledged: "
                                              "late"), "by anna until 2026-11-25T20:00:00Z"),
        (AlertChange.RESOLVED, "resolved", "resolved: late", "It lasted 1h 55m."),
    ],
)  # fmt: skip
def test_every_change_has_its_words(change: AlertChange, event: str, title: str, last: str) -> None:
    found = message(transition(change))
    assert found is not None
    assert (found.event, found.title) == (event, f"orders-api: {title}")
    assert found.text.splitlines()[0] == "critical, since 2026-11-25T12:00:00Z"
    assert found.text.splitlines()[-1] == last
    assert (found.alert, found.plan, found.severity) == ("a1", "orders-api", "critical")


def test_silent_changes_send_no_message() -> None:
    assert message(transition(AlertChange.KEPT)) is None


def test_a_reminder_is_another_message_about_the_same_alert() -> None:
    fired, reminded = (transition(c) for c in (AlertChange.FIRED, AlertChange.REMINDED))
    later = replace(reminded, after=replace(reminded.after, told_at=after(hours=1)))
    first, second = message(fired), message(later)
    assert first is not None
    assert second is not None
    assert first.alert == second.alert
    assert first.id != second.id


def test_channels_get_what_they_asked_for() -> None:
    changes = [transition(AlertChange.FIRED), transition(AlertChange.RESOLVED)]
    changes.append(transition(AlertChange.FIRED, severity="warning"))
    assert [(name, m.title) for name, m in routed(changes, [MAIL])] == [
        ("mail", "orders-api: late")
    ]
