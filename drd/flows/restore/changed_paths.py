"""A path outside drd's own directories that another program changes while drd works there."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drd.errors import TargetError
from drd.flows.services import Services

_CHANGED = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL)


@contextmanager
def paths_may_change(services: Services) -> Iterator[None]:
    """Raise TargetError instead of the system's error for a path that is gone, or has become
    something else, since it was checked."""
    try:
        yield
    except OSError as error:
        path = _outside(services, error)
        if path is None:
            raise
        raise TargetError(
            f"{path} changed while drd worked there: {error.strerror}",
            hint="stop the program that removes or replaces this path, then start the recovery "
            "again.",
        ) from error


def _outside(services: Services, error: OSError) -> Path | None:
    if error.errno not in _CHANGED or not isinstance(error.filename, str | bytes | Path):
        return None
    path = Path(os.fsdecode(error.filename))
    own = (services.work_dir, *services.private)
    inside = any(path.is_relative_to(directory) for directory in own)
    return None if inside or not path.is_absolute() else path
