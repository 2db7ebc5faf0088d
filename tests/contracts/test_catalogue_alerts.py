"""What every catalogue promises about alerts (drd.ports.AlertBook)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import insert

from drd.catalogue.daemon_tables import verifications
from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.catalogue.summary import read_status, read_through_sqlalchemy
from drd.errors import UsageError
from drd.flows.alerts.messages import routed
from drd.flows.incidents.opening import open_incident
from drd.model.alert_facts import VerificationFacts
from drd.model.alerts import Alert, AlertChange, Condition, Rules, Transition, reconcile
from drd.model.facts import AlertFacts
from drd.model.finding import Finding
from drd.model.incidents.entries import Author
from drd.model.job_history import JobHistory
from drd.model.message import ChannelSpec, Routed
from drd.model.run import RunKind, RunState
from drd.model.run_details import ReadinessDetail
from drd.ports.alerts import AlertBook, Watched
from tests.catalogue_support import at, plan

MAIL = ChannelSpec("mail", "smtp", None)
RPO = Condition("rpo", "warning", "", "late", "drd backup orders-api", plan="orders-api")
DISK = Condition("disk", "critical", "/var", "about to fill")


def look(
    book: AlertBook, minute: float, *conditions: Condition, ids: str = "ab"
) -> list[Transition]:
    """One look of the daemon, written; the new alerts' ids are `a0000000`, `b0000000` …"""
    names = iter(f"{letter}0000000" for letter in ids)
    found = reconcile(conditions, book.open(), at(minute), Rules(), new_id=lambda: next(names))
    return book.apply(found, at(minute), tell)


def tell(transitions: Sequence[Transition]) -> Sequence[Routed]:
    return routed(transitions, [MAIL])


def titles(catalogue: SqlCatalogue) -> list[str]:
    return [row.message.title for row in catalogue.outbox.waiting("mail")]


def acknowledge(catalogue: SqlCatalogue, prefix: str, *, minute: float = 1) -> Alert:
    return catalogue.alerts.acknowledge(
        prefix, by="anna", until=at(600), why="disk ordered", at=at(minute), tell=tell
    )


def test_an_alert_comes_back_as_it_was_written(catalogue: SqlCatalogue) -> None:
    book: AlertBook = catalogue.alerts
    assert book.open() == []
    [disk, rpo] = look(book, 0, RPO, DISK)
    assert book.open() == [disk.after, rpo.after]
    assert rpo.after == Alert(
        id="a0000000",
        plan="orders-api",
        kind="rpo",
        subject="",
        state="firing",
        severity="warning",
        since=at(0),
        text="late",
        remedy="drd backup orders-api",
        seen_at=at(0),
        told_at=at(0),
    )


def test_all_transitions_of_an_alert_are_kept(catalogue: SqlCatalogue) -> None:
    look(catalogue.alerts, 0, RPO)
    acknowledge(catalogue, "a0")
    look(catalogue.alerts, 2, replace(RPO, severity="critical", text="later"))
    [escalated] = catalogue.alerts.open()
    assert (escalated.state, escalated.severity, escalated.text) == (
        "firing",
        "critical",
        "later",
    )
    look(catalogue.alerts, 3)
    [gone] = catalogue.alerts.open()
    assert gone.gone_at == at(3)
    look(catalogue.alerts, 8)
    assert catalogue.alerts.open() == []
    [over] = catalogue.alerts.history()
    assert (over.state, over.resolved_at, over.acknowledged_why) == (
        "resolved",
        at(8),
        "disk ordered",
    )


def test_messages_are_in_the_outbox_if_and_only_if_the_alert_is_recorded(
    catalogue: SqlCatalogue,
) -> None:
    look(catalogue.alerts, 0, RPO)
    acknowledge(catalogue, "a0000000")
    look(catalogue.alerts, 2, RPO)
    assert titles(catalogue) == [
        "orders-api: RPO nearly exceeded",
        "orders-api: acknowledged: RPO nearly exceeded",
    ]

    def fails(_: Sequence[Transition]) -> Sequence[Routed]:
        raise ZeroDivisionError

    [fired] = reconcile([DISK], [], at(3), Rules(), new_id=lambda: "d0000000")
    with pytest.raises(ZeroDivisionError):
        catalogue.alerts.apply([fired], at(3), fails)
    assert [a.kind for a in catalogue.alerts.open()] == ["rpo"]


def test_outdated_transitions_are_neither_recorded_nor_sent(
    catalogue: SqlCatalogue,
) -> None:
    look(catalogue.alerts, 0, RPO)
    before = catalogue.alerts.open()
    acknowledge(catalogue, "a0", minute=299)
    reminder = reconcile([RPO], before, at(300), Rules(), new_id=lambda: "x")
    assert [t.change for t in reminder] == [AlertChange.REMINDED]
    assert catalogue.alerts.apply(reminder, at(300), tell) == []
    [alert] = catalogue.alerts.open()
    assert (alert.state, alert.told_at) == ("acknowledged", at(299))
    assert titles(catalogue) == [
        "orders-api: RPO nearly exceeded",
        "orders-api: acknowledged: RPO nearly exceeded",
    ]


def test_a_silent_change_keeps_the_acknowledgement(
    catalogue: SqlCatalogue,
) -> None:
    look(catalogue.alerts, 0, RPO)
    before = catalogue.alerts.open()
    acknowledge(catalogue, "a0")
    kept = reconcile([replace(RPO, text="later")], before, at(2), Rules(), new_id=lambda: "x")
    assert [t.change for t in kept] == [AlertChange.KEPT]
    catalogue.alerts.apply(kept, at(2), tell)
    [alert] = catalogue.alerts.open()
    assert (alert.state, alert.acknowledged_by, alert.text) == ("acknowledged", "anna", "later")


def test_an_open_alert_does_not_fire_again(catalogue: SqlCatalogue) -> None:
    look(catalogue.alerts, 0, RPO)
    again = reconcile([RPO], [], at(1), Rules(), new_id=lambda: "b0000000")
    assert catalogue.alerts.apply(again, at(1), tell) == []
    assert [a.id for a in catalogue.alerts.open()] == ["a0000000"]


def test_a_duplicate_alert_id_is_not_recorded(catalogue: SqlCatalogue) -> None:
    look(catalogue.alerts, 0, RPO)
    look(catalogue.alerts, 1)
    look(catalogue.alerts, 6)
    assert look(catalogue.alerts, 7, DISK) == []
    assert [t.after.id for t in look(catalogue.alerts, 8, DISK, ids="c")] == ["c0000000"]


def test_an_alert_is_acknowledged_by_the_beginning_of_its_id(catalogue: SqlCatalogue) -> None:
    look(catalogue.alerts, 0, RPO, DISK)
    found = acknowledge(catalogue, "a")
    assert (found.kind, found.state, found.acknowledged_by) == ("rpo", "acknowledged", "anna")
    assert found in catalogue.alerts.open()


@pytest.mark.parametrize(
    ("prefix", "fact"),
    [
        ("9", "there is no alert '9'"),
        ("", "there is no alert ''"),
        ("%", "there is no alert '%'"),
        ("a", "the ids of several alerts begin with 'a'"),
        ("c", "alert c is resolved already"),
    ],
)
def test_acknowledging_a_resolved_or_unknown_alert_is_refused(
    catalogue: SqlCatalogue, prefix: str, fact: str
) -> None:
    look(catalogue.alerts, 0, DISK, ids="c")
    look(catalogue.alerts, 1)
    look(catalogue.alerts, 6)
    names = iter(["a1000000", "a2000000"])
    both = [RPO, replace(RPO, plan="billing")]
    found = reconcile(both, [], at(7), Rules(), new_id=lambda: next(names))
    catalogue.alerts.apply(found, at(7))
    with pytest.raises(UsageError) as caught:
        acknowledge(catalogue, prefix)
    assert caught.value.message == fact
    assert caught.value.hint


def test_history_has_open_alerts_and_the_newest_resolved_ones(catalogue: SqlCatalogue) -> None:
    look(catalogue.alerts, 0, RPO, ids="a")
    look(catalogue.alerts, 1)
    look(catalogue.alerts, 6, replace(RPO, plan="billing"), ids="b")
    look(catalogue.alerts, 7)
    look(catalogue.alerts, 20, DISK, ids="c")

    def ids(plan: str | None = None, limit: int = 50) -> str:
        return "".join(a.id[0] for a in catalogue.alerts.history(plan, limit=limit))

    assert ids() == "cba"
    assert ids(limit=1) == "cb"
    assert ids(limit=0) == "c"
    assert ids("billing") == "b"
    catalogue.alerts.remove_old(at(10))
    assert ids() == "cb"


def test_status_gets_open_alerts_most_severe_first(
    catalogue: SqlCatalogue, catalogue_url: str
) -> None:
    for name in ("orders-api", "billing"):
        catalogue.plans.load(plan(name), file_digest="f", at=at(0))
    changed = replace(RPO, kind="plan-changed", severity="info")
    grave = replace(RPO, kind="rto", severity="critical")
    look(catalogue.alerts, 0, RPO, changed)
    look(catalogue.alerts, 1, RPO, changed, grave, DISK, ids="cd")
    acknowledge(catalogue, "a0")

    for read in (read_status, read_through_sqlalchemy):
        found = read(catalogue_url, None)
        [orders] = [p for p in found.plans if p.plan == "orders-api"]
        assert [a.kind for a in orders.alerts] == ["rto", "rpo", "plan-changed"]
        assert orders.alerts[1] == AlertFacts(
            "a0000000", "rpo", "acknowledged", at(0), "late", "warning", "drd backup orders-api",
            "anna", at(600),
        )  # fmt: skip
        assert [a.kind for a in found.alerts] == ["disk"]
        assert [a.kind for a in read(catalogue_url, "billing").alerts] == ["disk"]


def test_verifications_and_findings_are_read_by_plan(catalogue: SqlCatalogue) -> None:
    assert catalogue.alerts.watched() == Watched()
    with catalogue.database.write() as connection:
        connection.execute(
            insert(verifications).values(
                plan="orders-api",
                repository="primary",
                parts=12,
                next_part=3,
                cycle_started_at=at(0),
                error="bit rot",
            )
        )
    findings = [Finding("room-for-a-drill", "error", "", "none", "free some").to_json()]
    findings[0] |= {"allows": "not ready", "proof": False, "exception": None}
    owned = catalogue.runs.begin(plan(), RunKind.READINESS, trigger="schedule", at=at(0))
    assert catalogue.alerts.watched().readiness == {}, "not before it is over"
    detail = ReadinessDetail.from_json({"readiness": "not ready", "findings": findings})
    catalogue.runs.finish(owned, RunState.FAILED, at=at(1), detail=detail)
    [row] = catalogue.queue.jobs()
    assert isinstance(row, JobHistory)

    assert catalogue.alerts.watched() == Watched(
        verifications={
            "orders-api": (VerificationFacts("primary", "bit rot", None, at(0), parts=12),)
        },
        readiness={"orders-api": (Finding("room-for-a-drill", "error", "", "none", "free some"),)},
    )


def test_alerts_of_plans_in_the_scope_of_an_open_incident_are_recorded(
    catalogue: SqlCatalogue,
) -> None:
    def recorded() -> list[str]:
        entries = catalogue.records.newest(plan="orders-api")
        return [e.header.kind for e in reversed(entries)]

    look(catalogue.alerts, 0, RPO, DISK)
    assert recorded() == []
    open_incident(catalogue, Author("anna", at(1)), "late", plans=["orders-api"])
    worse = replace(RPO, severity="critical")
    look(catalogue.alerts, 2, worse, DISK)
    look(catalogue.alerts, 3, worse)
    look(catalogue.alerts, 4)
    look(catalogue.alerts, 20)
    assert recorded() == ["alert.open", "alert.resolved"], "the disk is of no plan"
    [_, resolved] = reversed(catalogue.records.newest(plan="orders-api"))
    assert resolved.header.subject == "orders-api/a0000000"
