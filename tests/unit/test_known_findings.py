"""Which alerts and findings of before still hold, by what was seen later."""

from __future__ import annotations

from typing import Any

import pytest

from drd.model.drd_facts import DaemonFacts, daemon_facts
from drd.model.facts import ComponentFacts, FindingFacts, PlanFacts, RepositoryFacts, UnreadyFacts
from drd.model.finding import Finding
from drd.model.finding_codes import (
    DATA,
    DRILL,
    KEY,
    KNOWN_STATE,
    REPOSITORY,
    RESTORE_POINT,
    name_of,
)
from drd.model.known_findings import OVER, PAUSED, disproved, standing_alerts, still_found
from drd.model.package_versions import other_packages
from drd.model.repositories import DAMAGED, GONE, SILENT, VANISHED
from drd.model.verdicts import Reason, Verdict
from tests.status_support import (
    DAY,
    HOUR,
    ago,
    alert,
    drill,
    failures,
    healthy,
    incomplete,
    point,
    repository,
)

AT = ago(HOUR)  # the readiness run


def unready(*findings: tuple[str, str], readiness: str = "not ready") -> UnreadyFacts:
    rows = tuple(FindingFacts(code, "", "what it is", name=name) for code, name in findings)
    return UnreadyFacts(AT, "", readiness, rows)


def facts(*repositories: RepositoryFacts, **changes: Any) -> PlanFacts:
    places = repositories or (repository(),)
    return healthy(repositories=places, **({"unready": unready()} | changes))


def stands(of: PlanFacts, *reasons: Reason, behind: tuple[str, ...] = (), **of_alert: Any) -> bool:
    one = alert(**of_alert)
    return bool(standing_alerts(of._replace(alerts=(one,)), reasons, behind))


def reason(kind: str, subject: str = "", says_why: str = "") -> Reason:
    return Reason(Verdict.AT_RISK, "why", "", kind, says_why, subject)


@pytest.mark.parametrize(
    "kind",
    [
        *("rpo", "no-point", "component-missing", "rto", "never-drilled", "drill-failed"),
        *("time-unmeasured", "drill-inconclusive", GONE, DAMAGED, VANISHED),
    ],
)
def test_an_alert_of_a_reason_stands_as_long_as_the_reason(kind: str) -> None:
    assert not stands(healthy(), kind=kind)
    assert stands(healthy(), reason(kind), kind=kind)
    assert not stands(healthy(), reason(kind, "offsite"), kind=kind)
    assert stands(healthy(), reason(kind, "offsite"), kind=kind, subject="offsite")


@pytest.mark.parametrize("code", ["reachable", "database", "files"])
def test_a_capture_disproves_that_a_source_cannot_be_read(code: str) -> None:
    name = f"orders-db: {code}"

    def seen(at: float, error: str | None = None) -> PlanFacts:
        component = ComponentFacts("orders-db", "postgres", ago(at), 1, error)
        return facts(components=(component, ComponentFacts("other", "files", ago(60))))

    assert disproved(seen(HOUR - 1), code, name)
    assert not disproved(seen(HOUR), code, name), "it began before the readiness run"
    assert not disproved(seen(60, "no route"), code, name)
    assert not disproved(seen(2 * HOUR), code, name), "another component's does not"
    assert not disproved(seen(60), "sandbox", "orders-db: sandbox")
    never = ComponentFacts("orders-db", "postgres", None, 1, None)
    assert not disproved(facts(components=(never,)), code, name), "it was never captured"


def test_alerts_of_retention_stand_while_a_reason_says_why() -> None:
    for kind in (PAUSED, OVER):
        assert not stands(healthy(), kind=kind)
        assert stands(healthy(), reason("", says_why=kind), kind=kind)


def test_alerts_of_facts_stand_while_these_are_there() -> None:
    assert stands(healthy(), behind=("offsite",), kind="copy-behind", subject="offsite")
    assert not stands(healthy(), behind=("other",), kind="copy-behind", subject="offsite")
    assert stands(healthy(failures=failures()), kind="backup-failing")
    assert not stands(healthy(), kind="backup-failing")
    assert stands(healthy(incomplete=incomplete()), kind="point-incomplete")
    assert not stands(healthy(), kind="point-incomplete")


def test_other_alerts_stand_until_they_are_resolved() -> None:
    assert stands(healthy(), kind="disk")
    assert standing_alerts(healthy(), [], ()) == ()


def test_a_finding_of_readiness_stands_until_a_run_disproves_it() -> None:
    name = name_of(KEY, "offsite")
    found = facts(unready=unready((KEY, name)))
    for kind in ("not-ready", SILENT):
        assert not stands(healthy(unready=None), kind=kind, subject="x"), "nothing was found"
        assert stands(found, kind=kind, subject=name)
        assert not stands(found, kind=kind, subject="another")
        assert stands(found, reason(kind, "another"), kind=kind, subject="another")
        assert not stands(healthy(), kind=kind, subject=name)
        # A run that failed found out nothing.
        failed = facts(unready=unready(readiness=""))
        assert stands(failed, kind=kind, subject="another")


def test_a_stored_point_disproves_that_there_is_none() -> None:
    assert disproved(facts(), RESTORE_POINT, "restore point")
    assert not disproved(facts(newest=None), RESTORE_POINT, "restore point")
    gone = repository("offsite", lost="gone")
    old, new = point(2 * HOUR), point(HOUR - 1)
    assert not disproved(facts(gone, newest=old), RESTORE_POINT, "restore point")
    assert not disproved(facts(gone, newest=point(HOUR)), RESTORE_POINT, "restore point")
    assert disproved(facts(gone, newest=new), RESTORE_POINT, "restore point")
    assert disproved(facts(newest=old), RESTORE_POINT, "restore point")


def test_a_passed_drill_disproves_what_was_said_of_it() -> None:
    name = name_of(DRILL, "database-loss")
    later = drill(since_s=HOUR - 1, scenario="database-loss")
    assert disproved(facts(last_drill=later), DRILL, name)
    for other in (
        later._replace(scenario="host-loss"),
        later._replace(result="failed"),
        later._replace(at=AT),
        None,
    ):
        assert not disproved(facts(last_drill=other), DRILL, name)


@pytest.mark.parametrize("code", [REPOSITORY, KEY])
def test_a_later_point_disproves_trouble_with_its_repository(code: str) -> None:
    name, new = name_of(code, "primary"), point(HOUR - 1)
    assert disproved(facts(repository(newest=new)), code, name)
    assert not disproved(facts(repository("offsite", newest=new)), code, name)
    for other in (
        repository(newest=point(HOUR)),
        repository(newest=None),
        repository(newest=new, lost="gone"),
        repository(newest=new, unreachable="no answer"),
    ):
        assert not disproved(facts(other), code, name)


def test_damage_is_disproved_by_a_sound_repository() -> None:
    for code, changes, over in (
        (DATA, {}, True),
        (DATA, {"damage": "x"}, False),
        (DATA, {"lost": "gone"}, True),
        (KNOWN_STATE, {}, True),
        (KNOWN_STATE, {"damage": "x"}, False),
        (KNOWN_STATE, {"lost": "gone"}, False),
        ("something", {}, False),
    ):
        there = facts(repository(newest=point(HOUR - 1), **changes))
        assert disproved(there, code, name_of(code, "primary")) == over


def test_a_finding_that_is_not_disproved_is_still_found() -> None:
    key, none = (KEY, name_of(KEY, "primary")), (RESTORE_POINT, "restore point")
    found = facts(repository(newest=point(DAY)), unready=unready(key, none))
    assert [f.code for f in still_found(found)] == [KEY]
    assert still_found(healthy()) == []
    assert not disproved(healthy(), RESTORE_POINT, "restore point")


# --- names of findings, and what others say of themselves -------------------------------------


@pytest.mark.parametrize(
    ("code", "subject", "name"),
    [
        ("repository", "primary", "repository primary"),
        ("repository-data", "primary", "repository primary data"),
        ("repository-protection", "primary", "repository primary: protection"),
        ("repository-key", "primary", "repository primary: key"),
        ("drill", "host-loss", "drill host-loss"),
        ("target-unavailable", "db", "db"),
        ("target-room", "", "target's room"),
        ("target-room", "db", "db: target's room"),
        ("host-clock", "", "this host's clock"),
        ("row-security", "orders-db", "orders-db: row security"),
        ("kit-missing", "", "kit missing"),
    ],
)
def test_a_finding_is_named_by_its_code_and_subject(code: str, subject: str, name: str) -> None:
    assert name_of(code, subject) == name


def test_a_finding_about_a_target_is_named_with_it() -> None:
    found = Finding("row-security", "error", "orders-db", "is on", where="target standby")
    assert (found.name, found.failed) == ("target standby: orders-db: row security", True)
    assert not Finding("a", "warning", "", "").failed
    assert Finding.from_json(found.to_json()) == found


def test_findings_of_older_versions_are_read() -> None:
    for severity, ok in (("warning", True), ("error", False)):
        found = Finding.from_json({"name": "kit", "ok": ok, "detail": "it is", "hint": "do it"})
        assert found == Finding("unnamed", severity, "kit", "it is", "do it")  # type: ignore[arg-type]
        assert found.name == "kit"
    bare = Finding.from_json({"name": "kit", "severity": "error"})
    assert bare == Finding("unnamed", "error", "kit", "")
    later = Finding.from_json(
        {"code": "a", "subject": "b", "severity": "ok", "evidence": "c", "remedy": "d", "new": 1}
    )
    assert later == Finding("a", "ok", "b", "c", "d")


def test_a_daemon_has_stopped_only_if_it_said_so() -> None:
    assert daemon_facts(AT, {"state": "stopped", "version": "1.2"}) == DaemonFacts(
        AT, stopped=True, version="1.2"
    )
    for said in ({}, {"state": "running"}):
        assert daemon_facts(AT, said) == DaemonFacts(AT, stopped=False, version="")


def test_packages_differ_by_the_first_number_of_their_version() -> None:
    now: dict[str, object] = {"a": "2", "b": 1, "c": "1", "d": "1"}
    then = {"extension a": "1.9", "extension b": "1.2", "extension c": "10.0", "restic": "0.18"}
    assert [p.name for p in other_packages(then, now)] == ["a", "c"]
    [one, _] = other_packages(then, now)
    assert one.words() == "package a 1.9, which is version 2 now"
