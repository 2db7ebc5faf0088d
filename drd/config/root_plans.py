"""Plans for root on another user's state: from root's files alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from drd.config.daemon import DaemonSettings
from drd.config.plan_file import LoadedPlan, load_plan
from drd.config.plan_search import file_gone, find_plan
from drd.errors import UnknownPlan
from drd.modes import is_roots_alone
from drd.ports import PlanRow
from drd.presence import is_gone

_FILES_ALONE = (
    "Root uses only plan files that belong to root, because other users can change the text "
    "in drd's catalogue"
)


def of_roots_file(settings: DaemonSettings, name: str, rows: Sequence[PlanRow]) -> LoadedPlan:
    """Return the plan from the plans directory; else from the file that it was accepted from, if
    only root can have written that, and it contains the plan of this name. Raises UnknownPlan,
    ConfigError.
    """
    try:
        return load_plan(find_plan(settings, name), settings.known_roles)
    except UnknownPlan:
        file = Path(rows[0].file) if rows else None
        if file is not None and is_gone(str(file)):
            raise file_gone(name, str(file), _FILES_ALONE) from None
        if file is None or not is_roots_alone(file):
            raise
    loaded = load_plan(file, settings.known_roles)
    if (held := loaded.plan.name) != name:
        raise UnknownPlan(f"{file} contains plan {held}, not {name}", hint=f"run drd doctor {name}")
    return loaded
