"""Scripts of checks that `drd plan new` writes."""

from __future__ import annotations

from shlex import quote


def has_data(path: str) -> str:
    """Return a shell script that succeeds if a file below `$DRD_PATH` has a first byte. What a link
    leads to outside of the restored data is looked for within it."""
    inside = quote(f"./{path.lstrip('/')}")
    return f'cd "$DRD_PATH" && head -c1 "./$(realpath --relative-base=. {inside})" | grep -q ""'
