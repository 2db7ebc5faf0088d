"""Errors that the code of extensions must not raise: attribute them to the package.

Such an error becomes an `ExtensionFailed`, which people read; its traceback is in the log alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from drd import log
from drd.errors import DrdError, ExtensionFailed
from drd.exhaustion import exhausted
from drd.registry import Extension, extension_of_module

FOREIGN = (Exception, SystemExit)
"""What the code of others may raise. Cancelled and KeyboardInterrupt end the run as usual."""


def fault(
    error: BaseException, subject: str = "", extension: Extension | None = None
) -> ExtensionFailed | None:
    """Return the error to report for one that an extension raised: the `extension` whose code was
    called, else the one whose code is in the traceback. None for all other errors: those that drd
    raises, and those of a system without room."""
    if isinstance(error, DrdError) or not isinstance(error, FOREIGN) or exhausted(error):
        return None
    package = extension or _in_traceback(error.__traceback__)
    if package is None:
        return None
    said = f"{type(error).__name__}: {error}"
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
        hint=f"report this to the author of {package.name}, with the traceback: the daemon's log "
        "has it, and commands print it with DRD_LOG=info",
    )


@contextmanager
def attributed(subject: str, extension: Extension | None = None) -> Iterator[None]:
    """Raise ExtensionFailed in place of what the code of an extension must not raise."""
    try:
        yield
    except FOREIGN as error:
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
