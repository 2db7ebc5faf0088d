"""What root signs on another user's state: nothing that only a row of that user's says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from drd.config.regimes import load_regimes
from drd.flows.drill import people
from drd.flows.incidents import obligations as flow
from drd.model.incidents.duties import Submission
from drd.model.incidents.entries import Author
from drd.model.incidents.instants import Instant
from drd.model.inventory import DataSet
from drd.model.obligations.calendars import NoHolidays
from drd.model.obligations.case import Case
from drd.model.obligations.clocks import clock
from drd.process import rights

AT = datetime(2026, 12, 1, 9, tzinfo=UTC)
OWNER = rights.Owner(1000, 1000, (), "anna", "/home/anna")
TOLD = {"late", "due_at", "target_at"}


class Incidents:
    """Keeps the body of what is added."""

    body: Any = None

    def add(self, number: int, make: Any) -> None:
        del number
        [made] = make(None)
        self.body = made.body


@pytest.mark.parametrize("owner", [None, OWNER])
def test_times_that_follow_from_entries_are_not_signed_for_another_user(
    owner: rights.Owner | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rights, "acts_for", lambda: owner)
    known = load_regimes(None).known
    state = clock(known["eu-gdpr-33"], known, Case({Instant.AWARE: AT}), AT, NoHolidays())
    incidents = Incidents()
    desk: Any = SimpleNamespace(
        number=1, author=Author("anna", AT), catalogue=SimpleNamespace(incidents=incidents)
    )
    flow.submit(desk, state, Submission(AT + timedelta(hours=1)))
    assert TOLD & set(incidents.body) == ({"late", "due_at"} if owner is None else set())
    flow.decide(desk, state, {}, applies=True, reason="r")
    assert TOLD & set(incidents.body) == ({"due_at", "target_at"} if owner is None else set())


@pytest.mark.parametrize("owner", [None, OWNER])
def test_the_time_of_a_counted_point_is_not_signed_for_another_user(
    owner: rights.Owner | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rights, "acts_for", lambda: owner)
    inspector = SimpleNamespace(scalar=lambda query, timeout_s: 42)
    there: Any = {"db": SimpleNamespace(inspector=lambda: inspector)}
    plan: Any = SimpleNamespace(name="shop")
    point: Any = SimpleNamespace(id="p1", data_time=AT)
    data = DataSet("customers", where=("db.people",), count="select 42")
    found = people._ask(plan, point, data, there)
    assert (found.people, found.point) == (42, "p1")
    assert found.data_time == (AT if owner is None else None)
