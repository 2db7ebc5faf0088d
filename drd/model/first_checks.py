"""Scripts of checks that `drd plan new` writes."""

from __future__ import annotations

from collections.abc import Iterable
from shlex import quote


def has_data(path: str) -> str:
    """Return a shell script that succeeds if a file below `$DRD_PATH` has a first byte. What a link
    leads to outside of the restored data is looked for within it."""
    inside = quote(f"./{path.lstrip('/')}")
    return f'cd "$DRD_PATH" && head -c1 "./$(realpath --relative-base=. {inside})" | grep -q ""'


def has_files(paths: Iterable[str], least: int) -> str:
    """Return a shell script that succeeds if there are so many files at these paths below
    `$DRD_PATH`. In a recovery in place, `$DRD_PATH` may be the root of the host."""
    below = " ".join(quote(f".{path}") for path in paths)
    return f'cd "$DRD_PATH" && test "$(find {below} -type f | wc -l)" -ge {least}'
