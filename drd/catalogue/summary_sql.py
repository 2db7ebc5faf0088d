"""The queries of `summary` through SQLAlchemy, for a catalogue in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import text

from drd.catalogue.engine import Database
from drd.model.plan import SecretRef


@contextmanager
def asking(
    url: str, password: SecretRef | None = None
) -> Iterator[tuple[Callable[[str, str | None], Iterable[Sequence[Any]]], str]]:
    """A function that runs a query (SQL to rows) in one read transaction, with `:plan` bound; and
    the name of the catalogue for messages."""
    database = Database(url, password=password)
    try:
        with database.read() as connection:

            def query(sql: str, plan: str | None) -> Iterable[Sequence[Any]]:
                wanted = {"plan": plan} if ":plan" in sql else {}
                return connection.execute(text(sql), wanted).all()

            yield query, database.place
    finally:
        database.close()
