"""What the summary of the status says without judging again, held against `assess()` itself.

A green that is stale is a lie: whatever the facts, what was written down about a plan holds for as
long as it says, and what comes back from a file is what went in.
"""

from __future__ import annotations

import functools
import json
from datetime import datetime, timedelta
from typing import Any, Literal, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drd.cli.render import NO_LIMIT
from drd.cli.status_table import render
from drd.flows.status.nagios import nagios
from drd.flows.status.overview import StatusDocument
from drd.model import drill_facts
from drd.model import facts as facts_module
from drd.model.cells import Note
from drd.model.compliance import assess
from drd.model.drill_facts import DrillFacts, FailedCheck
from drd.model.facts import CopyFacts, FailureFacts, HoldFacts, PlanFacts, StatusFacts
from drd.model.facts_codec import FORMAT, decode, encode
from drd.model.rows import copies_of, note_of, row_of
from drd.model.status_line import Brief, in_advance, microseconds
from drd.model.status_notes import Told
from drd.model.validity import course, holds
from drd.model.verdicts import Assessment, Verdict, worst
from tests.status_support import DAY, NOW, ago, alert, drill, healthy, point
from tests.unit.test_compliance_properties import plans

st.register_type_strategy(
    datetime, st.integers(-40 * 86400, 40 * 86400).map(lambda s: NOW + timedelta(seconds=s))
)
st.register_type_strategy(float, st.floats(0, 1e9))
later = st.one_of(
    st.floats(0, 3 * 3600), st.floats(0, 400 * DAY), st.sampled_from([0.0, 468.0, 719.999, 648.0])
)


@st.composite
def anything(draw: st.DrawFn) -> PlanFacts:
    """Any value in some of the fields, also in one that was added yesterday; the others are a
    healthy plan's."""
    names = draw(st.sets(st.sampled_from(PlanFacts._fields), min_size=1, max_size=4))
    hints = _hints(PlanFacts)
    return quiet(**{name: draw(_VALUES(hints[name])) for name in sorted(names)})


def _any_of(kind: Any) -> st.SearchStrategy[Any]:
    return st.from_type(kind)


def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, localns={"Literal": Literal})  # known there to type checkers alone


def _by_fields(kind: Any) -> st.SearchStrategy[Any]:
    """Hypothesis knows `typing`'s own named tuples alone."""
    return st.builds(kind, **{name: _any_of(hint) for name, hint in _hints(kind).items()})


_CLASSES = {
    kind
    for module in (facts_module, drill_facts)
    for kind in vars(module).values()
    if isinstance(kind, type) and hasattr(kind, "_fields")
}
for _kind in _CLASSES:
    st.register_type_strategy(_kind, _by_fields)


_VALUES = functools.cache(_any_of)


def quiet(**changes: Any) -> PlanFacts:
    return healthy(**{"last_drill": drill(since_s=DAY), **changes})


# --- facts in a file ---------------------------------------------------------------------------


@settings(max_examples=150)
@given(anything())
def test_facts_come_back_from_json_as_they_were(facts: PlanFacts) -> None:
    assert decode(json.loads(json.dumps(encode(facts)))) == facts


def test_decoded_facts_have_their_types() -> None:
    facts = quiet(alerts=(alert(),), copies=(CopyFacts("offsite", "primary", NOW, NOW),))

    back = decode(json.loads(json.dumps(encode(facts))))

    assert (type(back), type(back.copies[0]), type(back.newest.data_time)) == (
        PlanFacts, CopyFacts, datetime
    )  # fmt: skip


def test_facts_are_written_as_the_last_version_did() -> None:
    """A file of another form would be refused, or read as something else."""
    hold = HoldFacts("p1", "a lawsuit", None, "anna")
    number = 2 + sorted(FORMAT.split(" "), key=lambda c: c.split("(")[0]).index(
        next(c for c in FORMAT.split(" ") if c.startswith("HoldFacts("))
    )
    assert encode(hold) == [number, "p1", "a lawsuit", None, "anna"]
    assert encode((NOW, [1.5], {"a": True})) == [
        0,
        [1, "2026-11-25T00:31:00+00:00"],
        [0, 1.5],
        {"a": True},
    ]
    assert decode([0, [1, "2026-11-25T01:31:00+01:00"], [0], {"a": [0, 1]}]) == (
        NOW,
        (),
        {"a": (1,)},
    )


def test_times_of_a_brief_are_microseconds_since_1970() -> None:
    assert microseconds(datetime.fromisoformat("1970-01-01T00:00:00.000001+00:00")) == 1
    assert microseconds(NOW) == NOW.timestamp() * 1e6


def test_every_class_of_facts_is_known_to_the_file() -> None:
    assert {StatusFacts, DrillFacts, FailedCheck} <= _CLASSES
    assert all(f"{c.__name__}(" in FORMAT for c in _CLASSES)


@pytest.mark.parametrize("bad", [[], [99], [[1]], [1, "no time"], [3, "too", "few"], ["x"]])
def test_facts_that_drd_never_writes_are_refused(bad: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whichever words
        decode(bad)


def test_a_fact_with_another_number_of_fields_is_refused_by_its_class() -> None:
    whole = encode(HoldFacts("p1", "a lawsuit", None, "anna"))
    for wrong, count in ((whole[:-1], 3), ([*whole, 1], 5)):
        with pytest.raises(ValueError, match=f"^HoldFacts has 4 fields, not {count}$"):
            decode(wrong)


def test_facts_contain_only_known_classes() -> None:
    with pytest.raises(TypeError, match="no fact is made of bytes"):
        encode(quiet(owner=b"x"))


# --- what holds for how long -------------------------------------------------------------------


def brief_of(facts: PlanFacts, now: datetime) -> Brief | None:
    """What is shown for a while of a plan without problems; None for any other plan."""
    shown = in_advance(facts, now)
    return shown if isinstance(shown, Brief) else None


@settings(max_examples=200)
@given(plans() | anything(), later)
def test_an_assessment_holds_for_as_long_as_it_says(facts: PlanFacts, after_s: float) -> None:
    then = NOW + timedelta(seconds=after_s)
    said, for_s = holds(lambda at: assess(facts, at), NOW)

    assert said.verdict is assess(facts, NOW).verdict
    if after_s < for_s:
        now = assess(facts, then)
        assert (now.verdict, now.readiness) == (said.verdict, said.readiness)
        assert [r.state for r in now.remarks] == [r.state for r in said.remarks]
        assert [r.verdict for r in now.reasons] == [r.verdict for r in said.reasons]
        assert [c.verdict for c in now.copies] == [c.verdict for c in said.copies]


@settings(max_examples=200)
@given(plans() | anything() | st.builds(quiet, newest=st.builds(point, st.floats(0, 900))), later)
def test_a_brief_always_equals_assess(facts: PlanFacts, after_s: float) -> None:
    then = NOW + timedelta(seconds=after_s)
    brief = brief_of(facts, NOW)
    now_us = microseconds(then)

    if brief is not None and brief.since <= now_us < brief.until:
        full = assess(facts, then)
        said = (Verdict.MET, (), ())
        assert (full.verdict, full.reasons, full.alerts) == said
        assert (brief.verdict, brief.reasons, brief.alerts) == said
        assert (full.state, full.why) == (brief.state, None)
        assert full.rpo.exposure_s == (now_us - brief.data) / 1e6
        assert full.rto.projected_s == brief.projected_s
        assert full.rpo.kept == pytest.approx(brief.attainment(now_us), abs=1e-9)
        assert full.drill.last_at is not None
        assert microseconds(full.drill.last_at) == brief.drilled


@pytest.mark.parametrize("age_s", [0.5, 300.0, 710.0])
def test_a_healthy_plan_has_a_brief_until_it_is_at_risk(age_s: float) -> None:
    brief = brief_of(quiet(newest=point(age_s), components=()), NOW)

    assert brief is not None
    assert (brief.until - brief.since) / 1e6 == pytest.approx(720 - age_s, abs=0.01)
    assert (brief.rpo_s, brief.attainment(brief.since)) == (900, 1.0)


def test_a_brief_is_valid_until_its_figures_change() -> None:
    brief = brief_of(quiet(newest=point(100), components=()), NOW)
    assert brief is not None
    to_the_millisecond = 620 * 10**6 - 1000
    assert (brief.since, brief.until - brief.since) == (microseconds(NOW), to_the_millisecond)


@pytest.mark.parametrize(("age_s", "is_kept"), [(718.9, True), (719.1, False), (719.9, False)])
def test_a_summary_that_holds_for_less_than_a_second_is_not_kept(
    age_s: float, is_kept: bool
) -> None:
    found = in_advance(quiet(newest=point(age_s), components=()), NOW)
    assert (found is not None) == is_kept


@pytest.mark.parametrize(
    "changes",
    [
        {"newest": None},
        {"newest": point(800.0)},
        {"load_error": "broke"},
        {"alerts": (alert(),)},
        {"copies": (CopyFacts("offsite", "primary"),)},
        {"last_drill": None, "last_passed_drill": None},
        {"missed": ((ago(7200), ago(3600)),)},
    ],
)
def test_a_plan_with_reasons_has_no_brief(changes: dict[str, Any]) -> None:
    assert brief_of(quiet(**changes), NOW) is None


def test_a_plan_whose_file_is_gone_has_no_brief() -> None:
    assert brief_of(quiet(), NOW) is not None
    assert brief_of(quiet(file_gone=True), NOW) is None


def test_a_plan_with_a_hold_has_no_brief() -> None:
    assert brief_of(quiet(holds=(HoldFacts("p1", "a lawsuit", None, "anna"),)), NOW) is None


def test_a_brief_shows_the_oldest_data_of_the_copies() -> None:
    old = CopyFacts("offsite", "primary", data_time=ago(300), available_at=ago(250))
    new = CopyFacts("glacier", "primary", data_time=ago(200), available_at=ago(150))
    brief = brief_of(quiet(copies=(old, new)), NOW)
    assert isinstance(brief, Brief)
    assert brief.copied == microseconds(ago(300))


def test_old_misses_age_in_a_brief() -> None:
    facts = quiet(missed=((ago(20 * DAY), ago(19 * DAY)),), first_loaded_at=ago(60 * DAY))
    brief = brief_of(facts, NOW)
    then = NOW + timedelta(seconds=400)

    assert isinstance(brief, Brief)
    share = assess(facts, then).rpo.attainment
    assert share is not None
    assert share < 1
    assert brief.attainment(microseconds(then)) == pytest.approx(share, abs=1e-9)


# --- what is told of plans that have something to say
# ----------------------------------------------


def loud() -> st.SearchStrategy[PlanFacts]:
    """Plans of every day that are not met, with errors of whatever letters."""
    words = st.text(max_size=12) | st.sampled_from(["100 %", "⟦0⟧", "%s", "a\nb", "no route"])
    long_ago = st.integers(0, 20 * 86400).map(lambda s: ago(float(s)))
    failed = st.builds(FailureFacts, st.integers(1, 9), st.just("4f2a"), long_ago, words)
    alerts = st.lists(
        st.builds(
            alert,
            kind=st.sampled_from(["rpo", "backup-failing", "never-drilled", "copy-behind", "disk"]),
            since=long_ago,
            text=words,
            severity=st.sampled_from(["warning", "critical"]),
        ),
        max_size=2,
    ).map(tuple)
    some: dict[str, Any] = {
        "newest": st.none() | st.floats(0, 5 * DAY).map(point),
        "failures": st.none() | failed,
        "alerts": alerts,
        "copies": st.just(())
        | st.tuples(st.builds(CopyFacts, st.just("b"), st.just("a"), long_ago)),
        "last_drill": st.none()
        | st.builds(drill, st.sampled_from(["passed", "failed"]), since_s=st.floats(0, 30 * DAY)),
        "missed": st.just(()) | st.just(((ago(20 * DAY), ago(19.5 * DAY)),)),
    }
    return st.fixed_dictionaries(some).map(lambda changes: quiet(**changes))


@settings(max_examples=300)
@given(loud() | plans() | anything(), later)
def test_stored_texts_equal_those_of_assess(facts: PlanFacts, after_s: float) -> None:
    then = NOW + timedelta(seconds=after_s)
    told = in_advance(facts, NOW)
    now_us = microseconds(then)

    if isinstance(told, Told) and told.since <= now_us < told.until:
        told = Told(*json.loads(json.dumps(told)))
        full, said = assess(facts, then), told.telling(now_us)
        row = row_of(full, then)
        assert (told.verdict, bool(told.copies)) == (full.verdict, bool(full.copies))
        assert told.state is full.state
        assert (*said.row[:6], said.row[7]) == (*row[:6], row[7])
        assert _share(said.row[6].text) == pytest.approx(_share(row[6].text), abs=0.011)
        assert said.copies == copies_of(full)
        assert said.why == _why(full, then)
        assert said.first == (full.why.text if full.why else "")
        assert told.has_reason == bool(full.why)
        critical = [a.text for a in full.alerts if a.severity == "critical"]
        assert told.critical == critical


def _why(full: Assessment, at: datetime) -> Note | None:
    return note_of(full.plan, full.why, at) if full.why else None


def _share(text: str) -> float:
    return -1.0 if text == "-" else float(text.removesuffix(" %"))


@pytest.mark.parametrize(
    "changes",
    [
        {"last_drill": None, "last_passed_drill": None},
        {"newest": None},
        {"newest": point(3 * DAY), "failures": FailureFacts(3, "4f2a", ago(60), "no route")},
        {"last_drill": drill("failed", since_s=400), "alerts": (alert(),)},
        {"digest": "another"},
        {"copies": (CopyFacts("offsite", "primary"),)},
    ],
)
def test_texts_of_usual_problems_stay_valid_for_a_while(changes: dict[str, Any]) -> None:
    told = in_advance(quiet(**changes), NOW)
    assert isinstance(told, Told)
    assert (told.until - told.since) / 1e6 > 60
    then = NOW + timedelta(seconds=60)
    full = assess(quiet(**changes), then)
    assert told.telling(told.since + 60_000_000).why == _why(full, then)


@pytest.mark.parametrize(
    "changes",
    [
        {"failures": FailureFacts(3, "4f2a", ago(60), "⟦0⟧ is no figure")},
        {"alerts": (alert(id="a1"), alert(id="a2", text="no backup for 4h"))},
        {"load_error": "broke"},
    ],
)
def test_ambiguous_texts_are_not_stored(changes: dict[str, Any]) -> None:
    assert in_advance(quiet(newest=point(3 * DAY), **changes), NOW) is None


@settings(max_examples=25)
@given(st.lists(loud(), min_size=52, max_size=60), st.floats(0, 60))
def test_screen_and_plugin_are_the_same_with_and_without_a_summary(
    facts: list[PlanFacts], after_s: float
) -> None:
    """Also of alerts that are critical, and in the same order."""
    then = NOW + timedelta(seconds=round(after_s))
    named = [f._replace(plan=f"plan{i:02}", file="") for i, f in enumerate(facts)]
    ahead = {f.plan: brief for f in named if (brief := in_advance(f, NOW)) is not None}
    still = [b for b in ahead.values() if b.since <= microseconds(then) < b.until]
    full = tuple(assess(f, then) for f in named)
    names = {b.plan for b in still}
    by_itself = StatusDocument(then, worst(p.verdict for p in full), full)
    some = tuple(p for p in full if p.plan not in names)
    with_briefs = by_itself._replace(plans=some, briefs=tuple(still))

    assert nagios(with_briefs) == nagios(by_itself)
    assert render(with_briefs, NO_LIMIT, colour=True) == render(by_itself, NO_LIMIT, colour=True)


# --- the time that notes what it is asked ---------------------------------------------------------


@pytest.mark.parametrize(
    ("judge", "for_s"),
    [
        (lambda now: (now - ago(10)).total_seconds() > 25, 15),
        (lambda now: (now - ago(10)).total_seconds() * 2 > 25, 2.5),
        (lambda now: (ago(-30) - now).total_seconds() < 10, 20),
        (lambda now: now - ago(10) > timedelta(seconds=25), 15),
        (lambda now: now - timedelta(seconds=60) > ago(70), float("inf")),
        (lambda now: now - timedelta(seconds=60) > ago(50), 10),
        (lambda now: max(ago(-5), now) == now, 5),
        (lambda now: ago(-7) > now, 7),
        (lambda now: (now - ago(10)) / timedelta(seconds=100) > 0.5, 40),
        (lambda now: 1 - timedelta(seconds=10) / (now - ago(20)) > 0.75, 20),
        (lambda now: int((now - ago(10)).total_seconds()) > 25, 0),
        (lambda now: (now - ago(10)).total_seconds() % 7 > 3, 0),
        (lambda now: True, float("inf")),
    ],
)
def test_each_question_about_time_says_when_its_answer_changes(judge: Any, for_s: float) -> None:
    said, found = holds(judge, NOW)

    assert said == judge(NOW)
    assert found == pytest.approx(for_s, abs=0.0011)


def test_a_figure_whose_course_nobody_knows_has_none() -> None:
    value, _ = holds(lambda now: (now - ago(10)).total_seconds() % 7, NOW)
    assert course(value) is None
    assert course(3.5) == (3.5, 0.0, 1.0, 0.0)
