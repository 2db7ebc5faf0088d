"""What `drd bootstrap` prints: where files go, what it found, and the next commands."""

from __future__ import annotations

import argparse
import os
import shlex
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from drd.cli import output, records_back
from drd.config.location import config_path
from drd.errors import ConfigError, DrdError
from drd.flows.records.coming_back import CameBack
from drd.kit.bootstrapping import Prepared
from drd.model.snapshot import RestorePoint
from drd.model.text import counted
from drd.model.units import format_time, to_rfc3339
from drd.model.unrestorable import left_out_words


@dataclass(frozen=True, slots=True)
class PlanContents:
    """What the repositories of a plan contain. `unlisted` points are not in the list of the kit;
    `listed` says whether the kit has a list; `refused` are manifests that cannot be read, or have
    changed, `left` are repositories that were not opened. `left_out` is a point newer than `newest`
    that a drill could not restore, with the run of the drill and its end."""

    name: str
    targets: tuple[str, ...] = ()
    option: str = ""
    points: int = 0
    newest: RestorePoint | None = None
    unreached: tuple[DrdError, ...] = field(default=())
    error: DrdError | None = None
    unlisted: int = 0
    listed: bool = True
    refused: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    newest_is_after_kit: bool = False
    drilled: str = ""
    left_out: tuple[str, str, datetime] | None = None


def say_places(args: argparse.Namespace, prepared: Prepared) -> None:
    """Say where the files go, and why there, before drd writes one."""
    if args.json:
        return
    for note in (*prepared.notes, *_doubts(prepared)):
        output.warn(note)
    if args.quiet:
        return
    layout = prepared.layout
    why = "its place on the lost host" if args.kit else "the usual place"
    why = "as $DRD_CONFIG says" if os.environ.get("DRD_CONFIG") else why
    why = "as --config says" if args.config else why
    output.say(f"drd.yaml goes to {layout.config} ({why})")
    places = {
        "secrets": {f.path.parent for f in layout.files if f.secret},
        "plans and other files": {f.path.parent for f in layout.files if not f.secret},
    }
    for what, directories in places.items():
        if directories:
            output.say(f"{what} go to {', '.join(map(str, sorted(directories)))}")
    output.say(f"the catalogue goes to {layout.state}")


def _doubts(prepared: Prepared) -> list[str]:
    """Say it if nothing but the repository says whose its restore points are."""
    if prepared.bases:
        return []
    return [
        (
            "this host was set up without a recovery kit. So drd cannot check who made the "
            "restore points: anyone with the repository's password could have forged them. "
            "If there is a kit, start again on a new machine: drd bootstrap --kit FILE"
        )
    ]


def command(prepared: Prepared) -> str:
    """Return `drd` with the option for the configuration that was written, as a shell takes it."""
    return f"drd --config {shlex.quote(str(prepared.layout.config))}"


def say(
    args: argparse.Namespace,
    prepared: Prepared,
    written: list[Path],
    found: list[PlanContents],
    came: CameBack,
) -> None:
    if args.json:
        document = _document(prepared, written, found)
        output.print_json({**document, "records": records_back.document(came)})
        return
    _say_trouble(found)
    if args.quiet:
        return
    for path in written:
        output.say(f"wrote {path}")
    for plan in found:
        output.say(f"{plan.name}: {_plan_text(plan)}")
    _say_drills(prepared, found)
    for plan in (p for p in found if p.left):
        output.say(
            f"{plan.name}: drd did not read repository {', '.join(plan.left)}. To get its restore "
            f"points: {command(prepared)} catalogue rebuild {plan.name}"
        )
    _say_needs(prepared)
    ready = next((p for p in found if p.newest), None)
    if ready is not None:
        target = next((f"--target {t}" for t in ready.targets), "--in-place")
        output.say(
            f"Next: {command(prepared)} recover {ready.name} {target}{ready.option} --dry-run"
        )
        if ready.newest_is_after_kit:
            output.say(
                "Then run the same command without --dry-run. The newest restore point was made "
                "after the kit, so drd asks you to type the id of this point. Without a terminal "
                "add --accept-after-kit, or use a point that the kit lists: --point ID"
            )
        _say_which_config(prepared)
    elif found:
        output.say(
            "drd wrote the files, but did not find a complete restore point. When a "
            f"repository can be reached: {command(prepared)} catalogue rebuild {found[0].name}"
        )


def _say_drills(prepared: Prepared, found: list[PlanContents]) -> None:
    for plan in found:
        if plan.left_out is not None:
            out = left_out_words(*plan.left_out, drd=command(prepared))
            output.say(f"{plan.name}: {out}")
        if plan.drilled:
            drill = f"{command(prepared)} drill {plan.name}"
            output.say(f"{plan.name}: {plan.drilled}. To prove this host: {drill}")


def _say_which_config(prepared: Prepared) -> None:
    """Name the variable by which every command finds a drd.yaml that is not where it looks."""
    place = str(prepared.layout.config)
    if str(Path(config_path(None)[0]).absolute()) != place:
        output.say(
            "Commands without --config do not find this drd.yaml. For all commands of this shell: "
            f"export DRD_CONFIG={shlex.quote(place)}"
        )


def _say_needs(prepared: Prepared) -> None:
    for needed in prepared.layout.needed:
        when = "to recover" if needed.restoring else "later"
        output.say(
            f"this file is missing on this host, and is needed {when}: {needed.path} ({needed.use})"
        )
    if prepared.needs:
        output.say(
            "a recovery needs these things, and the kit does not contain them. Install on this "
            f"host what is missing: {', '.join(prepared.needs)}"
        )


def _say_trouble(found: list[PlanContents]) -> None:
    for plan in found:
        for error in (*plan.unreached, *([plan.error] if plan.error else ())):
            output.complain(f"{plan.name}: {error.message}", error.hint)
        for why in plan.refused:
            output.warn(f"{plan.name}: {why}")
        if plan.unlisted and not plan.listed:
            output.warn(
                f"{plan.name}: an older drd made this kit, without a list of restore points. So "
                "drd treats all restore points as made after the kit, and asks before it "
                "restores one"
            )


def _plan_text(plan: PlanContents) -> str:
    if isinstance(plan.error, ConfigError):
        return (
            "drd wrote the plan's file, but cannot use the plan: correct the problem that is named "
            "above, then run the same command again"
        )
    if plan.error is not None:
        return "drd could not list the restore points of this plan, see above"
    if plan.left and not plan.points:
        return "no complete restore point in the given repository"
    if plan.newest is None:
        return "no complete restore point"
    count = counted(plan.points, "restore point")
    at = plan.newest.data_time
    after = f" ({plan.unlisted:,} of them made after the kit)" if plan.unlisted else ""
    return f"{count}, newest {plan.newest.id} with data of {format_time(at, seconds=True)}{after}"


def _document(prepared: Prepared, written: list[Path], found: list[PlanContents]) -> dict[str, Any]:
    return {
        "root": str(prepared.layout.root),
        "config": str(prepared.layout.config),
        "written": [str(p) for p in written],
        "replica_at": to_rfc3339(prepared.taken_at) if prepared.taken_at else None,
        "plans": [
            {
                "plan": p.name,
                "points": p.points,
                "newest_point": p.newest.id if p.newest else None,
                "after_kit": p.unlisted,
                "refused": list(p.refused),
                "not_looked_at": list(p.left),
                "targets": list(p.targets),
                "errors": [
                    output.error_document(e.message, e.hint, e.exit_code)
                    for e in (*p.unreached, *([p.error] if p.error else ()))
                ],
            }
            for p in found
        ],
        "needed": [
            {"path": n.path, "use": n.use, "restoring": n.restoring} for n in prepared.layout.needed
        ],
        "needs": list(prepared.needs),
        "notes": [*prepared.notes, *_doubts(prepared)],
        "orders": {n: [o.line for o in orders] for n, orders in prepared.orders.items()},
    }
