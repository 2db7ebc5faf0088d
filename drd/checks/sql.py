"""The check `sql`: one value of a query against an expectation."""

from __future__ import annotations

from drd.checks.expectation import Near, Surroundings, judge, parse_expectation
from drd.checks.settings import SqlCheck
from drd.checks.words import not_run, result, shorten
from drd.errors import DrdError, SourceError, SourceUnreachable
from drd.model.plan import CheckSpec
from drd.model.run import CheckResult, CheckVerdict
from drd.ports import CheckContext


class SqlValue:
    """A query that the database refuses (its table is missing) is failed; a database that cannot
    be asked is not_run."""

    kind = "sql"

    def run(self, spec: CheckSpec, context: CheckContext) -> list[CheckResult]:
        settings = spec.settings
        assert isinstance(settings, SqlCheck)
        wanted = shorten(str(settings.expect))
        inspector = context.inspectors.get(settings.component)
        if inspector is None:
            return [not_run(spec, f"{settings.component} was not restored", wanted)]
        try:
            value = inspector.scalar(settings.query, timeout_s=settings.timeout)
        except DrdError as error:
            if isinstance(error, SourceError) and not isinstance(error, SourceUnreachable):
                words = f"the query failed: {error}"
                return [result(spec, CheckVerdict.FAILED, shorten(words), wanted)]
            return [not_run(spec, f"could not ask: {error}", wanted)]
        judged = judge(parse_expectation(settings.expect), value, _around(spec, settings, context))
        return [result(spec, judged.verdict, judged.observed, judged.expected)]


def _around(spec: CheckSpec, settings: SqlCheck, context: CheckContext) -> Surroundings:
    snapshot = context.point.component(settings.component)
    at = snapshot.data_time if snapshot and snapshot.data_time else context.point.data_time
    rpo_s = context.plan.objectives.rpo_s
    expectation = parse_expectation(settings.expect)
    if not isinstance(expectation, Near) or expectation.of is not None:
        return Surroundings(rpo_s, at)
    observations = snapshot.observations if snapshot else {}
    for known in (observations, context.last_observed):
        if known.get(spec.name) is not None:
            return Surroundings(rpo_s, at, baseline=known[spec.name])
    missing = "the source was not asked at backup, and no earlier drill has passed"
    return Surroundings(rpo_s, at, no_baseline=missing)
