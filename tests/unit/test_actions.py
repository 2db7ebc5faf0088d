"""Action items: what their entries say, what closes them, and who learns that one is overdue."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.flows.incidents.actions import settle, with_items
from drd.model.action_conditions import action_conditions
from drd.model.finding import Finding
from drd.model.incidents import entries as kinds
from drd.model.incidents.actions import Proof, VerifiedBy
from drd.model.incidents.entries import Author, draft
from drd.model.incidents.fold import fold
from drd.model.incidents.timeline import timeline
from drd.model.readiness_finding import ReadinessFinding
from drd.model.records import body_of
from drd.model.restricted_conditions import concealed
from drd.model.run import CheckResult, CheckVerdict, DrillResult, RunKind, RunState
from drd.model.run_details import ReadinessDetail, RunDetail
from tests.catalogue_support import at, evidence, opened, plan
from tests.records_support import ANNA
from tests.unit.test_incident_fold import NOON, ONE, Response
from tests.unit.test_incident_fold import opened as incident_with

UTC = ZoneInfo("UTC")
CHECK = "check:orders-api/rows"


def test_items_follow_from_their_entries() -> None:
    said = incident_with()
    said.say(kinds.ACTION, act="add", text="a", owner="bert", due=ONE)
    said.say(kinds.ACTION, act="add", text="b", owner="eve", due=NOON, verified_by=CHECK)
    said.say(kinds.ACTION, act="add", text="no due time", owner="eve")
    said.say(kinds.CLOSE)
    said.drd(kinds.ACTION, act="verified", action=3, run="r1", verified_by=CHECK)
    said.say(kinds.ACTION, act="done", action=3, reason="too late: it is done")
    first, second = said.incident.actions
    assert (first.entry, first.owner, first.due, first.done_at) == (2, "bert", ONE, None)
    assert (second.proof, second.done_by, second.reason) == ("r1", "drd", "")
    assert said.incident.open_actions == (first,)
    said.say(kinds.ACTION, act="done", action=2, reason="x")
    assert said.incident.open_actions == ()
    assert said.incident.actions[0].done_by == "anna"
    assert _lines(said)[1:3] == [
        "action item: a (bert), due 2026-11-28 13:00 UTC",
        (
            "action item: b (eve), due 2026-11-28 12:00 UTC, drd closes it when "
            "check:orders-api/rows passes"
        ),
    ]
    assert "action item 3 done: b; check:orders-api/rows passed (run r1)" in _lines(said)


@pytest.mark.parametrize(("by", "shown"), [("Bea", "Bea"), ("", "anna")])
def test_whoever_adds_or_ends_an_item_is_named_as_the_entry_says(by: str, shown: str) -> None:
    said = incident_with()
    author = Author(by, NOON, ANNA)
    added = {"act": "add", "text": "a", "owner": "bert", "due": ONE}
    for body in (added, {"act": "done", "action": 2, "reason": "x"}):
        said.add(draft(kinds.ACTION, 1, author, body))
    [item] = said.incident.actions
    assert (item.by, item.done_by) == (shown, shown)


def _lines(said: Response) -> list[str]:
    return [line.text for line in timeline(said.incident, said.entries)]


@pytest.mark.parametrize("text", [CHECK, "drill:shop", "drill:shop/host-loss", "finding:a/b/c"])
def test_what_verifies_is_read_as_it_was_written(text: str) -> None:
    assert str(VerifiedBy.read(text)) == text


@pytest.mark.parametrize("text", ["", "shop", "check:shop", "check:/x", "prayer:shop/x", "drill:"])
def test_what_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a valid"):
        VerifiedBy.read(text)


def test_overdue_items_are_alerts_also_of_closed_incidents() -> None:
    said = incident_with()
    said.say(kinds.ACTION, act="add", text="secret text", owner="bert", due=ONE)
    said.say(kinds.CLOSE)
    assert list(action_conditions(said.incident, ONE, UTC)) == []
    [late] = action_conditions(said.incident, ONE + timedelta(seconds=1), UTC)
    assert (late.kind, late.severity) == ("action-overdue", "warning")
    assert late.subject == "incident 1, action item 2"
    assert "secret" not in late.text
    assert "bert" not in late.text
    assert late.remedy == "drd incident action 1 list"
    [hidden] = concealed(1, [late])
    assert hidden.text == "an action item of incident 1 is overdue"


def test_the_scope_of_a_closed_incident_ends_with_it() -> None:
    said = incident_with()
    said.say(kinds.CLOSE)
    said.say(kinds.ACTION, act="add", text="a", owner="bert", due=ONE)
    assert (said.incident.ended, said.incident.last) == (2, 3)
    assert said.say(kinds.STATE, to="detected").incident.ended == 0
    assert said.say(kinds.STATE, to="closed").incident.ended == 5


class House:
    """A catalogue with one plan, and one incident with an item for each proof."""

    def __init__(self, catalogue: SqlCatalogue) -> None:
        self.catalogue = catalogue
        self.plan = plan()
        catalogue.plans.load(self.plan, file_digest="", at=at(0))
        body = {"title": "leak", "plans": [], "severity": "", "instants": {}}
        catalogue.incidents.begin(lambda n: draft(kinds.OPEN, n, Author("a", at(0), ANNA), body))
        self.items = {
            proof: self.add(f"{proof}:orders-api/{name}")
            for proof, name in (
                (Proof.CHECK, "rows"),
                (Proof.CONTROL, "limit"),
                (Proof.DRILL, "region-loss"),
                (Proof.FINDING, "kit"),
            )
        }

    def add(self, verified_by: str) -> int:
        body = {"act": "add", "text": "x", "owner": "o", "due": at(1), "verified_by": verified_by}
        made = draft(kinds.ACTION, 1, Author("a", at(10), ANNA), body)
        return self.catalogue.incidents.add(1, lambda _: [made]).last

    def run(
        self,
        kind: RunKind,
        began: float,
        *,
        ends: RunState,
        subject: str = "",
        detail: RunDetail | None = None,
    ) -> str:
        runs = self.catalogue.runs
        owned = runs.begin(
            self.plan, kind, trigger="manual", at=at(began), subject=subject, detail=None
        )
        runs.finish(owned, ends, at=at(began + 1), error=None, detail=detail)
        return owned.run.id

    def drilled(self, began: float, id_: str, **values: Any) -> str:
        owned = self.catalogue.runs.begin(
            self.plan, RunKind.DRILL, trigger="manual", at=at(began), detail=None
        )
        found = evidence(id_, finished_at=at(began + 1), run=owned.run.id, point=None, **values)
        self.catalogue.evidence.record(owned, found)
        self.catalogue.runs.finish(owned, RunState.SUCCEEDED, at=at(began + 1), error=None)
        return owned.run.id

    def settled(self) -> dict[int, str]:
        """What is closed since the last time, by which run."""
        before = {i.entry for i in self.catalogue.incidents.get(1).open_actions}
        count = settle(self.catalogue, at(100))
        closed = {
            i.entry: i.proof
            for i in self.catalogue.incidents.get(1).actions
            if i.entry in before and i.done_at is not None
        }
        assert count == len(closed)
        return closed


def _finding(code: str, severity: str) -> ReadinessDetail:
    found = Finding(code, severity, "", "text")  # type: ignore[arg-type]
    return ReadinessDetail(readiness="ready", findings=(ReadinessFinding(found),))


def test_items_close_when_what_they_name_passes_afterwards(tmp_path: Path) -> None:
    catalogue = opened(f"sqlite:///{tmp_path}/state/drd.db", tmp_path)
    house = House(catalogue)
    failed = CheckResult("rows", None, CheckVerdict.FAILED, "1", "0")
    ok, bad = RunState.SUCCEEDED, RunState.FAILED
    house.drilled(5, "before", scenario="region-loss")  # passed before the items were made
    house.run(RunKind.CONTROL, 5, ends=ok, subject="limit")
    house.run(RunKind.READINESS, 5, ends=ok, detail=_finding("other", "error"))
    house.drilled(20, "bad", result=DrillResult.FAILED, checks=(failed,), scenario="region-loss")
    house.run(RunKind.CONTROL, 20, ends=ok, subject="tls")
    house.run(RunKind.CONTROL, 21, ends=bad, subject="limit")
    house.run(RunKind.READINESS, 20, ends=bad, detail=_finding("kit", "warning"))
    house.run(RunKind.READINESS, 21, ends=bad)  # it could not find out
    house.run(RunKind.READINESS, 22, ends=bad, detail=_finding("repository", "error"))  # nor this
    assert house.settled() == {}

    checked = house.drilled(30, "rows only", result=DrillResult.FAILED)
    assert house.settled() == {house.items[Proof.CHECK]: checked}
    drilled = house.drilled(31, "whole", scenario="region-loss")
    held = house.run(RunKind.CONTROL, 32, ends=ok, subject="limit")
    ready = house.run(RunKind.READINESS, 33, ends=ok, detail=_finding("kit", "ok"))
    assert house.settled() == {
        house.items[Proof.DRILL]: drilled,
        house.items[Proof.CONTROL]: held,
        house.items[Proof.FINDING]: ready,
    }
    assert house.settled() == {}, "nothing is recorded twice"

    said = body_of(catalogue.records.newest(kind=kinds.ACTION, limit=4)[-1])
    assert said["evidence"]["check"]["name"] == "rows"
    assert said["evidence"]["run"] == checked
    assert said["actor"] is None
    assert [i.number for i in with_items(catalogue)] == [1]
    own = [e for e in catalogue.records.read() if e.header.subject == "incident:1"]
    assert fold(1, own).open_actions == ()
    catalogue.close()
