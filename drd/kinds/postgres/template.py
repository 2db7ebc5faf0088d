"""Clusters made by initdb, kept as templates: copying one takes a tenth of the time.

The name of a template's directory identifies what made it: the programs (an upgrade changes their
files), the arguments and the environment of initdb, the user. The directory gets this name when it
is complete, and a copy is used only if it equals what initdb had made, byte by byte.
"""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from drd.errors import DrdError
from drd.kinds.postgres.tools import PostgresPrograms
from drd.process import Command, Completed
from drd.process.private import make_private, why_not_private

ROOM_BYTES = 2 << 30
"""Below this free space no template is kept: a cluster takes 40 MB that a restore may need."""

_DIGEST = "digest"

RunTool = Callable[[list[str]], Completed]
"""Runs a command as the user of the servers."""


class ClusterTemplate:
    """A template for one kind of new cluster, below `shelf`, which is made if it is missing. Safe
    in several processes: a conflict only costs one of them its own initdb.
    """

    def __init__(
        self, shelf: Path, programs: PostgresPrograms, initdb: Command, user: str | None
    ) -> None:
        self._shelf = shelf
        self._user = user
        self._family = f"postgres-{programs.major}-"
        self._made_by = _digest([_identity(programs.path(n)) for n in ("initdb", "postgres")])
        given = [*initdb.argv, *sorted(map("=".join, initdb.env.items())), _zone(), _name(user)]
        self._home = shelf / f"{self._family}{self._made_by}-{_digest(given)}"

    def copy(self, into: Path, run: RunTool) -> bool:
        """Make `into` a new cluster, and return True. Without an intact template, make nothing and
        return False."""
        if not self._home.is_dir() or self._home.is_symlink() or why_not_private(self._shelf):
            return False
        if not self._is_ours():
            self.discard()
            return False
        try:
            wanted = (self._home / _DIGEST).read_text(encoding="ascii")
            if _copied(self._home / "data", into, run) and contents(into) == wanted:
                return True
        except (OSError, UnicodeError, DrdError):
            pass
        shutil.rmtree(into, ignore_errors=True)
        self.discard()
        return False

    def _is_ours(self) -> bool:
        """Return whether drd, or the user of the servers, made it and nobody else could change it:
        the shelf is private now, which does not prove that it always was.
        """
        trusted = {0, os.geteuid()}
        with suppress(KeyError):
            trusted.add(pwd.getpwnam(self._user).pw_uid if self._user else os.geteuid())
        try:
            places = (self._home, self._home / "data", self._home / _DIGEST)
            stats = [place.lstat() for place in places]
        except OSError:
            return False
        return all(f.st_uid in trusted and not f.st_mode & 0o022 for f in stats)

    def keep(self, data: Path, run: RunTool, *, own: Callable[[Path], None]) -> None:
        """Keep a copy of a cluster that was not used yet, if there is space. `own` gives a
        directory to the user. Raises nothing: after a failure there is only no template.
        """
        with suppress(OSError, DrdError):
            make_private(self._shelf, 0o711)
            if why_not_private(self._shelf):
                return
            if shutil.disk_usage(self._shelf).free < ROOM_BYTES:
                return
            self._sweep()
            half = f".{self._home.name}.{os.getpid()}."
            new = Path(tempfile.mkdtemp(prefix=half, dir=self._shelf))
            try:
                digest = contents(data)
                (new / _DIGEST).write_text(digest, encoding="ascii")
                own(new)
                if _copied(data, new / "data", run) and contents(new / "data") == digest:
                    new.rename(self._home)  # fails where another was quicker
            finally:
                shutil.rmtree(new, ignore_errors=True)

    def discard(self) -> None:
        """Remove the template, so that the next cluster is made by initdb."""
        if not self._shelf.is_dir() or why_not_private(self._shelf):
            return
        shutil.rmtree(self._home, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove templates of other programs, and incomplete ones."""
        for old in self._shelf.glob(f"{self._family}*"):
            if not old.name.startswith(f"{self._family}{self._made_by}-"):
                shutil.rmtree(old, ignore_errors=True)
        for half in self._shelf.glob(f".{self._family}*"):
            if not Path("/proc", half.name.split(".")[2]).exists():
                shutil.rmtree(half, ignore_errors=True)


def contents(data: Path) -> str:
    """Return a checksum of every file's name and bytes (not against an attacker, who would own
    both).
    """
    digests = []
    for directory, _, files in os.walk(data):
        for name in files:
            path = os.path.join(directory, name)  # noqa: PTH118 - a thousand of them
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123
                digests.append(f"{path[len(str(data)) :]} {zlib.crc32(file.readall()):x}")
    return _digest(sorted(digests))


def _copied(source: Path, into: Path, run: RunTool) -> bool:
    return run(["cp", "-a", "--reflink=auto", "--", str(source), str(into)]).exit_code == 0


def _identity(program: str) -> str:
    info = os.stat(program)  # noqa: PTH116 - of what a link leads to
    return f"{os.path.realpath(program)} {info.st_ino} {info.st_size} {info.st_mtime_ns}"


def _zone() -> str:
    """Return the host's time zone, which initdb writes into the configuration."""
    return f"{os.environ.get('TZ')} {os.path.realpath('/etc/localtime')}"


def _name(user: str | None) -> str:
    return user or str(os.geteuid())


def _digest(words: Sequence[str]) -> str:
    return blake2b("\0".join(words).encode(), digest_size=8).hexdigest()
