"""What withholds `ready`, by name."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drd.flows.host.persons_check import PersonsCheck
from drd.flows.host.readiness import at_target
from drd.kinds.file_system import no_directory, space_finding, unwritable
from drd.model.actor import Actor
from drd.model.compliance import assess
from drd.model.coverage import Coverage
from drd.model.drill_facts import PackageFacts, Unproven
from drd.model.drill_readiness import of_coverage, of_drills, of_tools, of_versions
from drd.model.facts import AlertFacts, FindingFacts, UnreadyFacts
from drd.model.finding import Finding
from drd.model.finding_codes import name_of
from drd.model.plan import DrillPolicy
from drd.model.readiness import (
    judge,
    of_assessment,
    of_kit,
    of_people,
    of_point,
)
from drd.model.readiness_finding import ReadinessException, ReadinessFinding
from drd.model.run import DrillResult, Run, RunKind, RunState
from drd.model.run_details import ReadinessDetail
from drd.model.runbook import Ask, Step
from drd.model.scenarios import valid_until
from drd.model.source_version import SourceVersion
from drd.model.units import format_time
from drd.model.verdicts import PlanState, Readiness
from drd.registry import source_version
from tests.catalogue_support import T0, at, captured, evidence, plan, point
from tests.status_support import HOUR, NOW, ago, drill, failures, healthy, repository
from tests.user_support import NOBODY, acting_as, as_root

READY, NEEDS_DRILL, NOT_READY = Readiness.READY, Readiness.NEEDS_DRILL, Readiness.NOT_READY

FINE = ReadinessFinding(Finding("restic", "ok", "", "restic 0.18.0"))
GONE = ReadinessFinding(Finding("repository", "error", "primary", "refused", "start it"), NOT_READY)
UNPROVEN = ReadinessFinding(
    Finding("drill", "error", "database-loss", "never", "drd drill"), NEEDS_DRILL
)
WARNING = ReadinessFinding(Finding("kit-missing", "warning", "", "none was made"))


def exception(finding: str, days: float = 1.0) -> ReadinessException:
    return ReadinessException(finding, "known", T0 + timedelta(days=days))


def test_the_most_severe_finding_decides_and_is_first() -> None:
    assert judge([WARNING, FINE], (), T0).readiness is READY
    assert judge([FINE, UNPROVEN], (), T0).readiness is NEEDS_DRILL
    report = judge([FINE, WARNING, UNPROVEN, GONE], (), T0)
    assert report.readiness is NOT_READY
    assert [f.finding.name for f in report.findings[2:]] == ["kit missing", "restic"]
    assert report.error == ("not ready: repository primary: refused; drill database-loss: never")
    assert judge([FINE, WARNING], (), T0).error is None


def test_an_exception_holds_until_its_end_and_is_never_forgotten() -> None:
    report = judge([GONE, FINE], [exception("repository primary")], T0)
    assert report.readiness is READY
    [accepted] = [f for f in report.findings if f.excepted]
    told = accepted.to_json()
    assert told["severity"] == "error"
    assert told["exception"] == {"reason": "known", "until": "2026-11-26T12:00:00Z"}
    assert [ReadinessFinding.from_json(f.to_json()) for f in report.findings] == [*report.findings]

    over = judge([GONE], [exception("repository primary", days=-1)], T0)
    assert over.readiness is NOT_READY
    assert "has expired" in over.findings[1].finding.text
    idle = judge([FINE], [exception("restic")], T0)
    assert idle.readiness is READY
    assert idle.findings[0].finding.severity == "warning"
    assert "not needed: the finding is not a problem any more" in idle.findings[0].finding.text
    mistyped = judge([GONE], [exception("repositry primary")], T0)
    assert mistyped.readiness is NOT_READY
    assert "there is no such finding" in mistyped.findings[1].finding.text
    assert 'write "repository primary"' in mistyped.findings[1].finding.remedy


def test_an_exception_names_its_last_day_and_its_reason() -> None:
    until = ReadinessException("restic", "known", T0.replace(hour=0))
    for now, what in (
        (T0, "has expired"),
        (T0 - timedelta(days=1), "is not needed: the finding is not a problem any more"),
    ):
        [told, _] = judge([FINE], [until], now).findings
        assert told.finding.text == f"the exception until 2026-11-24 (known) {what}"
        assert (told.finding.subject, told.allows) == ("restic", READY)
    at_its_end = ReadinessException("repository primary", "known", T0)
    assert judge([GONE], [at_its_end], T0).readiness is NOT_READY
    assert judge([GONE], [at_its_end], T0 - timedelta(seconds=1)).readiness is READY


def test_a_name_that_is_like_no_finding_gets_no_proposal() -> None:
    [told, _] = judge([FINE], [exception("zzz")], T0).findings
    assert told.finding.remedy == "remove the exception from `readiness` of the plan."
    [told, _] = judge([FINE], [exception("rostic", days=-1)], T0).findings
    assert told.finding.remedy.endswith(", or set a later end.")


def test_an_exception_accepts_all_findings_of_its_name_and_no_other() -> None:
    report = judge([GONE, UNPROVEN, GONE], [exception("repository primary")], T0)
    assert (report.readiness, len(report.withholding)) == (NEEDS_DRILL, 1)
    assert [f.finding.name for f in report.findings] == [
        "drill database-loss",
        "repository primary",
        "repository primary",
    ]
    warned = judge([WARNING, GONE, FINE], [exception("repository primary")], T0)
    assert [f.finding.severity for f in warned.findings] == ["error", "warning", "ok"]


DRILLED = f"{evidence().finished_at:%Y-%m-%d %H:%M} UTC"


@pytest.mark.parametrize(
    ("change", "allows", "words"),
    [
        ({}, READY, f"passed {DRILLED}, recovered in 9.6s"),
        ({"result": DrillResult.FAILED, "reason": "rows"}, NOT_READY, f"failed {DRILLED}: rows"),
        ({"result": DrillResult.INCONCLUSIVE}, NEEDS_DRILL, f"inconclusive {DRILLED}"),
        ({"plan_digest": "old"}, NEEDS_DRILL, "the plan has changed since then"),
        (
            {"finished_at": T0 - timedelta(days=9)},
            NEEDS_DRILL,
            "overdue: it was due at 2026-11-23 12:00 UTC",
        ),
        (
            {"scenario": "region-loss"},
            NEEDS_DRILL,
            "never drilled, so nobody knows whether a recovery works",
        ),
        (
            {"target": "standby"},
            NEEDS_DRILL,
            "never drilled, so nobody knows whether a recovery works",
        ),
    ],
)
def test_a_drill_proves_its_scenario(
    change: dict[str, object], allows: Readiness, words: str
) -> None:
    now = T0 + timedelta(days=1)
    if "finished_at" in change:
        now = T0 - timedelta(days=1)
    [finding] = of_drills(plan(), [evidence(**change)], now)  # type: ignore[arg-type]
    assert (finding.finding.name, finding.allows) == ("drill database-loss", allows)
    assert words in finding.finding.text


def test_a_drill_of_when_the_clock_was_ahead_proves_nothing_and_hides_no_other() -> None:
    ahead = evidence(finished_at=T0 + timedelta(days=3))
    [finding] = of_drills(plan(), [ahead], T0 + timedelta(days=1))
    assert finding.allows is NEEDS_DRILL
    assert finding.finding.text.endswith(", which is in the future: a clock was set back")
    right = evidence(id="e2")
    [finding] = of_drills(plan(), [ahead, right], T0 + timedelta(days=1))
    assert finding.finding.text.startswith(f"passed {DRILLED}, recovered in")
    other = evidence(id="e3", scenario="region-loss")
    [finding] = of_drills(plan(), [ahead, other], T0 + timedelta(days=1))
    assert "in the future" in finding.finding.text  # and not "never drilled"


def test_a_passed_operator_drill_counts_for_the_data_but_not_for_the_time() -> None:
    def text(**changes: object) -> str:
        passed = evidence(scenario="operator", **changes)  # type: ignore[arg-type]
        [finding] = of_drills(plan(), [passed], T0 + timedelta(days=1))
        assert (finding.finding.name, finding.allows) == ("drill database-loss", NEEDS_DRILL)
        return finding.finding.text

    assert text() == (
        "no drill has measured the time of a recovery yet; an operator drill passed "
        f"{DRILLED}, so the data can be restored"
    )
    gap = Unproven("orders-db", "was not restored")
    for without in (
        {"plan_digest": "old"},
        {"result": DrillResult.FAILED},
        {"finished_at": T0 - timedelta(days=60)},
        {"unproven": (gap,)},
    ):
        assert text(**without) == "never drilled, so nobody knows whether a recovery works"


def test_an_operator_drill_counts_to_the_last_second_of_its_validity() -> None:
    weekly = replace(plan(), drill=replace(plan().drill, every_s=7 * 86400.0))
    passed = evidence(scenario="operator")
    until = valid_until(passed.finished_at, weekly.drill.interval_s, len(weekly.drill.scenarios))
    for late, counts in ((timedelta(), True), (timedelta(seconds=1), False)):
        [finding] = of_drills(weekly, [passed], until + late)
        assert ("an operator drill passed" in finding.finding.text) is counts


def test_each_scenario_is_judged_by_its_own_drill_and_comes_in_turn() -> None:
    both = replace(
        plan(), drill=DrillPolicy(every_s=7 * 86400.0, scenarios=("database-loss", "region-loss"))
    )
    last = evidence()
    found = of_drills(both, [last, evidence(id="e0", scenario="region-loss")], at(60 * 24 * 13))
    assert [f.allows for f in found] == [READY, READY]
    first, second = of_drills(both, [last], at(1))
    assert (first.allows, second.allows) == (READY, NEEDS_DRILL)
    assert second.finding.remedy == "drd drill orders-api --scenario region-loss"
    failed = evidence(
        id="e0", scenario="region-loss", result=DrillResult.FAILED, finished_at=at(-60)
    )
    first, second = of_drills(both, [last, failed], at(1))
    assert (second.allows, second.proof) == (NOT_READY, True), "another scenario clears nothing"
    assert of_drills(both, [failed], at(1))[1].proof


def test_a_failed_drill_from_one_repository_counts_while_the_plan_has_that_repository() -> None:
    failed = evidence(id="e0", repository="primary", result=DrillResult.FAILED)
    found = of_drills(plan(), [evidence(), failed], at(1))
    assert [f.finding.subject for f in found] == ["database-loss", "database-loss from primary"]
    former = replace(failed, repository="former")
    assert len(of_drills(plan(), [evidence(), former], at(1))) == 1


def test_another_version_of_a_package_than_in_the_drill_is_named() -> None:
    package = PackageFacts("drd-notes", "1.2.0", "2")
    drilled = evidence(plan_digest="d0")
    [finding] = of_drills(plan(), [drilled], T0 + timedelta(days=1), lambda _: [package])
    words = "with package drd-notes 1.2.0, which is version 2 now"
    assert finding.finding.text == f"passed 2026-11-25 12:00 UTC {words}"
    assert finding.finding.remedy == "drd drill orders-api --scenario database-loss"


@pytest.mark.parametrize(
    ("scenarios", "days", "words"),
    [
        (1, 7, ""),
        (1, 7.7, ""),
        (1, 7.8, "and the next drill is overdue: it was due at 2026-12-02 12:00 UTC"),
        (1, 14.1, "but a passed drill counts only for 14d"),
        (2, 14, ""),
        (2, 16, "and the next drill is overdue: it was due at 2026-12-09 12:00 UTC"),
        (2, 29, "but a passed drill counts only for 28d"),
    ],
)
def test_a_pass_counts_for_two_turns(scenarios: int, days: float, words: str) -> None:
    names = ("database-loss", "region-loss")[:scenarios]
    drilled = replace(plan(), drill=DrillPolicy(every_s=7 * 86400.0, scenarios=names))
    first = of_drills(drilled, [evidence()], T0 + timedelta(days=days))[0]
    assert first.allows is (NEEDS_DRILL if words else READY)
    assert words in first.finding.text
    assert first.proof


def test_without_a_schedule_a_pass_counts_for_ninety_days() -> None:
    by_hand = replace(plan(), drill=DrillPolicy())
    [fine] = of_drills(by_hand, [evidence(rta_s=None)], T0 + timedelta(days=90))
    assert fine.finding.text == f"passed {DRILLED}"
    [late] = of_drills(by_hand, [evidence()], T0 + timedelta(days=90, seconds=1))
    assert late.finding.text.endswith("but a passed drill counts only for 90d")


def test_a_component_that_a_drill_left_out_has_its_own_remedy() -> None:
    left = (Unproven("orders-db", "was empty", "empty"),)
    left += (Unproven("gateway", "has no check", "no-check"),)
    [passed] = of_drills(plan(), [evidence(unproven=left)], at(1))
    assert passed.allows is NOT_READY
    assert passed.finding.text == (
        f"passed {DRILLED}, but did not prove everything: orders-db was empty; gateway has no check"
    )
    assert "may_be_empty" in passed.finding.remedy
    unclear = evidence(result=DrillResult.INCONCLUSIVE, unproven=left)
    [found] = of_drills(plan(), [unclear], at(1))
    assert "may_be_empty" in found.finding.remedy
    [found] = of_drills(plan(), [replace(unclear, unproven=())], at(1))
    assert found.finding.remedy == "drd drill orders-api --scenario database-loss"
    gone = evidence(unproven=(Unproven("extra", "has no check", "no-check"),))
    [found] = of_drills(plan(digest="d2"), [gone], at(1))
    assert found.finding.text == f"passed {DRILLED}, but the plan has changed since then"
    assert found.finding.remedy == "drd drill orders-api --scenario database-loss"


def test_a_drill_that_did_not_pass_says_how_to_see_or_repeat_it() -> None:
    failed = evidence(result=DrillResult.FAILED)
    [found] = of_drills(plan(), [failed], at(1))
    assert (found.finding.text, found.finding.remedy) == (
        f"failed {DRILLED}",
        "drd run show 0badcafe",
    )
    held = evidence(id="e0", repository="primary", result=DrillResult.INCONCLUSIVE)
    _, found = of_drills(plan(), [evidence(), held], at(1))
    assert found.finding.remedy == (
        "drd drill orders-api --scenario database-loss --repository primary"
    )
    passed = evidence(id="e0", repository="primary")
    assert len(of_drills(plan(), [evidence(), passed], at(1))) == 1


def test_an_upgraded_server_has_not_been_brought_back_yet() -> None:
    def holding(major: int) -> object:
        facts = {"server_major": major}
        return point("p", T0, components=[replace(captured(), kind="postgres", facts=facts)])

    old, new = holding(16), holding(17)
    [same] = of_versions(plan(), new, new, source_version)  # type: ignore[arg-type]
    assert same.allows is READY
    [other] = of_versions(plan(), old, new, source_version)  # type: ignore[arg-type]
    assert (other.allows, other.finding.text) == (
        NEEDS_DRILL,
        "version 17 now, but version 16 at the last passed drill",
    )
    assert of_versions(plan(), None, new, source_version) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "allows", "severity"),
    [
        ("17.12", READY, "ok"),
        ("17.13", READY, "warning"),
        ("18.0", NEEDS_DRILL, "error"),
    ],
)
def test_another_program_than_in_the_last_drill_is_named(
    now: str, allows: Readiness, severity: str
) -> None:
    [found] = of_tools(plan(), {"db: pg_restore": "17.12"}, {"db: pg_restore": now, "new": "1"})
    assert (found.finding.name, found.allows, found.finding.severity) == (
        "db: pg_restore version",
        allows,
        severity,
    )
    if severity != "ok":
        assert found.finding.text == (
            f"version {now} on this host, but version 17.12 at the last passed drill"
        )
        assert found.finding.remedy == "drd drill orders-api"


def test_before_version_1_the_second_number_is_the_series() -> None:
    [small] = of_tools(plan(), {"restic": "0.18.0"}, {"restic": "0.18.1"})
    [large] = of_tools(plan(), {"restic": "0.18.0"}, {"restic": "0.19.0"})
    assert (small.allows, large.allows) == (READY, NEEDS_DRILL)
    assert of_tools(plan(), {}, {"restic": "0.19.0"}) == [], "nothing was written down"
    [bare] = of_tools(plan(), {"x": "0"}, {"x": "0.0"})
    assert bare.allows is NEEDS_DRILL
    [unnumbered] = of_tools(plan(), {"x": "old"}, {"x": "new"})
    assert (unnumbered.allows, unnumbered.finding.severity) == (READY, "warning")


def test_a_server_of_another_minor_version_is_reported() -> None:
    def holding(version: str) -> object:
        facts = {"server_major": 17, "server_version": version}
        return point("p", T0, components=[replace(captured(), kind="postgres", facts=facts)])

    [found] = of_versions(plan(), holding("17.5"), holding("17.6"), source_version)  # type: ignore[arg-type]
    assert (found.finding.severity, found.allows) == ("warning", READY)
    assert found.finding.text == "version 17.6 now, but version 17.5 at the last passed drill"
    [found] = of_versions(plan(), holding("17.5"), holding("17.5"), source_version)  # type: ignore[arg-type]
    assert (found.finding.severity, found.finding.text) == (
        "ok",
        "version 17.5, as at the last passed drill",
    )


@pytest.mark.parametrize(
    ("then", "now", "text"),
    [
        (
            SourceVersion("17", "17.5"),
            SourceVersion("17"),
            "version 17 now, but version 17.5 at the last",
        ),
        (
            SourceVersion("17"),
            SourceVersion("17", "17.6"),
            "version 17.6 now, but version 17 at the last",
        ),
        (SourceVersion("17"), SourceVersion("17"), "version 17, as at the last passed drill"),
        (SourceVersion("17"), SourceVersion(), ""),
        (SourceVersion(), SourceVersion("17"), ""),
    ],
)
def test_versions_are_compared_as_far_as_they_are_known(
    then: SourceVersion, now: SourceVersion, text: str
) -> None:
    old, new = (point(n, T0, components=[captured()]) for n in ("old", "new"))
    known = {id(old.components[0]): then, id(new.components[0]): now}
    found = of_versions(plan(), old, new, lambda component: known[id(component)])
    assert [f.finding.text[: len(text)] for f in found] == ([text] if text else [])


def test_a_component_that_the_drill_did_not_know_has_no_version_to_compare() -> None:
    old, new = point("old", T0), point("new", T0, components=[captured("late")])
    version = SourceVersion("17")
    assert of_versions(plan(), old, new, lambda _: version) == []
    assert of_versions(plan(), new, None, lambda _: version) == []


def test_steps_that_no_drill_carries_out_are_named() -> None:
    part = evidence(coverage=Coverage(7, 9))
    [warning] = of_coverage(plan(), [evidence(result=DrillResult.FAILED), part])
    assert (warning.finding.severity, warning.allows) == ("warning", READY)
    assert warning.finding.text.splitlines() == [
        "7 of 9 steps rehearsed",
        "switch-dns: would move real traffic",
    ]
    whole = evidence(coverage=Coverage(9, 9), not_rehearsed=())
    assert of_coverage(plan(), [whole])[0].finding.severity == "ok"
    assert of_coverage(plan(), [evidence()]) == []
    assert of_coverage(plan(), []) == []
    recovery = replace(whole, target="standby")
    assert of_coverage(plan(), [recovery]) == []
    [only] = of_coverage(plan(), [whole])
    assert only.finding.text == "9 of 9 steps rehearsed", "the plan has no runbook of its own"


def test_a_plan_without_a_runbook_is_not_told_of_its_steps() -> None:
    steps = (Step("data", "restore"), Step("look", "check"))
    [fine] = of_coverage(
        replace(plan(), runbook=steps), [evidence(coverage=Coverage(2, 2), not_rehearsed=())]
    )
    assert (
        fine.finding.text == "the drill rehearsed restore and checks; the plan has no other steps"
    )
    more = (*steps, Step("dns", "manual", settings=Ask("switch")))
    [fine] = of_coverage(
        replace(plan(), runbook=more), [evidence(coverage=Coverage(3, 3), not_rehearsed=())]
    )
    assert fine.finding.text == "3 of 3 steps rehearsed"


def test_somebody_has_to_hold_each_role_that_is_asked() -> None:
    steps = (
        Step("go", "approve", settings=Ask("go?", role="lead")),
        Step("dns", "manual", settings=Ask("switch", role="operator")),
        Step("look", "manual", settings=Ask("look")),
    )
    asking = replace(plan(), runbook=steps)
    found = {f.finding.name: f for f in of_people(asking, {"ann": ("operator",)})}
    assert found["people: operator"].finding.text == "ann"
    assert found["people: anybody"].finding.severity == "ok"
    assert found["people: lead"].allows is NOT_READY
    assert found["people: lead"].finding.text == (
        "step go needs a person with the role lead, but no person in drd.yaml has this role"
    )
    assert {f.allows for f in of_people(asking, {})} == {NOT_READY}
    assert of_people(plan(), {}) == []
    nobody = {f.finding.name: f.finding for f in of_people(asking, {})}["people: anybody"]
    assert nobody.text == "step look needs a person, but drd.yaml does not name a person"
    assert nobody.remedy == "add a person to drd.yaml: people: [{name: NAME}]"
    lead = found["people: lead"].finding
    assert lead.remedy.endswith("people: [{name: NAME, roles: [lead]}]")
    twice = (*steps, Step("again", "approve", settings=Ask("again?", role="lead")))
    [two] = [
        f.finding.text
        for f in of_people(replace(plan(), runbook=twice), {"ann": ("operator",)})
        if f.finding.subject == "lead"
    ]
    assert two.startswith("steps go, again need a person with the role lead")
    both = {"ann": ("operator",), "bob": ("lead", "operator")}
    named = {f.finding.subject: f.finding.text for f in of_people(asking, both)}
    assert named == {"lead": "bob", "operator": "ann, bob", "anybody": "ann, bob"}


def test_without_a_point_nothing_is_ready() -> None:
    assert of_point(plan(), None).allows is NOT_READY
    assert of_point(plan(), point("p", T0)).allows is READY


def test_only_a_required_kit_withholds() -> None:
    assert of_kit([])[0].finding.severity == "ok"
    missing = Finding("kit-missing", "warning", "", "none", "make one")
    assert of_kit([missing])[0].allows is READY
    assert of_kit([replace(missing, severity="error")])[0].allows is NOT_READY


def test_an_objective_that_is_not_met_or_unknown_is_a_warning() -> None:
    plain = {f.finding.name: f for f in of_assessment(plan(), assess(healthy(), NOW))}
    assert plain["schedule against RPO"].finding.severity == "ok"
    assert plain["projection against RTO"].finding.severity == "ok"
    slow = healthy(backup_p95_s=1200.0, last_passed_drill=drill(rta_s=4000.0))
    worse = {f.finding.name: f for f in of_assessment(plan(), assess(slow, NOW))}
    assert worse["schedule against RPO"].finding.severity == "warning"
    assert worse["projection against RTO"].finding.severity == "warning"
    both = {"schedule against RPO": "backup: {every: auto}", "projection against RTO": "drd drill"}
    unknown = healthy(interval_s=None, last_passed_drill=None, last_drill=None)
    by_hand = {f.finding.name: f for f in of_assessment(plan(), assess(unknown, NOW))}
    for name, remedy in both.items():
        assert by_hand[name].finding.severity == "warning"
        assert remedy in by_hand[name].finding.remedy
    lost = healthy(repositories=(repository(lost="gone"),))
    left = {f.finding.name: f for f in of_assessment(plan(), assess(lost, NOW))}
    assert left["projection against RTO"].finding.severity == "warning"
    assert left["projection against RTO"].finding.remedy.startswith("drd status")
    broken = assess(healthy(load_error="line 3"), NOW)
    [file] = [f for f in of_assessment(plan(), broken) if f.finding.name == "plan file"]
    assert (file.allows, file.counts, file.finding.severity) == (READY, False, "warning")
    assert file.finding.remedy == "drd plan check orders-api"
    assert file.finding.text == (
        "drd refused the plan file (line 3): drd still uses the plan that it loaded at "
        "2026-11-24 00:31 UTC"
    )
    fine = plain["plan file"]
    assert (fine.finding.text, fine.allows, fine.proof) == (
        "drd has loaded this plan, hash d1",
        READY,
        False,
    )


@pytest.mark.parametrize(("over_s", "severity"), [(0, "ok"), (1, "warning")])
def test_an_objective_that_is_met_exactly_is_met(over_s: float, severity: str) -> None:
    rpo_s, rto_s = plan().objectives.rpo_s, plan().objectives.rto_s
    exact = healthy(
        interval_s=rpo_s - 20 + over_s,
        backup_p95_s=20.0,
        rto_s=HOUR,
        last_passed_drill=drill(rta_s=rto_s + over_s),
    )
    found = {f.finding.code: f.finding for f in of_assessment(plan(), assess(exact, NOW))}
    assert found["schedule"].severity == found["projection"].severity == severity


def test_each_damaged_repository_withholds_ready() -> None:
    hurt = healthy(
        repositories=(
            repository(),
            repository("offsite", damage="rot", damaged_since=ago(60)),
            repository("third", unreachable="no answer"),
        )
    )
    found = [f for f in of_assessment(plan(), assess(hurt, NOW)) if f.finding.severity == "error"]
    assert [(f.finding.subject, f.allows, f.proof) for f in found] == [("offsite", NOT_READY, True)]
    assert found[0].finding.remedy.startswith("drd verify orders-api --repository offsite")


# --- targets --------------------------------------------------------------------------------


@as_root
def test_a_missing_directory_is_not_reported_as_a_missing_right(short_tmp: Path) -> None:
    """Somebody with fewer rights than the operator of a recovery is warned of what he may not
    do."""
    services: Any = SimpleNamespace(is_root=False)
    closed = short_tmp / "closed"
    (closed / "inner").mkdir(parents=True)
    closed.chmod(0o700)

    def judged(finding: Finding | None) -> tuple[str, Readiness]:
        assert finding is not None
        found = at_target(services, finding, "target standby", "db")
        assert found.finding.name == "target standby: db: target"
        return found.finding.severity, found.allows

    with acting_as(NOBODY):
        assert judged(unwritable(short_tmp)) == ("warning", READY)
        assert judged(no_directory(closed / "inner")) == ("warning", READY)
        assert judged(no_directory(short_tmp / "gone")) == ("error", NOT_READY)
        assert no_directory(short_tmp) is None
    full = space_finding(short_tmp, 1 << 60, what="db restored", hint="make room.")
    assert at_target(services, full, "", "db").allows is NOT_READY


def test_the_service_tells_of_the_rights_at_a_target_what_root_found_there() -> None:
    here = {"where": "target standby"}
    lacks = Finding(
        "target-rights", "error", "db", "user drd may not create databases",
        'ALTER ROLE "drd" CREATEDB;', **here, login=True,
    )  # fmt: skip
    found: dict[str, tuple[ReadinessFinding, ...]] = {}

    def checked(by: str, *findings: Finding, digest: str = "") -> None:
        run = Run(
            id=f"run-{by}-{len(found)}", plan="shop", kind=RunKind.READINESS, trigger="manual",
            state=RunState.SUCCEEDED, started_at=NOW, plan_digest=digest or plan().digest,
            actor=Actor(0 if by == "root" else 1000, by, None, "db1", "terminal"),
            detail=ReadinessDetail(
                readiness="ready", findings=tuple(ReadinessFinding(f) for f in findings)
            ),
        )  # fmt: skip
        runs.insert(0, run)

    runs: list[Run] = []
    store = SimpleNamespace(newest=lambda *_, **__: runs)
    services: Any = SimpleNamespace(
        is_root=False, claim="a run", catalogue=SimpleNamespace(runs=store)
    )

    def told(tried: Finding = lacks) -> list[tuple[str, str, str]]:
        check = PersonsCheck.for_service(services, plan())
        assert check is not None
        judged = check.instead_of(tried)
        assert all(j.allows is READY or j.finding.failed for j in judged)
        return [(j.finding.severity, j.finding.text, j.finding.remedy) for j in judged]

    [(severity, text, remedy)] = told()
    assert (severity, remedy) == (
        "warning",
        f"check the plan as root: sudo drd readiness {plan().name}",
    )
    assert text.startswith("the service cannot try this: a recovery has the rights of the person")
    checked("root", Finding("target-rights", "ok", "db", "user root is a superuser", **here))
    at_noon = f"(checked by root at {format_time(NOW)})"
    assert told() == [("ok", f"user root is a superuser {at_noon}", "")]
    checked("anna", replace(lacks, text="user anna may not create databases"))
    assert told() == [("ok", f"user root is a superuser {at_noon}", "")], "root recovers"
    refused = Finding("target", "error", "db", "the server refuses the login", "ask", **here)
    checked("root", refused)
    superuser = replace(lacks, severity="ok", text="user drd is a superuser", remedy="")
    assert told(superuser) == [("error", f"the server refuses the login {at_noon}", "ask")]
    runs.clear()
    checked("root", refused, digest="of another text")
    assert told(superuser) == [("ok", "user drd is a superuser", "")]
    services.claim = None
    assert PersonsCheck.for_service(services, plan()) is None, "a person's own check"


# --- what status makes of it ----------------------------------------------------------------


def unready(readiness: str, *findings: tuple[str, str, str], since_s: float = 60) -> UnreadyFacts:
    """What a look ahead found, each by code, subject and text."""
    found = (
        FindingFacts(code, about, text, name=name_of(code, about)) for code, about, text in findings
    )
    return UnreadyFacts(ago(since_s), "", readiness, tuple(found))


def test_status_shows_readiness_findings() -> None:
    trouble = unready("not ready", ("kit-missing", "", "none"), ("people", "lead", "nobody"))
    plan_ = assess(healthy(unready=trouble), NOW)
    assert plan_.readiness is NOT_READY
    assert plan_.verdict == "met", "the promises are kept, the way back is not sure"
    assert plan_.state is PlanState.NOT_READY
    assert str(plan_.reasons[-1]) == ("kit missing: none (and 1 more): drd readiness orders-api")
    alert = AlertFacts(
        "a1", "not-ready", "firing", ago(60), "kit missing: none", subject="kit missing"
    )
    told = assess(healthy(unready=trouble, alerts=(alert,)), NOW)
    assert told.readiness is NOT_READY
    assert not [r for r in told.reasons if "drd readiness" in str(r)], "the alert says it"
    assert told.why is not None
    assert (told.state, told.why.text, told.why.alert) == ("not ready", alert.text, alert)
    other = alert._replace(text="people: operator: nobody", subject="people: operator")
    told = assess(healthy(unready=trouble, alerts=(other,)), NOW)
    assert "kit missing: none" in str(told.reasons[-1]), "no alert says that yet"


def test_a_later_drill_outdates_readiness_findings() -> None:
    needs = unready("needs drill", ("drill", "region-loss", "never drilled"))
    assert assess(healthy(unready=needs), NOW).readiness is NEEDS_DRILL
    own = drill(since_s=30, scenario="region-loss")
    since = healthy(unready=needs, last_drill=own, last_passed_drill=own)
    assert assess(since, NOW).readiness is READY
    other = since._replace(last_drill=drill(since_s=30, scenario="database-loss"))
    told = assess(other, NOW)
    assert told.readiness is NEEDS_DRILL
    assert "drill region-loss: never drilled: drd readiness" in str(told.reasons[-1])
    upgraded = unready("needs drill", ("tool-version", "restic", "2 here now, 1 in the last"))
    assert assess(other._replace(unready=upgraded), NOW).readiness is READY


def test_a_plan_that_needs_more_than_a_drill_is_not_ready() -> None:
    found = [
        ("repository", "primary", "directory /r is gone"),
        ("drill", "region-loss", "never drilled"),
        ("kit-missing", "", "none"),
    ]
    assert assess(healthy(unready=unready("not ready", *found, since_s=300)), NOW).readiness is (
        NOT_READY
    )
    only_drills = unready("not ready", *found[:2], since_s=300)
    assert assess(healthy(unready=only_drills), NOW).readiness is NEEDS_DRILL


def test_later_facts_disprove_readiness_findings() -> None:
    """A point that was stored in the repository, damage that is mended, a drill that passed."""
    gone = unready("not ready", ("repository", "primary", "directory /r is gone"), since_s=300)
    assert assess(healthy(unready=gone), NOW).readiness is READY, "the newest point came after it"
    later = gone._replace(at=ago(60))
    assert assess(healthy(unready=later), NOW).readiness is NOT_READY, "nothing came after it"
    also = unready(
        "not ready",
        ("repository", "primary", "directory /r is gone"),
        ("recovery-kit", "", "none"),
        since_s=300,
    )
    (told,) = assess(healthy(unready=also), NOW).reasons
    assert str(told) == (
        f"recovery kit: none (found at {format_time(ago(300))}, before the newest restore point): "
        "drd readiness orders-api"
    )
    (told,) = assess(healthy(unready=also._replace(digest="digest-0")), NOW).reasons
    assert "none (found at 2026-11-25 00:26 UTC, before the plan was changed)" in told.text
    aspect = unready("not ready", ("repository-protection", "primary", "no versions"), since_s=300)
    assert assess(healthy(unready=aspect), NOW).readiness is NOT_READY

    data = unready("not ready", ("repository-data", "primary", "a verification found damage"))
    assert assess(healthy(unready=data), NOW).readiness is READY
    failed = unready("not ready", ("drill", "database-loss", "failed 1m ago"))
    assert assess(healthy(unready=failed), NOW).readiness is NOT_READY
    passed = drill(since_s=30, scenario="database-loss")
    since = healthy(unready=failed, last_drill=passed, last_passed_drill=passed)
    assert assess(since, NOW).readiness is READY


def test_an_unchecked_repository_is_not_green() -> None:
    """After the plan has got another URL: points of the former place do not count."""
    unmet = repository(newest=None, met=False)
    (told,) = (
        r for r in assess(healthy(newest=None, repositories=(unmet,)), NOW).reasons if r.kind
    )
    assert (
        "the plan has another URL for primary than before, and drd has not yet found a repository "
        "there"
    ) in told.text
    assert told.remedy == "drd doctor orders-api"
    new = healthy(newest=None, repositories=(unmet,), last_drill=None, components=())
    assert "no restore point yet: nothing can be restored" in str(assess(new, NOW).reasons)
    copy = repository("offsite", copy_of="primary")
    (told,) = assess(healthy(repositories=(unmet, copy)), NOW).reasons
    assert "repository primary: drd has not yet found a repository" in told.text


def test_an_alert_leaves_the_status_with_its_reason() -> None:
    gone = AlertFacts("a1", "repository-gone", "firing", ago(60), "is gone", subject="primary")
    failing = gone._replace(kind="backup-failing", subject="")
    silent = gone._replace(
        kind="repository-unreachable", subject="repository primary", code="repository"
    )
    ahead = gone._replace(kind="not-ready", subject="restore point", code="restore-point")
    looked = unready(
        "not ready", ("restore-point", "", "there is no complete restore point"), since_s=200
    )
    alerts = (gone, failing, silent, ahead)
    assert not assess(healthy(alerts=alerts, unready=looked), NOW).alerts

    lost = repository(lost="gone", lost_since=ago(60), sound=None)
    found = looked._replace(at=ago(60))
    hurt = healthy(alerts=alerts, repositories=(lost,), failures=failures(), unready=found)
    assert {a.kind for a in assess(hurt, NOW).alerts} == {
        "repository-gone",
        "backup-failing",
        "not-ready",
    }
    assert not assess(healthy(alerts=(ahead,)), NOW).alerts, "the last look found all in order"
    broken = UnreadyFacts(ago(60), "took longer than 5m")
    other = ahead._replace(subject="kit missing", kind="kit-missing")
    assert assess(healthy(alerts=(other,), unready=broken), NOW).alerts, "it did not look"
    assert not assess(healthy(alerts=(ahead,), unready=broken), NOW).alerts, "there is a point"
    elsewhere = gone._replace(subject="offsite")
    assert not assess(hurt._replace(alerts=(elsewhere,)), NOW).alerts


def test_a_failed_readiness_run_is_not_ready() -> None:
    plan_ = assess(healthy(unready=UnreadyFacts(ago(60), "took longer than 5m")), NOW)
    assert plan_.readiness is NOT_READY
    assert "the readiness check failed: took longer than 5m" in str(plan_.reasons[-1])
    assert plan_.state is PlanState.NOT_READY
