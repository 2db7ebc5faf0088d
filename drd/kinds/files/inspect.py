"""Inspect a restored tree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drd.errors import NotSupported
from drd.kinds.files.describe import Describer
from drd.kinds.files.walk import select, to_bytes, to_text, walk
from drd.kinds.kept_files import LEFT_ALONE, NAMES
from drd.kinds.one_file import FileInspector
from drd.model.snapshot import FileEntry, Fingerprint, TreeFingerprint
from drd.process import check_cancelled


class FilesInspector(FileInspector):
    """A tree below `location`, which stands for `/`; only `roots` of it, if they are given. Without
    `owners` ownership is not compared.
    """

    def __init__(
        self, location: Path, *, owners: bool = True, roots: tuple[str, ...] | None = None
    ) -> None:
        super().__init__(location)
        self._roots = roots
        self._owners = owners

    def scalar(self, query: str, *, timeout_s: float = 60.0) -> Any:  # noqa: ARG002 - the port's
        raise NotSupported(
            "a files component cannot be queried", hint="use a check of kind `files` or `command`."
        )

    def execute(self, statements: str, *, timeout_s: float) -> int:  # noqa: ARG002 - the port's
        raise NotSupported(
            "a files component does not accept SQL", hint="use a step of kind `command`."
        )

    def fingerprint(self, like: Fingerprint, budget_s: float) -> TreeFingerprint:
        """Return a fingerprint by the paths of the source. Directories above everything that `like`
        names are left out: the restore had to make them, and no backup contains them.
        """
        known = like.entries if isinstance(like, TreeFingerprint) else {}
        made = _parents(known) - known.keys()
        describer = Describer(budget_s=budget_s, owners=self._owners)
        root = to_bytes(self.location).rstrip(b"/")
        roots = self._roots if self._roots is not None else [to_text(root)]
        seen = walk(select(roots, excludes=NAMES))
        entries: dict[str, FileEntry] = {}
        for place in seen.entries:
            check_cancelled()
            name = to_text(to_bytes(place)[len(root) :])
            if not name or name in made or name.split("/")[1] == LEFT_ALONE:
                continue
            entry = describer.describe(to_bytes(place), name)
            if entry is not None:
                entries[name] = entry
        unread = {p[len(to_text(root)) :] or "/": why for p, why in seen.unread.items()}
        return TreeFingerprint(entries, {**unread, **describer.not_reached})


def _parents(paths: Mapping[str, FileEntry]) -> set[str]:
    parents: set[str] = set()
    for path in paths:
        above = path.rpartition("/")[0]
        while above and above not in parents:
            parents.add(above)
            above = above.rpartition("/")[0]
    return parents
