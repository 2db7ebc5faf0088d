"""Find which of a repository's key files the password opens.

restic tries twenty, in the order of their names, and fails if it cannot read one. Anyone with write
access to the bucket can add more keys, or a key that takes gigabytes of memory to try, without any
password. So drd tells restic which key is the right one. drd searches once (`keysearch.py`) and
keeps the id with the caches. A wrong hint is harmless, since restic then searches by itself.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from drd import modes
from drd.process.private import make_private
from drd.repositories.place import StoredObject, is_id
from drd.repositories.restic.key_search import Keys, search

if TYPE_CHECKING:
    from drd.repositories.restic.session import Session


_LONGEST_HINT = 100


class KeyHint:
    """Safe in several threads: all of them find the same key."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._id: str | None = None
        self._looked = False
        self._in_vain: tuple[Mapping[str, StoredObject], Keys] | None = None
        self._from: KeyHint | None = None
        self.crowded = False
        """Whether there was more than one key at the last search."""

    @property
    def id(self) -> str | None:
        if self._id is None and not self._looked:
            self._looked = True
            with suppress(OSError, ValueError):
                known = modes.read_regular(self._file(), _LONGEST_HINT).decode("ascii")
                self._id = known if is_id(known) else None
        return self._id

    def environment(self, name: str) -> dict[str, str]:
        return {name: self.id} if self.id is not None else {}

    def take(self, other: KeyHint) -> None:
        self._id, self._looked, self._from = other.id, True, other

    def told(self, found: str) -> None:
        """Note the id of the key that has just opened the repository."""
        self._id = found
        self._keep(found)

    def learn(self, *, anew: bool = False) -> bool:
        """Search for our key; return whether more is known than before. A single key is taken for
        ours. Raises RepositoryError when the keys cannot be listed.
        """
        if self.id is not None and not anew:
            return False
        listed = self._session.place.objects("keys")
        self.crowded = len(listed) > 1
        own_key = self._keys(listed).own if self.crowded else next(iter(listed), None)
        if own_key is None or own_key == self._id:
            return False
        self._id = own_key
        self._keep(own_key)
        return True

    def keys(self, *, whole: bool = False) -> Keys:
        """Return the key files of the repository. With `whole`, all of them are read, even if the
        right key is found at once. Raises RepositoryError and SecretUnavailable.
        """
        return self._keys(self._session.place.objects("keys"), whole=whole)

    def _keys(self, listed: Mapping[str, StoredObject], *, whole: bool = False) -> Keys:
        in_vain = self._in_vain
        if in_vain is not None and in_vain[0] == listed:
            return in_vain[1]  # a search may take minutes
        keys = search(self._session, listed, self.id, whole=whole)
        self._in_vain = None if keys.own else (listed, keys)
        return keys

    def _file(self) -> Path:
        spec = self._session.spec
        said = f"{spec.url}\x00{spec.password.describe()}"
        name = hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()
        return self._session.memory() / f"drd-key-{name[:32]}"

    def _keep(self, found: str) -> None:
        if self._from is not None:
            self._from.told(found)
        if not self._session.lasting:
            return
        file = self._file()
        beside = file.with_name(f"{file.name}.{os.getpid()}")
        with suppress(OSError):  # the next run finds it again
            if not file.parent.is_dir():
                make_private(file.parent)
            with os.fdopen(modes.open_private_file(beside), "wb") as opened:
                opened.truncate()
                opened.write(found.encode("ascii"))
            beside.replace(file)
