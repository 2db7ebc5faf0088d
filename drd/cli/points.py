"""`drd points`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from drd.api import documents
from drd.cli import output, remote
from drd.cli.parser import is_time_of_day, unexpected
from drd.cli.points_forget import forget
from drd.cli.points_logs import in_repository, print_logs
from drd.errors import UsageError
from drd.flows.state.restored_points import Restored
from drd.model.actor import Actor
from drd.model.clock import AGE_TOLERANCE_S
from drd.model.consistency import Spread, apart, too_wide
from drd.model.copy_names import short_copy
from drd.model.former_name import left_words
from drd.model.manifest_signature import Trust
from drd.model.text import counted, escaped
from drd.model.units import bare_time, format_size, format_time, from_rfc3339
from drd.model.verdicts import lost_words

_MOST_REASONS = 3
"""For how many copies that do not count `drd points` prints the reason."""


def run(args: argparse.Namespace) -> int:
    if args.plan == "forget":
        return forget(args)
    if args.point:
        raise unexpected("points", next(filter(is_time_of_day, args.point), args.point[0]))
    document = remote.document(
        args, f"/v1/plans/{args.plan}/points", lambda app: documents.points(app, args.plan)
    )
    if args.component is not None:
        document = {**document, "points": _with(document, args.component)}
    if args.repository is not None:
        document = in_repository(document, args.repository)
    if args.json:
        output.print_json(document)
    else:
        gone = [p for p in document["points"] if p["gone"]]
        vanished = document.get("vanished", ())  # a daemon of an older version sends none
        listed = [p for p in document["points"] if _may_be_there(p, document["lost"])]
        if listed or not (gone or vanished):
            _print(document["plan"], listed, document["lost"], document.get("left", {}))
        print_logs(document.get("logs", ()))
        _print_vanished(vanished)
        if gone:
            where = ", ".join(
                f"repository {name} {lost_words(state)}" for name, state in document["lost"].items()
            )
            output.warn(
                f"{counted(len(gone), 'restore point')} could not be read when drd last "
                f"checked, because {where}. To check again, and for the remedy: drd doctor "
                f"{document['plan']}"
            )
    return 0


def _with(document: dict[str, Any], component: str) -> list[dict[str, Any]]:
    """Return the points that contain the component, each with its size and data time of it."""
    points = document["points"]
    known = sorted({c["component"] for p in points for c in p["components"]})
    if component not in known and points:
        raise UsageError(
            f"no restore point of {document['plan']} contains a component {component!r}",
            hint=f"components of the restore points: {', '.join(known)}.",
        )
    having_it = []
    for point in points:
        for one in point["components"]:
            if one["component"] == component and one["state"] == "captured":
                more = {"size_bytes": one["bytes"], "data_time": one["data_time"]}
                having_it.append({**point, **more})
    return having_it


def _may_be_there(point: dict[str, Any], lost: dict[str, str]) -> bool:
    """Return whether to list a point. If its repository does not open, the point may still be
    there."""
    return not point["gone"] or "shut" in (lost.get(name) for name in point["repositories"])


def _print(
    plan: str, points: list[dict[str, Any]], lost: dict[str, str], left: dict[str, int]
) -> None:
    if not points and left:
        text, remedy = left_words(plan, left)
        output.say(f"{plan} has no restore point; {text}. {remedy[0].upper()}{remedy[1:]}.")
        return
    if not points:
        output.say(
            f"{plan} has no restore point. If drd makes its backups: drd backup {plan}. If "
            f"another tool makes them, list its copies: drd catalogue rebuild {plan}"
        )
        return
    ahead = datetime.now(UTC) + timedelta(seconds=AGE_TOLERANCE_S)
    copied = any(p.get("copy") for p in points)
    spread = any(_spreads(p) for p in points)
    rows = [
        [
            p["point"],
            *([escaped(short_copy(p["copy"])) if p.get("copy") else ""] if copied else []),
            bare_time(p["data_time"]),
            *([_spread_cell(p)] if spread else []),
            _whole_state(p, lost, ahead),
            format_size(p["size_bytes"]),
            p["proven_by"] or "",
        ]
        for p in points
    ]
    copy = ["COPY"] if copied else []
    apart_ = ["SPREAD"] if spread else []
    header = ["POINT", *copy, "DATA TIME (UTC)", *apart_, "STATE", "SIZE", "PROVEN BY"]
    output.say(output.table(rows, header=header))
    _print_doubts(plan, points)


def _whole_state(point: dict[str, Any], lost: dict[str, str], ahead: datetime) -> str:
    return (
        ("NOT READABLE, " if point["gone"] else "")
        + _state(point)
        + _away(point, lost)
        + (f", damaged in {', '.join(point['damaged'])}" if point["damaged"] else "")
        + (f", snapshots missing in {', '.join(point['torn'])}" if point["torn"] else "")
        + _unrestorable(point)
        + _restored(point)
        + (", made after the kit" if point["after_kit"] else "")
        + _signed(point)
        + (", dated in the future" if from_rfc3339(point["data_time"]) > ahead else "")
    )


def _spread_cell(point: dict[str, Any]) -> str:
    """Return the spread of each group, in the order of the plan."""
    return ", ".join(
        apart(s.spread_s) if s.spread_s is not None else "not measured" for s in _spreads(point)
    )


def _print_doubts(plan: str, points: list[dict[str, Any]]) -> None:
    """Print why drd does not choose some of the points, and who holds some."""
    for spread in too_wide(_spreads(points[0])):
        point = points[0]["point"]
        output.say(f"  {point} does not count for the RPO. Remedy: {spread.remedy(plan)}")
    for point in [p for p in points if p.get("copy") and not p["complete"]][:_MOST_REASONS]:
        for component in (c for c in point["components"] if c.get("fact")):
            remedy = f". Remedy: {component['remedy']}" if component.get("remedy") else ""
            output.say(
                f"  {_named(point)} does not count: {component['component']}: "
                f"{escaped(component['fact'] + remedy)}"
            )
    for point in (p for p in points if p.get("unrestorable")):
        drill = point["unrestorable"]
        output.say(
            f"  {point['point']} does not count: the drill of "
            f"{format_time(from_rfc3339(drill['at']), seconds=True)} could not restore this "
            f"point. To see why: drd run show {drill['run']}. To drill this point again: drd "
            f"drill {plan} --point {point['point']}"
        )
    for point in (p for p in points if p.get("doubt")):
        output.say(
            f"  drd does not choose {point['point']} by itself: {point['doubt']}. Anyone who "
            "has the repository's password could have forged this point. To use this point "
            f"all the same: --point {point['point']}"
        )
    for hold in (hold for p in points for hold in p["holds"]):
        output.say(f"  {escaped(_held(hold))}")


def _print_vanished(points: Sequence[dict[str, Any]]) -> None:
    """Name the points that others removed, with the command that ends it."""
    for point in points:
        of, noticed = (
            format_time(from_rfc3339(point[key]), seconds=True)
            for key in ("data_time", "noticed_at")
        )
        output.say(
            f"  {_named(point)} with data of {of} is no longer in any repository: somebody "
            f"removed or changed this point without drd (noticed {noticed}). If this was "
            f"intended: drd points forget {point['point']} --reason TEXT"
        )


def _named(point: dict[str, Any]) -> str:
    copy = point.get("copy")
    return f"{point['point']} (copy {escaped(short_copy(copy))})" if copy else str(point["point"])


def _unrestorable(point: dict[str, Any]) -> str:
    """Return the mark of a point that a drill could not restore; a daemon of an older
    version sends none."""
    drill = point.get("unrestorable")
    return f", cannot be restored (drill {drill['run']})" if drill else ""


def _signed(point: dict[str, Any]) -> str:
    """Return the mark of a point that is not signed by drd; a daemon of an older version sends
    none."""
    marks: dict[str, str] = {
        Trust.UNSIGNED: "unsigned",
        Trust.UNCHECKED: "signature not checked",
        Trust.UNCONFIRMED: "signed by an unconfirmed key",
        Trust.UNKNOWN_KEY: "signed by an unknown key",
        Trust.REPLACED_KEY: "signed by a replaced key",
        Trust.WRONG: "wrong signature",
    }
    mark = marks.get(point.get("signature") or "")
    return f", {mark}" if mark else ""


def _restored(point: dict[str, Any]) -> str:
    """Return the mark of a point with data of a recovery; a daemon of an older
    version sends none."""
    held = point.get("restored")
    return f", {Restored(**held).words()}" if held else ""


def _away(point: dict[str, Any], lost: dict[str, str]) -> str:
    """Return the note for a point that another repository still holds; one that is nowhere else is
    not listed."""
    lost_places = [
        f"{name} {lost_words(lost[name])}" for name in point["repositories"] if name in lost
    ]
    there = [name for name in point["repositories"] if name not in lost]
    return f" in {' and '.join(there)} ({', '.join(lost_places)})" if lost_places and there else ""


def _held(hold: dict[str, Any]) -> str:
    until = f" until {format_time(from_rfc3339(hold['until']))}" if hold["until"] else ""
    by = Actor.from_json(hold["by"])
    words = f", given by {by.words()}" if by is not None else ""
    return f"{hold['point']} is held{until}. Reason: {hold['reason']}{words}"


def _state(point: dict[str, Any]) -> str:
    if not point["repositories"] and point["elsewhere"]:
        places = ", ".join(
            f"{name} {known[:8]}".rstrip() for name, known in point["elsewhere"].items()
        )
        return f"only in a former repository of the plan: {places}"
    state = "complete" if point["complete"] else "incomplete: " + _lacking(point)
    # A daemon of an older version does not say it.
    made = [c["component"] for c in point["components"] if _is_incremental(c)]
    state += f", incremental: {', '.join(made)}" if made else ""
    unread = [c["component"] for c in point["components"] if c.get("unread")]
    is_untried = unread and point["complete"] and not point["proven_by"]
    return f"{state}, not read to its end: {', '.join(unread)}" if is_untried else state


def _is_incremental(component: dict[str, Any]) -> bool:
    return str(component.get("made", "")).startswith("incremental")


def _spreads(point: dict[str, Any]) -> list[Spread]:
    """Return the spreads of a point; a daemon of an older version sends none."""
    return [Spread.from_json(one) for one in point.get("consistency", ())]


def _lacking(point: dict[str, Any]) -> str:
    components = point["components"]
    failed = [c["component"] for c in components if c["state"] == "failed"]
    wide = too_wide(_spreads(point))
    lacks = ["lacks " + ", ".join(failed)] if failed else []
    # A daemon of an older version does not say it.
    to_read = [c["component"] for c in components if c.get("to_read")]
    lacks += ["not read to its end: " + ", ".join(to_read)] if to_read else []
    if lacks or wide:
        return "; ".join([*lacks, *(f"{spread.names}: {spread.words}" for spread in wide)])
    return "only " + ", ".join(c["component"] for c in components)
