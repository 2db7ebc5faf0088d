"""All clocks of an incident in words: each with what a person has to know of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from drd.model.incidents.incident import Incident
from drd.model.obligations.case import Case
from drd.model.obligations.clocks import ClockKind, ClockState
from drd.model.obligations.paragraphs import DISCLAIMER, facts, paragraphs
from drd.model.obligations.regime import Prompt, Recipient
from tests.obligation_support import AT, AWARE, DAY, HOUR, HOURS, SENT, regime

SECOND = timedelta(seconds=1)
BERLIN = ZoneInfo("Europe/Berlin")
TO = replace(regime(), recipient=Recipient("the authority"))


def state(kind: str, made: Any = TO, **of: Any) -> ClockState:
    return ClockState(made, ClockKind(kind), **of)


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (state("filed", submitted_at=AT, due_at=AT), ["submitted 2026-12-01 10:00 CET"]),
        (state("filed-late", submitted_at=AT + DAY, due_at=AT, late_reason="aware earlier"),
         ["submitted 2026-12-02 10:00 CET",
          "late: the report was due 2026-12-01 10:00 CET: aware earlier"]),
        (state("filed-late", submitted_at=AT + DAY, due_at=AT),
         ["submitted 2026-12-02 10:00 CET",
          ("late: the report was due 2026-12-01 10:00 CET, and nobody has recorded why. To "
              "record the reason: --late --reason TEXT")]),
        (state("not-applicable", reason="no data"), ["does not apply: no data"]),
        (state("not-applicable", reason="no data", submitted_at=AT, late=True, due_at=AT - HOUR),
         ["submitted 2026-12-01 10:00 CET", "does not apply: no data"]),
        (state("running", started_at=AT, due_at=AT + HOUR, target_at=AT + HOUR),
         ["due 2026-12-01 11:00 CET, in 1h", "to the authority"]),
        (state("overdue", started_at=AT, due_at=AT - HOUR),
         ["due 2026-12-01 09:00 CET, 1h ago", "to the authority"]),
        (state("due-soon", started_at=AT, due_at=AT),
         ["due 2026-12-01 10:00 CET, in 0s", "to the authority"]),
        (state("running", started_at=AT, target_at=AT + HOUR),
         ["due without undue delay", "target 2026-12-01 11:00 CET, in 1h", "to the authority"]),
        (state("running", started_at=AT, due_at=AT + DAY, target_at=AT + HOUR,
               relieved_by="art. 4"),
         ["due 2026-12-02 10:00 CET, in 1d", "target 2026-12-01 11:00 CET, in 1h",
          "due later, as art. 4 allows", "to the authority"]),
        (state("not-started", awaits=(AWARE, SENT)),
         ["not started: the time of aware or the report of r1 is missing", "to the authority"]),
        (state("not-started", no_clock="this regime is not law yet"),
         ["no clock: this regime is not law yet", "to the authority"]),
        (state("not-started", replace(TO, prompt=Prompt("is it?", HOURS)), awaits=(AWARE,),
               prompt_at=AT + HOUR),
         ["not started: the time of aware is missing",
          "determine by 2026-12-01 11:00 CET, in 1h: is it?", "to the authority"]),
        (state("not-started", awaits=(AWARE,), prompt_at=AT),
         ["not started: the time of aware is missing", "to the authority"]),
        (state("on-hold", started_at=AT, hold_until=AT + HOUR),
         ["on hold until 2026-12-01 11:00 CET", "due without undue delay", "to the authority"]),
        (state("running", started_at=AT, hold_until=AT),
         ["due without undue delay", "to the authority"]),
        (state("running", replace(TO, how="by letter", form="form 7", call="call them"),
               started_at=AT),
         ["due without undue delay", "to the authority (by letter; form 7)", "call them"]),
        (state("running", replace(TO, form="form 7"), started_at=AT),
         ["due without undue delay", "to the authority (form 7)"]),
        (state("scope-not-declared", started_at=AT),
         ["due without undue delay", "to the authority",
          "drd assumes the worst case, because the number of people or residents is missing"]),
        (state("undecided", started_at=AT, proposed=False, because=("a", "b holds")),
         ["due without undue delay", "to the authority",
          "does not apply according to the known facts: a; b holds"]),
        (state("running", started_at=AT, proposed=False, because=("a",)),
         ["due without undue delay", "to the authority"]),
        (state("undecided", started_at=AT, because=("a",)),
         ["due without undue delay", "to the authority"]),
        (state("overdue", started_at=AT, due_at=AT - SECOND),
         ["due 2026-12-01 09:59 CET, 1s ago", "to the authority"]),
        (state("filed-late", submitted_at=AT, late_reason="x"),
         ["submitted 2026-12-01 10:00 CET"]),
        (state("undecided", started_at=AT, outdated=True, reason="no data", because=("b", "c")),
         ["due without undue delay", "to the authority",
          ("somebody decided that this regime does not apply: no data. The facts changed since "
              "then: b; c. Decide again")]),
    ],
)  # fmt: skip
def test_each_state_of_a_clock_has_its_facts(one: ClockState, said: list[str]) -> None:
    assert list(facts(one, BERLIN, AT)) == said


def lines(*states: ClockState, every: bool = False) -> list[str]:
    found = paragraphs(
        Incident(7, "a\x1bleak"), states, Case(zone="Europe/Berlin"), AT, every=every
    )
    return [f"{head.strip()} {text}".strip() for head, text in found]


QUIET = state("undecided", replace(TO, id="quiet"), proposed=False, started_at=AT)
FAR = state("undecided", replace(TO, id="far"), placed=False, started_at=AT, due_at=AT)


def test_facts_of_a_clock_are_indented_to_the_column_of_its_title() -> None:
    states = (state("not-applicable"), state("overdue", due_at=AT), FAR)
    found = paragraphs(Incident(7, ""), states, Case(zone="Europe/Berlin"), AT, every=True)
    heads = [head for head, _ in found if head]
    assert len(heads) > len(states)
    assert {len(head) for head in heads} == {len("not-applicable") + 2}


def test_the_screen_of_all_clocks() -> None:
    assert lines() == [
        "incident 7  a\\x1bleak",
        (
            "according to the known facts, no report is needed, and nobody has decided that "
            "a report is needed"
        ),
        DISCLAIMER,
    ]
    done = state("filed", submitted_at=AT)
    late = state("overdue", replace(TO, id="b", title="B"), started_at=AT, due_at=AT,
                 missing=("people", "risk"))  # fmt: skip
    assert lines(done, late, QUIET) == [
        "incident 7  a\\x1bleak",
        "OVERDUE b: B",
        "due 2026-12-01 10:00 CET, in 0s",
        "to the authority",
        "filed acme: A duty",
        "submitted 2026-12-01 10:00 CET",
        (
            "1 regime more: not needed according to the known facts, and nobody has decided. To "
            "see them: --all"
        ),
        "unknown facts: people, risk. To add a fact: --fact NAME=VALUE",
        DISCLAIMER,
    ]
    assert "UNDECIDED quiet: A duty" in lines(QUIET, every=True)
    assert not any("more:" in line for line in lines(QUIET, every=True))


def test_clocks_of_unknown_places_are_counted_and_say_how_to_name_the_place() -> None:
    said = lines(FAR)
    assert said[1].startswith("UNDECIDED 1 report may be needed (EU 1): drd does not know where")
    assert said[2] == "the first report would be far, due 2026-12-01 10:00 CET"
    assert (
        "or give the places of the people:  drd incident obligation 7 --fact residents.DE=unknown"
        in (said)
    )
    assert not any("no report is needed" in line for line in said)
    timeless = lines(replace(FAR, due_at=None))
    assert not any("the first report would be" in line for line in timeless)
    target = lines(replace(FAR, due_at=None, target_at=AT + HOUR))
    assert "the first report would be far, due 2026-12-01 11:00 CET" in target
    assert "UNDECIDED far: A duty" in lines(FAR, every=True)


def test_regimes_that_are_not_needed_are_counted_beside_those_of_unknown_places() -> None:
    assert any(line.startswith("1 regime more: not needed") for line in lines(FAR, FAR, QUIET))
    assert not any("more: not needed" in line for line in lines(FAR))


def test_a_regime_with_a_zone_of_its_own_has_its_times_in_this_zone() -> None:
    athens = replace(TO, zone="Europe/Athens")
    assert "due 2026-12-01 11:00 EET, in 0s" in lines(state("due-soon", athens, due_at=AT))
    far = replace(FAR, regime=replace(athens, id="far"))
    assert "the first report would be far, due 2026-12-01 11:00 EET" in lines(far)
