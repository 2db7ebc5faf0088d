"""Compare the evidence of a drill or recovery with what else the catalogue knows. Pure.

The evidence itself is a row, which everybody who can write the catalogue could change. Its entry in
the chain of records is signed; if only the row was changed, it contradicts the entry and other
rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from drd.model.records import Entry, plain, written
from drd.model.run import CheckVerdict, DrillResult, Evidence, Run, drill_result
from drd.model.run_details import DrillDetail, RecoveryDetail
from drd.model.seals import Seal
from drd.model.snapshot import RestorePoint
from drd.model.text import noun
from drd.model.units import format_time

UNSIGNED = (
    "no signed record refers to this evidence: anyone who can write to the catalogue could "
    "change the evidence"
)
SIGNED = (
    "entry {entry} of the signed records refers to this evidence; to check the chain: {command}"
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the evidence was compared with. `agrees` is None if there was nothing to compare
    with."""

    what: str
    agrees: bool | None
    text: str


@dataclass(frozen=True, slots=True)
class Known:
    """What the catalogue knows besides the evidence. `proofs` are the hashes of the plan in force
    that evidence may carry, empty if the plan is not known. `entry` is the entry of the records
    that cites the evidence.
    """

    run: Run | None = None
    point: RestorePoint | None = None
    seal: Seal | None = None
    proofs: Collection[str] = ()
    entry: Entry | None = None


def compare(evidence: Evidence, known: Known) -> list[Comparison]:
    """Return the comparisons with the run, the checks, the restore point and the plan."""
    return [
        *_with_run(evidence, known.run),
        _with_checks(evidence),
        *_with_point(evidence, known.point, known.seal),
        _with_plan(evidence, known.proofs),
        *_with_entry(evidence, known.entry),
    ]


def contradicts(comparisons: Sequence[Comparison]) -> bool:
    """Return whether something contradicts the evidence."""
    return any(c.agrees is False for c in comparisons)


def _with_run(evidence: Evidence, run: Run | None) -> Iterator[Comparison]:
    if run is None:
        yield Comparison("run", None, f"the catalogue does not contain run {evidence.run}")
        return
    detail = run.detail
    said = detail.result if isinstance(detail, DrillDetail | RecoveryDetail) else None
    if run.plan != evidence.plan:
        yield Comparison("run", False, f"run {run.id} belongs to plan {run.plan}")
    elif said is None:
        yield Comparison("run", None, f"run {run.id} does not have a result (state: {run.state})")
    elif said != evidence.result:
        text = (
            f"the result of run {run.id} is {said}, but the result of the evidence is "
            f"{evidence.result}"
        )
        yield Comparison("run", False, text)
    else:
        yield Comparison("run", True, f"run {run.id} has the same result: {said}")


def _with_checks(evidence: Evidence) -> Comparison:
    """The result has to follow from the checks by the rule that made it. A reason alone also makes
    a failed one: a point that cannot be read has no checks.
    """
    result, count = evidence.result, len(evidence.checks)
    follows = drill_result(evidence.checks, cut_short=evidence.reason is not None)
    if result is follows or (result is DrillResult.FAILED and evidence.reason is not None):
        return Comparison(
            "checks", True, f"the result follows from the checks of this record ({count})"
        )
    return Comparison("checks", False, f"the result is {result}, but {_shown(evidence, follows)}")


def _shown(evidence: Evidence, follows: DrillResult) -> str:
    """Return what the checks of the evidence show, if this contradicts its result."""
    failed = sum(c.verdict is CheckVerdict.FAILED for c in evidence.checks)
    if failed:
        return f"{failed} of {len(evidence.checks)} checks failed"
    if follows is DrillResult.PASSED:
        return "every check passed"
    if evidence.result is DrillResult.FAILED:
        return "no check failed"
    if evidence.reason is not None:
        return "the record says why the run stopped early"
    return "no check proves the data"


def _with_point(
    evidence: Evidence, point: RestorePoint | None, seal: Seal | None
) -> Iterator[Comparison]:
    if evidence.point is None:
        return
    if point is None:
        text = f"the catalogue does not contain restore point {evidence.point}"
        yield Comparison("restore point", None, text)
        return
    if evidence.data_time is not None and evidence.data_time != point.data_time:
        text = (
            f"the catalogue dates restore point {point.id} "
            f"{format_time(point.data_time, seconds=True)}"
        )
        yield Comparison("restore point", False, text)
        return
    text = f"the catalogue has restore point {point.id} with the same data time"
    if point.forgotten_at is not None:
        text += f"; it was forgotten {format_time(point.forgotten_at, seconds=True)}"
    yield Comparison("restore point", True, text)
    if seal is not None and seal.digest:
        yield Comparison("manifest", None, f"sha256 {seal.digest} as this host stored it")


def _with_plan(evidence: Evidence, proofs: Collection[str]) -> Comparison:
    if not proofs:
        return Comparison("plan", None, f"drd has not loaded plan {evidence.plan}")
    if evidence.plan_digest in proofs:
        return Comparison("plan", True, "the plan has not changed since this record")
    return Comparison("plan", None, "the plan has changed since this record")


_CITED = (
    "id", "run", "plan", "point", "scenario", "result", "plan_digest", "rpa_s", "rta_s", "reason",
)  # fmt: skip


def _with_entry(evidence: Evidence, entry: Entry | None) -> Iterator[Comparison]:
    if entry is None:
        return
    if entry.body is None:
        yield Comparison("record", None, f"the body of entry {entry.seq} was redacted")
        return
    cited = cited_evidence(entry)
    row = plain(evidence)
    differing = [name for name in _CITED if cited.get(name) != row[name]]
    if _outcomes(cited.get("checks", [])) != _outcomes(row["checks"]):
        differing.append("checks")
    if differing:
        values = noun(len(differing), "another value", "other values")
        text = f"entry {entry.seq} of the records has {values} of {', '.join(differing)}"
        yield Comparison("record", False, text)
    else:
        signed = f"signed by key {entry.key}" if entry.signature else "which is not signed"
        yield Comparison("record", True, f"entry {entry.seq} of the records agrees, {signed}")


def cited_evidence(entry: Entry) -> dict[str, Any]:
    """Return the evidence that an entry of the chain cites; empty if it cites none."""
    evidence = written(entry).get("evidence")
    return evidence if isinstance(evidence, dict) else {}


def _outcomes(checks: Any) -> list[tuple[Any, ...]]:
    keys = ("name", "verdict", "observed", "expected")
    return [tuple(check.get(key) for key in keys) for check in checks]
