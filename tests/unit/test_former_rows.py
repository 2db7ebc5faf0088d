"""Sentences of rows before versions 7, 8 and 10 of the catalogue become fields."""

from __future__ import annotations

import pytest

from drd.model.cause import Cause
from drd.model.former_rows import (
    bound_of,
    cause_of,
    contains_remedy,
    figure_of,
    joined,
    problems_of,
    subject_of,
)
from drd.model.run import CheckResult, CheckVerdict, StepState
from drd.model.step_record import StepRecord, completed, step_about
from drd.model.step_results import CheckStepResult
from tests.catalogue_support import at


@pytest.mark.parametrize(
    ("kind", "name", "subject"),
    [
        ("capture", "capture orders-db", "orders-db"),
        ("restore", "restore orders-db", "orders-db"),
        ("rollback", "rollback stop-api", "stop-api"),
        ("forget", "forget in offsite", "offsite"),
        ("copy", "copy 7c1e0001 to offsite", "7c1e0001"),
        ("manifest", "manifest", ""),
        ("restore", "all", ""),
        ("command", "copy files", ""),
        ("command", "restore x", ""),
    ],
)
def test_the_name_of_a_step_gives_its_subject(kind: str, name: str, subject: str) -> None:
    assert subject_of(kind, name) == subject


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("cannot connect", ("cannot connect", "")),
        ("cannot connect\nremedy: start it", ("cannot connect", "start it")),
        ("exit 1\nPANIC\nremedy: a\nremedy: b", ("exit 1\nPANIC", "a\nb")),
        ("could not load:", ("could not load:", "")),
        (" kept as it is ", (" kept as it is ", "")),
        ("remedy: alone", ("remedy: alone", "")),
        ("remedy: a\nremedy: b", ("remedy: a\nremedy: b", "")),
        ("", ("", "")),
        ("2 problems:\n  a\n  b\nremedy: c", ("2 problems: a; b", "c")),
    ],
)
def test_an_error_is_parted_from_its_remedies(error: str, cause: tuple[str, str]) -> None:
    assert cause_of(error) == cause


@pytest.mark.parametrize("error", ["cannot connect", "exit 1\nPANIC\nremedy: a\nremedy: b"])
def test_an_error_and_its_remedies_are_joined_as_they_stood(error: str) -> None:
    assert joined(*cause_of(error)) == error
    assert contains_remedy(error) is ("remedy" in error)


def record(**fields: str) -> StepRecord:
    name, kind = fields.pop("name", "restore db"), fields.pop("kind", "restore")
    return StepRecord("r1", name, kind, StepState.FAILED, 1, at(0), **fields)  # type: ignore[arg-type]


def test_a_step_that_an_earlier_drd_wrote_gets_its_subject_and_its_remedy() -> None:
    read = completed(record(error="exit 1\nPANIC\nremedy: a\nremedy: b"))
    assert (read.subject, read.error, read.remedy) == ("db", "exit 1\nPANIC", "a\nb")
    assert completed(read) == read


@pytest.mark.parametrize(
    "today",
    [
        record(subject="db", error="exit 1:\nPANIC", remedy="a"),
        record(subject="db", error="exit 1:\nremedy: of a program", remedy="a"),
        record(subject="db", error="could not load:"),
        record(name="all", error="could not load:\n  PANIC"),
    ],
)
def test_a_step_of_today_stays_as_it_is(today: StepRecord) -> None:
    assert completed(today) == today


def test_of_several_problems_the_first_and_their_number_are_kept() -> None:
    assert problems_of("shop.yaml:1: a\n") == "shop.yaml:1: a"
    assert problems_of("shop.yaml:1: a\nshop.yaml:2: b\nshop.yaml:3: c") == (
        "shop.yaml:1: a (and 2 more)"
    )


@pytest.mark.parametrize(
    ("observed", "expected", "bound", "figure"),
    [
        ("1,234", "> 0", True, "1234"),
        ("42", "== 42", True, "42"),
        ("a", "!= b", True, None),
        ("-1,200.5", "within 10% of 1,300", False, "-1200.5"),
        ("4m before the data time", "within 1h", False, None),
        ("12", "as at backup", False, None),
    ],
)
def test_a_check_of_a_step_gets_what_its_texts_contained(
    observed: str, expected: str, bound: bool, figure: str | None
) -> None:
    assert (bound_of(expected), figure_of(observed, expected)) == (bound, figure)
    made = CheckResult("many", "db", CheckVerdict.PASSED, observed, expected)
    row = {k: v for k, v in made.to_json().items() if k not in ("bound", "figure")}
    [check] = CheckStepResult.from_json({"checks": [row]}).checks
    assert (check.bound, check.figure) == (bound, figure)
    assert CheckResult.from_json({**row, "bound": False, "figure": None, "later": 1}) == made


def test_a_step_without_an_error_has_no_cause() -> None:
    assert record().cause is None
    assert record(error="it broke").cause == Cause("it broke")
    assert record(error="it broke", remedy="mend it").cause == Cause("it broke", remedy="mend it")
    assert record(error="").cause == Cause("")


def test_a_step_is_found_by_its_kind_and_what_it_is_about() -> None:
    steps = [record(subject="db"), record(kind="capture", subject="db"), record(subject="conf")]
    assert step_about(steps, "restore", "conf") is steps[2]
    assert step_about(steps, "capture", "db") is steps[1]
    assert step_about(steps, "capture", "conf") is None
