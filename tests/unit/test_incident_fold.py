"""What each entry changes of an incident, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drd.model.incidents import entries as kinds
from drd.model.incidents.affected import Affected, Known, declared
from drd.model.incidents.cadence import UPDATES_S, Cadence, Told
from drd.model.incidents.doubts import altered, doubts
from drd.model.incidents.durations import contradictions, durations, noticed
from drd.model.incidents.entries import Author, draft, number_of
from drd.model.incidents.fold import fold, is_private
from drd.model.incidents.incident import Incident, Scoped, Task
from drd.model.incidents.incident_words import standing
from drd.model.incidents.instants import Instant
from drd.model.incidents.states import State
from drd.model.incidents.timeline import timeline
from drd.model.inventory import DataSet
from tests.records_support import ANNA, Chain

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
ONE, TWO = NOON + timedelta(hours=1), NOON + timedelta(hours=2)
LATE = NOON + timedelta(hours=3)
SHOP = {"plan": "shop", "what": "customers", "known": "unknown", "residents": {}}


def minute(number: int) -> datetime:
    return NOON + timedelta(minutes=number)


class Response(Chain):
    """The entries of incident 1, one a minute."""

    def say(self, kind: str, **body: Any) -> Response:
        at = NOON + timedelta(minutes=len(self.entries))
        self.add(draft(kind, 1, Author("anna", at, ANNA), body))
        return self

    def drd(self, kind: str, **body: Any) -> Response:
        at = NOON + timedelta(minutes=len(self.entries))
        self.add(draft(kind, 1, Author("", at), body))
        return self

    @property
    def incident(self) -> Incident:
        return fold(1, self.entries)


def opened(**body: Any) -> Response:
    return Response().say(kinds.OPEN, **{"title": "leak", "plans": ["shop"], **body})


def test_an_incident_begins_with_what_its_first_entry_says() -> None:
    assert opened().incident == Incident(
        1,
        title="leak",
        opened_at=NOON,
        opened_by="anna",
        opened_as="anna",
        acknowledged_at=NOON,
        state_at=NOON,
        scope=(Scoped("shop", 1),),
        first=1,
        last=1,
    )
    full = opened(
        severity="high",
        restricted=True,
        rule="alert: rpo; plan shop",
        lead="bert",
        instants={"aware": ONE, "occurred": None, "dreamt": ONE, "suspected": "soon"},
    ).incident
    assert (full.severity, full.restricted, full.rule) == ("high", True, "alert: rpo; plan shop")
    assert (full.lead, full.people) == ("bert", {"bert"})
    assert full.instants == {Instant.AWARE: ONE}


def test_a_report_is_a_suspicion_with_a_task_until_somebody_opens_it() -> None:
    made = Response().say(kinds.REPORT, text="odd\n mail " + "x" * 300, due=ONE, restricted=True)
    reported = made.incident
    assert reported.title.startswith("odd")
    assert len(reported.title) == kinds.LONGEST_TITLE
    assert (reported.state, reported.state_at, reported.first) == (State.REPORTED, NOON, 1)
    assert (reported.opened_at, reported.opened_by) == (NOON, "anna")
    assert (reported.is_open, reported.restricted) == (False, True)
    assert reported.acknowledged_at is None
    assert reported.instants == {Instant.SUSPECTED: NOON}
    assert reported.next_at == ONE
    assert reported.open_tasks[0].number == 1
    opened = made.say(kinds.OPEN, title="", instants={"aware": TWO}).incident
    assert (opened.title, opened.state) == (reported.title, State.DETECTED)
    assert (opened.is_open, opened.restricted) == (True, True)
    assert (opened.opened_at, opened.acknowledged_at, opened.first) == (minute(1), minute(1), 2)
    assert opened.instants == {Instant.SUSPECTED: NOON, Instant.AWARE: TWO}
    assert opened.open_tasks == ()
    assert opened.tasks[0].done_at == minute(1)
    plain = Response().say(kinds.REPORT, text="odd mail").incident
    assert (plain.restricted, plain.next_at) == (False, None)


def test_a_task_that_was_done_before_the_opening_keeps_its_time() -> None:
    made = Response().say(kinds.REPORT, text="odd mail").say(kinds.TASK, done=1)
    assert made.say(kinds.OPEN, title="leak").incident.tasks[0].done_at == minute(1)


def test_drd_itself_acknowledges_nothing() -> None:
    made = Response().drd(kinds.OPEN, title="leak", plans=["shop"])
    assert made.incident.acknowledged_at is None
    assert (made.incident.opened_by, made.incident.opened_as) == ("drd", "")
    assert made.say(kinds.LOG, text="seen").incident.acknowledged_at == minute(1)
    assert made.say(kinds.LOG, text="seen").incident.acknowledged_at == minute(1)
    assert made.incident.last == 3


AFFECTED = Affected("shop", "customers", Known.UNKNOWN)


@pytest.mark.parametrize(
    ("kind", "body", "of", "wanted"),
    [
        (kinds.STATE, {"to": "triaged"}, lambda i: (i.state, i.state_at, i.closed_at),
         (State.TRIAGED, minute(1), None)),
        (kinds.STATE, {"to": "closed"}, lambda i: (i.state, i.state_at, i.closed_at),
         (State.CLOSED, minute(1), minute(1))),
        (kinds.CLOSE, {}, lambda i: (i.state, i.state_at, i.closed_at, i.merged_into, i.is_open),
         (State.CLOSED, minute(1), minute(1), None, False)),
        (kinds.CLOSE, {"merged_into": 4}, lambda i: (i.state, i.merged_into), (State.CLOSED, 4)),
        (kinds.MERGE, {"from": 5}, lambda i: i.merged, (5,)),
        (kinds.LINK, {"to": "https://x"}, lambda i: i.links, ("https://x",)),
        (kinds.SEVERITY, {"to": "low"}, lambda i: i.severity, "low"),
        (kinds.ASSIGN, {"to": "bert"}, lambda i: (i.lead, i.people), ("bert", {"bert"})),
        (kinds.ASSIGN, {"to": None}, lambda i: (i.lead, i.people), ("", frozenset())),
        (kinds.ROLE, {"role": "legal", "to": "carl"}, lambda i: i.roles, {"legal": "carl"}),
        (kinds.ROLE, {"role": "legal", "to": ""}, lambda i: i.roles, {}),
        (kinds.STAR, {"entry": 1}, lambda i: i.starred, {1}),
        (kinds.STAR, {"entry": 1, "on": False}, lambda i: i.starred, frozenset()),
        (kinds.CORRECT, {"entry": 1, "text": "loss"}, lambda i: (i.title, i.corrected),
         ("loss", {1: "loss"})),
        (kinds.CORRECT, {"entry": 2, "text": "loss"}, lambda i: (i.title, i.corrected),
         ("leak", {2: "loss"})),
        (kinds.RECOVERY, {"plan": "billing"}, lambda i: i.plans, ("shop", "billing")),
        (kinds.RECOVERY, {"plan": "shop"}, lambda i: i.scope, (Scoped("shop", 1),)),
        (kinds.SCOPE, {"add": ["billing", "shop"]}, lambda i: i.scope,
         (Scoped("shop", 1), Scoped("billing", 2))),
        (kinds.SCOPE, {"remove": ["shop", "other"]}, lambda i: i.scope, (Scoped("shop", 1, 2),)),
        (kinds.SCOPE, {"add": ["shop"], "remove": ["shop"]}, lambda i: i.scope,
         (Scoped("shop", 1, 2), Scoped("shop", 2))),
        (kinds.AFFECTED, {"affected": [SHOP]}, lambda i: i.affected, (AFFECTED,)),
        (kinds.ANCHOR, {"instant": "aware", "at": ONE}, lambda i: i.instants,
         {Instant.AWARE: ONE}),
        (kinds.ANCHOR, {"instant": "aware", "at": ""}, lambda i: i.instants, {}),
        (kinds.TASK, {"text": "call"}, lambda i: i.tasks, (Task(1, "call"),)),
        (kinds.TASK, {"text": "call", "to": "bert", "due": ONE}, lambda i: i.tasks,
         (Task(1, "call", "bert", ONE),)),
        (kinds.LOG, {"text": "x"}, lambda i: (i.title, i.last), ("leak", 2)),
        (kinds.OPEN, {"title": "loss", "plans": ["shop", "billing"]},
         lambda i: (i.title, i.scope), ("loss", (Scoped("shop", 1), Scoped("billing", 2)))),
    ],
)  # fmt: skip
def test_each_kind_of_entry_changes_its_field_of_the_incident(
    kind: str, body: dict[str, Any], of: Callable[[Incident], object], wanted: object
) -> None:
    assert of(opened().say(kind, **body).incident) == wanted


def test_a_new_entry_changes_only_what_it_names() -> None:
    made = opened()
    made.say(kinds.ROLE, role="legal", to="carl").say(kinds.ROLE, role="press", to="dora")
    made.say(kinds.ROLE, role="legal", to="").say(kinds.ASSIGN, to="bert")
    made.say(kinds.STAR, entry=1).say(kinds.STAR, entry=2).say(kinds.STAR, entry=1, on=False)
    made.say(kinds.LINK, to="a").say(kinds.LINK, to="b")
    made.say(kinds.CORRECT, entry=2, text="x").say(kinds.CORRECT, entry=3, text="y")
    made.say(kinds.MERGE, **{"from": 5}).say(kinds.MERGE, **{"from": 6})
    made.say(kinds.ANCHOR, instant="aware", at=ONE).say(kinds.ANCHOR, instant="handled", at=TWO)
    made.say(kinds.ANCHOR, instant="aware", at=None)
    made.say(kinds.CLOSE, merged_into=4).say(kinds.CLOSE)
    found = made.incident
    assert (found.roles, found.people) == ({"press": "dora"}, {"bert", "dora"})
    assert (found.starred, found.links, found.merged) == ({2}, ("a", "b"), (5, 6))
    assert found.corrected == {2: "x", 3: "y"}
    assert found.instants == {Instant.HANDLED: TWO}
    assert found.merged_into == 4


def test_drafts_are_counted_and_what_was_sent_is_known() -> None:
    made = opened().say(kinds.DRAFT, content={}).say(kinds.DRAFT)
    made.say(kinds.MESSAGE, act="send", audience="press", next_update=ONE)
    made.say(kinds.MESSAGE, act="send", audience="internal")
    made.say(kinds.MESSAGE, act="approve", audience="customers", digest="x")
    found = made.incident
    assert found.drafts == 2
    assert found.told == {"press": Told(minute(3), ONE), "internal": Told(minute(4))}
    assert opened().incident.drafts == 0


@pytest.mark.parametrize(
    ("kind", "body", "seen"),
    [
        (kinds.REPORT, {"text": "x"}, False),
        (kinds.INTAKE, {"content": "c"}, False),
        (kinds.LEFT_OUT, {"count": {}}, False),
        (kinds.OPEN, {"title": "x", "intake": "guard"}, False),
        (kinds.OPEN, {"title": "x"}, True),
        (kinds.LOG, {"text": "x"}, True),
    ],
)
def test_only_entries_of_people_acknowledge_an_incident(
    kind: str, body: dict[str, Any], *, seen: bool
) -> None:
    assert (Response().say(kind, **body).incident.acknowledged_at is not None) is seen


@pytest.mark.parametrize(
    ("kind", "of", "wanted"),
    [
        (kinds.OPEN, lambda i: (i.state, i.restricted, i.title, i.opened_by, i.opened_as),
         (State.DETECTED, True, "", "anna", "anna")),
        (kinds.OPEN, lambda i: (i.opened_at, i.state_at, i.first, i.acknowledged_at),
         (NOON, NOON, 1, NOON)),
        (kinds.REPORT, lambda i: (i.state, i.restricted, i.opened_by, i.opened_as),
         (State.REPORTED, True, "anna", "")),
        (kinds.CLOSE, lambda i: (i.state, i.state_at, i.closed_at, i.restricted),
         (State.CLOSED, NOON, NOON, False)),
        (kinds.STATE, lambda i: (i.state, i.restricted), (State.DETECTED, False)),
    ],
)  # fmt: skip
def test_an_entry_without_its_body_still_sets_state_author_and_times(
    kind: str, of: Callable[[Incident], object], wanted: object
) -> None:
    made = Response().say(kind, title="x", text="x", to="contained")
    assert not is_private(made.entries[0])
    made.entries[0] = replace(made.entries[0], body=None)
    assert of(made.incident) == wanted


def test_drd_itself_opened_what_lost_its_words() -> None:
    made = Response().drd(kinds.OPEN, title="x")
    made.entries[0] = replace(made.entries[0], body=None)
    assert (made.incident.opened_by, made.incident.opened_as) == ("drd", "")


@pytest.mark.parametrize(
    ("body", "private"), [({}, False), ({"restricted": True}, True), ({"restricted": 1}, False)]
)
def test_an_entry_says_itself_that_only_some_may_read_it(
    body: dict[str, Any], *, private: bool
) -> None:
    [entry] = Response().say(kinds.OPEN, title="x", **body).entries
    assert is_private(entry) is private
    assert is_private(replace(entry, body=None)) is False
    assert is_private(replace(entry, body=None, sealed="YWdl")) is True


def test_the_affected_of_a_plan_are_replaced_those_of_others_stay() -> None:
    made = opened().say(kinds.AFFECTED, affected=[SHOP, SHOP | {"what": "staff"}])
    made.say(kinds.AFFECTED, affected=[SHOP | {"plan": "billing"}])
    made.say(kinds.AFFECTED, affected=[SHOP | {"what": "guests"}])
    found = [(one.plan, one.what) for one in made.incident.affected]
    assert found == [("billing", "customers"), ("shop", "guests")]


def test_a_task_is_done_once_by_the_first_who_said_so() -> None:
    made = opened().say(kinds.TASK, text="call").say(kinds.TASK, text="write")
    made.say(kinds.TASK, done=2)
    made.add(draft(kinds.TASK, 1, Author("bert", TWO, ANNA), {"done": 2}))
    first, second = made.incident.tasks
    assert (first.number, first.done_at, first.done_by) == (1, None, "")
    assert (second.number, second.done_at, second.done_by) == (2, minute(3), "anna")
    assert made.incident.open_tasks == (first,)


def test_tasks_without_a_time_come_last_in_their_order() -> None:
    tasks = (Task(1, "a"), Task(2, "b", due=TWO), Task(3, "c"), Task(4, "d", due=ONE))
    made = Incident(1, tasks=(*tasks, Task(5, "e", due=ONE), Task(6, "f", due=NOON, done_at=NOON)))
    assert [task.number for task in made.open_tasks] == [4, 5, 2, 1, 3]
    assert made.next_at == ONE
    assert Incident(1, tasks=tasks[:1]).next_at is None
    assert replace(made, state=State.CLOSED).next_at is None


@pytest.mark.parametrize(
    ("since", "until", "within"),
    [(3, None, [3, 4, 5, 6]), (3, 5, [3, 4, 5]), (3, 3, [3])],
)
def test_a_plan_is_in_the_scope_from_an_entry_to_an_entry(
    since: int, until: int | None, within: list[int]
) -> None:
    assert [n for n in range(1, 7) if Scoped("shop", since, until).has(n)] == within


@pytest.mark.parametrize("state", State)
def test_an_incident_is_open_until_it_is_closed(state: State) -> None:
    closed = state in (State.CLOSED, State.REPORTED)
    assert Incident(1, state=state).is_open is not closed


def test_plans_in_the_scope_are_named_once() -> None:
    scope = (Scoped("a", 1, 2), Scoped("b", 1), Scoped("a", 3), Scoped("b", 4))
    assert Incident(1, scope=scope).plans == ("b", "a")


@pytest.mark.parametrize(
    ("instants", "sign", "seen"),
    [
        ({}, LATE, LATE),
        ({Instant.AWARE: ONE}, ONE, ONE),
        ({Instant.OCCURRED: TWO}, TWO, LATE),
        ({Instant.OCCURRED: TWO, Instant.SUSPECTED: ONE}, ONE, ONE),
        ({Instant.FIRST_ALERT: ONE, Instant.DISCOVERED: TWO}, ONE, ONE),
        ({Instant.FIRST_ALERT: TWO, Instant.DISCOVERED: ONE}, ONE, ONE),
        ({Instant.NOTIFIED_BY_THIRD_PARTY: TWO}, TWO, LATE),
        ({Instant.OCCURRED: LATE + timedelta(hours=1)}, LATE, LATE),
        ({Instant.CONTAINED: ONE}, LATE, LATE),
    ],
)
def test_the_first_sign_and_when_somebody_noticed(
    instants: dict[Instant, datetime], sign: datetime, seen: datetime
) -> None:
    made = Incident(1, instants=instants, opened_at=LATE)
    assert (made.first_sign, noticed(made)) == (sign, seen)


def test_durations_count_from_when_it_was_noticed() -> None:
    stated = {
        Instant.OCCURRED: NOON,
        Instant.DISCOVERED: minute(10),
        Instant.CONTAINED: minute(30),
        Instant.RECOVERED_REGULAR: minute(70),
    }
    made = Incident(1, instants=stated, opened_at=TWO, acknowledged_at=minute(15))
    found = durations(made)
    assert found == {"detect": 600, "acknowledge": 300, "contain": 1200, "recover": 3600}
    assert durations(replace(made, acknowledged_at=None))["acknowledge"] is None
    assert durations(replace(made, acknowledged_at=minute(10)))["acknowledge"] == 0
    assert durations(replace(made, acknowledged_at=minute(9)))["acknowledge"] is None
    nothing = dict.fromkeys(("detect", "acknowledge", "contain", "recover"))
    assert durations(Incident(1)) == nothing


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (Instant.OCCURRED, Instant.FIRST_ALERT),
        (Instant.OCCURRED, Instant.HANDLED),
        (Instant.SUSPECTED, Instant.AWARE),
        (Instant.CONTAINED, Instant.HANDLED),
        (Instant.RECOVERED_REGULAR, Instant.HANDLED),
    ],
)
def test_a_moment_before_one_that_must_come_first_is_a_contradiction(
    earlier: Instant, later: Instant
) -> None:
    assert contradictions({earlier: ONE, later: NOON}) == [f"{later} is before {earlier}"]
    assert contradictions({earlier: ONE, later: ONE}) == []
    assert contradictions({earlier: NOON, later: ONE}) == []
    assert contradictions({earlier: ONE}) == contradictions({later: ONE}) == []


def test_moments_that_may_come_in_any_order() -> None:
    assert contradictions({Instant.AWARE: ONE, Instant.CONTAINED: NOON}) == []
    assert contradictions({Instant.FIRST_ALERT: ONE, Instant.SUSPECTED: NOON}) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("incident:1", 1),
        ("incident:" + "9" * 15, 10**15 - 1),
        ("incident:" + "9" * 16, None),
        ("incident:-1", None),
        ("incident", None),
        ("accident:1", None),
        ("incident:1:2", None),
    ],
)
def test_the_number_of_an_incident_is_in_the_subject(text: str, number: int | None) -> None:
    assert number_of(text) == number


def test_an_entry_names_who_made_it_and_whether_the_incident_was_chosen() -> None:
    plain = draft(kinds.LOG, 7, Author("anna", NOON, ANNA), {"text": "x"})
    assert (plain.kind, plain.subject, plain.at, plain.actor) == (
        kinds.LOG, "incident:7", NOON, ANNA,
    )  # fmt: skip
    assert plain.body == {"text": "x", "by": "anna", "actor": ANNA}
    chosen = draft(kinds.LOG, 7, Author("anna", NOON, chosen=True), {"text": "x"})
    assert chosen.body["chosen"] == "the only open incident"
    assert chosen.actor is None


DATA = DataSet("customers", ("names",), True, 5, (("DE", 5), ("FR", None)), encrypted=False)


def test_people_that_the_plan_declares_are_an_estimate() -> None:
    found = declared("shop", DATA, "no database")
    assert found == Affected(
        "shop", "customers", Known.ESTIMATED, 5, (("DE", 5), ("FR", None)), ("names",),
        special=True, encrypted=False, why="no database",
    )  # fmt: skip
    assert declared("shop", replace(DATA, people=0)).known is Known.ESTIMATED
    unknown = declared("shop", replace(DATA, people=None))
    assert (unknown.known, unknown.people, unknown.why) == (Known.UNKNOWN, None, "")


def test_affected_people_are_written_and_read() -> None:
    full = replace(declared("shop", DATA, "why"), point="9f", data_time=ONE)
    assert Affected.from_json(full.to_json()) == full
    assert full.to_json()["data_time"] == "2026-11-28T13:00:00Z"
    least = Affected("shop", "customers", Known.UNKNOWN)
    assert Affected.from_json(least.to_json()) == least
    assert least.to_json()["data_time"] is None
    assert Affected.from_json(SHOP) == least


def test_only_counted_numbers_correct_what_the_plan_declares() -> None:
    counted = Affected("shop", "customers", Known.COUNTED, 7, (("DE", 7),))
    assert counted.corrects(DATA) == replace(DATA, people=7, residents=(("DE", 7),))
    assert replace(counted, known=Known.ESTIMATED).corrects(DATA) == DATA


def test_an_entry_that_somebody_changed_has_no_effect_and_is_named() -> None:
    made = opened().say(kinds.SEVERITY, to="low").say(kinds.SEVERITY, to="high")
    entry = made.entries[2]
    assert entry.body is not None
    made.entries[2] = replace(entry, body=replace(entry.body, text='{"to":"medium"}'))
    assert made.incident.severity == "low"
    assert [line.text for line in timeline(made.incident, made.entries)][2] == (
        "(changed after it was recorded: drd records verify)"
    )
    [told] = doubts(made.incident, altered(made.entries))
    assert told == (
        "entry 3 was changed after it was recorded, so drd ignores what is written there "
        "now. To check the records: drd records verify"
    )


def test_of_an_incident_whose_entries_cannot_be_read_nothing_is_made_up() -> None:
    made = opened(restricted=True).say(kinds.SEVERITY, to="high").say(kinds.ASSIGN, to="anna")
    made.entries[:] = [replace(e, body=None, sealed="age") for e in made.entries]
    here = replace(made.incident, cadence=Cadence(3600.0, UPDATES_S))
    assert (here.sealed, here.severity, here.lead, here.updates) == (3, "", "", ())
    assert set(durations(here).values()) == {None}
    assert "severity unknown here" in standing(here, ONE, UTC)
    assert "lead unknown here" in standing(here, ONE, UTC)
    [told] = doubts(here, ())
    assert told == (
        "3 entries of incident 1 cannot be read on this host, so drd may not know all "
        "deadlines. To read encrypted entries: drd records unseal --identity FILE"
    )
    made.say(kinds.SEVERITY, to="low")
    assert made.incident.severity == "low"


def test_a_task_that_counts_from_a_moment_is_due_when_somebody_states_the_moment() -> None:
    made = opened().say(kinds.TASK, text="block", due_after="aware + 30m")
    made.say(kinds.TASK, text="odd", due_after="soon")  # nobody can have written it: no effect
    assert [(t.text, t.due, t.due_after) for t in made.incident.tasks] == [
        ("block", None, "aware + 30m")
    ]
    assert timeline(made.incident, made.entries)[1].text == "task: block, due aware + 30m"
    half = timedelta(minutes=30)
    for moment in (ONE, TWO):  # the second is a correction
        made.say(kinds.ANCHOR, instant="aware", at=moment, reason="x")
        assert made.incident.tasks[0].due == moment + half
        assert made.incident.next_at is not None
