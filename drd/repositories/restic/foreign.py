"""Objects that keep restic from working, and that nobody who has the key has stored: whoever holds
the bucket or the directory can put them there without the password. restic gives up over each
without a name.

What is named here takes nothing of the repository's with it when it is removed: keys that are none,
locks and indexes that the master key does not vouch for.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from drd import log, process
from drd.errors import DrdError, ForeignObjects, RepositoryDamaged, RepositoryError, WrongKey
from drd.repositories.place import Kept, Place
from drd.repositories.restic.ciphers import MasterKey
from drd.repositories.restic.keysearch import NOT_WHOLE, SEARCH_S, Keys
from drd.repositories.restic.session import Session

LARGEST_LOCK = 1 << 16
LARGEST_INDEX = 64 << 20
"""Bytes that are read of one object."""
LOOK_S = 20.0
"""For reading indexes."""
STALE_S = 1800.0
"""A lock that was not written anew for so long counts for nothing to restic either."""
RESTIC_TRIES = 20
"""Keys, before it gives up."""
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
    return _LOCKS.search(_plain(text)) is not None


def are_keys(text: str) -> bool:
    """Whether what restic says may come of an object among the keys."""
    return _KEYS.search(_plain(text)) is not None


def may_be(text: str) -> bool:
    """Whether it may come of any such object."""
    return are_keys(text) or are_locks(text) or _OTHERS.search(_plain(text)) is not None


def _plain(text: str) -> str:
    """The text with the two characters that Go escapes in JSON, as it does for pages of HTML."""
    return text.replace("\\u003c", "<").replace("\\u003e", ">")


@dataclass(frozen=True, slots=True)
class Found:
    """`swept`: locks of nobody were there, and are gone."""

    error: RepositoryError | None = None
    swept: bool = False


def locks_of_nobody(session: Session, master: MasterKey) -> dict[str, bool]:
    """By id, locks that nobody who has the key wrote as they are; whether one may be removed
    without asking: nobody else can have written it (its name is its digest, so it is whole), or it
    is stale."""
    place = session.place
    ages = place.lock_files()
    found: dict[str, bool] = {}
    for name in place.objects("locks"):
        content = place.read(f"locks/{name}", LARGEST_LOCK)
        if content and not master.wrote(content):
            whole = hashlib.sha256(content).hexdigest() == name
            found[name] = whole or ages.get(name, 0.0) > STALE_S
    return found


def indexes_of_nobody(session: Session, master: MasterKey) -> dict[str, bool]:
    """By id, indexes that the key does not vouch for, as far as there is time; whether nobody who
    has it can have written that one: its name is its digest, so it is whole. Others may be
    damaged."""
    place, found = session.place, {}
    until = time.monotonic() + LOOK_S
    # The smallest first: they are read quickly, and what a repository writes itself is large.
    for name, _ in sorted(place.objects("index").items(), key=lambda item: item[1].size):
        process.check_cancelled()
        if time.monotonic() > until:
            break
        content = place.read(f"index/{name}", LARGEST_INDEX)
        if content is not None and not master.wrote(content):
            found[name] = hashlib.sha256(content).hexdigest() == name
    return found


def explain_failure(session: Session) -> Found:
    """After a failure of restic's: what stands in the way, if that can be found out."""
    try:
        keys = session.hint.keys()
        if keys.master is None:
            return Found(of_keys(session, keys))
        swept, left = _sweep_locks(session, keys.master)
        if left:
            return Found(named(session, "locks", left))
        if swept:
            return Found(swept=True)
        return Found(_of_indexes(session, indexes_of_nobody(session, keys.master)))
    except DrdError as error:
        log.get().info("repository.not_looked_at", repository=session.spec.url, why=error.message)
        return Found()


def without_key(session: Session) -> RepositoryError | None:
    """The error for a repository in which restic could not find our key among foreign or too many
    objects; None when it can. Raises RepositoryError and SecretUnavailable."""
    keys = session.hint.keys()
    if keys.own is not None or not (keys.bad or keys.untried) or session.place.probe() is None:
        return None
    return of_keys(session, keys)


def of_keys(session: Session, keys: Keys) -> RepositoryError | None:
    """The error that says why the password opens no key; None when nothing is wrong with the
    keys."""
    url, count = session.spec.url, len(keys.others) + len(keys.bad)
    if keys.untried:
        reasons = {name: f"cannot be tried ({why})" for name, why in keys.untried.items() if why}
        what = f"; {listed('keys', reasons)}" if reasons else ""
        remove = session.place.removal("keys/NAME")
        return ForeignObjects(
            f"restic cannot work with the repository at {url}: {count:,} files lie in keys/. The "
            f"password opens none of the {count - len(keys.untried):,} that drd tried, and "
            f"{len(keys.untried):,} are left after {SEARCH_S:.0f} s{what}",
            hint="keys/ has one file for each password, and anybody with write access can add "
            "files. List them (the oldest is usually the repository's own): "
            f"{session.place.list_command('keys')}; take away those of nobody: {remove}; then try "
            "again.",
            below="keys",
        )
    if keys.bad:
        return _named_keys(session, keys)
    if count:
        return WrongKey(
            f"the password opens none of {count:,} keys of the repository at {url}",
            hint="check the `password` reference of the plan; a lost password cannot be replaced.",
        )
    return None


def _named_keys(session: Session, keys: Keys) -> ForeignObjects:
    error = named(session, "keys", keys.bad)
    if NOT_WHOLE not in keys.bad.values():
        return error
    # One of them may have been ours.
    names = ", ".join(f"keys/{n}" for n, why in keys.bad.items() if why == NOT_WHOLE)
    hint = (
        f"look for an earlier version of {names} first, which the password may open; else "
        f"{error.hint}"
    )
    return ForeignObjects(error.message, hint=hint, below="keys")


def _sweep_locks(session: Session, master: MasterKey) -> tuple[bool, dict[str, str]]:
    """Remove what may be removed of locks that nobody wrote: whether something went, and what is
    left, with the reason."""
    found = locks_of_nobody(session, master)
    gone = [name for name, may_go in found.items() if may_go]
    left = {name: "is no lock of restic's" for name, may_go in found.items() if not may_go}
    try:
        session.place.remove("locks", gone)
    except RepositoryError as error:
        left |= dict.fromkeys(gone, f"is no lock of restic's ({error.message})")
        gone = []
    if gone:
        log.get().warning(
            "repository.foreign_locks_removed", repository=session.spec.url, locks=gone
        )
    return bool(gone), left


def _of_indexes(session: Session, found: Mapping[str, bool]) -> RepositoryError | None:
    if not found:
        return None
    error = named(
        session,
        "index",
        {n: "was not written by restic" if w else "is damaged" for n, w in found.items()},
    )
    if all(found.values()):
        return error
    return RepositoryDamaged(error.message, hint=error.hint)


_AFTERWARDS: Mapping[Kept, str] = {
    "keys": "no password opens anything with it",
    "locks": "first see that no restic works there",
    "index": "then `restic repair index` finds again what a damaged one named",
}


def named(session: Session, below: Kept, found: Mapping[str, str]) -> ForeignObjects:
    """The error that names them, and the commands that remove them."""
    return ForeignObjects(
        f"restic cannot work with the repository at {session.spec.url}: {listed(below, found)}",
        hint=f"remove it: {removal(session.place, below, found)} ({_AFTERWARDS[below]}).",
        below=below,
    )


def listed(below: Kept, found: Mapping[str, str]) -> str:
    what = "; ".join(f"{below}/{name} {why}" for name, why in list(found.items())[:NAMED])
    return f"{what}; and {len(found) - NAMED} more" if len(found) > NAMED else what


def removal(place: Place, below: Kept, names: Iterable[str]) -> str:
    return "; ".join(place.removal(f"{below}/{name}") for name in list(names)[:NAMED])
