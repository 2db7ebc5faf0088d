"""Check restored data: the rows of the checks at the end of drills and recoveries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack, nullcontext
from datetime import datetime
from itertools import groupby
from typing import Any

from drd import process
from drd.errors import (
    Cancelled,
    DrdError,
    ExtensionFailed,
    StepFailed,
    TargetError,
    TargetUnwritable,
    ToolError,
)
from drd.extension_faults import fault, noted, require_type
from drd.flows.components.restoration import Restoration, fence
from drd.flows.durable_steps import describe
from drd.flows.state.run_dirs import believed_directory
from drd.model.check_words import RESTORES
from drd.model.consistency import Spread
from drd.model.plan import CheckSpec
from drd.model.run import CheckResult, CheckVerdict
from drd.model.snapshot import made_by
from drd.model.step_results import CheckStepResult
from drd.model.text import some
from drd.ports import CheckContext, Restored
from drd.ports.adopted import CopyDamaged
from drd.ports.destinations import DumpUnusable
from drd.process import rights
from drd.process.rights import Purpose
from drd.registry import CHECKS, Extension

ROLLED = " is rolled forward"
"""The end of the name of the row that says how far a log was replayed."""

_NOT_THE_DATA = (ToolError, TargetUnwritable, ExtensionFailed)
"""Errors of a restore that are not about the data, which was stored."""


def run_checks(work: Restoration, names: Sequence[str]) -> CheckStepResult:
    """Run the checks named; a component that was not restored makes its checks fail.

    Raises StepFailed when a check did not pass. Their rows are the result either way."""
    services = work.services
    wanted = [c for c in work.plan.checks if c.name in names]
    directory = believed_directory(services, work.runner.run.id)
    context = CheckContext(
        plan=work.plan,
        point=work.point,
        inspectors={n: work.destinations[n].inspector() for n in work.restored},
        now=services.clock.now(),
        is_root=services.is_root,
        last_observed=_last_observed(work),
        directory=directory,
        run_as=services.run_as,
        fence=lambda name, words: fence(work, name, words),
        exposed=work.fences is None,
        replayed=_replayed(work),
    )
    rows = _property_rows(work)
    for runs_programs, specs in groupby(wanted, lambda spec: CHECKS[spec.kind].runs_programs):
        with ExitStack() as kept:
            for inspector in () if runs_programs else context.inspectors.values():
                kept.enter_context(inspector.kept())
            rows += _rows_of_checks(work, specs, context)
    result = CheckStepResult(checks=tuple(rows))
    bad = [r for r in rows if r.verdict is not CheckVerdict.PASSED and not r.part]
    if bad:
        text = ", ".join(f"{r.name} ({str(r.verdict).replace('_', ' ')})" for r in bad)
        raise StepFailed(text, result=result.to_json())
    return result


def _replayed(work: Restoration) -> dict[str, datetime | None]:
    """Return the components whose log was replayed beyond the backup, with the data time after
    it."""
    times = dict[str, datetime | None]()
    for name, restored in work.restored.items():
        if restored.overtaken:
            order = work.logs.get(name)
            times[name] = restored.data_time or (order.data_time if order is not None else None)
    return times


def _rows_of_checks(
    work: Restoration, specs: Iterable[CheckSpec], context: CheckContext
) -> list[CheckResult]:
    rows = []
    for spec in specs:
        process.check_cancelled()
        if spec.component is not None and spec.component not in work.destinations:
            continue
        if spec.component in work.errors:
            rows.append(_missing(spec.name, spec.component, work.errors[spec.component]))
            continue
        rows += _rows_of_check(work, spec, context)
    return rows


def _rows_of_check(work: Restoration, spec: CheckSpec, context: CheckContext) -> list[CheckResult]:
    """Run a check. It is not_run where the code of an extension raised what it must not raise."""
    package = CHECKS.extension(spec.kind)
    back = work.restored.get(spec.component or "")
    if back is not None and back.overtaken and CHECKS[spec.kind].compares:
        why = "the log was replayed beyond the backup, so the data is not that of the backup"
        return [
            CheckResult(spec.name, spec.component, CheckVerdict.NOT_RUN, why, "as at backup",
                        part=True)
        ]  # fmt: skip
    try:
        needed = rights.root(Purpose.OWNERS) if CHECKS[spec.kind].reads_as_root else nullcontext()
        with needed, noted(f"check {spec.name}"):
            rows = work.services.checks(spec.kind).run(spec, context)
            return _required_rows(spec, rows, package)
    except (Cancelled, KeyboardInterrupt):
        raise
    except BaseException as error:
        failed = error if isinstance(error, ExtensionFailed) else fault(error, "", package)
        if failed is None:
            raise
        why = describe(failed).line
        return [CheckResult(spec.name, spec.component, CheckVerdict.NOT_RUN, why, "can be checked")]


def _required_rows(
    spec: CheckSpec, rows: Sequence[CheckResult], package: Extension | None
) -> list[CheckResult]:
    """Return the rows of a check. Raises ExtensionFailed for anything else that an extension
    returned, and for no rows, which nobody could tell from a check that passed."""
    member = f"run of check {spec.kind}"
    made = list(require_type(rows, (list, tuple), member, package))
    require_type(made[0] if made else None, CheckResult, f"{member}, in its list,", package)
    for row in made:
        require_type(row, CheckResult, f"{member}, in its list,", package)
    return made


def _property_rows(work: Restoration) -> list[CheckResult]:
    """One row for each restored database that has properties to compare: equal, or the
    differences."""
    rows = [_reached(name, one) for name, one in work.restored.items() if one.reached]
    if (work.part is not None and work.part.has_items) or made_by(work.point.id):
        return rows
    for name, restored in work.restored.items():
        spec = work.services.kinds(work.plan.components[name].kind).spec
        if restored.overtaken or (not spec.properties and not restored.differences):
            continue
        rows.append(
            CheckResult(
                f"{name} has its owner, grants and settings",
                name,
                CheckVerdict.FAILED if restored.differences else CheckVerdict.PASSED,
                "; ".join(restored.differences) or "no difference",
                "as at backup",
                looked_at_data=False,
            )
        )
    return rows


def _reached(component: str, restored: Restored) -> CheckResult:
    """Say how far a log was replayed. Beyond the backup, the transactions on both sides of the end
    were looked for in the restored data."""
    return CheckResult(
        f"{component}{ROLLED}",
        component,
        CheckVerdict.PASSED,
        restored.reached,
        "to the chosen place" if restored.overtaken else "to the end of the chosen restore point",
        looked_at_data=restored.overtaken,
    )


def _missing(check: str, component: str, error: DrdError) -> CheckResult:
    return CheckResult(
        check,
        component,
        CheckVerdict.NOT_RUN,
        f"{component} was not restored",
        describe(error).line,
    )


def restore_failures(work: Restoration) -> list[CheckResult]:
    """Return a failed row for each component that could not be restored. A row counts as an
    examination of the data if the data is at fault."""
    return [
        cannot_be_restored(name, error, by_the_data=_is_about_data(work, name, error))
        for name, error in work.errors.items()
    ]


def cannot_be_restored(component: str, error: DrdError, *, by_the_data: bool) -> CheckResult:
    """Return the failed row of a component; `by_the_data` means that it cannot be restored from
    this restore point at all."""
    return CheckResult(
        f"{component} can be restored",
        component,
        CheckVerdict.FAILED,
        describe(error).line,
        RESTORES,
        looked_at_data=by_the_data,
    )


def _is_about_data(work: Restoration, component: str, error: DrdError) -> bool:
    """Return whether the data is at fault: it was read completely from an undamaged repository, and
    neither a program, nor the code of an extension, nor the target of a recovery is to blame."""
    if isinstance(error, (CopyDamaged, DumpUnusable)):
        return True
    if component not in work.landed or isinstance(error, _NOT_THE_DATA):
        return False
    return work.fences is not None or not isinstance(error, TargetError)


def rows_of_passed_over(work: Restoration) -> list[CheckResult]:
    """Return a row for each thing that came from another repository than the first."""
    return [
        CheckResult(
            f"{what} can be fetched from repository {repository}",
            what if what in work.destinations else None,
            CheckVerdict.NOT_RUN,
            describe(error).line,
            "another repository provided it",
            part=True,
            looked_at_data=False,
        )
        for what, repository, error in work.holders.passed_over
    ]


def row_of_spread(spread: Spread) -> CheckResult:
    """Return the row which says whether the data of a group of components fits together."""
    verdict = CheckVerdict.FAILED if spread.too_wide else CheckVerdict.PASSED
    if spread.spread_s is None:
        verdict = CheckVerdict.NOT_RUN
    name = f"consistency of {some(spread.components)}"
    return CheckResult(name, None, verdict, spread.observed, spread.limit, looked_at_data=False)


def _last_observed(work: Restoration) -> dict[str, Any]:
    """Return the numbers that the newest passed drill observed, by check name."""
    for evidence in work.services.catalogue.evidence.newest(work.plan.name):
        if evidence.result == "passed":
            return {c.name: c.figure for c in evidence.checks if not c.part}
    return {}
