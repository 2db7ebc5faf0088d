"""Look through the newest copy in a repository of restic for what a new plan can name."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath

from drd.errors import NoRestorePoint
from drd.masking import masked
from drd.repositories.restic import ResticRepository
from drd.repositories.restic.errors import judge
from drd.repositories.restic.messages import Listener
from drd.repositories.restic.payload import ids

MOST_FOUND = 20
"""The number of dumps, and of other files, that a survey notes."""

_DUMPS = (".dump", ".pgdump", ".pg_dump")
_SQLITE = (".db", ".sqlite", ".sqlite3")


@dataclass(slots=True)
class Survey:
    """The newest copy: when and on which host it was made, of which paths; dumps of PostgreSQL and
    SQLite files in it by their names, and one file of each path that has others."""

    host: str
    made_at: datetime
    paths: tuple[str, ...]
    copies: int
    dumps: list[str] = field(default_factory=list)
    sqlite: list[str] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)


def survey(repository: ResticRepository, host: str | None) -> Survey:
    """Look through the newest copy, of this host. Raises NoRestorePoint, RepositoryError."""
    repository.runner.only_reads = True
    listing = repository.snapshots(fresh=True)
    copies = [s for s in listing if host in (None, s.host) and "drd" not in s.tags]
    if not copies:
        hosts = ", ".join(sorted({s.host for s in listing})) or "none"
        raise NoRestorePoint(
            f"the repository at {repository.url} has no copy"
            + (f" of host {host}" if host else ""),
            hint=f"hosts of the copies there: {hosts}.",
        )
    newest = copies[-1]
    same = [s for s in copies if (s.host, s.paths) == (newest.host, newest.paths)]
    found = Survey(newest.host, newest.time, newest.paths, len(same))
    done = repository.runner.run(["ls", "--json", *ids([newest.id])], _Entries(found))
    judge(done, repository.url)
    return found


class _Entries(Listener):
    """Reads the listing line by line, and keeps what a plan can name."""

    def __init__(self, found: Survey) -> None:
        super().__init__()
        self._found = found

    def on_line(self, line: str) -> None:
        try:
            node = json.loads(line)
            path, kind = str(node.get("path", "")), node.get("type")
        except (ValueError, AttributeError):
            return
        self.done += 1
        if kind != "file" or not path.startswith("/") or not path.isprintable():
            return
        if masked(path) != path:  # a plan must not show the password
            return
        found, suffix = self._found, PurePosixPath(path).suffix.lower()
        if suffix in _DUMPS:
            _keep(found.dumps, path)
        elif suffix in _SQLITE:
            _keep(found.sqlite, path)
        else:
            root = next((r for r in found.paths if path == r or path.startswith(f"{r}/")), None)
            if root is not None:
                found.others.setdefault(root, path)


def _keep(names: list[str], path: str) -> None:
    if len(names) < MOST_FOUND:
        names.append(path)
