"""A fact and its remedy are kept apart, and made one text where they are shown."""

from __future__ import annotations

from drd.errors import ConfigError, Problem, StepFailed, TargetError
from drd.flows.durable_steps import describe
from drd.flows.restore.blockers import joined as all_blockers
from drd.model import former_rows
from drd.model.cause import Cause, joined, with_remedy

GONE = Cause("x.db does not exist", "source-missing", "create it.")
REFUSED = Cause("pg_dump exited with 1: refused\nis it running?", "dump-failed", "see its log.")


def test_a_cause_is_shown_with_the_remedy_below() -> None:
    assert GONE.shown == "x.db does not exist\nremedy: create it."
    assert GONE.line == "x.db does not exist; remedy: create it."
    assert with_remedy("cancelled", None) == "cancelled"
    assert with_remedy("two", "one.\nanother.") == "two\nremedy: one.\nremedy: another."


def test_a_cause_in_the_log_has_a_key_for_each_part() -> None:
    assert GONE.logged == {
        "why": "x.db does not exist",
        "code": "source-missing",
        "remedy": "create it.",
    }
    assert Cause("cancelled").logged == {"why": "cancelled"}


def test_joined_causes_have_facts_first_then_output_then_remedies() -> None:
    both = joined({"db": REFUSED, "conf": GONE})
    assert both is not None
    assert both.text == (
        "db: pg_dump exited with 1: refused; conf: x.db does not exist\nis it running?"
    )
    assert both.remedy == "see its log.\ncreate it."
    assert joined({}) is None
    without = joined({"a": Cause("x"), "b": GONE, "c": Cause("y")})
    assert without == Cause("a: x; b: x.db does not exist; c: y", remedy="create it.")


def test_a_recorded_error_has_its_remedy_apart_and_in_one_line() -> None:
    error = StepFailed("not restored", hint="run one:\n  drd a\n  drd b")
    assert describe(error) == Cause("not restored", "step-failed", "run one:; drd a; drd b")
    assert describe(ZeroDivisionError("by nothing")) == Cause(
        "ZeroDivisionError: by nothing", "bug"
    )


def test_a_message_of_several_lines_is_recorded_in_one() -> None:
    blocked = all_blockers([TargetError("a is full"), TargetError("b is gone")], {0: "db"})
    assert describe(blocked).text == ("2 problems block this recovery: db: a is full; b is gone")
    wrong = [Problem("/p.yaml", n, "rpo", "is no duration") for n in (3, 7)]
    assert describe(ConfigError(wrong)).text == "/p.yaml:3: rpo: is no duration (and 1 more)"


def test_errors_of_former_rows_are_taken_apart_once() -> None:
    for cause in (GONE, REFUSED, Cause("cancelled"), joined({"db": REFUSED, "conf": GONE})):
        assert cause is not None
        assert former_rows.cause_of(cause.shown) == (cause.text, cause.remedy)
    several = "2 problems block this recovery:\n  a is full\n  b is gone\nremedy: make room."
    assert former_rows.cause_of(several) == (
        "2 problems block this recovery: a is full; b is gone",
        "make room.",
    )
    assert former_rows.problems_of("p.yaml:3: x") == "p.yaml:3: x"
    assert former_rows.problems_of("p.yaml:3: x\np.yaml:7: y") == "p.yaml:3: x (and 1 more)"
