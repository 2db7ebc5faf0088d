"""What this user can know of a file: that it is gone, or only that the user may not look for it.

`drd status`, which starts cold, imports this: the standard library is enough for it.
"""

from __future__ import annotations

import os


def is_gone(path: str) -> bool:
    """Return whether the file does not exist; False if this user may not look for it."""
    try:
        os.stat(path)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def is_hidden(path: str) -> bool:
    """Return whether this user may not look for the file: it may be there."""
    try:
        os.stat(path)  # noqa: PTH116
    except PermissionError:
        return True
    except OSError:
        return False
    return False
