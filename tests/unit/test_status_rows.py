"""The row and the sentences of a plan in `drd status`, cell by cell."""

from __future__ import annotations

from typing import Any

import pytest

from drd.model.cells import Cell, Note
from drd.model.compliance import assess
from drd.model.drill_facts import Unproven
from drd.model.facts import CopyFacts, FindingFacts, UnreadyFacts
from drd.model.plan_state import Judged, state_of
from drd.model.rows import alert_note, copies_of, drilled, note_of, objective, percent, row_of
from drd.model.verdicts import (
    Assessment,
    CopyAssessment,
    PlanState,
    Readiness,
    Reason,
    RepositoryAssessment,
    RpoAssessment,
    RtoAssessment,
    Verdict,
    lost_words,
)
from tests.status_support import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    ago,
    alert,
    drill,
    failures,
    healthy,
    point,
    repository,
)

MET, AT_RISK, UNKNOWN, BREACHED = (
    Verdict.MET,
    Verdict.AT_RISK,
    Verdict.UNKNOWN,
    Verdict.BREACHED,
)


def judged(**changes: Any) -> Assessment:
    return assess(healthy(**changes), NOW)


def with_state(plan: Assessment) -> Assessment:
    """Return the assessment, of which something was replaced, with the state that it has now."""
    parts = (plan.plan, plan.readiness, plan.reasons, plan.alerts, plan.copies, plan.repositories)
    state, remarks = state_of(Judged(*parts))
    return plan._replace(state=state, remarks=remarks)


def notes(assessment: Assessment) -> list[tuple[str, str, str]]:
    told = [note_of(assessment.plan, r, NOW) for r in with_state(assessment).remarks]
    return [(n.text.text, n.text.style, n.command) for n in told]


# --- the row --------------------------------------------------------------------------------


def test_a_healthy_plan_has_a_green_verdict_and_plain_figures() -> None:
    assert row_of(judged(), NOW) == [
        Cell("orders-api"),
        Cell("ok", "good"),
        Cell("4m 12s"),
        Cell("15m"),
        Cell("1m 34s"),
        Cell("30m"),
        Cell("100 %"),
        Cell("passed 2d ago"),
    ]


def test_a_missed_objective_is_coloured_where_it_is_missed() -> None:
    late = row_of(judged(newest=point(16 * MINUTE)), NOW)
    assert (late[1], late[2], late[4].style) == (Cell("breached", "bad"), Cell("16m", "bad"), "")
    near = row_of(judged(newest=point(13 * MINUTE)), NOW)
    assert (near[1], near[2]) == (Cell("at risk", "warn"), Cell("13m", "warn"))
    slow = row_of(judged(last_passed_drill=drill(rta_s=HOUR)), NOW)
    assert (slow[2].style, slow[4]) == ("", Cell("1h", "bad"))
    never = row_of(judged(last_drill=None, last_passed_drill=None), NOW)
    assert never[1] == Cell("unknown", "bad")
    assert never[4:8] == [Cell("unknown", "warn"), Cell("30m"), Cell("100 %"), Cell("never")]
    failed = row_of(judged(last_drill=drill("failed")), NOW)
    assert (failed[1], failed[7]) == (Cell("breached", "bad"), Cell("failed 2d ago", "bad"))


def test_where_everything_would_be_lost_no_drill_brings_it_back() -> None:
    lost = judged()._replace(
        rpo=RpoAssessment(900.0, None, None, None, BREACHED),
        rto=RtoAssessment(1800.0, 94.0, None, BREACHED),
    )
    row = row_of(lost, NOW)
    assert (row[2], row[4], row[6]) == (Cell("everything", "bad"), Cell("never", "bad"), Cell("-"))
    undrilled = lost._replace(rto=RtoAssessment(1800.0, None, None, UNKNOWN))
    assert row_of(undrilled, NOW)[4] == Cell("unknown", "warn")


def test_a_plan_without_objectives_shows_dashes() -> None:
    bare = judged()._replace(
        rpo=RpoAssessment(None, None, None, None, UNKNOWN),
        rto=RtoAssessment(None, None, None, UNKNOWN),
    )
    row = row_of(bare, NOW)
    assert (row[2].text, row[3].text, row[5].text) == ("unknown", "-", "-")
    assert (objective(None), objective(90.0)) == ("-", "1m 30s")


@pytest.mark.parametrize(
    ("rehearsed", "since_s", "text"),
    [
        (None, HOUR, "passed 1h ago"),
        ((7, 9), HOUR, "passed 1h ago, 7 of 9 steps"),
        ((9, 9), HOUR, "passed 1h ago"),
        (None, None, "passed in the future"),
    ],
)
def test_a_drill_is_shown_with_its_age_and_the_steps_that_it_left_out(
    rehearsed: tuple[int, int] | None, since_s: float | None, text: str
) -> None:
    assert drilled("passed", since_s, rehearsed) == text


def test_without_a_drill_here_the_one_on_a_lost_host_is_named() -> None:
    none = {"last_drill": None, "last_passed_drill": None, "scenarios": ()}
    assert row_of(judged(**none), NOW)[-1].text == "never"
    assert row_of(judged(**none, proven_elsewhere="e1"), NOW)[-1].text == "before loss"


@pytest.mark.parametrize(
    ("share", "text"), [(None, "-"), (1.0, "100 %"), (0.99999, "99.99 %"), (0.0, "0.00 %")]
)
def test_only_a_window_without_a_miss_is_whole(share: float | None, text: str) -> None:
    assert percent(share) == text


# --- copies ---------------------------------------------------------------------------------


def copy(
    name: str, exposure_s: float | None, verdict: Verdict, data_s: float | None = 60
) -> CopyAssessment:
    at = ago(data_s) if data_s is not None else None
    return CopyAssessment(name, "primary", at, exposure_s, verdict)


def test_the_copy_that_is_furthest_behind_is_shown() -> None:
    def shown(*copies: CopyAssessment) -> Cell:
        return copies_of(judged()._replace(copies=copies))

    assert shown() == Cell("-")
    assert shown(copy("a", 60.0, MET), copy("b", 120.0, MET)) == Cell("2m")
    assert shown(copy("a", 120.0, MET), copy("b", 60.0, AT_RISK)) == Cell("1m", "warn")
    assert shown(copy("a", 120.0, AT_RISK), copy("b", None, AT_RISK)) == Cell("2m", "warn")
    assert shown(copy("a", None, BREACHED, None)) == Cell("never", "bad")
    assert shown(copy("a", None, UNKNOWN, None), copy("b", 0.5, UNKNOWN)) == Cell("0.5s", "warn")
    assert shown(copy("a", None, UNKNOWN, None), copy("b", 0.0, UNKNOWN)) == Cell(
        "never (1 of 2)", "warn"
    )


@pytest.mark.parametrize(
    ("state", "exposure", "text", "command"),
    [
        ("ok", (120.0, AT_RISK, 120), "copy b of primary is 2m behind", "drd copy orders-api"),
        (
            "ok",
            (None, BREACHED, None),
            "copy b of primary does not contain a restore point with all its snapshots",
            "drd copy orders-api",
        ),
        (
            "ok",
            (None, UNKNOWN, None),
            "copy b of primary does not contain a restore point",
            "drd copy orders-api",
        ),
        (
            "damaged",
            (120.0, BREACHED, 120),
            "copy b of primary is damaged: the readable data there is 2m behind",
            "drd verify orders-api --repository b",
        ),
        (
            "damaged",
            (None, BREACHED, None),
            "copy b of primary is damaged: drd does not know a complete restore point there",
            "drd verify orders-api --repository b",
        ),
        *(
            (
                state,
                (None, BREACHED, None),
                f"copy b of primary {lost_words(state)}: drd cannot read data there",
                "drd doctor orders-api",
            )
            for state in ("gone", "emptied", "replaced", "shut")
        ),
    ],
)
def test_a_copy_that_is_behind_says_why_and_what_to_do(
    state: str, exposure: tuple[Any, Verdict, Any], text: str, command: str
) -> None:
    behind = judged()._replace(
        copies=(copy("a", 60.0, MET), copy("b", *exposure)),
        repositories=(RepositoryAssessment("b", "primary", state, None, None, stored=False),),
    )
    [note] = notes(behind)
    assert (note[0], note[2]) == (text, command)
    assert note[1] == "warn"
    unknown = behind._replace(repositories=())
    assert notes(unknown)[0][2] == "drd copy orders-api"


def test_another_repository_in_the_place_of_one_is_called_so() -> None:
    assert lost_words("replaced") == "was replaced by another repository"
    assert lost_words("gone") == "is gone"


def test_a_copy_that_has_an_alert_is_reported_by_it_alone() -> None:
    late = alert(kind="copy-behind", subject="offsite", text="copy offsite is behind")
    facts = healthy(copies=(CopyFacts("offsite", "primary", ago(DAY)),), alerts=(late,))
    texts = [text for text, _, _ in notes(assess(facts, NOW))]
    assert texts == ["copy offsite is behind (alert a1 for 2h)"]


# --- one word for all of it -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "state", "reason", "command"),
    [
        ({}, "ok", None, None),
        (
            {"newest": point(HOUR)},
            "breached",
            (
                "RPO exceeded: the newest complete backup has data of 2026-11-24 23:31:00 UTC "
                "(RPO 15m); drd has recorded no later backup run"
            ),
            "drd backup orders-api",
        ),
        (
            {"last_drill": None, "last_passed_drill": None},
            "unknown",
            "never drilled, so nobody knows whether the data can be restored",
            "drd drill orders-api",
        ),
        (
            {"last_drill": drill(unproven=(Unproven("orders-db", "has no check", "no-check"),))},
            "not ready",
            "the last drill did not prove everything: orders-db has no check",
            (
                "add a check for orders-db under `checks` in the plan, and, if the plan has a "
                "runbook, a step `check: all`"
            ),
        ),
        (
            {
                "repositories": (repository(), repository("b", copy_of="primary", lost="gone")),
            },
            "not ready",
            "repository b is gone",
            "drd doctor orders-api",
        ),
        (
            {"digest": "another"},
            "needs drill",
            "the plan changed since its last drill",
            "drd drill orders-api",
        ),
        (
            {"last_drill": drill(since_s=8 * DAY)},
            "needs drill",
            "drill is overdue: it was due at 2026-11-24 00:31:00 UTC (every 7d)",
            "drd drill orders-api",
        ),
        (
            {"failures": failures(1)},
            "at risk",
            "the last backup failed: pg_dump cannot connect (tried at 2026-11-25 00:27:00 UTC)",
            "drd run show 4f2a",
        ),
        (
            {"newest": point(13 * MINUTE)},
            "at risk",
            (
                "RPO nearly exceeded: the newest complete backup has data of 2026-11-25 "
                "00:18:00 UTC (RPO 15m); drd has recorded no later backup run"
            ),
            "drd backup orders-api",
        ),
        ({"alerts": (alert(),)}, "at risk", "no backup for 3h", ""),
        ({"alerts": (alert(state="acknowledged"),)}, "at risk", "no backup for 3h", ""),
        ({"alerts": (alert(severity="info"),)}, "ok", None, None),
        (
            {"last_drill": None, "alerts": (alert(kind="secret-missing", remedy="cp -n a b"),)},
            "unknown",
            "no backup for 3h",
            "cp -n a b",
        ),
        (
            {"missed": ((ago(2 * HOUR), ago(HOUR)),)},
            "ok",
            None,
            None,
        ),
    ],
)
def test_the_state_is_the_worst_of_all_with_its_reason_and_the_command_that_leads_out(
    changes: dict[str, Any], state: str, reason: str | None, command: str | None
) -> None:
    plan = judged(**changes)
    assert plan.state == state
    told = (plan.why.text, plan.why.remedy) if plan.why else (None, None)
    assert told == (reason, command)


def test_of_several_reasons_the_worst_is_reported() -> None:
    plan = judged(
        digest="another",
        newest=point(HOUR),
        unready=UnreadyFacts(
            NOW, "", "not ready", (FindingFacts("people", "lead", "nobody", "", "people: lead"),)
        ),
    )
    assert [r.state for r in plan.remarks] == ["breached", "not ready", "needs drill"]
    assert plan.state is PlanState.BREACHED


def test_a_plan_that_is_not_ready_without_a_verdict_reason_still_has_a_remedy() -> None:
    plan = with_state(judged()._replace(readiness=Readiness.NOT_READY))
    assert plan.state is PlanState.NOT_READY
    assert plan.why is not None
    assert plan.why.remedy == "drd readiness orders-api"


# --- reasons and alerts ---------------------------------------------------------------------


def test_a_reason_names_the_alert_about_the_same_subject() -> None:
    one = alert(id="a1", kind="repository-gone", subject="primary")
    two = alert(id="a2", kind="repository-gone", subject="offsite")
    reasons = (
        Reason(BREACHED, "offsite is gone", "do it", "repository-gone", subject="offsite"),
        Reason(MET, "noted", "", "another"),
    )
    for alerts in ((one, two), (two, one)):
        told = judged()._replace(reasons=reasons, alerts=alerts)
        assert notes(told) == [
            ("offsite is gone (alert a2 for 2h)", "bad", "do it"),
            ("noted", "", ""),
        ]
    other = judged()._replace(reasons=reasons, alerts=(one,))
    assert notes(other)[0][0] == "offsite is gone (alert a1 for 2h)", "of the same kind"


def test_a_reason_names_the_alert_whose_words_it_includes() -> None:
    failing = alert(kind="backup-failing")
    reason = Reason(AT_RISK, "late: no route", "", "rpo", says_why="backup-failing")
    told = judged()._replace(reasons=(reason,), alerts=(failing,))
    assert notes(told) == [("late: no route (alert a1 for 2h)", "warn", "")]
    own = alert(id="a9", kind="rpo")
    both = told._replace(alerts=(failing, own))
    assert notes(both) == [("late: no route (alert a9 for 2h)", "warn", "")]


def test_alerts_without_a_reason_follow_in_their_colour() -> None:
    told = judged()._replace(
        alerts=(
            alert(id="a1", kind="disk", severity="critical", text="full", remedy="df"),
            alert(id="a2", kind="clock", severity="warning", text="off"),
            alert(id="a3", kind="note", severity="info", text="so"),
        )
    )
    assert notes(told) == [
        ("full (alert a1 for 2h)", "warn", "df"),
        ("off (alert a2 for 2h)", "warn", ""),
        ("so (alert a3 for 2h)", "", ""),
    ]


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({}, "alert a1 for 2h"),
        (
            {"state": "acknowledged", "acknowledged_by": "an\nna"},
            "alert a1, acknowledged by an\\nna",
        ),
        ({"state": "acknowledged", "acknowledged_by": None}, "alert a1, acknowledged by "),
        (
            {
                "state": "acknowledged",
                "acknowledged_by": "anna",
                "acknowledged_until": ago(-HOUR),
            },
            "alert a1, acknowledged by anna until 2026-11-25 01:31 UTC",
        ),
    ],
)
def test_an_alert_says_since_when_or_who_takes_care_of_it(
    known: dict[str, Any], words: str
) -> None:
    note = alert_note("drd", alert(text="it is", **known), NOW)
    assert note == Note("drd", Cell(f"it is ({words})", "warn"), "")
