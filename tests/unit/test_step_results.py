"""What the row of a step has of its kind, as values with types."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from drd.config import extensions
from drd.model import step_results
from drd.model.aside import Aside
from drd.model.malformed import Malformed
from drd.model.run import CheckResult, CheckVerdict
from drd.model.snapshot import ComponentSnapshot
from drd.model.step_results import (
    ActionStepResult,
    AsideStepResult,
    CaptureStepResult,
    CheckStepResult,
    PersonStepResult,
    RekeyStepResult,
    RestoreStepResult,
    StepResult,
)

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
ROW = CheckResult("c", "db", CheckVerdict.PASSED, "1", "1")


def test_only_given_fields_of_a_step_result_are_written() -> None:
    assert StepResult().to_json() == {}
    assert RestoreStepResult(restored=("a",)).to_json() == {"restored": ["a"]}
    asked = PersonStepResult(asked_at=NOON, expires_at=None, role=None, two_person=False)
    assert asked.to_json() == {
        "asked_at": "2026-11-27T12:00:00Z",
        "expires_at": None,
        "role": None,
        "two_person": False,
    }


@pytest.mark.parametrize(
    ("kind", "result"),
    [
        ("restore", RestoreStepResult(ahead_s=0.5, fetch_s=2, notes=("n",), not_restored=())),
        ("check", CheckStepResult(checks=(ROW,))),
        ("approve", PersonStepResult(by="anna", self_approved=True, actor=None)),
        ("aside", AsideStepResult(aside=(Aside("db", "/a", "/b", None, former=False),))),
        (
            "capture",
            CaptureStepResult.of(ComponentSnapshot("db", "x", "captured", NOON, "ab")),
        ),
        ("rekey", RekeyStepResult(old=["d"], keys=["k"], seal="")),
    ],
)
def test_values_come_back_in_the_class_of_their_kind(kind: str, result: StepResult) -> None:
    back = step_results.read(kind, result.to_json())
    assert (type(back), back) == (type(result), result)
    assert back.to_json() == result.to_json()


def test_rows_of_older_versions_are_read() -> None:
    restored = step_results.read("restore", {"fetch_s": 1, "notes": []})
    assert isinstance(restored, RestoreStepResult)
    assert (restored.fetch_s, restored.ahead_s, restored.differences) == (1.0, None, ())
    refs = [{"source": "file", "value": "/key"}]
    tried = step_results.read("rekey", {"old": refs, "keys": "garbage of another user"})
    assert isinstance(tried, RekeyStepResult)
    assert (tried.old, tried.keys, tried.seal) == (refs, "garbage of another user", None)
    skipped = step_results.read("check", {"reason": "skipped by bert: later", "x": 1})
    assert (skipped.reason, skipped.to_json()["x"]) == ("skipped by bert: later", 1)


def test_people_give_their_name_and_comment_to_later_steps() -> None:
    answer = PersonStepResult(by="anna", comment="seen", role="commander")
    assert [answer.given(key) for key in ("by", "comment", "role")] == ["anna", "seen", None]
    assert RestoreStepResult(bytes=9).given("bytes") is None


def test_a_request_to_a_person_is_added_to_what_failed() -> None:
    failed = step_results.read("http", {"status": 500, "checks": [ROW.to_json()]})
    asked = failed.merged(StepResult(asked_at=NOON, wanted="why", command="drd retry"))
    assert isinstance(asked, ActionStepResult)
    assert (asked.given("status"), asked.checks, asked.asked_at) == (500, (ROW,), NOON)


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("restore", {"notes": "a"}),
        ("restore", {"fetch_s": "long"}),
        ("restore", {"fetch_s": True}),
        ("check", {"checks": [{"name": "c"}]}),
        ("approve", {"expires_at": "tomorrow"}),
        ("manual", {"by": 5}),
        ("aside", {"aside": ["a"]}),
        ("choose", {"point": 5}),
        ("capture", {"reason": 5}),
    ],
)
def test_a_value_of_another_type_is_named(kind: str, row: dict[str, Any]) -> None:
    [key] = row
    with pytest.raises(Malformed, match=f"^{key} cannot be "):
        step_results.read(kind, row)


def test_an_action_reports_what_it_wants() -> None:
    row = {"command": ["a", "b"], "reason": 7, "asked_at": "soon", "by": None, "says": "7 rows"}
    read = step_results.read("note", row)
    assert isinstance(read, ActionStepResult)
    assert (read.command, read.reason, read.asked_at, read.says) == (None, None, None, "7 rows")
    assert (read.given("command"), read.given("reason"), read.given("by")) == (["a", "b"], 7, None)
    assert read.to_json() == row
    assert read == ActionStepResult.of(row)


@pytest.mark.parametrize("key", ["says", "checks"])
def test_a_malformed_field_of_an_action_result_is_refused_and_still_read_from_a_row(
    key: str,
) -> None:
    assert ActionStepResult.of({key: None}).to_json() == {key: None}
    with pytest.raises(Malformed, match=f"^{key} cannot be 5"):
        ActionStepResult.of({key: 5})
    later = step_results.read("note", {key: 5})  # a row that is there is read all the same
    assert isinstance(later, ActionStepResult)
    assert (later.says, later.checks, later.given(key)) == (None, (), 5)


def test_a_step_of_a_package_cannot_have_the_kind_of_a_step_of_drd() -> None:
    assert step_results.OWN_KINDS <= extensions.RESERVED_STEPS
