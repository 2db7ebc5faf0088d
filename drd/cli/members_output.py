"""Prevent that the output of an extension's code becomes part of a document on stdout."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from drd.extension_faults import is_called_by_extension


class _Stdout:
    """Replaces stdout: what the code of an extension prints goes to stderr."""

    def __init__(self, stdout: TextIO) -> None:
        self._stdout = stdout

    def write(self, text: str) -> int:
        return (sys.stderr if is_called_by_extension() else self._stdout).write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stdout, name)


@contextmanager
def members_print_beside(document: bool) -> Iterator[None]:
    """Send what extensions print to stderr while the body runs, if the command prints a
    `document`."""
    if not document:
        yield
        return
    before = sys.stdout
    sys.stdout = cast("TextIO", _Stdout(before))
    try:
        yield
    finally:
        sys.stdout = before
