"""What the checks share that compare restored data with the fingerprint from the backup."""

from __future__ import annotations

from typing import TypeVar

from drd.checks.words import not_run, result, shorten
from drd.errors import DrdError, SourceError, SourceUnreachable
from drd.model.plan import CheckSpec
from drd.model.run import CheckResult, CheckVerdict
from drd.model.snapshot import DatabaseFingerprint, TreeFingerprint
from drd.ports import CheckContext, Inspector

_Fingerprint = TypeVar("_Fingerprint", DatabaseFingerprint, TreeFingerprint)


def at_backup(
    context: CheckContext, component: str, kind: type[_Fingerprint]
) -> _Fingerprint | None:
    """Return the fingerprint of a component in the restore point; None if it has no fingerprint of
    this kind."""
    snapshot = context.point.component(component)
    known = snapshot.fingerprint if snapshot else None
    return known if isinstance(known, kind) else None


def of_restored(
    spec: CheckSpec,
    inspector: Inspector,
    before: _Fingerprint,
    *,
    budget_s: float,
    expected: str,
    failed: str = "could not check",
) -> _Fingerprint | CheckResult:
    """Return the fingerprint of the restored data, or the check's own row if the data cannot be
    read. Then the data is at fault; if nothing answers, the check did not run.
    """
    try:
        now = inspector.fingerprint(before, budget_s)
    except DrdError as error:
        if isinstance(error, SourceError) and not isinstance(error, SourceUnreachable):
            return result(spec, CheckVerdict.FAILED, shorten(str(error)), expected)
        return not_run(spec, f"{failed}: {error}", expected)
    assert isinstance(now, type(before))
    return now
