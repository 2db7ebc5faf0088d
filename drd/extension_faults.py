"""Errors that the code of extensions must not raise: attribute them to the package.

Such an error becomes an `ExtensionFailed`, which people read; its traceback is in the log alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from types import FrameType, TracebackType
from typing import NamedTuple, TypeVar

from drd import log
from drd.errors import Cancelled, DrdError, ExtensionFailed
from drd.exhaustion import exhausted, text_of
from drd.model.text import in_one_line
from drd.registry import Extension, extension_of_module

FOREIGN = (Exception, SystemExit)
"""What the code of others usually raises. Cancelled and KeyboardInterrupt end the run as usual."""

T = TypeVar("T")

_LONGEST = 500
"""The largest number of characters of an error's text that people get; the log contains the whole
text."""


def fault(
    error: BaseException, subject: str = "", extension: Extension | None = None
) -> ExtensionFailed | None:
    """Return the error to report for an exception from an extension: from the `extension` whose
    code was called, else from the extension whose code is in the traceback. None for all other
    errors: drd's own errors, and errors of a system without free space."""
    if isinstance(error, DrdError | Cancelled | KeyboardInterrupt) or exhausted(error):
        return None
    package = extension or _in_traceback(error.__traceback__)
    if package is None:
        return None
    said = f"{type(error).__name__}: {_shortened(text_of(error))}"
    log.get().info(
        "extension.failed",
        package=package.name,
        version=package.version,
        subject=subject,
        error=said,
        exc_info=error,
    )
    at = f"{subject}: " if subject else ""
    return ExtensionFailed(
        f"{at}the package {package.name} {package.version} raised {said}",
        hint=f"report this to the author of {package.name}, with the traceback. To see it: "
        "journalctl -u drd, or run the command with DRD_LOG=info",
    )


def require_type(
    value: T, expected: type | tuple[type, ...], member: str, extension: Extension | None
) -> T:
    """Return the value that a `member` of an extension returned. Raises ExtensionFailed if it has
    another type; values of drd's own code are not checked."""
    if extension is None or isinstance(value, expected):
        return value
    classes = expected if isinstance(expected, tuple) else (expected,)
    wanted = " or ".join(one.__name__ for one in classes)
    said = f"{type(value).__name__}, but must return {wanted}"
    raise _returned(said, member, extension)


def require_json(value: T, member: str, extension: Extension | None) -> T:
    """Return the value that a `member` of an extension returned, in the form in which it is read
    again from JSON. Raises ExtensionFailed if it cannot be written as JSON."""
    if extension is None:
        return value
    try:
        again: T = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        said = f"a value that cannot be written as JSON: {_shortened(text_of(error))}"
        raise _returned(said, member, extension) from error
    return again


def _returned(said: str, member: str, extension: Extension) -> ExtensionFailed:
    return ExtensionFailed(
        f"{member} of the package {extension.name} {extension.version} returned {said}",
        hint=f"report this to the author of {extension.name}: docs/extending.md says what each "
        "method returns",
    )


def _shortened(text: str) -> str:
    line = in_one_line(text)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


class AtWork(NamedTuple):
    """The code of an `extension` runs now. `what` names the step, the check or the component that
    it works on."""

    what: str
    extension: Extension


_works_on: dict[int, str] = {}
"""The extension code that each thread runs."""


def at_work() -> AtWork | None:
    """Return the code of an extension that now runs in some thread; None if there is none."""
    for thread, frame in sys._current_frames().items():  # noqa: SLF001 - the documented way
        in_frame = _in_frames(frame)
        if in_frame is not None:
            return in_frame._replace(what=_works_on.get(thread, in_frame.what))
    return None


def is_called_by_extension() -> bool:
    """Return whether code of an extension has called the caller."""
    return _in_frames(sys._getframe(1)) is not None  # noqa: SLF001 - the documented way


def _in_frames(frame: FrameType | None) -> AtWork | None:
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        package = extension_of_module(module)
        if package is not None:
            return AtWork(f"{module}.{frame.f_code.co_name}", package)
        frame = frame.f_back
    return None


@contextmanager
def noted(what: str) -> Iterator[None]:
    """Note `what` this thread runs, during the body."""
    thread = get_ident()
    before = _works_on.get(thread)
    _works_on[thread] = what
    try:
        yield
    finally:
        del _works_on[thread]
        if before is not None:
            _works_on[thread] = before


@contextmanager
def attributed(subject: str, extension: Extension | None = None) -> Iterator[None]:
    """Raise ExtensionFailed instead of an error that the code of an extension must not raise."""
    try:
        yield
    except BaseException as error:
        failed = fault(error, subject, extension)
        if failed is None:
            raise
        raise failed from error


def _in_traceback(traceback: TracebackType | None) -> Extension | None:
    innermost = None
    while traceback is not None:
        module = str(traceback.tb_frame.f_globals.get("__name__", ""))
        innermost = extension_of_module(module) or innermost
        traceback = traceback.tb_next
    return innermost
