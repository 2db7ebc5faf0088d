"""Everything that a run will need from a repository, tried and named."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from drd.errors import DeadlineExceeded, DrdError, RepositoryMissing
from drd.model.finding import KEY, PROTECTION, REPOSITORY, Finding
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
    found = [_tried("restic", "", lambda: f"restic {door.version()}")]
    found.append(_tried(REPOSITORY, spec.name, lambda: _reached(door)))
    if found[-1].failed:
        return found
    found += _more(door)
    if source is not None:
        found += _both(door, source)
    if not found[0].failed:
        with ThreadPoolExecutor(1) as beside:
            index = beside.submit(
                lambda: _tried("repository-index", spec.name, lambda: _index(door))
            )
            found.append(_tried(KEY, spec.name, lambda: _opened(door)))
        if not found[-1].failed:
            found += _keys(door)
            found.append(_tried("repository-locks", spec.name, lambda: _locks(door)))
            if index.result().failed:
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
    session = door.session
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
    return [Finding("repository-keys", "warning", session.spec.name, detail, hint)]


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
    name = door.session.spec.name
    try:
        return pair.findings(door.session, source.session)
    except DrdError as error:
        why = f"its keys differ from those of {source.session.spec.name}, and {error.message}"
        return [Finding("repository-as-a-copy", "error", name, why, error.hint)]


def _more(door: Door) -> list[Finding]:
    spec = door.session.spec
    try:
        return [replace(f, subject=spec.name) for f in door.session.place.findings(spec.protection)]
    except DrdError as error:
        return [Finding(PROTECTION, "error", spec.name, str(error), error.hint)]


def _tried(code: str, subject: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(code, "ok", subject, attempt())
    except DrdError as error:
        return Finding(code, "error", subject, str(error), error.hint)
