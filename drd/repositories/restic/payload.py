"""Translate a payload into restic's options."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from drd.errors import RepositoryError
from drd.model import strict
from drd.ports import Tree

_NEWLINE = b"[^\x01-\x09\x0b-\xf4\x8f\xbf\xbf]"
# A line of an exclude file cannot hold a newline, but a class of every other character matches
# nothing else. The last four bytes are U+10FFFF.


def backup_words(host: str, tags: Sequence[str], time: datetime | None) -> list[str]:
    """Options that every backup has in common. `time` has seconds; the zone is UTC (TZ of the
    child).
    """
    words = ["backup", "--json", f"--host={host}", *(f"--tag={tag}" for tag in tags)]
    if time is not None:
        words.append(f"--time={time.astimezone(UTC):%Y-%m-%d %H:%M:%S}")
    return words


def ids(words: Sequence[str]) -> list[str]:
    """Return ids of snapshots, locks or packs for an argv: after `--`, and only 64 hexadecimal
    digits. They come from manifests and listings, which others may have written. Raises
    RepositoryError.
    """
    for word in words:
        if not strict.is_snapshot_id(word):
            raise RepositoryError(
                f"{word[:80]!a} is not an id of restic: such an id has 64 hexadecimal digits",
                hint="find out where this id comes from: run drd catalogue verify PLAN to "
                "compare with the repository.",
            )
    return ["--", *words]


def stdin_words(filename: str) -> list[str]:
    return ["--stdin", f"--stdin-filename={filename}"]


def tree_words(tree: Tree) -> tuple[list[str], bytes | None]:
    """Return the options, and restic's stdin. No temporary file is needed.

    Paths come after `--` and are taken literally. restic finds the parent snapshot by host and
    paths, so tags may change from run to run and an unchanged file is not read again.
    """
    words = ["--exclude-file=/dev/stdin"] if tree.exclude else []
    return [*words, "--", *tree.paths], _exclude_file(tree.exclude) if tree.exclude else None


def literal(path: str) -> bytes:
    """Return a pattern that matches exactly `path` (and everything below it): restic would expand
    `*?[`, `\\` and `$NAME`, and trim blanks.
    """
    return b"".join(_escaped(path_byte) for path_byte in _bytes_of(os.fsencode(path)))


def _bytes_of(data: bytes) -> Iterable[bytes]:
    return (data[i : i + 1] for i in range(len(data)))


def _escaped(byte: bytes) -> bytes:
    if byte in b"*?[\\":
        return b"\\" + byte
    if byte == b"\n":
        return _NEWLINE
    if byte in b"$ \t\r\v\f":
        return b"[" + byte + b"]"
    return byte


def _exclude_file(paths: Sequence[str]) -> bytes:
    return b"".join(literal(path) + b"\n" for path in paths)
