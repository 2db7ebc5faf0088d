"""Finding the key file that a password opens among many that anybody who may write there has put.

Each costs to read and to try, and who knows how files are ordered could put his own before ours. He cannot
choose when they came to lie there: ours is mostly the oldest. He could write ours once more; so the
cheapest are tried as well, by turns, and what he puts before those has to be many.
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
from drd.repositories.place import Entry
from drd.repositories.restic.ciphers import KeyFile, MasterKey, NoKey, Untried, key_file, unlock

if TYPE_CHECKING:
    from drd.repositories.restic.session import Session

LARGEST_KEY = 1 << 13
"""Bytes: restic's takes 450."""
MOST_KEYS = 5000
"""That are read, the oldest first."""
USUAL_WORK = 1 << 22
"""What a key of restic's costs at most, on any computer of these days: these are tried first."""
SEARCH_S = 120.0
"""For reading and trying keys, of which one of restic's takes a good part of a second."""

NOT_WHOLE = "is damaged, or restic did not write it"


@dataclass(frozen=True, slots=True)
class Keys:
    """What lies in `keys/`: the one that the password opens, with what it opens; those that are no keys of
    restic's, with the reason, as far as they were read; the others, which may be other people's. Where none
    was found, `untried` are those that may still be it, with the reason where there was another than time."""

    own: str | None = None
    master: MasterKey | None = None
    bad: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    untried: Mapping[str, str] = field(default_factory=dict)


def search(
    session: Session, listed: Mapping[str, Entry], known: str | None, *, whole: bool = False
) -> Keys:
    """`known` is tried first. With `whole`, all are read also when it is found at once. Raises
    RepositoryError, SecretUnavailable."""
    looked = _Search(session, listed, known)
    looked.first()
    if whole or looked.found is None:
        looked.read()
    looked.take_turns()
    return looked.told()


class _Search:
    def __init__(self, session: Session, listed: Mapping[str, Entry], known: str | None) -> None:
        self._place, self._password = session.place, session.password()
        self._until = time.monotonic() + SEARCH_S
        # What is not told when it came is taken for old.
        self._names = sorted(listed, key=lambda n: (n != known, listed[n].written, n))
        self._asked: set[str] = set()
        self._bad: dict[str, str] = {}
        self._untried = dict.fromkeys(self._names, "")
        self._waiting: dict[str, KeyFile] = {}
        """Read and not tried yet, in the order of the names."""
        self.found: tuple[str, MasterKey] | None = None

    def first(self) -> None:
        """Where nobody has done anything, that will do: the one that is known, or the oldest."""
        for name in self._names[:2]:
            self._read(name)
            key = self._waiting.get(name)
            if self.found is None and key is not None and key.work <= USUAL_WORK:
                self._try(name)

    def read(self) -> None:
        for name in self._names[:MOST_KEYS]:
            process.check_cancelled()
            if self._over():
                return
            self._read(name)

    def take_turns(self) -> None:
        """Try what was read, the oldest and the cheapest by turns: as long the one as the other."""
        age = {name: number for number, name in enumerate(self._waiting)}
        keys = dict(self._waiting)
        oldest = sorted(keys, key=lambda n: (keys[n].work > USUAL_WORK, age[n]))
        # Of about the same cost the newest: the oldest have their turn.
        cheapest = sorted(keys, key=lambda n: (keys[n].work.bit_length(), -age[n]))
        queues, spent = (deque(oldest), deque(cheapest)), [0.0, 0.0]
        while self._waiting and self.found is None and not self._over():
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

    def _over(self) -> bool:
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
                raise NoKey("is no key file")
            elif hashlib.sha256(content).hexdigest() != name:
                raise NoKey(NOT_WHOLE)  # restic refuses it, whatever it says
            else:
                self._waiting[name] = key_file(content)
        except NoKey as error:
            self._is_bad(name, error)

    def _try(self, name: str) -> None:
        try:
            master = unlock(self._waiting.pop(name), self._password)
        except NoKey as error:
            self._is_bad(name, error)
        except Untried as error:
            self._untried[name] = str(error)
        else:
            self._untried.pop(name)
            if master is not None:
                self.found = name, master

    def _is_bad(self, name: str, why: NoKey) -> None:
        self._bad[name] = str(why)
        self._untried.pop(name)
