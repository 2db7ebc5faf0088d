"""Print checks and phases of a drill or recovery, as JSON and as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drd.cli import output
from drd.cli.recorded import recorded_error
from drd.model.coverage import Coverage
from drd.model.facts import Unproven
from drd.model.fencing import FenceReport
from drd.model.run import (
    RESTORES,
    STEP_SUCCEEDS,
    CheckResult,
    CheckVerdict,
    DrillResult,
    Evidence,
)
from drd.model.units import format_duration, from_rfc3339

STYLE = {"passed": "good", "failed": "bad", "not_run": "warn", "inconclusive": "warn"}


def evidence_of(document: Mapping[str, Any]) -> Evidence:
    """The evidence from its document, as far as it is shown."""
    coverage, fence = document["coverage"], document["fence"]
    reason, remedy = recorded_error(document, former="reason")
    return Evidence(
        id=document["evidence"],
        run=document["run"],
        plan=document["plan"],
        point=document["point"],
        scenario=document["scenario"],
        result=DrillResult(document["result"]),
        plan_digest="",
        started_at=from_rfc3339(document["started_at"]),
        finished_at=from_rfc3339(document["finished_at"]),
        rpa_s=document["rpa_s"],
        rta_s=document["rta_s"],
        judged=document["rpa_judged"],
        phases=document["phases"],
        checks=tuple(CheckResult.from_json(c) for c in document["checks"]),
        unproven=tuple(Unproven(u["component"], u["why"], u["code"]) for u in document["unproven"]),
        not_rehearsed=tuple((n["step"], n["reason"]) for n in document["not_rehearsed"]),
        reason=reason or None,
        remedy=remedy,
        coverage=Coverage.from_json(coverage) if coverage is not None else None,
        fence=FenceReport.from_json(fence) if fence is not None else None,
    )


def print_phases(phases: Mapping[str, Any]) -> None:
    for name, seconds in phases.items():
        if not isinstance(seconds, int | float):  # from a later drd
            continue
        output.say(f"  {name.removesuffix('_s'):<10} {format_duration(seconds)}")


def print_unproven(evidence: Evidence) -> None:
    """Print the components for which the drill proves nothing."""
    for unproven in evidence.unproven:
        output.say(f"  not proven {unproven.component}: {unproven.why}")


def print_coverage(evidence: Evidence) -> None:
    """Print what a drill did not execute as a recovery would; nothing if it did all."""
    coverage = evidence.coverage
    if coverage is None:
        return
    for step, stand_in in coverage.simulated:
        output.say(f"  simulated  {step}: {stand_in}")
    for step in coverage.granted:
        output.say(f"  approved   {step}: by the drill itself, not by a person")
    for step, reason in evidence.not_rehearsed:
        output.say(f"  not rehearsed  {step}: {reason}")
    if evidence.not_rehearsed or coverage.simulated or coverage.granted:
        output.say(f"  {coverage.words()}")


def print_fence(fence: FenceReport | None, *, colour: bool) -> None:
    """Print which fence surrounded the data's own code, and which accesses it refused."""
    if fence is None or not (fence.fenced or fence.missing):
        return
    text = fence.words()
    if not fence.is_complete:
        text = output.paint(text, "warn", colour)
    output.say(f"  fence      {text}")
    for one in (*fence.reach, *fence.read):
        output.say(f"  allowed    {one} (by `drill` in the plan)")
    for attempt in fence.tried:
        refused = output.paint("the fence refused", "warn", colour)
        output.say(f"  {refused} an access of {output.unmarked(attempt.words)}")


def what_failed(evidence: Evidence) -> str:
    """Return which check or step failed first, and how many others: `step announce failed`; empty
    if none did, or data was not restored."""
    failed = _failed(evidence)
    if not failed or any(c.expected == RESTORES for c in failed):
        return ""
    first = failed[0].name if failed[0].expected == STEP_SUCCEEDS else f"check {failed[0].name}"
    return f"{first} failed" + (f", and {len(failed) - 1} more" if len(failed) > 1 else "")


def only_steps_failed(evidence: Evidence) -> bool:
    failed = _failed(evidence)
    return bool(failed) and all(c.expected == STEP_SUCCEEDS for c in failed)


def _failed(evidence: Evidence) -> list[CheckResult]:
    return [c for c in evidence.checks if c.verdict is CheckVerdict.FAILED]


def print_checks(evidence: Evidence, *, colour: bool, steps: bool = True) -> None:
    """One line for each check: name, observation, the verdict last; failures also show what was
    expected. Without `steps` there is none for a failed step."""
    rows = [_row(c) for c in evidence.checks if steps or c.expected != STEP_SUCCEEDS]
    if not rows:
        output.say("  check      no check ran: the data is not checked")
        return
    name_width = min(44, max(len(r[0]) for r in rows))
    seen_width = min(60, max(len(r[1]) for r in rows))
    for name, seen, verdict in rows:
        mark = output.paint(verdict.replace("_", " "), STYLE[verdict], colour)
        output.say(f"  check      {name:<{name_width}}  {seen:<{seen_width}}  {mark}")


def _row(check: CheckResult) -> tuple[str, str, str]:
    seen = check.observed
    if check.verdict == "failed" and check.expected not in ("", STEP_SUCCEEDS):
        seen += f" (expected {check.expected})"
    elif check.verdict == "passed" and check.bound:
        seen += f" {check.expected}"
    return check.name, " ".join(seen.split()), str(check.verdict)
