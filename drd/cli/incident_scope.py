"""`drd incident scope`: what an incident reaches: plans, what depends on them, people's data."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from drd.api.incident_scope import scope_document
from drd.bootstrap import App
from drd.cli import output
from drd.cli.incident_acting import author, path_of, zone_of
from drd.cli.remote import Remote
from drd.cli.session import loaded_plans, require_owner, session
from drd.errors import ConfigError, DrdError, UnknownPlan
from drd.flows.drill.people import count_people
from drd.flows.incidents.choosing import chosen
from drd.flows.incidents.writing import Desk
from drd.model.incidents.affected import Affected, details, resident_words, unplaced
from drd.model.incidents.incident import Incident
from drd.model.plan import Plan
from drd.model.text import escaped
from drd.model.units import format_time, from_rfc3339

_BEFORE = "drd uses the text of this plan that it loaded before"


def show(args: argparse.Namespace, given: int | None) -> int:
    """Show the scope of the incident with the number `given`, or of the only open one. With
    --count, count the people before, and record their numbers."""
    with session(args, reading=not args.count) as app:
        if args.count:
            require_owner(
                app,
                "incident scope --count",
                "drd counts in a sandbox, into which it restores a point with the secrets of the "
                "plan",
                "To see the scope without counting: drd incident scope.",
            )
        told = _told(app, args, given)
    if args.json:
        output.print_json(told)
    else:
        for line in scope_lines(told):
            output.say(line)
    return 0


def _told(app: App, args: argparse.Namespace, given: int | None) -> dict[str, Any]:
    if not app.state.is_ours:
        return Remote(app).get(f"{path_of(given)}/scope")
    number = chosen(app.catalogue, given)
    incident = app.catalogue.incidents.get(number)
    plans = dict(readable_plans(app))
    if args.count:
        plan_rows = list(_counted(app, incident, plans))
        said = author(app, args, left_out=given is None)
        incident = Desk(app.catalogue, number, said, zone_of(app)).record_affected(plan_rows)
    entries = app.catalogue.incidents.entries(incident)
    return scope_document(app.catalogue, incident, plans, entries)


def readable_plans(app: App, wanted: str | None = None) -> Iterator[tuple[str, Plan]]:
    """Return the plans by their names, or only the plan `wanted`. If the file of a plan cannot be
    read now, return the text that drd loaded before, with a warning. If there is no such text, only
    warn, or raise the error if it is the plan `wanted`."""
    try:
        for name, plan in loaded_plans(app, wanted, refreshing=False):
            if not isinstance(plan, DrdError):
                yield plan.name, plan
                continue
            output.warn(f"{name}: {plan.message}")
            if (before := _before(app, name)) is not None:
                output.warn(f"{name}: {_BEFORE}")
                yield before.name, before
    except DrdError as error:
        before = _before(app, wanted) if wanted is not None else None
        if before is None:
            raise
        output.warn(f"{before.name}: {error.message}")
        output.warn(f"{before.name}: {_BEFORE}")
        yield before.name, before


def _before(app: App, name: str) -> Plan | None:
    """Return the plan by the text that drd loaded before; None if there is no such text."""
    with suppress(UnknownPlan, ConfigError):
        return app.plans.in_force(name)
    return None


def plans_or_warning(app: App) -> dict[str, Plan]:
    """Return the plans by their names. If even the directory of the plans cannot be read, warn and
    return the plans read so far: a problem with plans must not hide the rest."""
    plans: dict[str, Plan] = {}
    try:
        plans.update(readable_plans(app))
    except DrdError as error:
        output.warn(error.line)
    return plans


def _counted(app: App, incident: Incident, plans: dict[str, Plan]) -> Iterator[Affected]:
    for name in incident.plans:
        if name in plans:
            output.say(f"{name}: drd counts the people in a sandbox", beside=True)
            yield from count_people(app.services(plans[name]), plans[name], incident.first_sign)


def scope_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Return the scope for a screen."""
    number, plans = document["incident"], document["plans"]
    yield f"incident {number}: {escaped(document['title'])}"
    if not plans:
        yield "no plan is in the scope"
        yield f"> drd incident scope {number} --add PLAN"
    affected = [Affected.from_json(one) for one in document["data"]]
    for plan in plans:
        yield from _plan_lines(number, plan, [a for a in affected if a.plan == plan["plan"]])
    if document["dependents"]:
        yield "not in the scope, but perhaps affected:"
    for one in document["dependents"]:
        yield f"  {one['plan']}: {one['why']}"
        yield f"  > drd incident scope {number} --add {one['plan']}"
    if any(plan["counted"] is False for plan in plans):
        yield f"to count the people: drd incident scope {number} --count"


def _residents(one: Affected) -> Iterator[str]:
    rest = unplaced(one.people, one.residents)
    if one.residents:
        yield f"    residents: {', '.join(map(resident_words, one.residents))}"
        if rest:
            yield (
                f"    residents of the other {rest:,}: unknown, so each duty that depends on them "
                "is undecided"
            )
    elif rest != 0:
        yield "    residents: unknown, so each duty that depends on them is undecided"


def _plan_lines(number: int, plan: Mapping[str, Any], affected: list[Affected]) -> Iterator[str]:
    name = escaped(plan["plan"])
    if not plan["known"]:
        yield f"{name}: drd cannot read this plan now: drd plan check {name}"
        return
    about = [f"tier {plan['tier']}"] if plan["tier"] is not None else []
    if plan["business_owner"]:
        about.append(f"business owner {escaped(plan['business_owner'])}")
    yield f"{name}: {', '.join(about) or 'no tier and no business owner given'}"
    if not affected:
        yield (
            "  personal data: unknown, because the plan does not describe it (`data` in the plan)"
        )
    for one in affected:
        yield f"  {escaped(one.what)}: {one.words()}{details(one)}"
        yield from _residents(one)
        if one.point:
            at = one.data_time
            of = f", with data of {format_time(at, seconds=True)}" if at is not None else ""
            yield f"    counted in restore point {escaped(one.point)}{of}"
        if one.why:
            yield f"    {escaped(one.why)}"
    yield from _credential_lines(number, plan, name)


def _credential_lines(number: int, plan: Mapping[str, Any], name: str) -> Iterator[str]:
    rotated = plan.get("rotated", ())  # an older service does not say it
    if left := [name for name in plan["credentials"] if name not in rotated]:
        yield f"  credentials to replace after a leak: {', '.join(left)}"
    if rotated:
        yield f"  rotated since the first sign: {', '.join(map(escaped, rotated))}"
    for one in plan.get("returned", ()):
        credential, at = escaped(one["credential"]), from_rfc3339(one["rotated_at"])
        yield (
            f"    {credential}: rotated {format_time(at)}, but later recovery {one['run']} "
            f"restored the old file (component {escaped(one['component'])}, restore point "
            f"{escaped(one['point'])}). Rotate {credential} again, then record it:"
        )
        yield f"    > drd incident rotated {number} {credential} --plan {name}"
