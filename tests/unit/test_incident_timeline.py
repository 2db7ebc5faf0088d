"""The line of the timeline that each entry makes, and how lines are put together."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drd.api.incident_acts import ACTS
from drd.errors import UsageError
from drd.flows.records.restricted import concealed
from drd.model.actor import Actor
from drd.model.incidents import entries as kinds
from drd.model.incidents.entries import Author, draft, subject
from drd.model.incidents.fold import fold
from drd.model.incidents.timeline import Line, condensed, timeline
from drd.model.records import Draft
from tests.records_support import ANNA, Chain

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
TIMER = Actor(0, "root", None, "db1", "schedule")
ONE = NOON + timedelta(hours=1)
EVIDENCE = {"plan": "shop", "run": "1a2b3c4d", "result": "failed"}
COUNTED = {"plan": "shop", "what": "customers", "known": "counted", "people": 1, "residents": {}}
MANY = COUNTED | {"people": 5000, "known": "estimated"}
UNKNOWN = COUNTED | {"people": None, "known": "unknown"}


class Response(Chain):
    """The entries of incident 1, one a minute, after the one that opened it."""

    def __init__(self) -> None:
        super().__init__()
        self.say(kinds.OPEN, title="orders leak")
        self.say(kinds.TASK, text="change the key")

    def say(self, kind: str, number: int = 1, **body: Any) -> None:
        at = NOON + timedelta(minutes=len(self.entries))
        self.add(draft(kind, number, Author("anna", at, ANNA), body))

    def drd(self, kind: str, actor: Actor | None = None, **body: Any) -> None:
        at = NOON + timedelta(minutes=len(self.entries))
        self.add(Draft(kind, "shop/1a2b3c4d", body, at, actor))

    def lines(self) -> list[Line]:
        own = [e for e in self.entries if e.header.subject == subject(1)]
        return timeline(fold(1, own), self.entries)


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        (kinds.OPEN, {"title": ""}, "opened: orders leak"),
        (kinds.OPEN, {"title": "leak", "plans": [], "severity": ""}, "opened: leak"),
        (
            kinds.OPEN,
            {"title": "leak", "plans": ["a", "b"], "severity": "low", "rule": "alert: rpo; plan a"},
            "opened: leak; severity low; plans a, b; by the rule for alert: rpo; plan a",
        ),
        (kinds.REPORT, {"text": "odd mail"}, "reported: odd mail"),
        (kinds.REPORT, {"text": "odd mail", "plans": ["a"]}, "reported: odd mail; plans a"),
        (kinds.LOG, {"text": "called bert"}, "called bert"),
        (kinds.CORRECT, {"entry": 2, "text": "x", "reason": ""}, "entry 2 corrected"),
        (kinds.CORRECT, {"entry": 2, "text": "x", "reason": "typo"}, "entry 2 corrected: typo"),
        (kinds.STAR, {"entry": 2}, "entry 2: starred"),
        (kinds.STAR, {"entry": 2, "on": True}, "entry 2: starred"),
        (kinds.STAR, {"entry": 2, "on": False}, "entry 2: not starred any more"),
        (kinds.ASSIGN, {"to": "bert"}, "led by bert"),
        (kinds.ASSIGN, {"to": ""}, "led by nobody"),
        (kinds.ROLE, {"role": "legal", "to": "carl"}, "legal: carl"),
        (kinds.ROLE, {"role": "legal", "to": ""}, "legal: nobody"),
        (kinds.TASK, {"text": "call"}, "task: call"),
        (kinds.TASK, {"text": "call", "to": "", "due": None}, "task: call"),
        (
            kinds.TASK,
            {"text": "call", "to": "bert", "due": ONE},
            "task: call (bert), due 2026-11-28 13:00 UTC",
        ),
        (kinds.TASK, {"done": 1}, "task 1 done: change the key"),
        (kinds.TASK, {"done": 7}, "task 7 done"),
        (kinds.SCOPE, {"add": ["a", "b"], "remove": []}, "into the scope: a, b"),
        (kinds.SCOPE, {"remove": ["a"]}, "out of the scope: a"),
        (
            kinds.SCOPE,
            {"add": ["b"], "remove": ["a"], "reason": "wrong one"},
            "into the scope: b; out of the scope: a: wrong one",
        ),
        (kinds.AFFECTED, {"affected": []}, ""),
        (
            kinds.AFFECTED,
            {"affected": [COUNTED, MANY]},
            "shop: customers: 1 person (counted); shop: customers: 5,000 people (estimated)",
        ),
        (kinds.AFFECTED, {"affected": [UNKNOWN]}, "shop: customers: unknown number of people"),
        (kinds.ANCHOR, {"instant": "aware", "at": ONE}, "aware: 2026-11-28 13:00 UTC"),
        (kinds.ANCHOR, {"instant": "aware", "at": None}, "aware: the time was removed"),
        (
            kinds.ANCHOR,
            {"instant": "aware", "reason": "was another day"},
            "aware: the time was removed: was another day",
        ),
        (kinds.STATE, {"to": "contained"}, "state contained, was detected"),
        (kinds.STATE, {"to": "reported", "reason": "no"}, "state reported, was detected: no"),
        (kinds.SEVERITY, {"to": "low"}, "severity low"),
        (kinds.SEVERITY, {"to": "low", "reason": "no data"}, "severity low: no data"),
        (kinds.DECIDE, {"text": "pay nothing"}, "decided: pay nothing"),
        (kinds.DECIDE, {"text": "wait", "reason": "board"}, "decided: wait: board"),
        (kinds.LINK, {"to": "https://x/1"}, "see https://x/1"),
        (kinds.LINK, {"to": "https://x/1", "text": "chat"}, "see https://x/1: chat"),
        (kinds.RECOVERY, {"plan": "a", "target": "new"}, "recovery of a begins, target new"),
        (kinds.MERGE, {"from": 3}, "incident 3 was merged into this incident"),
        (
            kinds.MERGE,
            {"from": 3, "reason": "same"},
            "incident 3 was merged into this incident: same",
        ),
        (kinds.CLOSE, {}, "closed"),
        (kinds.CLOSE, {"reason": "done"}, "closed: done"),
        (kinds.CLOSE, {"merged_into": 2}, "closed: continues in incident 2"),
        (
            kinds.CLOSE,
            {"merged_into": 2, "reason": "same"},
            "closed: continues in incident 2: same",
        ),
        ("incident.later", {"x": 1}, "incident.later"),
        (kinds.DECIDE, {"unknown": 1}, kinds.DECIDE),
    ],
)
def test_each_entry_of_a_person_has_its_line_in_the_timeline(
    kind: str, body: dict[str, Any], text: str
) -> None:
    made = Response()
    made.say(kind, **body)
    line = next(line for line in made.lines() if line.entry == 3)
    assert (line.text, line.by, line.kind) == (text, "anna", kind)
    assert (line.starred, line.routine, line.count, line.until) == (False, False, 1, None)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            {"act": "facts", "facts": {"a": True, "b": False, "c": None, "d": 5}},
            "facts: a yes, b no, c unknown, d 5",
        ),
        ({"act": "decide", "regime": "r", "applies": True}, "r applies"),
        (
            {"act": "decide", "regime": "r", "applies": False, "reason": "no data"},
            "r does not apply: no data",
        ),
        (
            {"act": "hold", "regime": "r", "by_authority": "law-enforcement"},
            "r is on hold by law-enforcement",
        ),
        (
            {"act": "hold", "regime": "r", "by_authority": "law-enforcement", "until": ONE},
            "r is on hold by law-enforcement until 2026-11-28 13:00 UTC",
        ),
        ({"act": "submit", "regime": "r", "at": ONE}, "r submitted 2026-11-28 13:00 UTC"),
        (
            {"act": "submit", "regime": "r", "at": ONE, "reference": "A7", "late": True},
            "r submitted 2026-11-28 13:00 UTC, reference A7, late",
        ),
        (
            {"act": "late", "regime": "r", "reason": "aware earlier"},
            "r: why the report was late: aware earlier",
        ),
        ({"act": "dance", "regime": "r"}, kinds.OBLIGATION),
    ],
)
def test_each_entry_about_duties_has_its_line_in_the_timeline(
    body: dict[str, Any], text: str
) -> None:
    made = Response()
    made.say(kinds.OBLIGATION, **body)
    assert made.lines()[-1].text == text


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        (
            "run.end",
            {"run_kind": "drill", "plan": "shop", "state": "succeeded", "run": "1a"},
            "drill of shop succeeded (run 1a)",
        ),
        (
            "run.end",
            {"run_kind": "copy", "plan": "shop", "state": "failed", "run": "1a", "about": "offsite",
             "error": "no room"},
            "copy offsite of shop failed: no room (run 1a)",
        ),
        ("evidence", {"run_kind": "drill", "evidence": EVIDENCE},
         "drill of shop: failed (run 1a2b3c4d)"),
        (
            "evidence",
            {"run_kind": "drill", "evidence": EVIDENCE | {"point": "9f", "reason": "no rows"}},
            "drill of shop from point 9f: failed: no rows (run 1a2b3c4d)",
        ),
        ("decision", {"action": "skip", "run": "1a", "step": "dns"}, "skip: step dns of run 1a"),
        ("decision", {"action": "undo", "run": "1a", "step": "dns"}, "undo: step dns of run 1a"),
        ("decision", {"action": "abort", "run": "1a", "comment": "wait"}, "abort: run 1a: wait"),
        (
            "decision",
            {"action": "undo", "run": "1a"},
            "undo of recovery 1a: puts back the data from before the recovery",
        ),
        (
            "decision",
            {"action": "done", "run": "1a", "plan": "shop", "comment": "all well"},
            "done of recovery 1a of shop: removes the kept copies for good: all well",
        ),
        ("run.cancel", {"run_kind": "drill", "plan": "shop", "run": "1a"},
         "cancelled: drill of shop (run 1a)"),
        ("hold", {"point": "9f", "plan": "shop", "reason": "court"},
         "holds point 9f of shop: court"),
        ("release", {"point": "9f", "plan": "shop"}, "releases point 9f of shop"),
        ("point.forget", {"point": "9f", "plan": "shop"}, "forgot point 9f of shop"),
        (
            "plan.forget",
            {"plan": "shop", "had": {"points": 3, "runs": 1, "evidence": 1}},
            "forgot plan shop: 3 restore points, 1 run, 1 piece of evidence",
        ),
        ("plan.forget", {"plan": "shop", "had": None}, "forgot plan shop"),
        ("alert.open", {"severity": "warning", "plan": "shop", "text": "late"},
         "alert warning: shop: late"),
        ("alert.resolved", {"plan": "shop", "text": "late"}, "alert resolved: shop: late"),
        ("alert.ack", {"alert": "a1"}, "acknowledged alert a1"),
    ],
)  # fmt: skip
def test_each_act_of_drd_has_its_line_in_the_timeline(
    kind: str, body: dict[str, Any], text: str
) -> None:
    made = Response()
    made.drd(kind, **body)
    line = made.lines()[-1]
    assert (line.text, line.by) == (text, "drd")
    assert line.plan == body.get("plan", "")


@pytest.mark.parametrize(
    ("actor", "state", "by", "routine"),
    [
        (None, "succeeded", "drd", True),
        (TIMER, "succeeded", "drd", True),
        (None, "failed", "drd", False),
        (ANNA, "succeeded", "anna", False),
    ],
)
def test_routine_is_what_succeeded_without_a_person(
    actor: Actor | None, state: str, by: str, *, routine: bool
) -> None:
    made = Response()
    made.drd("run.end", actor, run_kind="backup", plan="shop", state=state, run="1a")
    assert (made.lines()[-1].by, made.lines()[-1].routine) == (by, routine)
    made.drd("alert.resolved", actor, state="succeeded", plan="shop", text="late")
    assert not made.lines()[-1].routine


def test_moments_of_the_same_minute_stand_in_the_order_of_their_entries() -> None:
    made = Response()
    made.say(kinds.LOG, text="first", happened_at=ONE)
    made.say(kinds.LOG, text="second", happened_at=ONE)
    made.say(kinds.LOG, text="third", happened_at="no time")
    found = [(line.text, line.at, line.noted_at) for line in made.lines()[2:]]
    minutes = [NOON + timedelta(minutes=n) for n in (2, 3, 4)]
    assert found == [
        ("third", minutes[2], minutes[2]),
        ("first", ONE, minutes[0]),
        ("second", ONE, minutes[1]),
    ]


def test_an_entry_of_another_incident_changes_no_state() -> None:
    made = Response()
    made.add(draft(kinds.STATE, 2, Author("bert", NOON, ANNA), {"to": "closed"}))
    made.say(kinds.STATE, to="contained")
    assert made.lines()[-1].text == "state contained, was detected"


def test_an_earlier_time_of_a_moment_is_named_only_for_that_moment() -> None:
    made = Response()
    made.say(kinds.ANCHOR, instant="aware", at=NOON)
    made.say(kinds.ANCHOR, instant="contained", at=ONE)
    made.say(kinds.ANCHOR, instant="aware", at=ONE, reason="log")
    assert [line.text for line in made.lines()[3:]] == [
        "contained: 2026-11-28 13:00 UTC",
        "aware: 2026-11-28 13:00 UTC, not 2026-11-28 12:00 UTC: log",
    ]


def test_a_corrected_entry_that_was_redacted_says_nothing() -> None:
    made = Response()
    made.say(kinds.LOG, text="7 Elm Street")
    made.say(kinds.CORRECT, entry=3, text="8 Elm Street", reason="")
    made.entries[2] = replace(made.entries[2], body=None)
    line = made.lines()[2]
    assert (line.text, line.corrected) == ("(redacted)", True)


def test_a_restricted_correction_is_for_those_with_a_role_alone() -> None:
    made = Response()
    made.say(kinds.LOG, text="a key leaked")
    made.say(kinds.CORRECT, entry=3, text="bert leaked it", reason="logs", restricted=True)
    made.say(kinds.CORRECT, entry=1, text="bert leaks", reason="logs", restricted=True)
    incident = fold(1, made.entries)
    assert incident.title == "orders leak", "everybody reads the title"
    for entries, reads in ((made.entries, True), (concealed(made.entries, {}), False)):
        lines = timeline(incident, entries)
        assert (lines[2].text, lines[2].corrected) == (
            ("bert leaked it", True) if reads else ("a key leaked", False)
        )
        assert any("bert" in line.text or "logs" in line.text for line in lines) == reads


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"correct": 3, "at": "-2h"}, "a time cannot be combined with correct"),
        ({"star": 3, "at": "-2h"}, "a time cannot be combined with star"),
        ({"unstar": 3, "restricted": True}, "restricted cannot be combined with unstar"),
        ({"correct": 3, "measure": True}, "measure cannot be combined with correct"),
    ],
)
def test_a_correction_or_mark_drops_nothing_silently(given: dict[str, Any], why: str) -> None:
    body, log = ACTS["log"]
    with pytest.raises(UsageError, match=why):
        log(None, None, body(**given))  # type: ignore[arg-type]


ROUTINE = Line(1, NOON, NOON, "run.end", "drd", "backup of shop succeeded (run 1a)", routine=True)


@pytest.mark.parametrize(
    ("second", "lines"),
    [
        (replace(ROUTINE, text="backup of shop succeeded (run 2b)"), 1),
        (replace(ROUTINE, text="copy of shop succeeded (run 2b)"), 2),
        (replace(ROUTINE, text="backup of shop succeeded"), 1),
        (replace(ROUTINE, plan=""), 1),
        (replace(ROUTINE, plan="billing"), 2),
        (replace(ROUTINE, kind="evidence"), 2),
        (replace(ROUTINE, routine=False), 2),
    ],
)
def test_lines_that_say_the_same_are_one(second: Line, lines: int) -> None:
    later = replace(second, entry=2, at=ONE)
    found = condensed([ROUTINE, later])
    assert len(found) == lines
    assert found[0].count == 3 - lines
    assert found[0].until == (ONE if lines == 1 else None)
    assert len(condensed([later, ROUTINE])) == lines


def test_corrections_and_stars_made_before_a_merge_stay_after_it() -> None:
    response = Response()
    response.say(kinds.OPEN, 2, title="odd login")  # entry 3
    response.say(kinds.LOG, 2, text="from 10.0.0.1")
    response.say(kinds.CORRECT, 2, entry=4, text="from 10.0.0.2", reason="typo")
    response.say(kinds.STAR, 2, entry=4)
    response.say(kinds.STAR, 2, entry=3)
    response.say(kinds.STATE, 2, to="contained")
    response.say(kinds.STATE, 2, to="triaged", reason="not yet")
    response.say(kinds.CLOSE, 2, merged_into=1)
    response.say(kinds.MERGE, **{"from": 2})
    response.say(kinds.STAR, entry=3, on=False)
    lines = {line.entry: line for line in response.lines()}
    assert (lines[4].text, lines[4].corrected) == ("from 10.0.0.2", True)
    assert [lines[n].starred for n in (3, 4)] == [False, True]
    assert lines[9].text == "state triaged, was contained: not yet", "its own state, not that of 1"
