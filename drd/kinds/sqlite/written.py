"""What a manifest may say about a SQLite database: what the source writes there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drd.model import strict
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint

_MOST_ID = (1 << 32) - 1


def filename(component: str) -> str:
    """The file of a snapshot."""
    return f"{component}.sqlite"


def require_written(snapshot: ComponentSnapshot, private: Mapping[str, Any]) -> None:
    """Raises Refused for facts, a fingerprint or a private part that no source of SQLite writes."""
    place, facts = f"facts of {snapshot.component}", snapshot.facts
    wanted = filename(snapshot.component)
    if strict.member(facts, "filename", place) != wanted:
        raise strict.refuse(f"{place}.filename", f"is not {wanted}", facts["filename"])
    strict.count(strict.member(facts, "mode", place), f"{place}.mode", most=0o7777)
    for key in ("uid", "gid"):
        strict.count(strict.member(facts, key, place), f"{place}.{key}", most=_MOST_ID)
    if "path" in facts:
        strict.text(facts["path"], f"{place}.path")
    if "journal_mode" in facts:
        strict.one_of(facts["journal_mode"], f"{place}.journal_mode", ("wal", "delete"))
    if private:
        raise strict.Refused(f"private of {snapshot.component} is not empty")
    if snapshot.fingerprint is not None and not isinstance(
        snapshot.fingerprint, DatabaseFingerprint
    ):
        raise strict.Refused(f"the fingerprint of {snapshot.component} is of no database")
