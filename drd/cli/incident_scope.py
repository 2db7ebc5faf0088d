"""`drd incident scope`: what an incident reaches: plans, what depends on them, people's data."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from drd.bootstrap import App
from drd.cli import output
from drd.cli.incident import author, zone_of
from drd.cli.session import loaded_plans, require_owner, session
from drd.errors import ConfigError, DrdError, UnknownPlan
from drd.flows.drill.people import count_people
from drd.flows.incidents.choosing import chosen
from drd.flows.incidents.writing import Desk
from drd.model.incidents.affected import Affected, declared
from drd.model.incidents.incident import Incident
from drd.model.inventory import Dependent, dependents
from drd.model.plan import Plan
from drd.model.text import escaped
from drd.model.units import format_time


def show(args: argparse.Namespace, given: int | None) -> int:
    """Show the scope of the incident with the number `given`, or of the only open one. With
    --count, count the people before, and record their numbers."""
    with session(args, reading=not args.count) as app:
        require_owner(app, "incident scope")
        number = chosen(app.catalogue, given)
        incident = app.catalogue.incidents.get(number)
        plans = dict(readable_plans(app))
        if args.count:
            found = list(_counted(app, incident, plans))
            said = author(app, args, left_out=given is None)
            incident = Desk(app.catalogue, number, said, zone_of(app)).record_affected(found)
    reached = dependents(plans, incident.plans)
    affected = affected_of(incident, plans)
    if args.json:
        output.print_json(_document(incident, plans, reached, affected))
    else:
        for line in _lines(incident, plans, reached, affected):
            output.say(line)
    return 0


def readable_plans(app: App) -> Iterator[tuple[str, Plan]]:
    """Return the plans by their names. Of one whose file cannot be read now, the text that drd
    loaded before counts, with a warning; warns of those that have none."""
    for name, plan in loaded_plans(app, None, refreshing=False):
        if not isinstance(plan, DrdError):
            yield plan.name, plan
            continue
        output.warn(f"{name}: {plan.message}")
        with suppress(UnknownPlan, ConfigError):
            in_force = app.plans.in_force(name)
            output.warn(f"{name}: this uses the text of the plan that drd loaded before")
            yield in_force.name, in_force


def _counted(app: App, incident: Incident, plans: dict[str, Plan]) -> Iterator[Affected]:
    for name in incident.plans:
        if name in plans:
            output.say(f"{name}: counting, in a sandbox", beside=True)
            yield from count_people(app.services(plans[name]), plans[name], incident.first_sign)


def affected_of(incident: Incident, plans: dict[str, Plan]) -> list[Affected]:
    """Return what was recorded, and what the plans say where nothing was."""
    recorded = {one.plan for one in incident.affected}
    found = [one for one in incident.affected if one.plan in incident.plans]
    for name in incident.plans:
        if name in plans and name not in recorded:
            found += [declared(name, data) for data in plans[name].inventory.data]
    return found


def _document(
    incident: Incident,
    plans: dict[str, Plan],
    reached: Iterable[Dependent],
    affected: Iterable[Affected],
) -> dict[str, Any]:
    return {
        "incident": incident.number,
        "plans": [
            {
                "plan": name,
                "tier": plans[name].inventory.tier if name in plans else None,
                "business_owner": (plans[name].inventory.business_owner or None)
                if name in plans
                else None,
                "credentials": [c.name for c in plans[name].inventory.credentials]
                if name in plans
                else [],
            }
            for name in incident.plans
        ],
        "dependents": [{"plan": d.plan, "why": d.why} for d in reached],
        "data": [one.to_json() for one in affected],
    }


def _lines(
    incident: Incident,
    plans: dict[str, Plan],
    reached: list[Dependent],
    affected: list[Affected],
) -> Iterator[str]:
    yield f"incident {incident.number}: {escaped(incident.title)}"
    if not incident.plans:
        yield "no plan is in the scope"
        yield "> drd incident scope --add PLAN"
    for name in incident.plans:
        yield from _plan_lines(name, plans.get(name), [a for a in affected if a.plan == name])
    if reached:
        yield "not in the scope, but reached:"
    for one in reached:
        yield f"  {one.plan}: {one.why}"
        yield f"  > drd incident scope {incident.number} --add {one.plan}"
    counts = [p for p in incident.plans if p in plans and _could_count(plans[p])]
    if not {one.plan for one in incident.affected}.issuperset(counts):
        yield f"to count the people: drd incident scope {incident.number} --count"


def _could_count(plan: Plan) -> bool:
    return any(data.count is not None for data in plan.inventory.data)


def _plan_lines(name: str, plan: Plan | None, affected: list[Affected]) -> Iterator[str]:
    if plan is None:
        yield f"{escaped(name)}: drd cannot read this plan now: drd plan check {escaped(name)}"
        return
    inventory = plan.inventory
    about = [f"tier {inventory.tier}"] if inventory.tier is not None else []
    about += [f"business owner {escaped(inventory.business_owner)}"] * bool(
        inventory.business_owner
    )
    yield f"{escaped(name)}: {', '.join(about) or 'no tier and no business owner given'}"
    if not inventory.data:
        yield "  the plan says nothing about data of people: unknown (`data` in the plan)"
    for one in affected:
        yield f"  {escaped(one.what)}: {one.words()}{details(one)}"
        if one.residents:
            yield f"    residents: {', '.join(map(resident_words, one.residents))}"
        if one.point:
            at = one.data_time
            of = f", whose data is of {format_time(at, seconds=True)}" if at is not None else ""
            yield f"    counted in restore point {escaped(one.point)}{of}"
        if one.why:
            yield f"    {escaped(one.why)}"
    if inventory.credentials:
        names = ", ".join(c.name for c in inventory.credentials)
        yield f"  credentials to replace after a leak: {names}"


def details(one: Affected) -> str:
    """Return what kind of data it is: `; addresses, special category`."""
    details = [*one.categories] + ["special category"] * one.special
    details += ["encrypted"] * (one.encrypted is True)
    return f"; {', '.join(map(escaped, details))}" if details else ""


def resident_words(resident: tuple[str, int | None]) -> str:
    """Return where people live, and how many of them: `DE 4,400`."""
    code, number = resident
    return escaped(code) if number is None else f"{escaped(code)} {number:,}"
