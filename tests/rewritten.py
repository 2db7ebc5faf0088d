"""The assertions of the tests, rewritten before the workers begin. pytest keeps what it has
rewritten, but workers that begin at the same time each rewrite all of it: ten seconds of the
processor in each, in a new checkout."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from _pytest.assertion import rewrite


def rewrite_missing(config: pytest.Config, root: Path) -> None:
    """Rewrite what is new or has changed in the test modules below `root`, on all processors."""
    missing = [file for file in sorted(root.rglob("test_*.py")) if not _is_kept(file)]
    count = min(os.cpu_count() or 1, len(missing))
    started = [_started(config, missing[number::count]) for number in range(count)]
    for pid in started:
        os.waitpid(pid, 0)


def _is_kept(file: Path) -> bool:
    """When this is wrong, a worker rewrites the file."""
    kept = _place(file)
    return kept.exists() and kept.stat().st_mtime > file.stat().st_mtime


def _place(file: Path) -> Path:
    return rewrite.get_cache_dir(file) / f"{file.stem}{rewrite.PYC_TAIL}"


def _started(config: pytest.Config, files: Sequence[Path]) -> int:
    """The id of a process that rewrites these files. What it cannot rewrite it leaves to the
    worker, which says why."""
    if pid := os.fork():
        return pid
    try:
        state = config.stash[rewrite.assertstate_key]
        for file in files:
            with suppress(OSError, SyntaxError, ValueError):
                source, code = rewrite._rewrite_test(file, config)
                _place(file).parent.mkdir(exist_ok=True)
                rewrite._write_pyc(state, code, source, _place(file))
    finally:
        os._exit(0)
