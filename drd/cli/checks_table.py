"""How checks and phases of a drill or recovery are printed, as JSON and as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drd.cli import output
from drd.model.units import format_duration, to_rfc3339

if TYPE_CHECKING:
    from drd.model.run import CheckResult, Evidence

STYLE = {"passed": "good", "failed": "bad", "not_run": "warn", "inconclusive": "warn"}


def evidence_document(evidence: Evidence) -> dict[str, Any]:
    """The keys that `drd drill --json` and `drd recover --json` share, without `schema`."""
    return {
        "run": evidence.run,
        "plan": evidence.plan,
        "evidence": evidence.id,
        "point": evidence.point,
        "scenario": evidence.scenario,
        "result": str(evidence.result),
        "rpa_s": evidence.rpa_s,
        "rta_s": evidence.rta_s,
        "rpa_judged": evidence.judged,
        "started_at": to_rfc3339(evidence.started_at),
        "finished_at": to_rfc3339(evidence.finished_at),
        "phases": dict(evidence.phases),
        "checks": [check_document(c) for c in evidence.checks],
        "coverage": evidence.coverage.to_json() if evidence.coverage is not None else None,
        "unproven": [{"component": c, "why": why} for c, why in evidence.unproven],
        "not_rehearsed": [{"step": s, "reason": r} for s, r in evidence.not_rehearsed],
        "reason": output.unmarked(evidence.reason) if evidence.reason else None,
    }


def check_document(check: CheckResult) -> dict[str, Any]:
    return {
        "name": check.name,
        "component": check.component,
        "verdict": str(check.verdict),
        "observed": output.unmarked(check.observed),
        "expected": output.unmarked(check.expected),
        "part": check.part,
    }


def print_phases(evidence: Evidence) -> None:
    for name, seconds in evidence.phases.items():
        output.say(f"  {name.removesuffix('_s'):<10} {format_duration(seconds)}")


def print_unproven(evidence: Evidence) -> None:
    """The components that the drill says nothing about."""
    for component, why in evidence.unproven:
        output.say(f"  not proven {component}: {why}")


def print_coverage(evidence: Evidence) -> None:
    """What a drill did not carry out as a recovery would; nothing when it did all of it."""
    coverage = evidence.coverage
    if coverage is None:
        return
    for step, stand_in in coverage.simulated:
        output.say(f"  simulated  {step}: {stand_in}")
    for step in coverage.granted:
        output.say(f"  granted    {step}: by the drill itself")
    for step, reason in evidence.not_rehearsed:
        output.say(f"  not rehearsed  {step}: {reason}")
    if evidence.not_rehearsed or coverage.simulated or coverage.granted:
        output.say(f"  {coverage.words()}")


def print_checks(evidence: Evidence, *, colour: bool) -> None:
    """One line a check: name, what was seen, the verdict last; failures repeat what was expected."""
    rows = [_row(c) for c in evidence.checks]
    if not rows:
        output.say("  check      no check was carried out: nothing looked at the data")
        return
    name_width = min(44, max(len(r[0]) for r in rows))
    seen_width = min(60, max(len(r[1]) for r in rows))
    for name, seen, verdict in rows:
        mark = output.paint(verdict.replace("_", " "), STYLE[verdict], colour)
        output.say(f"  check      {name:<{name_width}}  {seen:<{seen_width}}  {mark}")


def _row(check: CheckResult) -> tuple[str, str, str]:
    seen = check.observed
    if check.verdict == "failed" and check.expected:
        seen += f" (expected {check.expected})"
    elif check.verdict == "passed" and check.expected.startswith((">", "<", "=", "!")):
        seen += f" {check.expected}"
    return check.name, " ".join(seen.split()), str(check.verdict)
