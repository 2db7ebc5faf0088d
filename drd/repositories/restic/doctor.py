"""Everything that a run will need from a repository, tried and named."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from drd.errors import DeadlineExceeded, DrdError, RepositoryMissing
from drd.ports import Finding
from drd.repositories.restic import foreign, maintenance, pair
from drd.repositories.restic.door import Door
from drd.repositories.restic.messages import Listener
from drd.repositories.restic.trouble import judge

INDEX_S = 60.0
"""For loading the index, which takes seconds where it is cached."""


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
        with ThreadPoolExecutor(1) as beside:
            index = beside.submit(_tried, "repository index", lambda: _index(door))
            found.append(_tried("repository key", lambda: _opened(door)))
        if found[-1].ok:
            found += _keys(door)
            found.append(_tried("repository locks", lambda: _locks(door)))
            if not index.result().ok:
                found.append(index.result())
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


def _keys(door: Door) -> list[Finding]:
    """What lies among the keys and does not belong there, or is too much for restic; nothing where
    there is no more than one."""
    session, name = door.session, "repository keys"
    try:
        if len(session.place.objects("keys")) < 2:
            return []
        keys = session.hint.keys(whole=True)
    except DrdError:
        return []  # another finding says what keeps the repository from being opened
    if keys.bad:
        detail = f"{foreign.listed('keys', keys.bad)}; drd passes over it, restic by hand does not"
        hint = f"remove it: {foreign.removal(session.place, 'keys', keys.bad)}"
    elif len(keys.others) >= foreign.RESTIC_TRIES:
        detail = (
            f"{len(keys.others)} keys that this password does not open: drd passes over "
            "them, restic "
        )
        detail += f"by hand tries {foreign.RESTIC_TRIES} and gives up"
        hint = "if nobody else uses the repository, remove them: "
        hint += foreign.removal(session.place, "keys", keys.others)
    else:
        return []
    return [Finding(name, ok=True, warning=True, detail=detail, hint=hint)]


def _index(door: Door) -> str:
    """Loaded by restic to look for what is not there."""
    nothing = ["--no-lock", "cat", "--", "blob", "0" * 64]
    try:
        done = door.run(nothing, Listener(), deadline_s=INDEX_S)
        if done.exit_code != 0 and "not found" not in done.stderr:
            judge(done, door.url)
    except DeadlineExceeded:
        return "not looked at: it takes long"
    except RepositoryMissing:
        return "none yet"  # the finding before says so
    return "can be read"


def _locks(door: Door) -> str:
    session = door.session
    count = len(session.place.locks())
    if count == 0:
        return "none"
    master = session.hint.keys().master
    bad = foreign.locks_of_nobody(session, master) if master is not None else {}
    if bad:
        raise foreign.named(session, "locks", dict.fromkeys(bad, "is no lock of restic's"))
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
