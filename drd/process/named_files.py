"""The files that the words of a command name: a fenced command may read these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from drd.model.values import references
from drd.process.real_path import real_path_for_fence


def named_files(written: Sequence[str], own: Sequence[str]) -> Iterator[Path]:
    """Yield the files to which the words of a command give access, and the virtual environment of
    its program. A word with `${…}` gives access to nothing; nor does a file in the `own`
    directories of the command, which it can read anyway.
    """
    for number, word in enumerate(written):
        path = real_path_for_fence(word, own) if not references(word) else None
        if path is None or not path.is_file():
            continue
        yield path
        around = real_path_for_fence(Path(word).parent.parent, own)
        if number == 0 and around is not None and (around / "pyvenv.cfg").is_file():
            yield around
            base = path.parent.parent
            parts = [real_path_for_fence(base / name, own) for name in ("lib", "bin")]
            if parts[0] is not None and parts[0].is_dir() and base != Path("/"):
                yield from (p for p in parts if p is not None)
