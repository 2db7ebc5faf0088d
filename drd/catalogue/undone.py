"""The plans whose newest point has data that an undo took back, for writers of the catalogue."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, text

from drd.catalogue import summary_queries, summary_rows
from drd.model.facts import UndoneFacts

_ALL = text(summary_queries.UNDONE.replace("OF(s.plan)", "1 = 1"))
_SOME = text(summary_queries.UNDONE.replace("OF(s.plan)", "s.plan IN :names")).bindparams(
    bindparam("names", expanding=True)
)


def of_plans(connection: Connection, names: Sequence[str] | None = None) -> dict[str, UndoneFacts]:
    """Return the data that undos removed, by plan: for these plans, or for all."""
    if names is None:
        return summary_rows.undone(connection.execute(_ALL))
    return summary_rows.undone(connection.execute(_SOME, {"names": list(names)}))
