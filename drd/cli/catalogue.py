"""`drd catalogue`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from drd.bootstrap import App
from drd.catalogue.diagnosis import require_sound
from drd.catalogue.reading import REMOVED
from drd.cli import output, records_back
from drd.cli.hold import sentence
from drd.cli.session import session
from drd.errors import CatalogueError, ConfigError, DrdError, UsageError
from drd.flows.records.coming_back import CameBack
from drd.flows.repository import rebuild as flow
from drd.flows.repository.rebuild import RebuildDifferences
from drd.flows.services import Services
from drd.flows.upkeep.listing import listing
from drd.kit.lost_holds import restore_holds
from drd.model import strict
from drd.model.former_name import left_words
from drd.model.plan import Plan
from drd.model.text import called, counted
from drd.model.units import format_time


def rebuild(args: argparse.Namespace) -> int:
    return _each(args, "rebuild")


def verify(args: argparse.Namespace) -> int:
    return _each(args, "verify")


def _each(args: argparse.Namespace, verb: str) -> int:
    """Return every requested plan. A failing one does not stop the others; if all fail, the first
    error is raised."""
    comparisons: list[RebuildDifferences] = []
    failed: dict[str, DrdError] = {}
    with session(args, acts=verb == "rebuild", records=True) as app:
        aside = _set_damaged_aside(app) if verb == "rebuild" else None
        is_new = app.catalogue.records.head() is None
        came = _records_back(app, args, aside) if verb == "rebuild" else None
        names = args.plan or app.plans.names()
        if not names:
            where = app.settings.plans_dir
            raise UsageError(
                f"there is no plan in {where}",
                hint="copy the plan files of this host to that directory: the plans say which "
                "repositories drd has to read.",
            )
        for name in names:
            try:
                compared = _compare(app, name, verb)
                comparisons.append(compared)
                if verb == "rebuild" and compared.unknown and not app.plans.load(name).made_by:
                    _bring_back_holds(app, name, aside)
            except DrdError as error:
                failed[name] = error
    if failed and not comparisons:
        raise next(iter(failed.values()))
    if came is not None and is_new and not came.count and any(c.unknown for c in comparisons):
        output.warn(
            "the repositories do not contain a copy of the records, incidents and evidence "
            "of the former catalogue. If no other copy of that catalogue exists, these "
            "records, incidents and evidence are lost. To see up to which entry the "
            "repositories confirm records: drd records verify"
        )
    _show(comparisons, failed, verb, args)
    wrong = any(c.vanished or c.unreadable or c.torn for c in comparisons)
    missing = verb == "verify" and any(c.unknown or c.unreached for c in comparisons)
    return 1 if failed or wrong or missing else 0


def _records_back(app: App, args: argparse.Namespace, aside: Path | None) -> CameBack:
    """Bring back the entries of the records that the repositories have and the catalogue has not,
    before a new one takes their numbers."""
    came = records_back.rebuilt(app, aside)
    if made := app.catalogue.records.restore_guards():
        output.warn(
            f"somebody had removed {counted(len(made), 'trigger')} from drd's database "
            f"({', '.join(made)}). Triggers protect the records against changes, so drd created "
            "them again. To see whether the records were changed meanwhile: drd records verify"
        )
    app.catalogue.incidents.rebuild()
    records_back.tell(app, came, quiet=args.quiet or args.json)
    records_back.recorded(app, came, "the catalogue was rebuilt")
    return came


def _compare(app: App, name: str, verb: str) -> RebuildDifferences:
    plan = app.plans.load(name, coming_back=verb == "rebuild")
    services = app.services(plan)
    if verb == "rebuild" and plan.made_by:
        return _adopted(services, plan)
    return (flow.rebuild if verb == "rebuild" else flow.verify)(services, plan)


def _adopted(services: Services, plan: Plan) -> RebuildDifferences:
    """List the copies that another tool makes."""
    seen = listing(services, plan)
    points = (p.id for p in services.catalogue.points.of_plan(plan.name))
    known = tuple(p for p in points if p not in seen.added and p not in seen.missing)
    return RebuildDifferences(
        plan.name,
        known,
        seen.added,
        seen.missing,
        unreadable=seen.unreadable,
        made_by=plan.made_by or "",
    )


def _listed_as(label: str) -> str:
    return f"copy {label[:8]}" if strict.is_snapshot_id(label) else label


def _bring_back_holds(app: App, name: str, aside: Path | None) -> None:
    """Restore points that were not known may have been held. Reports which holds are restored, and
    which are unknown."""
    plan = app.plans.load(name)
    restored = restore_holds(app.services(plan), plan, aside)
    for hold in restored.holds:
        output.warn(
            f"{name}: drd found a hold in a stored copy of its catalogue, and keeps the hold: "
            f"{sentence(hold)}"
        )
    if restored.stored_at is not None:
        since = format_time(restored.stored_at, seconds=True)
        output.warn(
            f"{name}: holds that were made after {since} are lost. If somebody held a restore "
            "point after that time, hold it again: drd hold POINT --reason TEXT"
        )
    else:
        why = (
            f" ({restored.why})"
            if restored.why
            else " (its repositories contain no copy of drd's catalogue)"
        )
        output.warn(
            f"{name}: drd does not know which restore points were held{why}. Hold these points "
            "again: drd hold POINT --reason TEXT"
        )


def _set_damaged_aside(app: App) -> Path | None:
    """Set a damaged catalogue aside; returns its new path, None if it is sound."""
    try:
        app.catalogue.runs.newest(limit=1)
        require_sound(app.settings.state_url, app.settings.state_password)
    except CatalogueError as error:
        if error.trouble == REMOVED:
            raise
        kept = app.state.set_catalogue_aside()
        why = output.masked(error.message)
        output.warn(
            f"drd could not read the catalogue, renamed it to {kept}, and makes a new one. "
            f"Reason: {why}"
        )
        return kept
    return None


def _show(
    found: list[RebuildDifferences],
    failed: dict[str, DrdError],
    verb: str,
    args: argparse.Namespace,
) -> None:
    if args.json:
        plans = [_as_json(differences, verb) for differences in found]
        errors = [{"plan": n, "message": _error_text(e), "hint": e.hint} for n, e in failed.items()]
        output.print_json({"plans": plans, "errors": errors})
        return
    for differences in found:
        _show_differences(differences, verb)
    for name, error in failed.items():
        problems = error.problems if isinstance(error, ConfigError) else ()
        for problem in problems:
            output.complain(f"plan {name}: {problem}", problem.hint)
        if not problems:
            output.complain(f"plan {name}: {error.message}", error.hint)


def _as_json(differences: RebuildDifferences, verb: str) -> dict[str, Any]:
    return {
        "plan": differences.plan,
        "known": list(differences.known),
        ("added" if verb == "rebuild" else "unknown"): list(differences.unknown),
        "vanished": list(differences.vanished),
        "torn": {point: list(places) for point, places in differences.torn.items()},
        "unreadable": dict(differences.unreadable),
        "unreached": {n: _error_text(e) for n, e in differences.unreached.items()},
    }


def _show_differences(differences: RebuildDifferences, verb: str) -> None:
    plan = differences.plan
    known, unknown, vanished = map(
        len, (differences.known, differences.unknown, differences.vanished)
    )
    if verb == "rebuild":
        added = counted(unknown, "restore point")
        words = f"{added} added to the catalogue, {known} already in it"
    else:
        both = counted(known, "restore point")
        words = (
            f"{both} in the catalogue and in a repository, {unknown} only in a repository and "
            "not in the catalogue"
        )
    output.say(f"plan {plan}: {words}, {vanished} no longer in any repository")
    if differences.left:
        output.complain(*left_words(plan, differences.left))
    for point, places in differences.torn.items():
        output.complain(
            f"restore point {point} of plan {plan} is incomplete in repository "
            f"{', '.join(places)}: somebody removed snapshots of this point without drd",
            f"find out who removed the snapshots. `drd points {plan}` shows in which "
            "repositories each point is incomplete. If you do not need this point in "
            f"{places[0]} any more: drd points forget {point} --repository {places[0]} "
            "--reason TEXT",
        )
    for repository, reason in differences.unreached.items():
        output.complain(
            f"could not check repository {repository} of plan {plan}: {reason.message}",
            reason.hint,
        )
    for snapshot, why in differences.unreadable.items():
        _show_unreadable(differences, snapshot, why)


def _show_unreadable(differences: RebuildDifferences, snapshot: str, why: str) -> None:
    plan, tool = differences.plan, differences.made_by
    if tool:
        output.complain(
            f"plan {plan}: drd does not use {_listed_as(snapshot)}: {why}",
            f"{called(tool)} still lists this copy: examine the copy with that tool. The other "
            "copies count as before.",
        )
    else:
        output.complain(
            f"plan {plan}: drd does not use the restore point that snapshot {snapshot[:8]} "
            f"describes, because drd cannot read this snapshot: {why}",
            "the other restore points are not affected. To see how to remove the unreadable "
            f"snapshot: drd retention {plan} --dry-run",
        )


def _error_text(error: DrdError) -> str:
    return output.unmarked(output.masked(error.message))
