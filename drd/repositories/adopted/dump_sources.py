"""Find the dumps of another tool in a directory of this host. `bucket_dumps` finds them in a
bucket."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol

DEEPEST = 3
"""How many directories below the place drd looks for dumps."""

_MOST_FILES = 20_000


class Dump(NamedTuple):
    """A file that may be a dump. `name` is its path, relative to the place."""

    name: str
    changed_at: datetime
    bytes: int


class Fetched(NamedTuple):
    """A file of this host with the content of a dump. If it is not `whole`, it has only the
    beginning of the dump."""

    path: Path
    whole: bool = True


class DumpSource(Protocol):
    """A place with dumps. `where` is what people write before the name of a dump to name its place;
    `most_heads` is the number of dumps of a series whose first bytes drd reads. All methods raise
    OSError, and RepositoryError if the place no longer answers."""

    where: str
    most_heads: int

    def files(self) -> Iterator[Dump]:
        """Yield the files that are not hidden."""

    def fetched(self, dump: Dump) -> Fetched: ...

    def beginning(self, dump: Dump) -> Path:
        """Return a file of this host with at least the first kilobytes of a dump."""


class DirectoryDumps:
    """Implements `DumpSource`."""

    most_heads = 200

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.where = str(directory)

    def files(self) -> Iterator[Dump]:
        """Yield the regular files that are not hidden. Raises OSError for the directory itself."""
        left = _MOST_FILES

        def cannot(error: OSError) -> None:
            if error.filename == str(self.directory):
                raise error

        for folder, below, names in os.walk(self.directory, onerror=cannot):
            depth = len(Path(folder).relative_to(self.directory).parts)
            below[:] = sorted(n for n in below if not n.startswith(".")) if depth < DEEPEST else []
            for name in sorted(names):
                path = Path(folder, name)
                state = path.lstat()
                if name.startswith(".") or not path.is_file() or path.is_symlink():
                    continue
                at = datetime.fromtimestamp(state.st_mtime, UTC)
                yield Dump(str(path.relative_to(self.directory)), at, state.st_size)
                left -= 1
                if left == 0:
                    return

    def fetched(self, dump: Dump) -> Fetched:
        return Fetched(self.directory / dump.name)

    def beginning(self, dump: Dump) -> Path:
        return self.directory / dump.name
