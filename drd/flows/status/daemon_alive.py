"""Find out whether a daemon works on a state, and warn if it has another text of a plan in
force.
"""

from __future__ import annotations

import os
from datetime import datetime

from drd.errors import UsageError
from drd.flows.status.overview import daemon_state
from drd.flows.status.refused_plans import loads_it
from drd.model.drd_facts import SIGN_OF_LIFE, daemon_facts
from drd.model.plan import Plan
from drd.ports import Catalogue


def daemon_lives(catalogue: Catalogue, now: datetime) -> bool:
    """Return whether a daemon runs, judged by its last heartbeat."""
    noted = catalogue.queue.noted(SIGN_OF_LIFE)
    facts = daemon_facts(*noted) if noted is not None else None
    state = daemon_state(facts, now, installed=False)
    return state is not None and state.state == "running"


def differs_in_force(catalogue: Catalogue, plan: Plan, text: str, now: datetime) -> str | None:
    """Return the warning for a command that read this text of a plan, if a running daemon has
    loaded another text; None if not: then this text is in force once it is stored.

    The text in force decides which repositories the plan's names mean, and so which points are
    offered and counted. Raises UsageError for a text with other places: what a command stored or
    missed there would be taken for the loaded ones."""
    stored = catalogue.queue.accepted(plan.name)
    if stored is None:
        return None
    rows = catalogue.queue.plan_rows([plan.name])
    if stored == text and rows and rows[0].file == os.path.abspath(plan.file):  # noqa: PTH100
        return None
    if not daemon_lives(catalogue, now):
        return None
    reload = loads_it(catalogue.queue, plan.name)
    loaded = {k.repository: k.url for k in catalogue.health.of_plan(plan.name)}
    places = {spec.name: spec.url for spec in plan.repositories.values()}
    if loaded and loaded != places:
        changed = sorted(n for n in {**loaded, **places} if loaded.get(n) != places.get(n))
        raise UsageError(
            f"the URL of repository {', '.join(changed)} in {plan.file} differs from the URL that "
            f"the daemon has loaded for plan {plan.name}",
            hint=f"`{reload}`, then run this command again.",
        )
    return (
        f"{plan.file} differs from the text of plan {plan.name} that the daemon has loaded. "
        "This command uses the file. The daemon, drd status and drd points use the loaded "
        f"text until you run: {reload}"
    )
