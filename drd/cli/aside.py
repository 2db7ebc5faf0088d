"""Print kept copies: for `undo`, `done`, `recover` and `run show`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from drd.api.documents import asides
from drd.bootstrap import App
from drd.cli import output
from drd.errors import ConfigError, UnknownPlan, UsageError
from drd.model.plan import Plan
from drd.model.run import Run, RunKind
from drd.model.text import escaped
from drd.model.units import format_size
from drd.ports import Aside


def line(aside: Aside) -> str:
    """`db: /srv/shop.db.drd_4f2a1c3e_before (1.2 GB): the data that was in /srv/shop.db before`."""
    size = f" ({format_size(aside.bytes)})" if aside.bytes is not None else ""
    what = "was" if aside.former else "the recovery restored"
    where = (
        f"in {aside.place} before the recovery"
        if aside.former
        else (f"to {aside.place}, with every change since the recovery")
    )
    text = f"{aside.component}: {aside.kept}{size}: the data that {what} {where}"
    return escaped(output.masked(text))


def say_asides(found: Sequence[dict[str, Any]], run: str, *, with_done: bool = True) -> None:
    """Like `say_all`, from the documents."""
    held = [
        Aside(d["component"], d["place"], d["kept"], d["size_bytes"], former=d["holds"] == "former")
        for d in found
    ]
    say_all(held, run, with_done=with_done)


def say_all(found: Sequence[Aside], run: str, *, with_done: bool = True) -> None:
    """Print the kept copies, and the two commands for them; the last one only `with_done`."""
    for aside in found:
        output.say_below("  kept copy  ", line(aside))
    if any(a.former for a in found):
        output.say(f"  to put the old data back: drd undo {run}")
    elif found:
        output.say(f"  to revert the undo: drd undo {run} --redo")
    if found and with_done:
        output.say(f"  to remove the kept copies for good: drd done {run}")


def documents(found: Iterable[Aside]) -> list[dict[str, Any]]:
    """Return the kept copies for `--json`; sizes are bytes."""
    return asides(list(found))


def run_and_plan(app: App, run: str) -> tuple[Run, Plan]:
    """Return the run and its plan; from root's record, if there is one."""
    catalogue, row_trust = app.row_trust()
    run_known = row_trust.known(catalogue.runs.get(run))
    if run_known.kind is RunKind.PLAYBOOK:
        raise UsageError(
            f"run {run_known.id} is the run of a playbook, and does not keep replaced data",
            hint=f"to roll back the steps of this run: drd rollback {run_known.id}",
        )
    return run_known, plan_of(app, run_known.plan)


def plan_of(app: App, name: str) -> Plan:
    """Return the plan from its file; if the file is not valid, return the plan that was in force
    last."""
    try:
        return app.plans.load_known(name)
    except (ConfigError, UnknownPlan):
        return app.plans.in_force(name)
