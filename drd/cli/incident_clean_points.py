"""`drd incident clean-points`: which restore point a recovery after an attack should restore."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any

from drd.api.clean_points import clean_points_document
from drd.bootstrap import App
from drd.cli import output
from drd.cli.incident_acting import path_of, zoned
from drd.flows.incidents.choosing import chosen
from drd.model.incidents.first_sign import FirstSign
from drd.model.text import counted, escaped, some
from drd.model.units import format_duration, format_time, from_rfc3339, to_rfc3339

_MARK = "->"


def run(args: argparse.Namespace) -> int:
    def here(app: App) -> dict[str, Any]:
        incident = app.catalogue.incidents.get(chosen(app.catalogue, args.number))
        entries = app.catalogue.incidents.entries(incident)
        return clean_points_document(app, incident, entries, plan=args.plan, everything=args.all)

    asked = {"plan": args.plan, "all": args.all or None}
    query = {name: value for name, value in asked.items() if value is not None}
    told, zone = zoned(args, f"{path_of(args.number)}/clean-points", here, **query)
    if args.json:
        output.print_json(told)
        return 0
    for line in _lines(told, zone):
        output.say(line)
    for text in told["warnings"]:
        output.warn(text)
    return 0


def _lines(told: Mapping[str, Any], zone: tzinfo) -> Iterator[str]:
    number, sign = told["incident"], told["first_sign"]
    at = from_rfc3339(sign["at"])
    yield f"incident {number}: {escaped(told['title'] or '')}"
    yield f"first sign: {FirstSign(at, sign['what'], sign['entry']).words(zone)}"
    for text in told["remarks"]:
        yield f"  note: {text}"
    yield "  If this time is corrected, the choice below can change: run this command again."
    if not told["plans"]:
        yield "no plan is in the scope of the incident. To add a plan:"
        yield f"> drd incident scope {number} --add PLAN"
    for plan in told["plans"]:
        yield ""
        yield from _plan(number, plan, at, zone)


def _plan(number: int, plan: Mapping[str, Any], at: datetime, zone: tzinfo) -> Iterator[str]:
    name = escaped(plan["plan"])
    if plan["choice"] is None:
        yield f"{name}: no clean restore point"
        yield f"  why: {escaped(plan['why'])}"
        if plan["remedy"]:
            yield f"  to do: {escaped(plan['remedy'])}"
    else:
        choice = next((p for p in plan["points"] if p["chosen"]), None)
        of = f" (data of {_time(choice['data_time'], zone)})" if choice is not None else ""
        yield f"{name}: clean restore point {plan['choice']}{of}"
        yield f"  why: {escaped(plan['why'])}"
        if choice is not None:
            yield f"  a recovery of this point loses {loss_words(choice)}"
            if choice["unusual"]:
                yield f"  check these changes first: {escaped(some(choice['unusual'], 3))}"
        yield f"  > drd recover {name} --incident {number} --clean --target TARGET --dry-run"
    if plan["made_by"]:
        yield f"  {escaped(plan['made_by'])} makes the copies. If it also keeps a log of changes, a"
        yield "  recovery can restore data that is closer to the first sign:"
        command = f"drd recover {name} --incident {number} --clean-before {to_rfc3339(at)}"
        yield f"  > {command} --dry-run"
    if plan["points"]:
        yield output.table(
            [_row(point, at, zone) for point in plan["points"]],
            header=["", "POINT", "DATA", "FIRST SIGN", "DRILL", "LOSES", "STATE", "CHANGES"],
        )
        for point in plan["points"]:
            yield from _details(point)
    if plan["left_out"]:
        more = counted(plan["left_out"], "more restore point")
        yield f"  {more}: drd incident clean-points {number} --plan {name} --all"


def _row(point: Mapping[str, Any], sign: datetime, zone: tzinfo) -> list[str]:
    if point["compared_with"] is None:
        changes = "not compared"
    elif point["unusual"]:
        changes = f"{len(point['unusual'])} unusual, below"
    else:
        changes = "part unknown, below" if point["not_compared"] else "nothing unusual"
    return [
        _MARK if point["chosen"] else "",
        escaped(point["point"]),
        _time(point["data_time"], zone),
        _side(point, sign),
        _drill(point["drill"], zone),
        loss_words(point),
        "sound" if not point["doubts"] else "not sound, below",
        changes,
    ]


def _side(point: Mapping[str, Any], sign: datetime) -> str:
    if point["before_first_sign"]:
        return "before"
    return "during" if from_rfc3339(point["data_time"]) < sign else "after"


def _drill(drill: Mapping[str, Any] | None, zone: tzinfo) -> str:
    if drill is None:
        return "never"
    words = {"refuted": "cannot be restored"}
    result = words.get(drill["result"], drill["result"])
    return f"{result} {_time(drill['at'], zone)}"


def loss_words(point: Mapping[str, Any]) -> str:
    """Return what a recovery of a point loses, in time and rows."""
    told = [f"{format_duration(max(0.0, point['loss_s']))}"]
    for loss in point["loss_rows"]:
        about = "at least" if loss["counted"] else "about"
        if loss["rows"]:
            told.append(f"{about} {counted(loss['rows'], 'row')} of {escaped(loss['component'])}")
        elif loss["counted"]:  # a changed row is still one row
            told.append(f"unknown number of changed rows of {escaped(loss['component'])}")
    unknown = [escaped(name) for name in point["rows_unknown"]]
    return ", ".join(told) + (f", unknown number of rows of {some(unknown)}" if unknown else "")


def _details(point: Mapping[str, Any]) -> Iterator[str]:
    name = escaped(point["point"])
    for text in point["doubts"]:
        yield f"  {name} is not sound: {escaped(text)}"
    for text in point["unusual"]:
        yield f"  {name} compared with {escaped(point['compared_with'])}: {text}"
    for text in point["not_compared"]:
        yield f"  {name} not compared with {escaped(point['compared_with'])}: {text}"


def _time(text: str, zone: tzinfo) -> str:
    return format_time(from_rfc3339(text), zone=zone)
