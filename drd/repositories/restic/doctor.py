"""Try everything that a run will need from a repository, and report each as a finding."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from drd.errors import DeadlineExceeded, DrdError, RepositoryMissing
from drd.model.finding import Finding
from drd.model.finding_codes import KEY, PROTECTION, REPOSITORY, WRITING
from drd.model.location import is_local
from drd.model.text import counted
from drd.repositories.restic import foreign_objects, maintenance, two_repositories
from drd.repositories.restic.errors import judge
from drd.repositories.restic.messages import Listener
from drd.repositories.restic.runner import ResticRunner

INDEX_S = 60.0
"""Deadline for loading the index, which takes seconds where it is cached."""


def doctor(runner: ResticRunner, source: ResticRunner | None = None) -> list[Finding]:
    """Check in the order in which a backup needs it; skip what depends on a failed check.

    With the `source` of a copy, also check what restic needs to reach both at once.
    """
    spec = runner.session.spec
    findings = [_attempt("restic", "", lambda: f"restic {runner.version()}")]
    findings.append(_attempt(REPOSITORY, spec.name, lambda: _check_place(runner)))
    if findings[-1].failed:
        return findings
    findings += _check_protection(runner)
    if source is not None:
        findings += _check_copy_source(runner, source)
    if not findings[0].failed:
        with ThreadPoolExecutor(1) as beside:
            index = beside.submit(
                lambda: _attempt("repository-index", spec.name, lambda: _check_index(runner))
            )
            findings.append(_attempt(KEY, spec.name, lambda: _check_password(runner)))
        if not findings[-1].failed:
            findings += _check_writing(runner)
            findings += _check_keys(runner)
            findings.append(_attempt("repository-locks", spec.name, lambda: _check_locks(runner)))
            if index.result().failed:
                findings.append(index.result())
    return findings


def _check_place(runner: ResticRunner) -> str:
    runner.session.place.preflight(writing=not runner.only_reads)
    does = "use" if is_local(runner.url) and not runner.only_reads else "read"
    return f"drd can reach and {does} the place {runner.url}"


def _check_password(runner: ResticRunner) -> str:
    runner.session.password()
    known = maintenance.identity(runner)
    if known is None:
        first = "copy" if runner.session.spec.copy_of else "backup"
        return f"there is no repository yet: the first drd {first} creates it"
    return f"the password opens repository {known[:8]}"


def _check_writing(runner: ResticRunner) -> list[Finding]:
    """Report whether drd can write to the repository, by a lock of restic, or can make it. Report
    nothing for a directory, about which the finding REPOSITORY says it, nor where drd cannot try it
    without making the repository."""
    name = runner.session.spec.name
    if runner.only_reads or is_local(runner.url):
        return []
    try:
        if maintenance.identity(runner) is None:
            was_tried = runner.session.place.try_to_make()
        else:
            was_tried = maintenance.try_to_lock(runner)
    except DrdError as error:
        return [Finding(WRITING, "error", name, str(error), error.hint)]
    detail = f"drd can write to the place {runner.url}"
    return [Finding(WRITING, "ok", name, detail)] if was_tried else []


def _check_keys(runner: ResticRunner) -> list[Finding]:
    """Report files among the keys that are not keys, and more keys than restic tries; nothing when
    there is only one key.
    """
    session = runner.session
    try:
        if len(session.place.objects("keys")) < 2:
            return []
        keys = session.hint.keys(whole=True)
    except DrdError:
        return []  # not checked: another finding says why the repository cannot be opened
    if keys.bad:
        bad = foreign_objects.listed("keys", keys.bad)
        detail = f"{bad}; drd ignores this, but restic itself fails then"
        hint = (
            f"remove what is not a key: {foreign_objects.removal(session.place, 'keys', keys.bad)}"
        )
    elif len(keys.others) >= foreign_objects.RESTIC_TRIES:
        detail = (
            f"this password does not open {counted(len(keys.others), 'key')} of the repository. "
            "drd ignores these keys, but restic itself tries only "
            f"{foreign_objects.RESTIC_TRIES} keys, perhaps not the right one"
        )
        hint = "if nobody else uses the repository, remove these keys: "
        hint += foreign_objects.removal(session.place, "keys", keys.others)
    else:
        return []
    return [Finding("repository-keys", "warning", session.spec.name, detail, hint)]


def _check_index(runner: ResticRunner) -> str:
    """Have restic load the index, by asking for a snapshot that does not exist."""
    nothing = ["--no-lock", "cat", "--", "blob", "0" * 64]
    try:
        done = runner.run(nothing, Listener(), deadline_s=INDEX_S)
        if done.exit_code != 0 and "not found" not in done.stderr:
            judge(done, runner.url)
    except DeadlineExceeded:
        return "the index was not checked, because reading it takes long"
    except RepositoryMissing:
        return "there is no repository yet"  # the finding before this one reports it
    return "restic can read the index"


def _check_locks(runner: ResticRunner) -> str:
    session = runner.session
    count = len(session.place.locks())
    if count == 0:
        return "the repository is not locked"
    master = session.hint.keys().master
    bad = foreign_objects.invalid_locks(session, master) if master is not None else {}
    if bad:
        raise foreign_objects.objects_error(
            session, "locks", dict.fromkeys(bad, "is not a lock of restic")
        )
    return (
        f"{counted(count, 'lock')}: an operation is running, or was killed (in that case the "
        "next run removes the lock)"
    )


def _check_copy_source(runner: ResticRunner, source: ResticRunner) -> list[Finding]:
    name = runner.session.spec.name
    try:
        return two_repositories.findings(runner.session, source.session)
    except DrdError as error:
        why = (
            f"the keys of this repository differ from the keys of {source.session.spec.name}, "
            f"and {error.message}"
        )
        return [Finding("repository-as-a-copy", "error", name, why, error.hint)]


def _check_protection(runner: ResticRunner) -> list[Finding]:
    spec = runner.session.spec
    try:
        return [
            replace(f, subject=spec.name) for f in runner.session.place.findings(spec.protection)
        ]
    except DrdError as error:
        return [Finding(PROTECTION, "error", spec.name, str(error), error.hint)]


def _attempt(code: str, subject: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(code, "ok", subject, attempt())
    except DrdError as error:
        return Finding(code, "error", subject, str(error), error.hint)
