"""The check `rows`: compares what every table contains with what it contained at backup."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field

from drd.checks.expectation import Tolerance, parse_tolerance
from drd.checks.fingerprints import at_backup, of_restored
from drd.checks.settings import CheckSettings
from drd.checks.words import (
    ALREADY_WRITES,
    not_run,
    nothing_counted,
    part_not_run,
    result,
    shorten,
    some,
)
from drd.fields import Contradiction, Duration
from drd.model.plan import CheckSpec
from drd.model.run import CheckResult, CheckVerdict
from drd.model.snapshot import UNSAID, DatabaseFingerprint, TableState
from drd.model.text import counted, escaped
from drd.ports import CheckContext
from drd.ports.check import CheckKind
from drd.ports.kinds import KindSpec

_NAMED = 50


class RowsCheck(CheckSettings):
    """Row counts of every table against the fingerprint taken at backup."""

    kind: Literal["rows"]
    component: str = Field(description="The database whose rows are counted.")
    tolerance: int | str = Field(
        0, description="Allowed difference per table: a number of rows, or a share like `1%`."
    )
    budget: Duration = Field(300.0, description="Time limit for counting in the restored database.")

    def contradictions(self) -> Iterator[Contradiction]:
        try:
            parse_tolerance(self.tolerance)
        except ValueError as error:
            yield Contradiction.of(error, ("tolerance",))


class RowCounts:
    """Compares all tables of both sides: rows, and digests if both sides have them and no
    difference is allowed. A table that only one side has counts as different, and so does one that
    is damaged after the restore, also if the backup could not read it. A table that was not reached
    in time is a separate part, and so is a materialised view with other contents: the
    restore computed it anew, and the source's may have been out of date."""

    def run(self, spec: CheckSpec, context: CheckContext) -> list[CheckResult]:
        settings = spec.settings
        assert isinstance(settings, RowsCheck)
        tolerance = parse_tolerance(settings.tolerance)
        inspector = context.inspectors.get(settings.component)
        if inspector is None:
            return [not_run(spec, f"{settings.component} was not restored", str(tolerance))]
        before = at_backup(context, settings.component, DatabaseFingerprint)
        if before is None or before.mode == "off":
            why = nothing_counted(
                context.point.id,
                "the backup did not record a fingerprint of the source, so this check "
                "cannot compare; set `fingerprint: counts` in the plan",
            )
            return [not_run(spec, why, str(tolerance))]
        now = of_restored(
            spec,
            inspector,
            before,
            budget_s=settings.budget,
            expected=str(tolerance),
            failed="could not count",
        )
        if isinstance(now, CheckResult):
            return [now]
        may_be_empty = context.may_be_empty(settings.component)
        compared = compare(before, now, tolerance)
        if context.exposed and compared.only_more:
            compared.asks = f": {ALREADY_WRITES}"
        return _rows(spec, compared, str(tolerance), may_be_empty=may_be_empty)


@dataclass(slots=True)
class RowDifferences:
    """The result of comparing row counts. `differing` are sentences, `unknown` the reasons by
    table; both in the order of names. `more` counts tables with more rows than at the backup, or
    new tables; `less` counts tables with fewer rows, or missing tables. `asks` is a question to a
    person about the result.
    """

    compared: int = 0
    rows: int = 0
    differing: list[str] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)
    more: int = 0
    less: int = 0
    asks: str = ""

    @property
    def only_more(self) -> bool:
        """Whether rows were added, and none are missing: nothing was lost."""
        return self.more > 0 and self.less == 0


def compare(
    before: DatabaseFingerprint, now: DatabaseFingerprint, tolerance: Tolerance
) -> RowDifferences:
    """Compare every table of either side."""
    comparison = RowDifferences()
    known = {*before.tables, *before.not_reached}
    restored = {*now.tables, *now.not_reached}
    derived = before.derived | now.derived
    for table in sorted(known | restored):
        name = shorten(escaped(table), 60)
        was, now_is = before.tables.get(table), now.tables.get(table)
        if table not in restored:
            held = f" (had {counted(was.rows, 'row')})" if was else ""
            comparison.differing.append(f"{name} is missing{held}")
            comparison.less += 1
        elif table not in known:
            comparison.differing.append(f"{name} did not exist at backup")
            comparison.more += 1
        elif table in now.damaged:
            why = shorten(escaped(now.not_reached[table]), 200)
            comparison.differing.append(f"{name} is damaged and cannot be read: {why}")
            comparison.less += 1
        elif was is None:
            comparison.unknown[name] = f"not read in the source: {before.not_reached[table]}"
        elif now_is is None:
            comparison.unknown[name] = f"not read after the restore: {now.not_reached[table]}"
        else:
            difference = _difference(was, now_is, tolerance, now.rewritten.get(table, ""))
            if difference and table in derived:
                comparison.unknown[name] = (
                    f"a materialised view, which the restore computed again: {difference}"
                )
                continue
            comparison.compared += 1
            comparison.rows += now_is.rows
            if difference:
                comparison.differing.append(f"{name} {difference}")
                comparison.more += now_is.rows > was.rows
                comparison.less += now_is.rows < was.rows
    return comparison


def _difference(was: TableState, now: TableState, tolerance: Tolerance, rewritten: str) -> str:
    more = now.rows - was.rows
    if not tolerance.allows(was.rows, now.rows) and more > 0:
        return f"has {counted(now.rows, 'row')}, {counted(more, 'row')} more than at the backup"
    if not tolerance.allows(was.rows, now.rows):
        return f"has {counted(now.rows, 'row')}, had {was.rows:,}"
    if tolerance.exact and was.digest and now.digest and was.digest != now.digest:
        why = f" ({rewritten})" if rewritten else ""
        return f"has {counted(now.rows, 'row')} as before, but other contents{why}"
    return ""


def _shown(unknown: Mapping[str, str]) -> dict[str, str]:
    """Return the reasons by table. Where there are many, the tables after the first ones are
    counted by reason: a budget can end before thousands of tables were read."""
    shown, others = {}, dict[str, list[str]]()
    for number, (name, why) in enumerate(unknown.items()):
        if number < _NAMED:
            shown[name] = why
        else:
            others.setdefault(why, []).append(name)
    for why, names in others.items():
        more = f" and {counted(len(names) - 1, 'more table')}" if len(names) > 1 else ""
        shown[names[0] + more] = why
    return shown


def _rows(
    spec: CheckSpec, found: RowDifferences, expected: str, *, may_be_empty: bool
) -> list[CheckResult]:
    parts = [
        part_not_run(spec, name, shorten(why, 200), expected)
        for name, why in _shown(found.unknown).items()
    ]
    if found.differing:
        text = f"{counted(len(found.differing), 'table')} differ: {some(found.differing)}"
        if len(found.differing) == 1:
            text = some(found.differing)
        own = result(spec, CheckVerdict.FAILED, text + found.asks, expected)
    elif parts and not found.compared:
        own = not_run(
            spec, f"none of {counted(len(found.unknown), 'table')} could be compared", expected
        )
    elif not found.compared and not may_be_empty:
        own = not_run(
            spec,
            f"the restored data has no table, the source had no table at the backup, {UNSAID}",
            expected,
        )
    elif not found.rows and not may_be_empty:
        these = "the only table" if found.compared == 1 else f"any of the {found.compared} tables"
        own = not_run(spec, f"there is no row in {these}, {UNSAID}", expected)
    else:
        text = f"{counted(found.compared, 'table')}, {counted(found.rows, 'row')}, 0 differ"
        own = result(spec, CheckVerdict.PASSED, text, expected)
    return [own, *parts]


def _fits(spec: KindSpec) -> bool:
    return spec.comparison == SPEC.name


SPEC = CheckKind("rows", RowsCheck, RowCounts(), fits=_fits, compares=True)
