"""Which of a repository's key files the password opens.

restic tries twenty, in the order of their names, and gives up over one that it cannot read. Whoever holds
the bucket can put more there, or one that takes gigabytes of memory to try, without any password. So
restic is told which key is ours. It is found once, and kept where caches are: a wrong hint costs nothing,
since restic then looks for itself.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from drd import process
from drd.repositories.place import is_id
from drd.repositories.restic.ciphers import KeyFile, MasterKey, NoKey, key_file, unlock

if TYPE_CHECKING:
    from drd.repositories.restic.session import Session

LARGEST_KEY = 1 << 16
"""Bytes: restic's takes 450."""
MOST_KEYS = 1000
SEARCH_S = 120.0
"""For trying keys, of which each takes a good part of a second."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What lies in `keys/`: the one that the password opens, with what it opens; those that are no keys of
    restic's, with the reason; the others, which may be other people's."""

    own: str | None = None
    master: MasterKey | None = None
    bad: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()


class KeyHint:
    """Safe in several threads: whoever finds it finds the same."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._id: str | None = None
        self._looked = False
        self.crowded = False
        """Whether more than one key was there when it was looked."""

    @property
    def id(self) -> str | None:
        if self._id is None and not self._looked:
            self._looked = True
            with suppress(OSError, ValueError):
                known = self._file().read_text(encoding="ascii")
                self._id = known if is_id(known) else None
        return self._id

    def environment(self, name: str) -> dict[str, str]:
        return {name: self.id} if self.id is not None else {}

    def take(self, other: KeyHint) -> None:
        self._id, self._looked = other.id, True

    def learn(self, *, anew: bool = False) -> bool:
        """Whether more is known now than before. Where there is one key only, it is taken for ours. Raises
        RepositoryError when it cannot be looked."""
        if self.id is not None and not anew:
            return False
        names = self._session.place.objects("keys")
        self.crowded = len(names) > 1
        found = search(self._session).own if self.crowded else next(iter(names), None)
        if found is None or found == self._id:
            return False
        self._id = found
        self._keep(found)
        return True

    def _file(self) -> Path:
        spec = self._session.spec
        said = f"{spec.url}\x00{spec.password.describe()}"
        name = hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()
        return self._session.memory() / f"drd-key-{name[:32]}"

    def _keep(self, found: str) -> None:
        if not self._session.lasting:
            return
        file = self._file()
        beside = file.with_name(f"{file.name}.{os.getpid()}")
        with suppress(OSError):  # it is found again
            file.parent.mkdir(mode=0o700, exist_ok=True)
            beside.write_text(found, encoding="ascii")
            beside.replace(file)


def search(session: Session) -> Keys:
    """Reads all that lies in `keys/`, and tries it until one opens. Raises RepositoryError,
    SecretUnavailable."""
    place, password = session.place, session.password()
    bad: dict[str, str] = {}
    keys: dict[str, KeyFile] = {}
    for name in sorted(place.objects("keys"))[:MOST_KEYS]:
        content = place.read(f"keys/{name}", LARGEST_KEY)
        try:
            if content is not None:
                keys[name] = key_file(content)
        except NoKey as error:
            bad[name] = str(error)
    until = time.monotonic() + SEARCH_S
    for name, key in keys.items():
        process.check_cancelled()
        master = unlock(key, password)
        if master is not None:
            return Keys(name, master, bad, tuple(n for n in keys if n != name))
        if time.monotonic() > until:
            break
    return Keys(None, None, bad, tuple(keys))
