"""Whether the result of evidence follows from its own checks, by the rule that made it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from drd.model.evidence_integrity import Comparison, Known, compare
from drd.model.run import CheckResult, CheckVerdict, DrillResult, Evidence, drill_result

PASSED = CheckResult("rows", "db", CheckVerdict.PASSED, "14 tables", "0 differ")
FAILED = CheckResult("few", "db", CheckVerdict.FAILED, "2,433", "< 10")
NOT_RUN = CheckResult("tree", "conf", CheckVerdict.NOT_RUN, "not restored", "0 differ")
BLIND = CheckResult("port", "db", CheckVerdict.PASSED, "open", "open", looked_at_data=False)


def compared(
    result: str, checks: tuple[CheckResult, ...], *, reason: str | None = None
) -> Comparison:
    """The comparison of a record with this result with its own checks."""
    at = datetime(2026, 11, 28, tzinfo=UTC)
    evidence = Evidence(
        id="aaaa-bbbbbbbb",
        run="bbbbbbbb",
        plan="shop",
        point="aaaaaaaa",
        scenario="database-loss",
        result=DrillResult(result),
        plan_digest="sha256:0",
        started_at=at,
        finished_at=at,
        rpa_s=None,
        rta_s=None,
        judged=True,
        phases={},
        checks=checks,
        reason=reason,
    )
    return next(c for c in compare(evidence, Known()) if c.what == "checks")


@pytest.mark.parametrize(
    ("result", "checks", "reason", "why"),
    [
        ("inconclusive", (PASSED, FAILED), None, "1 of 2 checks failed"),
        ("inconclusive", (PASSED, FAILED), "no room", "1 of 2 checks failed"),
        ("passed", (PASSED, FAILED), None, "1 of 2 checks failed"),
        ("passed", (PASSED, NOT_RUN), None, "no check proves the data"),
        ("passed", (BLIND,), None, "no check proves the data"),
        ("passed", (PASSED,), "no room", "the record says why the run stopped early"),
        ("failed", (PASSED, NOT_RUN), None, "no check failed"),
        ("failed", (PASSED,), None, "every check passed"),
        ("inconclusive", (PASSED,), None, "every check passed"),
    ],
)
def test_a_result_that_does_not_follow_from_its_checks_contradicts_them(
    result: str, checks: tuple[CheckResult, ...], reason: str | None, why: str
) -> None:
    comparison = compared(result, checks, reason=reason)
    assert comparison.agrees is False
    assert comparison.text == f"the result is {result}, but {why}"


@pytest.mark.parametrize(
    ("result", "checks", "reason"),
    [
        ("passed", (PASSED, BLIND), None),
        ("failed", (PASSED, FAILED), None),
        ("failed", (PASSED, FAILED), "repository local: no answer"),
        ("failed", (), "the manifest cannot be read"),
        ("inconclusive", (PASSED, NOT_RUN), None),
        ("inconclusive", (PASSED,), "repository local: no answer"),
        ("inconclusive", (), None),
    ],
)
def test_a_result_that_follows_from_its_checks_agrees(
    result: str, checks: tuple[CheckResult, ...], reason: str | None
) -> None:
    assert compared(result, checks, reason=reason).agrees is True


def test_a_check_that_failed_counts_also_where_the_rest_could_not_be_tried() -> None:
    assert drill_result((FAILED, NOT_RUN), cut_short=True) is DrillResult.FAILED
    assert drill_result((PASSED,), cut_short=True) is DrillResult.INCONCLUSIVE
