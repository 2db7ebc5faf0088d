"""Opens the catalogue to find out whether a malformed value in it explains an error."""

from __future__ import annotations

from drd.catalogue import malformed, trouble
from drd.catalogue.engine import Database
from drd.model.plan import SecretRef


def explain(error: Exception, url: str, password: SecretRef | None = None) -> None:
    """Raise CatalogueError, which names the value, if the catalogue contains a malformed value,
    which is then the cause of `error`. Do nothing otherwise, or when the catalogue cannot be read.
    """
    database = Database(url, read_only=True, password=password)
    try:
        database.explain_value(error)
    finally:
        database.close()


def require_sound(url: str, password: SecretRef | None = None) -> None:
    """Raise CatalogueError, which names the value, if the catalogue contains a malformed value."""
    database = Database(url, read_only=True, password=password)
    try:
        malformed_value = malformed.find(database, anew=True)
        if malformed_value is not None:
            raise trouble.malformed(database.path, database.place, malformed_value)
    finally:
        database.close()
