"""Try everything that a run will need from a repository, and report each as a finding."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from drd.errors import DeadlineExceeded, DrdError, RepositoryMissing
from drd.model.finding import Finding
from drd.model.finding_codes import KEY, PROTECTION, REPOSITORY
from drd.repositories.restic import foreign_objects, maintenance, two_repositories
from drd.repositories.restic.errors import judge
from drd.repositories.restic.messages import Listener
from drd.repositories.restic.runner import Door

INDEX_S = 60.0
"""Deadline for loading the index, which takes seconds where it is cached."""


def doctor(door: Door, source: Door | None = None) -> list[Finding]:
    """Check in the order in which a backup needs it; skip what depends on a failed check.

    With the `source` of a copy, also check what restic needs to reach both at once.
    """
    spec = door.session.spec
    findings = [_attempt("restic", "", lambda: f"restic {door.version()}")]
    findings.append(_attempt(REPOSITORY, spec.name, lambda: _check_place(door)))
    if findings[-1].failed:
        return findings
    findings += _check_protection(door)
    if source is not None:
        findings += _check_copy_source(door, source)
    if not findings[0].failed:
        with ThreadPoolExecutor(1) as beside:
            index = beside.submit(
                lambda: _attempt("repository-index", spec.name, lambda: _check_index(door))
            )
            findings.append(_attempt(KEY, spec.name, lambda: _check_password(door)))
        if not findings[-1].failed:
            findings += _check_keys(door)
            findings.append(_attempt("repository-locks", spec.name, lambda: _check_locks(door)))
            if index.result().failed:
                findings.append(index.result())
    return findings


def _check_place(door: Door) -> str:
    door.session.place.preflight()
    return f"{door.url} can be reached and used"


def _check_password(door: Door) -> str:
    door.session.password()
    known = maintenance.identity(door)
    if known is None:
        first = "copy" if door.session.spec.copy_of else "backup"
        return f"not initialised yet: the first {first} initialises it"
    return f"the password opens repository {known[:8]}"


def _check_keys(door: Door) -> list[Finding]:
    """Report files among the keys that are not keys, and more keys than restic tries; nothing when
    there is only one key.
    """
    session = door.session
    try:
        if len(session.place.objects("keys")) < 2:
            return []
        keys = session.hint.keys(whole=True)
    except DrdError:
        return []  # not checked: another finding says why the repository cannot be opened
    if keys.bad:
        bad = foreign_objects.listed("keys", keys.bad)
        detail = f"{bad}; drd ignores it, but restic itself fails on it"
        hint = f"remove it: {foreign_objects.removal(session.place, 'keys', keys.bad)}"
    elif len(keys.others) >= foreign_objects.RESTIC_TRIES:
        detail = (
            f"{len(keys.others)} keys that this password does not open: drd ignores them, "
            f"but restic itself tries {foreign_objects.RESTIC_TRIES} and then fails"
        )
        hint = "if nobody else uses the repository, remove these keys: "
        hint += foreign_objects.removal(session.place, "keys", keys.others)
    else:
        return []
    return [Finding("repository-keys", "warning", session.spec.name, detail, hint)]


def _check_index(door: Door) -> str:
    """Have restic load the index, by asking for a snapshot that does not exist."""
    nothing = ["--no-lock", "cat", "--", "blob", "0" * 64]
    try:
        done = door.run(nothing, Listener(), deadline_s=INDEX_S)
        if done.exit_code != 0 and "not found" not in done.stderr:
            judge(done, door.url)
    except DeadlineExceeded:
        return "not checked, because it takes long"
    except RepositoryMissing:
        return "none yet"  # the finding before this one reports it
    return "can be read"


def _check_locks(door: Door) -> str:
    session = door.session
    count = len(session.place.locks())
    if count == 0:
        return "none"
    master = session.hint.keys().master
    bad = foreign_objects.invalid_locks(session, master) if master is not None else {}
    if bad:
        raise foreign_objects.objects_error(
            session, "locks", dict.fromkeys(bad, "is not a lock of restic")
        )
    return f"{count}: an operation is running, or was killed (then the next run removes its lock)"


def _check_copy_source(door: Door, source: Door) -> list[Finding]:
    name = door.session.spec.name
    try:
        return two_repositories.findings(door.session, source.session)
    except DrdError as error:
        why = f"its keys differ from those of {source.session.spec.name}, and {error.message}"
        return [Finding("repository-as-a-copy", "error", name, why, error.hint)]


def _check_protection(door: Door) -> list[Finding]:
    spec = door.session.spec
    try:
        return [replace(f, subject=spec.name) for f in door.session.place.findings(spec.protection)]
    except DrdError as error:
        return [Finding(PROTECTION, "error", spec.name, str(error), error.hint)]


def _attempt(code: str, subject: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(code, "ok", subject, attempt())
    except DrdError as error:
        return Finding(code, "error", subject, str(error), error.hint)
