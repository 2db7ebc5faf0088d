"""`summary.read_status` for a catalogue in PostgreSQL: the same queries through SQLAlchemy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import text

from drd.catalogue.engine import Store
from drd.catalogue.summary import assemble
from drd.model.facts import StatusFacts


def read_through_sqlalchemy(url: str, plan: str | None) -> StatusFacts:
    """Works on SQLite as well, so that one test holds both readers to the same answers."""
    store = Store(url)
    try:
        with store.read() as connection:

            def query(sql: str) -> Iterable[Sequence[Any]]:
                wanted = {"plan": plan} if ":plan" in sql else {}
                return connection.execute(text(sql), wanted).all()

            return assemble(query, store.place)
    finally:
        store.close()
