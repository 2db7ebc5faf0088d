"""Incidents: entries of the chain, and rows that follow from them, in the same transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text

from drd.catalogue import incident_rows
from drd.catalogue.records import SqlRecords
from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.catalogue.summary import read_status, read_through_sqlalchemy
from drd.errors import UsageError
from drd.flows.incidents.choosing import chosen
from drd.flows.incidents.opening import open_incident, report
from drd.flows.incidents.writing import Desk
from drd.flows.playbooks.on_incident import OnIncident
from drd.flows.records.noted import NOTED_SOON
from drd.flows.records.redacting import with_same_text
from drd.model.actor import Actor
from drd.model.drd_facts import IncidentFacts
from drd.model.holds import Hold
from drd.model.incidents.entries import LEFT_OUT, LOG, MESSAGE, TASK, Author, draft
from drd.model.incidents.fold import fold
from drd.model.incidents.incident import Incident
from drd.model.incidents.instants import Instant
from drd.model.playbook import PlaybookTask
from drd.model.progression import Progression, StepView
from drd.model.records import body_of
from drd.model.run import RunKind, RunState
from drd.signing import Signer, new_key
from tests.catalogue_support import at, evidence, plan, point
from tests.flow_support import SetClock

ANNA = Actor(1000, "anna", 1000, "db1", "terminal", "anna")


def by_anna(minute: float = 1) -> Author:
    return Author("Anna B.", at(minute), ANNA)


def desk(catalogue: SqlCatalogue, number: int = 1, minute: float = 2) -> Desk:
    return Desk(catalogue, number, by_anna(minute))


def kinds(catalogue: SqlCatalogue, number: int = 1) -> list[str]:
    incident = catalogue.incidents.get(number)
    return [e.header.kind for e in catalogue.incidents.entries(incident)]


def rows(catalogue: SqlCatalogue) -> list[tuple[Any, ...]]:
    with catalogue.database.read() as connection:
        found = connection.execute(text("SELECT number, title, state, plans FROM incidents"))
        return sorted(tuple(row) for row in found)


@pytest.fixture
def loaded(catalogue: SqlCatalogue) -> SqlCatalogue:
    catalogue.plans.load(plan(), file_digest="f", at=at(0))
    return catalogue


def test_an_incident_is_its_entries(catalogue: SqlCatalogue) -> None:
    first = open_incident(catalogue, by_anna(), "orders leak", plans=["orders-api"])
    second = open_incident(catalogue, by_anna(), "another")
    assert (first.number, second.number) == (1, 2)
    [entry, _] = catalogue.records.read()
    assert (entry.header.subject, entry.header.kind) == ("incident:1", "incident.open")
    assert entry.header.actor_name == "anna"
    assert catalogue.incidents.get(1) == first
    assert [i.number for i in catalogue.incidents.newest()] == [2, 1]
    with pytest.raises(UsageError, match="there is no incident 3"):
        catalogue.incidents.get(3)
    with pytest.raises(UsageError, match="there is no incident 3"):
        desk(catalogue, 3).log("x", None)


def test_status_knows_since_when_entries_are_only_here(
    catalogue: SqlCatalogue, catalogue_url: str
) -> None:
    open_incident(catalogue, by_anna(1), "one")
    open_incident(catalogue, by_anna(2), "another")
    desk(catalogue, 1, 3).log("x", None)

    def since() -> list[Any]:
        found = read_status(catalogue_url).incidents
        assert read_through_sqlalchemy(catalogue_url).incidents == found
        return [incident.only_here_since for incident in found]

    assert since() == [at(1), at(2)]
    places = {"/a": {"seq": 1}, "/b": {"seq": 2}, "/c": {}}
    catalogue.queue.note(NOTED_SOON, {"places": places}, at(4))
    assert since() == [at(3), None]


@pytest.mark.parametrize("forged", [2**31 - 1, 999_999_999])
def test_a_number_that_somebody_wrote_into_a_row_keeps_no_incident_from_opening(
    catalogue: SqlCatalogue, forged: int
) -> None:
    open_incident(catalogue, by_anna(), "one")
    with catalogue.database.write() as connection:
        connection.execute(text("UPDATE incidents SET number = :n"), {"n": forged})
    # Entries of incident 1 are there without its row, and must not belong to another one.
    opened = [open_incident(catalogue, by_anna(), "next").number for _ in range(2)]
    assert opened == [2, 3]


def test_the_number_may_be_left_out_while_one_is_open(catalogue: SqlCatalogue) -> None:
    with pytest.raises(UsageError, match="no incident is open"):
        chosen(catalogue, None)
    open_incident(catalogue, by_anna(), "one")
    assert chosen(catalogue, None) == 1
    open_incident(catalogue, by_anna(), "two")
    with pytest.raises(UsageError, match="2 incidents are open: 1, 2"):
        chosen(catalogue, None)
    desk(catalogue, 1).close("")
    assert chosen(catalogue, None) == 2
    assert [i.number for i in catalogue.incidents.newest()] == [2]
    assert [i.number for i in catalogue.incidents.newest(closed=True)] == [2, 1]


def test_a_refused_act_on_an_incident_leaves_no_entry(catalogue: SqlCatalogue) -> None:
    open_incident(catalogue, by_anna(), "one")
    at_work = desk(catalogue)
    at_work.set_state("contained", "")
    at_work.anchor("aware", at(0), "")
    refused: list[Callable[[], object]] = [
        lambda: at_work.log(" ", None),
        lambda: at_work.set_state("contained", ""),
        lambda: at_work.set_state("detected", ""),
        lambda: at_work.set_state("reported", ""),
        lambda: at_work.set_state("asleep", ""),
        lambda: at_work.set_severity("huge", "", ["low"]),
        lambda: at_work.anchor("aware", at(1), ""),
        lambda: at_work.anchor("awake", at(1), ""),
        lambda: at_work.finish_task(1),
        lambda: at_work.change_scope(add=(), remove=(), reason=""),
        lambda: at_work.change_scope(add=(), remove=["shop"], reason=""),
        lambda: at_work.merge(1, ""),
        lambda: at_work.merge(7, ""),
        lambda: at_work.correct(99, "x", "y"),
        lambda: at_work.star(99, on=True),
        lambda: open_incident(catalogue, by_anna(), "x" * 201),
    ]
    before = list(catalogue.records.read())
    for refuse in refused:
        with pytest.raises(UsageError):
            refuse()
    assert list(catalogue.records.read()) == before
    at_work.set_state("detected", "it goes on")
    at_work.anchor("aware", at(1), "typing")


def test_acts_of_drd_on_plans_in_scope_enter_the_timeline_of_the_incident(
    loaded: SqlCatalogue,
) -> None:
    def ended(minute: float) -> None:
        owned = loaded.runs.begin(plan(), RunKind.BACKUP, trigger="schedule", at=at(minute))
        loaded.runs.finish(owned, RunState.SUCCEEDED, at=at(minute + 0.5))

    ended(0)
    open_incident(loaded, by_anna(1), "one", plans=["orders-api"])
    open_incident(loaded, by_anna(1), "another", plans=["orders"])
    ended(2)
    loaded.points.record(point("p1", at(0)))
    loaded.keeping.hold(Hold("p1", "orders-api", "keep", at(3), by=ANNA))
    owned = loaded.runs.begin(plan(), RunKind.DRILL, trigger="schedule", at=at(4))
    loaded.evidence.record(owned, evidence("e1", run=owned.run.id))
    loaded.runs.finish(owned, RunState.SUCCEEDED, at=at(5))
    assert kinds(loaded) == ["incident.open", "run.end", "hold", "evidence"]
    assert kinds(loaded, 2) == ["incident.open"]

    desk(loaded, minute=6).change_scope(add=(), remove=["orders-api"], reason="")
    ended(7)
    assert kinds(loaded)[-1] == "incident.scope"
    desk(loaded, minute=8).change_scope(add=["orders-api"], remove=(), reason="")
    ended(9)
    desk(loaded, minute=10).close("")
    ended(11)
    loaded.keeping.hold(Hold("p1", "orders-api", "later", at(12), by=ANNA))
    assert kinds(loaded)[-3:] == ["incident.scope", "run.end", "incident.close"]


def test_one_that_continues_in_another_is_in_its_timeline(loaded: SqlCatalogue) -> None:
    open_incident(loaded, by_anna(), "one", plans=["orders-api"])
    open_incident(loaded, by_anna(), "two")
    owned = loaded.runs.begin(plan(), RunKind.BACKUP, trigger="schedule", at=at(2))
    loaded.runs.finish(owned, RunState.SUCCEEDED, at=at(3))
    merged = desk(loaded, 1).merge(2, "the same key")
    assert (merged.state, merged.merged_into) == ("closed", 2)
    both = loaded.incidents.get(2)
    assert (both.merged, both.plans) == ((1,), ("orders-api",))
    assert kinds(loaded, 2) == [
        "incident.open", "incident.open", "run.end", "incident.close", "incident.merge",
    ]  # fmt: skip
    owned = loaded.runs.begin(plan(), RunKind.BACKUP, trigger="schedule", at=at(4))
    loaded.runs.finish(owned, RunState.SUCCEEDED, at=at(5))
    assert kinds(loaded, 2)[-1] == "run.end"
    at_work = desk(loaded, 1)
    at_work.log("typed out of habit", None)
    assert "incident 1 is closed and continues in incident 2" in at_work.notes[0]
    assert kinds(loaded, 2)[-1] == "incident.log"
    at_work = desk(loaded, 1)
    at_work.set_state("detected", "they were two")
    at_work.log("and this one goes on", None)
    assert at_work.notes == []
    desk(loaded, 2).merge(1, "or one")
    assert kinds(loaded, 1)[-1] == "incident.merge"


def test_the_earlier_moments_of_both_count_after_a_merge(catalogue: SqlCatalogue) -> None:
    open_incident(catalogue, by_anna(), "one")
    open_incident(catalogue, by_anna(30), "two")
    for number, name, minute in (
        (1, Instant.AWARE, 20), (1, Instant.CLASSIFIED, 25), (1, Instant.CONTAINED, 26),
        (2, Instant.AWARE, 35), (2, Instant.DISCOVERED, 31),
    ):  # fmt: skip
        desk(catalogue, number, minute=40).anchor(name.value, at(minute), "")
    first = catalogue.incidents.get(1).opened_at
    assert first is not None
    desk(catalogue, 1, minute=50).merge(2, "")
    both = catalogue.incidents.get(2)
    assert both.instants == {
        Instant.AWARE: at(20),
        Instant.CLASSIFIED: at(25),
        Instant.DISCOVERED: at(31),
        Instant.SUSPECTED: first,
    }
    assert both.first_sign == first
    # A correction counts, as that of any other moment.
    desk(catalogue, 2, minute=55).anchor("aware", at(22), "read the log again")
    assert catalogue.incidents.get(2).instants[Instant.AWARE] == at(22)


def promise(catalogue: SqlCatalogue, number: int, audience: str, due: datetime) -> None:
    body = {"act": "send", "audience": audience, "next_update": due}
    sent = draft(MESSAGE, number, by_anna(40), body)
    catalogue.incidents.add(number, lambda _: [sent])


def test_open_tasks_and_promised_updates_go_on_after_a_merge(catalogue: SqlCatalogue) -> None:
    for title in ("one", "two"):
        open_incident(catalogue, by_anna(), title)
    desk(catalogue, 2).add_task("call the lawyer", "", None)
    here = desk(catalogue, 1)
    here.add_task("call the lawyer", "", None)
    here.add_task("change the key", "bert", at(90))
    here.add_task("done already", "", None)
    here.finish_task(3)
    block = {"text": "block it", "due": at(0), "due_after": "aware + 30m", "origin": "r1/block"}
    catalogue.incidents.add(1, lambda _: [draft(TASK, 1, by_anna(), block)])
    here.anchor("aware", at(20), "")
    promise(catalogue, 1, "customers", at(70))
    promise(catalogue, 1, "regulator", at(80))
    promise(catalogue, 2, "customers", at(60))
    at_work = desk(catalogue, 1)
    at_work.merge(2, "")
    assert at_work.notes == [
        "tasks of incident 1 go on in incident 2: block it, change the key, call the lawyer",
        "updates that incident 1 promised to customers, regulator are due in incident 2",
    ]
    both = catalogue.incidents.get(2)
    assert [(t.number, t.text, t.to, t.due, t.origin) for t in both.tasks] == [
        (1, "call the lawyer", "", None, ""),
        (2, "change the key", "bert", at(90), ""),
        (3, "block it", "", at(50), "r1/block"),
    ]
    assert {c.audience: c.due for c in both.updates if c.why == "promised"} == {
        "customers": at(60),
        "regulator": at(80),
    }
    assert both.next_at == at(50)
    late = desk(catalogue, 1)
    late.finish_task(2)
    assert "Use the number 2 from now on" in late.notes[0]
    # Back to an open one, and merged again: nothing is there twice.
    desk(catalogue, 1).set_state("detected", "they were two")
    desk(catalogue, 1).merge(2, "")
    assert len(catalogue.incidents.get(2).tasks) == 3


def test_a_task_of_a_playbook_ends_where_its_incident_continues(catalogue: SqlCatalogue) -> None:
    open_incident(catalogue, by_anna(), "one")
    open_incident(catalogue, by_anna(), "two")
    task = draft(TASK, 1, by_anna(), {"text": "block it", "origin": "r1/block"})
    catalogue.incidents.add(1, lambda _: [task])
    run = OnIncident(catalogue, SetClock(), 1, by_anna(), "r1")
    run.tasks = (PlaybookTask("block", "block it", "", None, ("one",)),)
    desk(catalogue, 1).merge(2, "")
    assert [t.done_at is None for t in catalogue.incidents.get(2).tasks] == [True]
    steps = (StepView("one", "command", "succeeded"),)
    run.watching(lambda _: None)(Progression("r1", "", at(0), at(1), None, steps))
    for number in (1, 2):
        assert catalogue.incidents.get(number).open_tasks == ()


def test_tasks_and_promises_of_a_restricted_incident_stay_with_it(catalogue: SqlCatalogue) -> None:
    open_incident(catalogue, by_anna(), "insider", restricted=True)
    open_incident(catalogue, by_anna(), "leak")
    desk(catalogue, 1).add_task("lock bert", "", None)
    promise(catalogue, 1, "customers", at(70))
    at_work = desk(catalogue, 1)
    at_work.merge(2, "")
    told = " ".join(at_work.notes)
    assert "nobody is reminded of them any more: lock bert" in told
    assert "incident 1 promised updates to customers" in told
    open_one = catalogue.incidents.get(2)
    assert (open_one.tasks, open_one.told) == ((), {})


def test_a_merge_keeps_what_is_restricted_with_those_of_the_restricted_one(
    catalogue: SqlCatalogue,
) -> None:
    open_incident(catalogue, by_anna(), "insider", plans=["payroll"], restricted=True)
    open_incident(catalogue, by_anna(), "leak", plans=["orders-api"])
    at_work = desk(catalogue, 1)
    at_work.merge(2, "it was bert")
    assert "its plans are not in the scope of incident 2" in at_work.notes[0]
    assert "The moments of incident 1 do not count in incident 2" in at_work.notes[0]
    assert catalogue.incidents.get(2).instants == {}
    assert catalogue.incidents.get(2).plans == ("orders-api",)
    assert [row[3] for row in rows(catalogue)] == ['["payroll"]', '["orders-api"]']
    said = {e.header.kind: body_of(e)["reason"] for e in catalogue.records.read() if e.seq > 2}
    assert said == {"incident.close": "it was bert", "incident.merge": ""}
    # The other way round, all of it is restricted from now on.
    open_incident(catalogue, by_anna(), "insider again", restricted=True)
    at_work = desk(catalogue, 2)
    at_work.merge(3, "bert again")
    assert (
        "Only people with a role in incident 3 can read how the incident continues"
        in at_work.notes[0]
    )
    assert catalogue.incidents.get(3).plans == ("orders-api", "payroll")
    said = {e.header.kind: body_of(e)["reason"] for e in catalogue.records.read() if e.seq > 5}
    assert said == {"incident.close": "", "incident.merge": "bert again"}


def test_rows_are_made_anew_from_the_entries(catalogue: SqlCatalogue) -> None:
    open_incident(catalogue, by_anna(), "one", plans=["orders-api"])
    open_incident(catalogue, by_anna(), "two")
    desk(catalogue, 2).close("")
    sound = rows(catalogue)
    assert catalogue.incidents.rebuild() == 0
    with catalogue.database.write() as connection:
        connection.execute(text("UPDATE incidents SET state = 'closed', plans = '[]'"))
        connection.execute(text("DELETE FROM incidents WHERE number = 2"))
    assert catalogue.incidents.rebuild() == 2
    assert rows(catalogue) == sound


def test_a_redacted_title_is_in_no_row(catalogue: SqlCatalogue) -> None:
    records = catalogue.records
    assert isinstance(records, SqlRecords)
    signer = Signer(new_key(), "the key of the test")
    records._find_signer = lambda _: signer
    opened = open_incident(catalogue, by_anna(), "7 Elm Street")
    catalogue.records.redact(opened.first, reason="asked for", at=at(3), actor=ANNA)
    assert rows(catalogue) == [(1, "", "detected", "[]")]
    assert catalogue.incidents.get(1).title == ""


def test_the_corrections_of_an_entry_and_what_it_corrects_can_have_the_same_text(
    catalogue: SqlCatalogue,
) -> None:
    open_incident(catalogue, by_anna(), "leak")
    at_work = desk(catalogue)
    for said in ("7 Elm Street", "unrelated"):
        at_work.log(said, None)  # entries 2 and 3
    at_work.correct(2, "8 Elm Street", "typo")
    at_work.correct(4, "9 Elm Street", "typo")
    at_work.correct(3, "still unrelated", "typo")
    records = catalogue.records

    def related(entry: int) -> list[int]:
        same = with_same_text(catalogue, records.get(entry))
        assert not same.sealed
        return [one.seq for one in same.known]

    assert [related(n) for n in (2, 4, 5, 3, 1)] == [[4, 5], [2, 5], [2, 4], [6], []]


def test_the_status_knows_what_is_open_and_no_title_of_a_restricted_one(
    catalogue: SqlCatalogue, catalogue_url: str
) -> None:
    open_incident(catalogue, by_anna(), "one", plans=["orders-api"], severity="high")
    open_incident(catalogue, by_anna(), "secret", plans=["billing"], restricted=True)
    open_incident(catalogue, by_anna(), "over")
    desk(catalogue, 3).close("")
    desk(catalogue, 2).add_task("change the key", "", at(90))
    found = read_status(catalogue_url)
    assert found.incidents == (
        IncidentFacts(2, "", "detected", "", True, at(1), at(90), (), at(1)),  # due first
        IncidentFacts(1, "one", "detected", "high", False, at(1), None, ("orders-api",), at(1)),
    )
    assert read_through_sqlalchemy(catalogue_url, None) == found


def test_many_reports_hide_no_incident_from_the_status(
    catalogue: SqlCatalogue, catalogue_url: str
) -> None:
    for _ in range(101):
        report(catalogue, by_anna(), "a noise", 3600)
    open_incident(catalogue, by_anna(), "one")
    found = read_status(catalogue_url).incidents
    assert [incident.number for incident in found] == [102, *range(1, 100)]


def test_an_incident_read_from_the_catalogue_equals_the_one_made_of_all_its_entries(
    catalogue: SqlCatalogue,
) -> None:
    report(catalogue, by_anna(1), "odd mail", 3600.0)
    open_incident(catalogue, Author("drd", at(1)), "by a rule", plans=["a"])
    catalogue.records.append(draft(LOG, 2, Author("drd", at(2)), {"text": "noted by drd"}))
    catalogue.records.append(draft(LEFT_OUT, 2, by_anna(3), {"count": 3}))
    steps: list[Callable[[Desk], Incident]] = [
        lambda d: d.log("first by a person", None),
        lambda d: d.decide("switch off", "it leaks"),
        lambda d: d.log("another", None),
        lambda d: d.add_task("change the key", "bert", None),
        lambda d: d.star(4, on=True),
        lambda d: d.correct(6, "other words", "typo"),
        lambda d: d.change_scope(add=["b"], remove=["a"], reason=""),
        lambda d: d.set_state("contained", ""),
        lambda d: d.merge(3, ""),
    ]
    open_incident(catalogue, by_anna(4), "goes on", plans=["c"])
    for minute, step in enumerate(steps, 5):
        said = step(desk(catalogue, 2, minute))
        for number in (1, 2, 3):
            with catalogue.database.read() as connection:
                whole = fold(number, incident_rows.own_entries(connection, number))
                assert incident_rows.own(connection, number) == whole
            if number == 2:
                assert said == whole
                assert said == catalogue.incidents.get(2)
    assert catalogue.incidents.get(2).acknowledged_at == at(5)
    assert catalogue.incidents.get(3).plans == ("c", "b")
    assert catalogue.incidents.wrong_rows() == []


def test_a_nul_is_the_same_in_the_table_and_in_the_entries(
    catalogue: SqlCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = open_incident(catalogue, by_anna(), "a\0b")
    assert made.title == "a\\x00b"
    with monkeypatch.context() as before:
        before.setattr("drd.model.records.storable", str)  # as entries were written before
        assert open_incident(catalogue, by_anna(), "c\0d").title == "c\0d"
    assert catalogue.incidents.wrong_rows() == []
