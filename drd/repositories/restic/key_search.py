"""Find the key file that a password opens, among many that anyone with write access can have put
there.

Each file takes time to read and to try, and an attacker who knows the order of the tries could put
files before the right one. Nobody can choose the time at which a file was written, and the right
file is usually the oldest. But an attacker could write the right file again; so drd tries the
oldest file and the cheapest file in turn. Then an attacker needs very many files that are cheaper
than the right one.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drd import process
from drd.errors import RepositoryError, RepositoryUnreachable
from drd.repositories.place import StoredObject
from drd.repositories.restic.ciphers import CannotTry, KeyFile, MasterKey, NoKey, key_file, unlock

if TYPE_CHECKING:
    from drd.repositories.restic.session import Session

LARGEST_KEY = 1 << 13
"""The largest key file that drd reads, in bytes. restic's own have 450."""
MOST_KEYS = 5000
"""The largest number of key files that drd reads, oldest first."""
USUAL_WORK = 1 << 22
"""The largest work that restic's own keys take on today's computers. drd tries such keys first."""
SEARCH_S = 120.0
"""The time limit in seconds for reading and trying keys. To try a key that restic has made takes
almost a second."""

NOT_WHOLE = "is damaged, or restic did not write it"


@dataclass(frozen=True, slots=True)
class Keys:
    """The files in `keys/`. `own` is the file that the password opens, and `master` the key in it.
    `bad` are files that are not restic's keys, each with the reason, if they were read. `others`
    may be the keys of other people. If no key was found, `untried` are the files that may still be
    the right one, each with the reason why it was not tried; no reason means a lack of time.
    """

    own: str | None = None
    master: MasterKey | None = None
    bad: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    untried: Mapping[str, str] = field(default_factory=dict)


def search(
    session: Session, listed: Mapping[str, StoredObject], known: str | None, *, whole: bool = False
) -> Keys:
    """Find our key. `known` is tried first. With `whole`, all files are read, also when ours is
    found at once. Raises RepositoryError and SecretUnavailable."""
    ongoing = _Search(session, listed, known)
    ongoing.first()
    if whole or ongoing.found is None:
        ongoing.read()
    ongoing.take_turns()
    return ongoing.told()


class _Search:
    def __init__(
        self, session: Session, listed: Mapping[str, StoredObject], known: str | None
    ) -> None:
        self._place, self._password = session.place, session.password()
        self._until = time.monotonic() + SEARCH_S
        # A file without a known time counts as old.
        self._names = sorted(listed, key=lambda n: (n != known, listed[n].written, n))
        self._asked: set[str] = set()
        self._bad: dict[str, str] = {}
        self._untried = dict.fromkeys(self._names, "")
        self._waiting: dict[str, KeyFile] = {}
        """Files that were read and not tried yet, in the order of their names."""
        self.found: tuple[str, MasterKey] | None = None

    def first(self) -> None:
        """Try the known key, or the oldest: that is enough unless others have put files there."""
        for name in self._names[:2]:
            self._read(name)
            key = self._waiting.get(name)
            if self.found is None and key is not None and key.work <= USUAL_WORK:
                self._try(name)

    def read(self) -> None:
        for name in self._names[:MOST_KEYS]:
            process.check_cancelled()
            if self._is_over():
                return
            self._read(name)

    def take_turns(self) -> None:
        """Try the files that were read: alternately the oldest and the cheapest, for the same time
        each.
        """
        age = {name: number for number, name in enumerate(self._waiting)}
        keys = dict(self._waiting)
        oldest = sorted(keys, key=lambda n: (keys[n].work > USUAL_WORK, age[n]))
        # Of files of about the same cost, the newest: the oldest have their own turn.
        cheapest = sorted(keys, key=lambda n: (keys[n].work.bit_length(), -age[n]))
        queues, spent = (deque(oldest), deque(cheapest)), [0.0, 0.0]
        while self._waiting and self.found is None and not self._is_over():
            process.check_cancelled()
            turn = spent.index(min(spent))
            name = queues[turn].popleft()
            if name in self._waiting:
                begun = time.monotonic()
                self._try(name)
                spent[turn] += time.monotonic() - begun

    def told(self) -> Keys:
        own, master = self.found or (None, None)
        others = tuple(n for n in self._names if n not in self._bad and n != own)
        return Keys(own, master, self._bad, others, {} if own else self._untried)

    def _is_over(self) -> bool:
        return time.monotonic() > self._until

    def _read(self, name: str) -> None:
        if name in self._asked:
            return
        self._asked.add(name)
        try:
            content = self._place.read(f"keys/{name}", LARGEST_KEY + 1)
        except RepositoryUnreachable:
            raise
        except RepositoryError as error:  # this one cannot be read: others may be
            self._untried[name] = error.message
            return
        try:
            if content is None:  # it has just gone
                self._untried.pop(name)
            elif len(content) > LARGEST_KEY:
                raise NoKey("is not a key file")
            elif hashlib.sha256(content).hexdigest() != name:
                raise NoKey(NOT_WHOLE)  # restic refuses it, whatever its content
            else:
                self._waiting[name] = key_file(content)
        except NoKey as error:
            self._is_bad(name, error)

    def _try(self, name: str) -> None:
        try:
            master = unlock(self._waiting.pop(name), self._password)
        except NoKey as error:
            self._is_bad(name, error)
        except CannotTry as error:
            self._untried[name] = str(error)
        else:
            self._untried.pop(name)
            if master is not None:
                self.found = name, master

    def _is_bad(self, name: str, why: NoKey) -> None:
        self._bad[name] = str(why)
        self._untried.pop(name)
