"""Who could have written the records that this process shows, if it is not the user of this
process.

Root reads the state of the service's user with that user's rights. Whoever becomes that user can
write there what root reads. So root is shown a command from there only if drd has checked it.
"""

from __future__ import annotations

_stranger: list[int] = []


def begin() -> None:
    """Note that a command begins, and has not read anything yet."""
    _stranger.clear()


def reads_of(uid: int) -> None:
    """Note that root reads files that this user can write."""
    if uid != 0:
        _stranger[:] = [uid]


def stranger() -> int | None:
    """Return the user who could have written what root has read; None if there is no such user."""
    return _stranger[0] if _stranger else None
