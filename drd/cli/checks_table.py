"""Print checks and phases of a drill or recovery, as JSON and as text."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from drd.cli import output
from drd.cli.recorded import recorded_error
from drd.cli.render import measure, terminal_width
from drd.model.cause import with_remedy
from drd.model.cells import Cell
from drd.model.check_words import RESTORES, STEP_SUCCEEDS
from drd.model.coverage import Coverage
from drd.model.drill_facts import Unproven
from drd.model.fencing import FenceReport
from drd.model.instant import InstantDrill
from drd.model.losses import Loss
from drd.model.manifest_signature import Trust
from drd.model.plan import Objectives
from drd.model.run import (
    PARTIAL,
    PARTIAL_DRILL,
    RECOVERY,
    CheckResult,
    CheckVerdict,
    DrillResult,
    Evidence,
)
from drd.model.text import escaped
from drd.model.units import format_duration, from_rfc3339

STYLE = {"passed": "good", "failed": "bad", "not_run": "warn", "inconclusive": "warn"}

_EVIDENCE = "   evidence "


def evidence_of(document: Mapping[str, Any]) -> Evidence:
    """Return the evidence from its document, with the values that are shown."""
    coverage, fence = document["coverage"], document["fence"]
    instant = document.get("instant")
    reason, remedy = recorded_error(document, former="reason")
    return Evidence(
        id=document["evidence"],
        run=document["run"],
        plan=document["plan"],
        point=document["point"],
        scenario=document["scenario"],
        result=DrillResult(document["result"]),
        plan_digest=document.get("plan_digest", ""),
        signature=document.get("signature"),
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
        instant=InstantDrill.from_json(instant) if instant is not None else None,
    )


_PHASE_WORDS = {
    "detect_s": "until the start",
    "decide_s": "waiting",
    "validate_s": "checks",
    "serve_s": "other steps",
}
"""Phases whose names alone do not say what took the time."""


def print_phases(phases: Mapping[str, Any]) -> None:
    took = [
        f"{_PHASE_WORDS.get(name, name.removesuffix('_s'))} {format_duration(seconds)}"
        for name, seconds in phases.items()
        if isinstance(seconds, int | float)  # others are from a later drd
    ]
    if took:
        output.say_below("  took       ", ", ".join(took))


def print_signature(evidence: Evidence) -> None:
    """Print that drd did not sign the restore point, or why the point counts as made by drd."""
    words = {
        Trust.SIGNED: "drd has signed the restore point",
        Trust.UNSIGNED: "the restore point is not signed",
        Trust.UNCHECKED: "the signature of the restore point was not checked",
        Trust.UNCONFIRMED: (
            "signed, but the proof that the signing key belongs to drd is only in the "
            "repository itself"
        ),
        Trust.UNKNOWN_KEY: "the restore point is signed by a key that does not belong to drd",
        Trust.REPLACED_KEY: (
            "the restore point is signed by an old key, which drd had replaced already"
        ),
        Trust.WRONG: "the restore point has a wrong signature",
    }
    told = {str(trust): text for trust, text in words.items()}.get(evidence.signature or "")
    if told:
        output.say_below("  signature  ", told)


def print_unproven(evidence: Evidence) -> None:
    """Print the components about which the drill proves nothing."""
    for unproven in evidence.unproven:
        output.say_below("  not proven ", f"{unproven.component}: {unproven.why}")


def print_coverage(evidence: Evidence) -> None:
    """Print what a drill did not execute as a recovery would; nothing if it executed everything."""
    coverage = evidence.coverage
    if coverage is None:
        return
    for step, stand_in in coverage.simulated:
        output.say_below("  simulated  ", f"{step}: {stand_in}")
    for step in coverage.granted:
        output.say_below("  approved   ", f"{step}: by the drill itself, not by a person")
    for step, reason in evidence.not_rehearsed:
        output.say_below("  not rehearsed  ", f"{step}: {reason}")
    if evidence.not_rehearsed or coverage.simulated or coverage.granted:
        output.say_below("  ", coverage.words())


def print_fence(fence: FenceReport | None, *, colour: bool) -> None:
    """Print which fence surrounded the data's own code, and which accesses it refused."""
    if fence is None or not (fence.fenced or fence.missing):
        return
    if fence.is_complete:
        words = f"programs in the drill could not use this host's {fence.words()}"
        output.say_below("  fence      ", words)
    else:
        output.say_marked(
            Cell("fence", "warn"), fence.words(), left="  ", right="      ", colour=colour
        )
    for one in (*fence.reach, *fence.read):
        output.say_below("  allowed    ", f"{one} (by `drill` in the plan)")
    for attempt in fence.tried:
        text = f"an access by {output.unmarked(attempt.words)}"
        refused = Cell("the fence refused", "warn")
        output.say_marked(refused, text, left="  ", right=" ", colour=colour)


def what_failed(evidence: Evidence) -> str:
    """Return which check or step failed first, and how many others: `step announce failed`; empty
    if none failed, or if data was not restored."""
    failed = _failed(evidence)
    if not failed or any(c.expected == RESTORES for c in failed):
        return ""
    is_step = failed[0].expected == STEP_SUCCEEDS
    first = failed[0].name if is_step else f'check "{failed[0].name}"'
    return f"{first} failed" + (f", and {len(failed) - 1} more" if len(failed) > 1 else "")


def against_rto(rta_s: float, rto_s: float) -> str:
    """Return the objective, in brackets: ` (RTO 1h)`, ` (RTO 1h: missed)`."""
    return f" (RTO {format_duration(rto_s)}{': missed' if rta_s > rto_s else ''})"


def against_rpo(loss: Loss) -> str:
    """Return the objective, in brackets: ` (RPO 5m)`, ` (RPO 5m: missed)`."""
    return f" (RPO {format_duration(loss.rpo_s)}{': missed' if loss.missed else ''})"


def of_component(loss: Loss) -> str:
    """Return whose data it is: ` of server`; empty if the plan is judged as a whole."""
    return f" of {loss.component}" if loss.component else ""


def loss_in(document: Mapping[str, Any]) -> Loss | None:
    """Return the loss in a document; None if the document has none, because a daemon of a former
    version wrote it."""
    told = document.get("loss")
    return Loss(told["component"], told["lost_s"], told["rpo_s"]) if told is not None else None


def of_the_whole(rto_s: float) -> str:
    """Return the objective, to be shown beside the time of a part; such a time can neither keep nor
    miss it."""
    return f" (the RTO of {format_duration(rto_s)} is for the whole service)"


def conclusion(
    evidence: Evidence, goals: Objectives | None = None, loss: Loss | None = None
) -> str:
    """Return what a drill or a recovery has shown: its times with the objectives, which check
    failed, or why it has no result. `loss` is the loss of the component that is worst against its
    RPO.
    """
    if evidence.reason is not None:
        return with_remedy(evidence.reason, evidence.remedy)
    if evidence.instant is not None:
        return _instantly(evidence, evidence.instant)
    if evidence.rta_s is None:
        return what_failed(evidence) or "drd could not restore everything, see the lines above"
    failed = what_failed(evidence)
    told = f"{failed}; " if failed else ""
    told += f"recovered in {format_duration(evidence.rta_s)}"
    if goals and evidence.scenario in (PARTIAL, PARTIAL_DRILL):
        told += of_the_whole(goals.rto_s)
    elif goals:
        told += against_rto(evidence.rta_s, goals.rto_s)
    if not evidence.judged or evidence.scenario == PARTIAL or not goals or evidence.rpa_s is None:
        loss = None
    else:
        loss = loss or Loss("", evidence.rpa_s, goals.rpo_s)
    age = format_duration(evidence.rpa_s if loss is None else loss.lost_s)
    of = of_component(loss) if loss is not None else ""
    told += (
        f", lost {age} of data{of}"
        if evidence.scenario == RECOVERY
        else f", the data{of} was {age} old"
    )
    if not evidence.judged and evidence.scenario != PARTIAL:
        told += " (an older point, chosen on purpose)"
    elif loss is not None:
        told += against_rpo(loss)
    if evidence.result == "inconclusive":
        told += "; no check could confirm the data"
    return f"{told}{_EVIDENCE}{evidence.id}"


def _instantly(evidence: Evidence, instant: InstantDrill) -> str:
    failed = what_failed(evidence)
    told = f"{failed}; " if failed else ""
    told += f"instant drill, checks answered in {format_duration(instant.answered_s)}"
    told += f", the data was {format_duration(evidence.rpa_s)} old"
    return f"{told}{_EVIDENCE}{evidence.id}"


def print_instant(instant: InstantDrill | None) -> None:
    """Print what an instant drill has read, and what a whole recovery would take."""
    if instant is None:
        return
    for reading in instant.readings:
        output.say_below("  instant    ", f"{reading.component}: {reading.words}")
    if instant.projected_rta_s is None:
        told = "no whole drill has measured from which drd could compute it"
    else:
        told = (
            f"about {format_duration(instant.projected_rta_s)} (not measured: computed from this "
            f"drill and the whole drill {instant.projected_from})"
        )
    output.say_below("  projected  ", f"time of a whole recovery: {told}")


def print_evidence(
    evidence: Evidence,
    *,
    colour: bool,
    goals: Objectives | None = None,
    loss: Loss | None = None,
    notes: Iterable[str] = (),
    steps: bool = True,
) -> None:
    """Print what `drd drill` shows at its end: phases, checks, `notes` about the restored data,
    what was not proven, the fence, and the result. With `steps`, failed steps are shown among the
    checks.
    """
    print_phases(evidence.phases)
    print_instant(evidence.instant)
    if evidence.checks or evidence.result != "inconclusive":
        print_checks(evidence, colour=colour, steps=steps)
    for note in notes:
        output.say_below("  note       ", note)
    print_signature(evidence)
    print_unproven(evidence)
    print_coverage(evidence)
    print_fence(evidence.fence, colour=colour)
    result = Cell(str(evidence.result), STYLE[str(evidence.result)])
    first, *rest = conclusion(evidence, goals, loss).splitlines()
    said, gap, named = first.partition(_EVIDENCE)
    if measure(f"{result.text}: {first}") <= terminal_width(sys.stdout):
        said, gap, named = first, "", ""
    output.say_marked(result, said, right=": ", colour=colour)
    if named:
        output.say(f"    {gap.strip()} {named}")
    for line in rest:
        output.say_below("    ", line)


def only_steps_failed(evidence: Evidence) -> bool:
    failed = _failed(evidence)
    return bool(failed) and all(c.expected == STEP_SUCCEEDS for c in failed)


def _failed(evidence: Evidence) -> list[CheckResult]:
    return [c for c in evidence.checks if c.verdict is CheckVerdict.FAILED]


def print_checks(evidence: Evidence, *, colour: bool, steps: bool = True) -> None:
    """One line for each check: name, observation, the verdict last; failures also show what was
    expected. Without `steps` there is none for a failed step. If a terminal is too narrow for this,
    each check begins with its verdict, and what does not fit goes on in further lines."""
    rows = [_row(c) for c in evidence.checks if steps or c.expected != STEP_SUCCEEDS]
    if not rows:
        output.say("  check      no check ran: the data is not checked")
        return
    name_width = min(44, max(measure(r[0]) for r in rows))
    seen_width = min(60, max(measure(r[1]) for r in rows))
    width = terminal_width(sys.stdout)
    lines = [
        (f"  check      {_padded(n, name_width)}  {_padded(s, seen_width)}  ", v)
        for n, s, v in rows
    ]
    if any(measure(line + verdict) > width for line, verdict in lines):
        _print_below(rows, width, colour)
        return
    for line, verdict in lines:
        output.say(line + output.paint(_words(verdict), STYLE[verdict], colour))


def _padded(text: str, width: int) -> str:
    return text + " " * (width - measure(text))


def _print_below(rows: list[tuple[str, str, str]], width: int, colour: bool) -> None:
    """Print for each check its verdict, its name, and what it observed, below the name if there is
    no room beside it."""
    left = "  check      "
    marks = max(len(verdict) for _, _, verdict in rows)
    for name, seen, verdict in rows:
        mark = Cell(f"{_words(verdict):<{marks}}", STYLE[verdict])
        beside = measure(f"{left}{mark.text}  {name}: {seen}") <= width
        text = f"{name}: {seen}" if beside else name
        output.say_marked(mark, text, left=left, right="  ", colour=colour)
        if not beside:
            output.say_below(" " * (len(left) + marks + 4), seen)


def _words(verdict: str) -> str:
    return verdict.replace("_", " ")


def _row(check: CheckResult) -> tuple[str, str, str]:
    seen = check.observed
    if check.verdict == "failed" and check.expected not in ("", STEP_SUCCEEDS, RESTORES):
        seen += f" (expected {check.expected})"
    elif check.verdict == "passed" and check.bound:
        seen += f" {check.expected}"
    return escaped(check.name), escaped(" ".join(seen.split())), str(check.verdict)
