"""Count the people whose data a plan has, on a restore point: in the sandbox of a drill, by the
query of the plan, which can only read there and reach nothing.

It counts on the newest point from before the first sign of an incident: what somebody changed since
does not count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from drd.errors import DrdError, SourceError, SourceUnreachable
from drd.flows.components.repository_choice import Holders
from drd.flows.drill.request import DrillOutcome, DrillRequest
from drd.flows.drill.run import drill
from drd.flows.services import Services
from drd.model.countries import residence
from drd.model.incidents.affected import Affected, Known, declared
from drd.model.inventory import DataSet
from drd.model.obligations.conditions import RESIDENTS, UNKNOWN_RESIDENCE
from drd.model.plan import Plan
from drd.model.runbook import plain_runbook
from drd.model.snapshot import RestorePoint, newest_complete
from drd.model.text import escaped
from drd.model.units import format_time
from drd.ports import Destination, Inspector
from drd.process import rights

UNKNOWN = UNKNOWN_RESIDENCE.removeprefix(RESIDENTS)
"""The residence of people for whom the query returns no residence."""
_MOST_RESIDENCES = 300
_TIMEOUT_S = 300.0
_LONGEST = 40
_MOST_DIGITS = 12


def count_people(services: Services, plan: Plan, before: datetime | None) -> list[Affected]:
    """Return each data set of the plan with its number of people: counted where the plan has a
    query and a point can be restored, else as the plan says, with the reason.
    """
    sets = plan.inventory.data
    wanted = {one.components[0] for one in sets if one.count is not None}
    if not wanted:
        return [declared(plan.name, one) for one in sets]
    point = _point(services, plan, before)
    if point is None:
        when = " from before the first sign of the incident" if before is not None else ""
        why = f"plan {plan.name} has no complete restore point{when}"
        return [declared(plan.name, one, why if one.count else "") for one in sets]
    return _counted(services, plan, point, sorted(wanted))


def _point(services: Services, plan: Plan, before: datetime | None) -> RestorePoint | None:
    kept = services.catalogue.points.of_plan(plan.name)
    if before is None:
        return newest_complete(kept, services.clock.now())
    kept = [one for one in kept if one.data_time <= before]
    while (newest := newest_complete(kept, services.clock.now())) is not None:
        at = _manifest_time(services, plan, newest)
        if at <= before:
            return replace(newest, data_time=at)
        services.warn(
            f"drd does not count people in restore point {newest.id}: its manifest says that "
            f"the data is of {format_time(at, seconds=True)}, but the catalogue says that it "
            f"is of {format_time(newest.data_time, seconds=True)}. Find out who changed the "
            "catalogue"
        )
        kept.remove(newest)
    return None


def _manifest_time(services: Services, plan: Plan, point: RestorePoint) -> datetime:
    """Return the time of the data as the manifest has it: a row of the catalogue is easier to
    change. Where the manifest cannot be read, the row decides, and the restore tells why."""
    try:
        return Holders(services, plan, point).manifest().point.data_time
    except DrdError:
        return point.data_time


def _counted(
    services: Services, plan: Plan, point: RestorePoint, components: Iterable[str]
) -> list[Affected]:
    affected: list[Affected] = []

    def ask(_: DrillOutcome, destinations: dict[str, Destination]) -> None:
        affected.extend(_ask(plan, point, one, destinations) for one in plan.inventory.data)

    only = tuple(components)
    request = DrillRequest(point=point.id, components=only, keep=ask)
    limited = _limited(plan, only)
    try:
        outcome = drill(services, limited, request)
    except DrdError as error:
        return [declared(plan.name, one, error.message) for one in plan.inventory.data]
    why = outcome.error.message if outcome.error is not None else outcome.evidence.reason or ""
    return affected or [declared(plan.name, one, why) for one in plan.inventory.data]


def _limited(plan: Plan, components: tuple[str, ...]) -> Plan:
    """Return the plan, limited to restoring and checking these components: nothing else that its
    runbook starts is needed.
    """
    checks = tuple(check for check in plan.checks if check.component in components)
    runbook = plain_runbook(components, (check.name for check in checks))
    return replace(plan, checks=checks, runbook=runbook)


def _ask(
    plan: Plan, point: RestorePoint, data: DataSet, destinations: Mapping[str, Destination]
) -> Affected:
    said = declared(plan.name, data)
    if data.count is None:
        return said
    name = data.components[0]
    try:
        counted = counted_by(destinations[name].inspector(), data.count)
    except (DrdError, KeyError) as error:
        why = error.message if isinstance(error, DrdError) else f"{name} was not restored"
        return replace(said, why=f"drd could not count: {why}")
    return replace(
        said,
        known=Known.COUNTED,
        people=counted.people,
        residents=counted.residents or said.residents,
        why=_not_codes(counted),
        point=point.id,
        # The row could be the user's, on whose state root acts and signs.
        data_time=point.data_time if rights.acts_for() is None else None,
    )


class Counted(NamedTuple):
    """The number of people by a query, and their residences if it returns rows of a residence and a
    number. `astray`: how many have a residence that is no code of a country or state, so that
    nobody knows by which law they are protected; they count as UNKNOWN."""

    people: int
    residents: tuple[tuple[str, int | None], ...] = ()
    astray: int = 0


def _not_codes(counted: Counted) -> str:
    # The words themselves stay out of the entry: a wrong query may return personal data.
    if not counted.astray:
        return ""
    return (
        f"for {counted.astray:,} of these people the query `count` returns a residence that is no "
        f"code of a country or state. They count as {UNKNOWN}. Change `count`: it must return "
        "codes like DE or US-CA"
    )


def counted_by(inspector: Inspector, query: str) -> Counted:
    """Return the number of people by a query. Raises SourceError for an answer that is neither one
    number nor rows of a residence and a number, and the errors of the inspector.
    """
    asked = query.strip().rstrip(";")
    try:
        return Counted(_number(inspector.scalar(asked, timeout_s=_TIMEOUT_S)))
    except SourceUnreachable:
        raise
    except SourceError as error:
        rows = _rows(inspector, asked, error)
    residents: Counter[str] = Counter()
    astray = 0
    for written, number in rows:
        code = residence(written)
        residents[code or UNKNOWN] += number
        astray += number if code is None and written != UNKNOWN else 0
    return Counted(residents.total(), tuple(residents.items()), astray)


def _rows(inspector: Inspector, query: str, first: SourceError) -> list[tuple[str, int]]:
    # One value at a time: every kind that answers SQL can give that.
    with_names = f"with drd_people (residence, people) as ({query}\n)"

    def ask(what: str) -> object:
        return inspector.scalar(f"{with_names} select {what}", timeout_s=_TIMEOUT_S)

    try:
        count = _number(ask("count(*) from drd_people"))
    except SourceUnreachable:
        raise
    except SourceError:
        raise first from None
    if count > _MOST_RESIDENCES:
        raise SourceError(
            f"the query `count` returns {count:,} rows, and drd accepts at most {_MOST_RESIDENCES}",
            hint="change `count`: it must return one number, or one row for each country or state",
        )
    where = "coalesce(substr(cast(residence as varchar(99)), 1, 41), '')"
    # `||` is "or" in MariaDB, and SQLite has had concat() only since 3.44.
    text = f"replace(replace('r=p', 'p', cast(people as varchar(99))), 'r', {where})"
    return [
        _row(ask(f"{text} from drd_people order by residence, people limit 1 offset {at}"))
        for at in range(count)
    ]


def _row(value: object) -> tuple[str, int]:
    if value is None:
        raise SourceError(
            "the query `count` returns a row in which the number of people is NULL",
            hint="change `count`: for example, write count(*) or coalesce(number, 0)",
        )
    written, _, number = str(value).rpartition("=")
    if len(written) > _LONGEST or not written.isprintable():
        raise SourceError(
            "the query `count` returns a residence that is too long, or has control characters",
            hint="change `count`: it must return the code of a country or state",
        )
    return written.strip() or UNKNOWN, _number(number)


def _number(value: object) -> int:
    text = "NULL" if value is None else str(value)[: _LONGEST + 1]
    if not text.isdecimal() or len(text) > _MOST_DIGITS:
        raise SourceError(
            f'the query `count` returns "{escaped(text[:_LONGEST])}", which is not a number of '
            "people",
            hint="change `count`: it must return one number, or rows of a residence and a number",
        )
    return int(text)
