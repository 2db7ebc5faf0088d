"""Everything that a run will need from a repository, tried and named."""

from __future__ import annotations

from collections.abc import Callable

from drd.errors import DrdError
from drd.ports import Finding
from drd.repositories.restic import maintenance, pair
from drd.repositories.restic.door import Door


def doctor(door: Door, source: Door | None = None) -> list[Finding]:
    """In the order in which a backup needs it; what follows from a failure is left out.

    With the `source` of a copy, also what restic needs to reach both at once."""
    spec = door.session.spec
    found = [_tried("restic", lambda: f"restic {door.version()}")]
    found.append(_tried(f"repository {spec.name}", lambda: _reached(door)))
    if not found[-1].ok:
        return found
    found += _more(door)
    if source is not None:
        found += _both(door, source)
    if found[0].ok:
        found.append(_tried("repository key", lambda: _opened(door)))
        if found[-1].ok:
            found.append(_tried("repository locks", lambda: _locks(door)))
    return found


def _reached(door: Door) -> str:
    door.session.place.preflight()
    return f"{door.url} can be reached and used"


def _opened(door: Door) -> str:
    door.session.password()
    known = maintenance.identity(door)
    if known is None:
        first = "copy" if door.session.spec.copy_of else "backup"
        return f"not initialised yet: the first {first} does it"
    return f"the password opens repository {known[:8]}"


def _locks(door: Door) -> str:
    count = len(door.session.place.locks())
    if count == 0:
        return "none"
    return f"{count}: something is running, or was killed (removed by the next run that needs to)"


def _both(door: Door, source: Door) -> list[Finding]:
    name = f"repository {door.session.spec.name} as a copy"
    try:
        return pair.findings(door.session, source.session)
    except DrdError as error:
        why = f"its keys differ from those of {source.session.spec.name}, and {error.message}"
        return [Finding(name, ok=False, detail=why, hint=error.hint)]


def _more(door: Door) -> list[Finding]:
    try:
        return door.session.place.findings(door.session.spec.protection)
    except DrdError as error:
        return [Finding("repository protection", ok=False, detail=str(error), hint=error.hint)]


def _tried(name: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(name, ok=True, detail=attempt())
    except DrdError as error:
        return Finding(name, ok=False, detail=str(error), hint=error.hint)
