"""The versions of a plan, and what changed between them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from drd.model.plan_history import Version, differences, prove, read_texts, versions
from drd.model.proof import proof_hash
from drd.model.run import DrillResult, Run, RunKind, RunState
from tests.catalogue_support import at, evidence, point

FIRST = {"plan": "shop", "backup": {"every_s": 300}, "checks": [{"name": "rows", "kind": "rows"}]}


def run(id_: str, digest: str, minutes: float) -> Run:
    ends = at(minutes)
    return Run(id_, "shop", RunKind.BACKUP, "manual", RunState.SUCCEEDED, ends, plan_digest=digest)


def test_versions_are_those_that_runs_and_points_used() -> None:
    points = [point("p1", at(5)), point("p2", at(1))]  # both of version d1
    runs = [run("r3", "d2", 9), run("r1", "d1", 0), run("r2", "d1", 4), run("old", "", 0)]
    one, two, new = versions(runs, points, "d3", at(20))
    assert (one.digest, one.since, one.until) == ("d1", at(0), at(5))
    assert one.first is not None
    assert (one.first.id, [p.id for p in one.points]) == ("r1", ["p2", "p1"])
    assert (two.digest, two.in_force) == ("d2", False)
    assert (new.digest, new.in_force, new.first) == ("d3", True, None)
    back = versions(runs, points, "d1", at(20))
    assert [v.digest for v in back] == ["d2", "d1"], "a text that came back is in force again"


def test_texts_come_from_the_newest_points_that_can_be_read() -> None:
    asked = []

    def read(one: Any) -> Any:
        asked.append(one.id)
        return FIRST if one.id == "p2" else None

    found = versions([], [point(f"p{n}", at(n)) for n in (1, 2, 3)], "d1", at(9))
    read_texts(found, read)
    assert (asked, found[0].resolved) == (["p3", "p2"], FIRST)


def test_a_drill_proves_each_version_with_the_same_proof() -> None:
    rarer = {**FIRST, "backup": {"every_s": 600}}
    other = {**FIRST, "checks": []}
    found = [Version(str(n), at(n), at(n), resolved=text) for n, text in enumerate((FIRST, rarer))]
    found.append(Version("2", at(2), at(2), resolved=other))
    drilled = evidence("e1", run="r1", plan_digest=proof_hash(FIRST))
    failed = evidence("e2", result=DrillResult.FAILED, plan_digest=proof_hash(other))
    recovered = evidence("e3", target="standby", plan_digest=proof_hash(other))
    by_run = evidence("e4", run="r4", finished_at=at(0) + timedelta(hours=1), plan_digest="x")
    prove(found, [by_run, drilled, failed, recovered], [run("r4", "0", 60)])
    assert [[e.id for e in v.drills] for v in found] == [["e1", "e4"], ["e1"], []]


def test_what_changed_is_told_by_names() -> None:
    after = {
        "plan": "shop",
        "backup": {"every_s": 600},
        "checks": [{"name": "new", "kind": "sql"}, {"name": "rows", "kind": "rows"}],
        "tags": ["a", "b"],
        "steps": [{"run": "x" * 500}],
    }
    told = list(differences({**FIRST, "tags": ["a"]}, after))
    assert told[:3] == [
        "~ backup.every_s: 300 -> 600",
        "+ checks[new].kind: sql",
        "+ checks[new].name: new",
    ]
    assert told[3].startswith("+ steps[1].run: xxx")
    assert len(told[3]) < 150
    assert told[4:] == ['~ tags: ["a"] -> ["a", "b"]']
    assert list(differences(FIRST, FIRST)) == []


def test_the_first_run_of_a_version_is_the_earliest_in_any_order() -> None:
    runs = [run("r2", "d1", 4), run("r1", "d1", 0), run("same", "d1", 0), run("r3", "d1", 9)]
    waiting = replace(run("r0", "d1", 0), started_at=None)
    [one] = versions([waiting, *runs], [], "d1", at(20))
    assert one.first is not None
    assert one.first.id == "r1"


def test_a_point_of_an_unknown_version_makes_no_version() -> None:
    nameless = replace(point("p1", at(1)), plan_digest="")
    assert [v.digest for v in versions([], [nameless], "d1", at(2))] == ["d1"]


def test_a_version_without_a_text_is_proven_only_by_drills_that_ran_with_it() -> None:
    found = [Version("d1", at(0), at(0))]
    prove(found, [evidence("e1", plan_digest="d1"), evidence("e2", plan_digest="d2")], [])
    assert [e.id for e in found[0].drills] == ["e1"]


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ({"a": 1, "c": 3}, {"c": 3}, ["- a: 1"]),
        ({"a": {}}, {"a": {"b": 1}}, ["- a: {}", "+ a.b: 1"]),
        ({"a": [{"k": 1}, "x"]}, {"a": [{"k": 2}, "y"]}, ["~ a[1].k: 1 -> 2", "~ a[2]: x -> y"]),
        (
            {"a": [{"name": "n", "k": 1}, {"name": "n", "k": 2}]},
            {"a": [{"name": "n", "k": 1}, {"name": "n", "k": 3}]},
            ["~ a[2].k: 2 -> 3"],
        ),
        ({"a": ["x"]}, {"a": ["é"]}, ['~ a: ["x"] -> ["é"]']),
    ],
)
def test_each_changed_value_is_a_line(
    before: dict[str, Any], after: dict[str, Any], lines: list[str]
) -> None:
    assert list(differences(before, after)) == lines
