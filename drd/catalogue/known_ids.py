"""The ids that a person may mean on the command line, read as `drd status` reads the catalogue."""

from __future__ import annotations

from drd.catalogue.summary import asking_sqlite
from drd.errors import CatalogueError

_QUERIES = {
    "run": "SELECT id FROM runs ORDER BY due_at DESC LIMIT 200",
    "evidence": "SELECT id FROM evidence ORDER BY finished_at DESC LIMIT 200",
    "alert": "SELECT id FROM alerts WHERE resolved_at IS NULL LIMIT 200",
    "point": "SELECT id FROM points WHERE forgotten_at IS NULL AND (:plan IS NULL OR plan = :plan)"
    " ORDER BY data_time DESC LIMIT 200",
    "step": "SELECT DISTINCT name FROM steps WHERE substr(run, 1, length(:plan)) = :plan",
}


def known_ids(url: str, what: str, of: str | None = None) -> list[str]:
    """Return the newest runs, evidence or restore points (`of` a plan), the open alerts, or the
    steps `of` the run whose id begins with this. None from a catalogue that is not in a file, or
    that cannot be read."""
    if not url.startswith("sqlite:"):
        return []
    try:
        return asking_sqlite(url, lambda ask, _: [str(row[0]) for row in ask(_QUERIES[what], of)])
    except CatalogueError:
        return []
