"""Find objects that prevent restic from working and that were stored by somebody without the key:
anyone with write access to the bucket or the directory can do this. restic fails on each without
naming it.

Removing the objects named here loses nothing of the repository: invalid keys, and locks and indexes
that the master key does not authenticate.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from drd import log, process
from drd.errors import DrdError, ForeignObjects, RepositoryDamaged, RepositoryError, WrongKey
from drd.model.text import counted, some
from drd.model.units import format_duration
from drd.repositories.place import Kept, RepositoryPlace
from drd.repositories.restic.ciphers import MasterKey
from drd.repositories.restic.key_search import NOT_WHOLE, SEARCH_S, Keys
from drd.repositories.restic.session import Session

LARGEST_LOCK = 1 << 16
LARGEST_INDEX = 64 << 20
"""The largest number of bytes that drd reads of one object."""
LOOK_S = 20.0
"""Time limit for reading indexes, in seconds."""
STALE_S = 1800.0
"""The age in seconds at which a lock that was not renewed is stale, for restic as well."""
RESTIC_TRIES = 20
"""The number of keys that restic tries before it fails."""
NAMED = 5

_KEYS = re.compile(
    r"maximum number of keys reached|LoadRaw\(<key/|crypto\.KDF|Unmarshal: |illegal base64"
)
_LOCKS = re.compile(
    r"invalid lock file|LoadRaw\(<lock/|\.LoadLock\(|unable to create lock.*(?:ciphertext|decrypt)"
)
_OTHERS = re.compile(
    r"<index/|decrypt invalid data|ciphertext|error loading index|panic: runtime error"
    r"|invalid data returned"
)


def are_locks(text: str) -> bool:
    return _LOCKS.search(_without_escapes(text)) is not None


def are_keys(text: str) -> bool:
    """Return whether restic's message may be caused by an object among the keys."""
    return _KEYS.search(_without_escapes(text)) is not None


def may_be(text: str) -> bool:
    """Return whether the message may be caused by an object of any of these directories."""
    return are_keys(text) or are_locks(text) or _OTHERS.search(_without_escapes(text)) is not None


def _without_escapes(text: str) -> str:
    """Return the text without Go's JSON escapes of `<` and `>`."""
    return text.replace("\\u003c", "<").replace("\\u003e", ">")


@dataclass(frozen=True, slots=True)
class ForeignSearch:
    """The result of a search. `swept`: invalid locks were there, and have been removed."""

    error: RepositoryError | None = None
    swept: bool = False


def invalid_locks(session: Session, master: MasterKey) -> dict[str, bool]:
    """Return, by id, the locks that nobody with the key wrote in this form, and whether each may be
    removed without asking: either it is complete (its name is its digest), so nobody with the key
    wrote it, or it is stale.
    """
    place = session.place
    ages = place.lock_files()
    invalid: dict[str, bool] = {}
    for name in place.objects("locks"):
        content = place.read(f"locks/{name}", LARGEST_LOCK)
        if content and not master.authenticates(content):
            whole = hashlib.sha256(content).hexdigest() == name
            invalid[name] = whole or ages.get(name, 0.0) > STALE_S
    return invalid


def invalid_indexes(session: Session, master: MasterKey) -> dict[str, bool]:
    """Return, by id, the indexes that the key does not authenticate, as many as can be checked in
    the time limit, and whether each is complete (its name is its digest): then nobody with the key
    can have written it. Incomplete ones may be damaged.
    """
    place, invalid = session.place, {}
    until = time.monotonic() + LOOK_S
    # The smallest first: they are read quickly, and the repository's own indexes are large.
    for name, _ in sorted(place.objects("index").items(), key=lambda item: item[1].size):
        process.check_cancelled()
        if time.monotonic() > until:
            break
        content = place.read(f"index/{name}", LARGEST_INDEX)
        if content is not None and not master.authenticates(content):
            invalid[name] = hashlib.sha256(content).hexdigest() == name
    return invalid


def explain_failure(session: Session) -> ForeignSearch:
    """Find the objects that caused a failure of restic, if possible."""
    try:
        keys = session.hint.keys()
        if keys.master is None:
            return ForeignSearch(keys_error(session, keys))
        swept, left = _remove_invalid_locks(session, keys.master)
        if left:
            return ForeignSearch(objects_error(session, "locks", left))
        if swept:
            return ForeignSearch(swept=True)
        return ForeignSearch(_indexes_error(session, invalid_indexes(session, keys.master)))
    except DrdError as error:
        log.get().info("repository.not_looked_at", repository=session.spec.url, why=error.message)
        return ForeignSearch()


def missing_key_error(session: Session) -> RepositoryError | None:
    """Return the error for a repository in which restic could not find the right key among foreign
    or too many objects; None if restic can find it. Raises RepositoryError and SecretUnavailable.
    """
    keys = session.hint.keys()
    if keys.own is not None or not (keys.bad or keys.untried) or session.place.probe() is None:
        return None
    return keys_error(session, keys)


def keys_error(session: Session, keys: Keys) -> RepositoryError | None:
    """Return the error that says why the password opens no key; None when the keys are in order."""
    url, count = session.spec.url, len(keys.others) + len(keys.bad)
    if keys.untried:
        reasons = {name: f"cannot be tried ({why})" for name, why in keys.untried.items() if why}
        what = f"; {listed('keys', reasons)}" if reasons else ""
        remove = session.place.removal("keys/NAME")
        return ForeignObjects(
            f"restic cannot work with the repository at {url}: {count:,} files are in its "
            "directory keys/. The password does not open any of the "
            f"{count - len(keys.untried):,} files that drd tried. drd stopped after "
            f"{format_duration(SEARCH_S)}, with {len(keys.untried):,} files not tried{what}",
            hint="keys/ has one file for each password, and anyone with write access can add "
            "files. List them (the oldest is usually the repository's own) with "
            f"`{session.place.list_command('keys')}`, remove the keys that nobody uses with "
            f"`{remove}`, then try again.",
            below="keys",
        )
    if keys.bad:
        return _bad_keys_error(session, keys)
    if count:
        return WrongKey(
            f"the password does not open any of the {counted(count, 'key')} of the repository "
            f"at {url}",
            hint="check that `password` of the repository names the right secret in the plan. "
            "Without the right password nobody can read the backups.",
        )
    return None


def _bad_keys_error(session: Session, keys: Keys) -> ForeignObjects:
    error = objects_error(session, "keys", keys.bad)
    if NOT_WHOLE not in keys.bad.values():
        return error
    # One of them may have been ours.
    names = ", ".join(f"keys/{n}" for n, why in keys.bad.items() if why == NOT_WHOLE)
    hint = (
        f"first search for an earlier version of {names}, because the password may open it. If "
        f"there is none: {error.hint}"
    )
    return ForeignObjects(error.message, hint=hint, below="keys")


def _remove_invalid_locks(session: Session, master: MasterKey) -> tuple[bool, dict[str, str]]:
    """Remove invalid locks that may be removed. Return whether any was removed, and the rest with
    the reasons.
    """
    invalid = invalid_locks(session, master)
    gone = [name for name, may_go in invalid.items() if may_go]
    left = {name: "is not a lock of restic" for name, may_go in invalid.items() if not may_go}
    try:
        session.place.remove("locks", gone)
    except RepositoryError as error:
        left |= dict.fromkeys(gone, f"is not a lock of restic ({error.message})")
        gone = []
    if gone:
        log.get().warning(
            "repository.foreign_locks_removed", repository=session.spec.url, locks=gone
        )
    return bool(gone), left


def _indexes_error(session: Session, found: Mapping[str, bool]) -> RepositoryError | None:
    if not found:
        return None
    error = objects_error(
        session,
        "index",
        {n: "was not written by restic" if w else "is damaged" for n, w in found.items()},
    )
    if all(found.values()):
        return error
    return RepositoryDamaged(error.message, hint=error.hint)


_REMOVE: Mapping[Kept, str] = {
    "keys": "remove what is not a key, because no password works with it: {}",
    "locks": "first check that no restic uses this repository, then remove what is not a lock: {}",
    "index": "remove these files with `{}`, then run `restic repair index` to index the data "
    "again.",
}


def objects_error(session: Session, below: Kept, found: Mapping[str, str]) -> ForeignObjects:
    """Return the error that names the objects, and the commands that remove them."""
    return ForeignObjects(
        f"restic cannot work with the repository at {session.spec.url}: {listed(below, found)}",
        hint=_REMOVE[below].format(removal(session.place, below, found)),
        below=below,
    )


def listed(below: Kept, found: Mapping[str, str]) -> str:
    what = [f"{below}/{name} {why}" for name, why in found.items()]
    return some(what, NAMED, between="; ")


def removal(place: RepositoryPlace, below: Kept, names: Iterable[str]) -> str:
    return "; ".join(place.removal(f"{below}/{name}") for name in list(names)[:NAMED])
