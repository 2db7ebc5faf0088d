"""Find out whether this catalogue replaces another one, which was set aside or lost. Then it does
not know which plans were in force before, so drd treats no plan as new.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime

from drd.errors import CatalogueError
from drd.flows.state.foreign_files import set_aside
from drd.flows.state.places import StatePlaces
from drd.ports import Catalogue

KEY = "former"

_CACHE_OF_A_REPOSITORY = re.compile(r"[0-9a-f]{64}")


def is_missing(places: StatePlaces) -> bool:
    """Return whether the next use makes a new catalogue."""
    return places.database is not None and not places.database.exists()


def note_former(catalogue: Catalogue, places: StatePlaces, at: datetime) -> None:
    """Record in a new catalogue that there was another one before, if something shows that."""
    if lies_aside(places) or _has_a_cache(places):
        # What is noted spares refusals, and nothing else hangs on it.
        with suppress(CatalogueError):
            catalogue.queue.note(KEY, True, at)


def came_after_another(catalogue: Catalogue, places: StatePlaces) -> bool:
    return lies_aside(places) or catalogue.queue.noted(KEY) is not None


def lies_aside(places: StatePlaces) -> bool:
    """Return whether a catalogue was set aside: drd did not trust it, or it was damaged."""
    database = places.database
    if database is None:
        return False
    damaged = database.parent.glob(f"{database.name}.damaged-*")
    return any(p.name.startswith(f"{database.name}.") for p in (*set_aside(places), *damaged))


def _has_a_cache(places: StatePlaces) -> bool:
    """Return whether restic's cache knows a repository, which means that this host has made backups
    before.
    """
    try:
        names = [p.name for p in (places.cache_dir / "restic").iterdir()]
    except OSError:
        return False
    return any(_CACHE_OF_A_REPOSITORY.fullmatch(name) for name in names)
