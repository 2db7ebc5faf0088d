"""Who could have written the records that this process shows, if that is not its own user.

Root reads the state of the service's user with that user's rights. Whoever becomes that user can
write there what root reads, so root is shown no command from there that drd has not checked.
"""

from __future__ import annotations

_stranger: list[int] = []


def begin() -> None:
    """Begin a command, which has read nothing yet."""
    _stranger.clear()


def reads_of(uid: int) -> None:
    """Note that root reads what this user can write."""
    if uid != 0:
        _stranger[:] = [uid]


def stranger() -> int | None:
    """Return the user who could have written what root has read; None if there is no such user."""
    return _stranger[0] if _stranger else None
