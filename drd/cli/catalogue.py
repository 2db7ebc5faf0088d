"""`drd catalogue`."""

from __future__ import annotations

import argparse
from pathlib import Path

from drd.bootstrap import App
from drd.catalogue.diagnosis import require_sound
from drd.cli import output
from drd.cli.hold import sentence
from drd.cli.session import session
from drd.errors import CatalogueError, DrdError, UsageError
from drd.flows.repository import rebuild as flow
from drd.flows.repository.rebuild import RebuildDifferences
from drd.kit.lost_holds import restore_holds
from drd.model.text import counted
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
    with session(args, acts=verb == "rebuild") as app:
        aside = _set_damaged_aside(app) if verb == "rebuild" else None
        names = args.plan or app.plans.names()
        if not names:
            where = app.settings.plans_dir
            raise UsageError(
                f"there is no plan in {where}",
                hint="copy the plan files of this host to that directory: drd learns from them "
                "which repositories to read.",
            )
        for name in names:
            try:
                compared = _compare(app, name, verb)
                comparisons.append(compared)
                if verb == "rebuild" and compared.unknown:
                    _bring_back_holds(app, name, aside)
            except DrdError as error:
                failed[name] = error
    if failed and not comparisons:
        raise next(iter(failed.values()))
    _show(comparisons, failed, verb, args)
    wrong = any(c.vanished or c.unreadable or c.torn for c in comparisons)
    missing = verb == "verify" and any(c.unknown or c.unreached for c in comparisons)
    return 1 if failed or wrong or missing else 0


def _compare(app: App, name: str, verb: str) -> RebuildDifferences:
    plan = app.plans.load(name, coming_back=verb == "rebuild")
    services = app.services(plan)
    return (flow.rebuild if verb == "rebuild" else flow.verify)(services, plan)


def _bring_back_holds(app: App, name: str, aside: Path | None) -> None:
    """Restore points that were not known may have been held. Reports which holds are restored, and
    which are unknown."""
    plan = app.plans.load(name)
    restored = restore_holds(app.services(plan), plan, aside)
    for hold in restored.holds:
        output.warn(f"{name}: drd restored a hold: {sentence(hold)}")
    if restored.stored_at is not None:
        since = format_time(restored.stored_at, seconds=True)
        output.warn(
            f"{name}: drd does not know holds that were made after {since}. Hold those restore "
            "points again: drd hold POINT --reason TEXT"
        )
    else:
        why = (
            f" ({restored.why})"
            if restored.why
            else " (its repositories contain no copy of drd's catalogue)"
        )
        output.warn(
            f"{name}: drd does not know which restore points were held{why}. Hold them again: drd "
            "hold POINT --reason TEXT"
        )


def _set_damaged_aside(app: App) -> Path | None:
    """Set a damaged catalogue aside; returns its new path, None if it is sound."""
    try:
        app.catalogue.runs.newest(limit=1)
        require_sound(app.settings.state_url, app.settings.state_password)
    except CatalogueError as error:
        kept = app.state.set_catalogue_aside()
        why = output.masked(error.message)
        output.warn(f"drd could not read the catalogue, and renamed it to {kept}: {why}")
        return kept
    return None


def _show(
    found: list[RebuildDifferences],
    failed: dict[str, DrdError],
    verb: str,
    args: argparse.Namespace,
) -> None:
    if args.json:
        plans = [
            {
                "plan": c.plan,
                "known": list(c.known),
                ("added" if verb == "rebuild" else "unknown"): list(c.unknown),
                "vanished": list(c.vanished),
                "torn": {point: list(places) for point, places in c.torn.items()},
                "unreadable": dict(c.unreadable),
                "unreached": {n: _error_text(e) for n, e in c.unreached.items()},
            }
            for c in found
        ]
        errors = [{"plan": n, "message": _error_text(e), "hint": e.hint} for n, e in failed.items()]
        output.print_json({"plans": plans, "errors": errors})
        return
    for c in found:
        word = "added to the catalogue" if verb == "rebuild" else "only in a repository"
        output.say(
            f"plan {c.plan}: {counted(len(c.known), 'restore point')} in the catalogue and in a "
            f"repository, {len(c.unknown)} {word}, {len(c.vanished)} no longer in any repository"
        )
        for point, places in c.torn.items():
            output.complain(
                f"restore point {point} of plan {c.plan} is incomplete in repository "
                f"{', '.join(places)}: somebody else than drd removed snapshots of it",
                "find out who removed them. In which repositories each point is incomplete: `drd "
                f"points {c.plan}`. If you do not need this point in {places[0]} any more: drd "
                f"points forget {point} --repository {places[0]} --reason TEXT",
            )
        for repository, reason in c.unreached.items():
            output.complain(
                f"could not check repository {repository} of plan {c.plan}: {reason.message}",
                reason.hint,
            )
        for snapshot, why in c.unreadable.items():
            output.complain(f"cannot read manifest {snapshot[:8]} of plan {c.plan}: {why}")
    for name, error in failed.items():
        output.complain(f"{name}: {error.message}", error.hint)


def _error_text(error: DrdError) -> str:
    return output.unmarked(output.masked(error.message))
