"""The part of a manifest about a component: exactly what the source writes there."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from drd.kinds.command.settings import CommandSettings
from drd.model import strict
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint

SUFFIX = "dump"


def filename(component: str) -> str:
    """Return the name of the file in a snapshot."""
    return f"{component}.{SUFFIX}"


def facts_of(component: str, settings: CommandSettings) -> dict[str, Any]:
    """Return the part of a manifest about the component."""
    words = settings.dump or settings.restore
    return {"filename": filename(component), "program": PurePosixPath(words[0]).name}


def require_written(snapshot: ComponentSnapshot) -> None:
    """Raise UnexpectedValue for facts or a fingerprint that no source writes."""
    place, facts = f"facts of {snapshot.component}", snapshot.facts
    if strict.member(facts, "filename", place) != filename(snapshot.component):
        raise strict.refuse(
            f"{place}.filename", f"is not {filename(snapshot.component)}", facts["filename"]
        )
    strict.text(strict.member(facts, "program", place), f"{place}.program")
    fingerprint = snapshot.fingerprint
    if fingerprint is not None and not isinstance(fingerprint, DatabaseFingerprint):
        raise strict.UnexpectedValue(f"the fingerprint of {snapshot.component} has no counts")
