"""What drd refuses to record about a report: a delay that the law does not allow for so long, and a
report after its time without a reason."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drd.catalogue.sql_catalogue import SqlCatalogue, open_catalogue
from drd.config.regimes import load_regimes
from drd.errors import UsageError
from drd.flows.incidents import obligations as flow
from drd.flows.incidents.opening import open_incident
from drd.flows.incidents.writing import Desk
from drd.holiday_calendars import HolidayCalendars
from drd.model.actor import Actor
from drd.model.incidents.duties import Submission, duties
from drd.model.incidents.entries import Author
from drd.model.incidents.instants import Instant
from drd.model.obligations.case import Case, Hold
from drd.model.obligations.clocks import ClockState, clock
from drd.model.obligations.regime import HoldKind

AT = datetime(2026, 11, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)
ANNA = Actor(1000, "anna", 1000, "db1", "terminal", "anna")
POLICE, ATTORNEY = HoldKind.LAW_ENFORCEMENT, HoldKind.ATTORNEY_GENERAL


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[SqlCatalogue]:
    made = open_catalogue(f"sqlite:///{tmp_path}/state/drd.db", create=True)
    open_incident(made, Author("Anna", AT, ANNA), "leak", plans=[], severity="high")
    yield made
    made.close()


@pytest.fixture
def desk(catalogue: SqlCatalogue) -> Desk:
    return Desk(catalogue, 1, Author("Anna", AT, ANNA))


def state(name: str, catalogue: SqlCatalogue, now: datetime = AT) -> ClockState:
    """The clock of a regime whose moments were all at AT."""
    regimes = load_regimes(None).known
    said = duties(catalogue.incidents.entries(catalogue.incidents.get(1)))
    case = Case(dict.fromkeys(Instant, AT), holds=said.holds)
    return clock(regimes[name], regimes, case, now, HolidayCalendars())


@pytest.mark.parametrize("name", ["us-hipaa-individuals", "us-hipaa-media", "us-hipaa-ba"])
def test_a_statement_that_is_not_in_writing_delays_for_30_days(
    desk: Desk, catalogue: SqlCatalogue, name: str
) -> None:
    asked = Hold(POLICE, AT, AT + 31 * DAY, oral=True)
    with pytest.raises(
        UsageError, match=r"until 2026-12-02 09:00 UTC at the latest, not"
    ) as raised:
        flow.hold(desk, state(name, catalogue), asked, "by phone")
    assert "in writing can ask for a longer delay" in raised.value.hint
    flow.hold(desk, state(name, catalogue), Hold(POLICE, AT, oral=True), "by phone")
    assert state(name, catalogue).hold_until == AT + 30 * DAY


def test_the_attorney_general_delays_in_steps(desk: Desk, catalogue: SqlCatalogue) -> None:
    name = "us-sec-8k-105"
    with pytest.raises(UsageError, match="allows attorney-general to delay us-sec-8k-105 until"):
        flow.hold(desk, state(name, catalogue), Hold(ATTORNEY, AT, AT + 31 * DAY), "letter")
    flow.hold(desk, state(name, catalogue), Hold(ATTORNEY, AT), "letter")
    assert state(name, catalogue).due_at == AT + 30 * DAY


def test_what_is_due_without_undue_delay_needs_a_reason_after_its_target(
    desk: Desk, catalogue: SqlCatalogue
) -> None:
    told = state("eu-gdpr-34", catalogue)
    assert (told.due_at, told.target_at) == (None, AT + 3 * DAY)
    with pytest.raises(UsageError, match="without undue delay, and was submitted after its target"):
        flow.submit(desk, told, Submission(AT + 3 * DAY + timedelta(seconds=1)))
    flow.submit(desk, told, Submission(AT + 9 * DAY, reason="addresses were to be found first"))
    flow.submit(desk, state("eu-gdpr-34", catalogue), Submission(AT + 3 * DAY))


def test_a_late_report_to_people_needs_a_reason(desk: Desk, catalogue: SqlCatalogue) -> None:
    told = state("us-hipaa-individuals", catalogue)
    assert told.due_at is not None
    with pytest.raises(UsageError, match=r"was due at .* and is late"):
        flow.submit(desk, told, Submission(told.due_at + timedelta(seconds=1)))
    flow.submit(desk, told, Submission(told.due_at))
