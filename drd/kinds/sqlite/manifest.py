"""Check the part of a manifest about a SQLite database: it may contain only what the source writes
there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drd.kinds.one_file import require_file_facts
from drd.model import strict
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint

SUFFIX = "sqlite"


def filename(component: str) -> str:
    """Return the name of the file in a snapshot."""
    return f"{component}.{SUFFIX}"


def require_written(snapshot: ComponentSnapshot, private: Mapping[str, Any]) -> None:
    """Raise Refused for facts, a fingerprint or a private part that no source of SQLite writes."""
    place, facts = f"facts of {snapshot.component}", snapshot.facts
    require_file_facts(snapshot, filename(snapshot.component))
    if "journal_mode" in facts:
        strict.one_of(facts["journal_mode"], f"{place}.journal_mode", ("wal", "delete"))
    if private:
        raise strict.UnexpectedValue(f"private of {snapshot.component} is not empty")
    if snapshot.fingerprint is not None and not isinstance(
        snapshot.fingerprint, DatabaseFingerprint
    ):
        raise strict.UnexpectedValue(
            f"the fingerprint of {snapshot.component} does not describe a database"
        )
