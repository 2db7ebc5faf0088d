"""`drd plan history`: the versions of a plan, what changed in each, and which drills proved it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from drd.bootstrap import App
from drd.cli import output
from drd.cli.session import require_owner, session
from drd.errors import DrdError
from drd.flows.components.repository_choice import Holders
from drd.model.plan import Plan
from drd.model.plan_history import Version, differences, prove, read_texts, versions
from drd.model.snapshot import RestorePoint
from drd.model.text import counted, escaped, left_out
from drd.model.units import format_time, to_rfc3339

_RUNS = 20_000
_EVIDENCE = 2_000
_SHOWN = 40
"""How many changed keys of a version drd prints."""


def history(args: argparse.Namespace) -> int:
    with session(args, acts=False) as app:
        require_owner(app, "plan history")
        plan = app.plans.in_force(app.plans.known_name(args.plan))
        history_versions = _found(app, plan, args.limit)
    told = history_versions[-args.limit :]
    if args.json:
        documents = [_document(version, before) for version, before in _pairs(told)]
        output.print_json({"plan": plan.name, "versions": documents})
        return 0
    count = counted(len(history_versions), "version")
    output.say(f"{plan.name}: {count}{left_out(len(history_versions) - len(told))}, newest first")
    for version, before in reversed(list(_pairs(told))):
        _print(version, before)
    return 0


def _found(app: App, plan: Plan, limit: int) -> list[Version]:
    runs = app.catalogue.runs.newest(plan.name, limit=_RUNS)
    evidence = app.catalogue.evidence.newest(plan.name, limit=_EVIDENCE)
    plan_versions = versions(
        runs, app.catalogue.points.of_plan(plan.name), plan.digest, app.clock.now()
    )
    services = app.services(plan)

    def read(point: RestorePoint) -> Mapping[str, Any] | None:
        try:
            return Holders(services, plan, point).manifest().resolved_plan
        except DrdError as error:
            output.warn(
                f"cannot read the text of the plan in restore point {point.id}: {error.line}"
            )
            return None

    kept = app.catalogue.plans.texts(plan.name)
    for version in plan_versions:
        version.resolved = plan.resolved if version.in_force else kept.get(version.digest)
    read_texts(plan_versions[-limit:], read)
    prove(plan_versions, evidence, runs)
    return plan_versions


def _pairs(found: Sequence[Version]) -> Iterator[tuple[Version, Version | None]]:
    before = None
    for version in found:
        yield version, before
        before = version


def _changes(version: Version, before: Version | None) -> list[str] | None:
    """Return what changed since the version before; None if the text of one version is unknown."""
    if before is None or before.resolved is None or version.resolved is None:
        return None
    return list(differences(before.resolved, version.resolved))


def _document(version: Version, before: Version | None) -> dict[str, Any]:
    first = version.first
    return {
        "digest": version.digest,
        "in_force": version.in_force,
        "since": to_rfc3339(version.since),
        "until": to_rfc3339(version.until),
        "first_run": first.id if first is not None else None,
        "first_used_by": _by(version),
        "points": len(version.points),
        "text_known": version.resolved is not None,
        "changes": _changes(version, before),
        "proven_by": [
            {
                "run": one.run,
                "evidence": one.id,
                "scenario": one.scenario,
                "finished_at": to_rfc3339(one.finished_at),
            }
            for one in version.drills
        ],
    }


def _short(version: Version) -> str:
    return version.digest.removeprefix("sha256:")[:12]


def _by(version: Version) -> str | None:
    first = version.first
    if first is None:
        return None
    return first.actor.short() if first.actor is not None else first.trigger


def _print(version: Version, before: Version | None) -> None:
    since = format_time(version.since)
    state = "in force, " if version.in_force else ""
    output.say()
    used = f"first used {since}" if version.first or version.points else "not used yet"
    output.say(f"version {_short(version)}: {state}{used}")
    if version.first is not None:
        output.say(f"  first run  {version.first.id}, {escaped(_by(version) or '')}")
    if not version.in_force:
        output.say(f"  last used  {format_time(version.until)}")
    output.say(f"  points     {counted(len(version.points), 'restore point')}")
    if version.drills:
        last = version.drills[-1]
        output.say(
            f"  proven by  {counted(len(version.drills), 'drill')}, the last one "
            f"{format_time(last.finished_at)} (run {last.run}, {escaped(last.scenario)})"
        )
    else:
        output.say("  proven by  no drill")
    changes = _changes(version, before)
    if before is None:
        output.say("  changed    not shown, because the version before this one is not in the list")
    elif changes is None:
        which = version if version.resolved is None else before
        name = _short(which)
        output.say(
            "  changed    unknown: neither the catalogue nor a restore point contains the text of "
            f"version {name} any more"
        )
    for place, line in enumerate((changes or [])[:_SHOWN]):
        output.say(f"  {'' if place else 'changed':<9}  {escaped(line)}")
    if changes is not None and len(changes) > _SHOWN:
        output.say(f"             {left_out(len(changes) - _SHOWN)}")
