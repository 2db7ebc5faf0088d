"""Build on an earlier snapshot: list what it contains, and store its files again without having
their data here.

restic takes an unchanged file over from the snapshot that `--parent` names: same path, same size,
same time of last change. It does not open the file, so a sparse file without data is enough. If the
index lacks data of such a file, restic reads the file again: here it would store zeros. So a
snapshot is kept only if restic took over exactly as many files as were announced."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from drd.errors import RepositoryError
from drd.ports import EarlierIncomplete, Entry, TakenOver, Tree
from drd.process import Completed
from drd.repositories.restic.errors import judge
from drd.repositories.restic.messages import Listener
from drd.repositories.restic.payload import ids
from drd.repositories.restic.runner import ResticRunner

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
_FORMS: Mapping[str, Literal["file", "dir", "symlink"]] = {
    "file": "file",
    "dir": "dir",
    "symlink": "symlink",
}


def entries(
    runner: ResticRunner, snapshot: str, directory: str, take: Callable[[Entry], None]
) -> None:
    """Call `take` for each entry below a directory of a snapshot, in restic's order."""
    words = ["ls", "--json", "--recursive", *ids([snapshot]), directory]

    def work(retry_lock_s: int) -> None:
        listener = _Entries(take)
        judge(runner.run(words, listener, retry_lock_s=retry_lock_s), runner.url)

    runner.reading(work, ignore_foreign_lock=True)


class _Entries(Listener):
    def __init__(self, take: Callable[[Entry], None]) -> None:
        super().__init__()
        self._take = take

    def on_line(self, line: str) -> None:
        try:
            node = json.loads(line)
            if node.get("struct_type") == "node":
                self._take(_entry(node))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RepositoryError("cannot parse restic's listing of a snapshot") from error


def _entry(node: Mapping[str, Any]) -> Entry:
    return Entry(
        str(node["path"]),
        _FORMS.get(node["type"], "other"),
        int(node.get("size", 0)),
        _nanoseconds(node["mtime"]),
        stat.S_IMODE(int(node.get("mode", 0)) & 0o777),
    )


def _nanoseconds(text: str) -> int:
    """Return a time in nanoseconds since 1970: seconds are not exact enough to compare files."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(text)
    second = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00")).astimezone(UTC)
    return int(second.timestamp()) * 1_000_000_000 + int((match[2] or "0").ljust(9, "0"))


def parent_words(earlier: TakenOver) -> list[str]:
    """Return the options that let restic take files over. Files here are new ones, so their inodes
    and the times of their making differ."""
    (_, snapshot) = ids([earlier.snapshot])
    return [f"--parent={snapshot}", "--ignore-inode", "--ignore-ctime"]


def require_taken_over(
    runner: ResticRunner, tree: Tree, done: Completed, listener: Listener
) -> None:
    """Raise EarlierIncomplete unless restic took over as many files as were announced."""
    earlier, summary = tree.earlier, listener.summary
    if earlier is None:
        return
    if not summary:
        if done.exit_code != 0 and runner.session.place.missing([earlier.snapshot]):
            raise EarlierIncomplete(
                f"the earlier snapshot {earlier.snapshot[:8]} is not in the repository any more"
            )
        return
    taken = int(summary.get("files_unmodified", 0))
    if taken == earlier.files and not summary.get("files_changed") and done.exit_code == 0:
        return
    raise EarlierIncomplete(
        f"the repository lacks data of the earlier snapshot {earlier.snapshot[:8]}: drd could take "
        f"over {taken} of {earlier.files} files",
        hint="check the repository: drd verify PLAN",
    )
