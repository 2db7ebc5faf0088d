"""What people read about an alert."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drd.flows.alerts.messages import message, routed
from drd.model.alerts import AlertChange, Transition
from drd.model.host_conditions import CATALOGUE
from drd.model.message import ChannelSpec
from drd.model.repositories import judge_repositories
from drd.model.text import shortened
from drd.model.titles import LONGEST, TITLES, title_of
from tests.alert_support import NOON, World, after, bad
from tests.status_support import healthy, repository

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
        (
            AlertChange.FIRED,
            "firing",
            "RPO exceeded",
            "To silence this alert: drd ack a1 --by NAME",
        ),
        (
            AlertChange.ESCALATED,
            "firing",
            "now critical: RPO exceeded",
            "To silence this alert: drd ack a1 --by NAME",
        ),
        (
            AlertChange.CHANGED,
            "firing",
            "new cause: RPO exceeded",
            "To silence this alert: drd ack a1 --by NAME",
        ),
        (
            AlertChange.EXPIRED,
            "firing",
            "acknowledgement ended: RPO exceeded",
            "To silence this alert: drd ack a1 --by NAME",
        ),
        (
            AlertChange.REMINDED,
            "firing",
            "still: RPO exceeded",
            "To silence this alert: drd ack a1 --by NAME",
        ),
        (
            AlertChange.ACKNOWLEDGED,
            "acknowledged",
            "acknowledged: RPO exceeded",
            "by anna until 2026-11-25T20:00:00Z",
        ),
        (AlertChange.RESOLVED, "resolved", "resolved: RPO exceeded", "The problem was: late"),
    ],
)
def test_every_change_has_its_words(change: AlertChange, event: str, title: str, last: str) -> None:
    found = message(transition(change))
    assert found is not None
    assert (found.event, found.title) == (event, f"orders-api: {title}")
    said = ["late", "critical, since 2026-11-25 12:00:00 UTC"]
    if change is AlertChange.RESOLVED:
        over = (
            "the problem ended at 2026-11-25 13:55:00 UTC; the problem had lasted 1h 55m, "
            "since 2026-11-25 12:00:00 UTC"
        )
        said = [over, "The problem was: late"]
    assert found.text.splitlines()[:2] == said
    assert found.text.splitlines()[-1] == last
    assert (found.alert, found.plan, found.severity) == ("a1", "orders-api", "critical")


def test_nobody_is_asked_to_acknowledge_what_the_catalogue_cannot_record() -> None:
    fired = transition(AlertChange.FIRED)
    trouble = replace(fired.after, kind=CATALOGUE, remedy="df -h /var")
    found = message(replace(fired, after=trouble))
    assert found is not None
    assert found.text.splitlines()[-1] == "Next: df -h /var"


DOCUMENTED = set(
    re.findall(
        r"`([a-z-]+)`",
        "".join(
            line.split("|")[1]
            for line in Path("docs/alerts.md").read_text().splitlines()
            if line.startswith("| `")
        ),
    )
)


def test_every_kind_of_alert_has_a_title() -> None:
    assert set(TITLES) == DOCUMENTED
    assert len(DOCUMENTED) > 40


@pytest.mark.parametrize("kind", sorted(TITLES))
@pytest.mark.parametrize("change", list(AlertChange))
def test_a_title_is_shorter_than_80_characters_whatever_the_alert_says(
    kind: str, change: AlertChange
) -> None:
    long = f"could not connect to server: No such file or directory {'x' * 300} " * 3
    for subject in ("", "repository primary: protection", long, "y" * 200):
        condition = bad(kind, "p" * 40, subject, "critical", long)
        world = World()
        world.look(NOON, replace(condition, brief=long))
        found = message(Transition(change, None, world.one, long))
        if found is not None:
            assert len(found.title) <= LONGEST < 80
            assert found.title.startswith(f"{'p' * 40}: ")
            assert "\n" not in found.title
            assert "{" not in found.title


def test_a_title_names_the_check_that_failed_and_the_scenario_if_there_are_several() -> None:
    title = title_of("drill-failed", "critical", "host-loss", 'check "few orders"')
    assert title == 'drill failed (host-loss): check "few orders"'
    shut = repository(lost="shut", lost_since=after(), lost_says="the password opens nothing")
    [reason] = judge_repositories(healthy(repositories=(shut,)), after())
    title = title_of(reason.kind, "critical", reason.subject, reason.brief)
    assert title == "cannot restore from repository primary: wrong password"
    assert title_of("kit-failing", "warning", "verify") == "recovery kit: verify failed"
    assert title_of("component-missing", "warning", "", "a, b").endswith("never backed up: a, b")
    assert title_of("rpo", "warning", "") == "RPO nearly exceeded"
    assert title_of("secret-missing", "warning", "p1") == "secret file p1 is missing"
    assert title_of("secret-missing", "warning", "") == "secret file is missing"
    assert title_of("repository-unprotected", "warning", "") == "repository is missing"


def test_a_title_that_is_cut_ends_after_a_word() -> None:
    assert shortened("one two three four", 15) == "one two three…"
    assert shortened("one two", 7) == "one two"
    assert shortened("x" * 90, 10) == "x" * 9 + "…"


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
        ("mail", "orders-api: RPO exceeded")
    ]
