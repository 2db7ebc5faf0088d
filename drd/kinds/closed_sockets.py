"""Unix sockets of servers that drd may not use, and who may."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from drd.process import group_name, user_name


def is_closed(place: Path) -> bool:
    """Return whether there is something at this place that this process may not write to, or may
    not even see."""
    try:
        place.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return not os.access(place, os.W_OK, effective_ids=True)


def who_may(place: Path, opened: str) -> str:
    """Return the remedy for a closed socket: the group that may use it, and what lets drd's user
    into this group. `opened` says how the server makes a socket that its group may use."""
    closed = next(
        (
            above
            for above in [*place.parents][::-1]
            if not os.access(above, os.X_OK, effective_ids=True)
        ),
        place,
    )
    bits = stat.S_IXGRP if closed != place else stat.S_IWGRP
    user = user_name(os.geteuid())
    try:
        info = closed.stat()
    except OSError:
        return f"give the user {user} the right to use this socket."
    group = group_name(info.st_gid)
    if info.st_gid == 0:
        return f"let {closed} belong to a group that {user} can join: now its group is {group}."
    join = f"as root: usermod -aG {group} {user}; then restart drd"
    if info.st_mode & bits:
        return f"{join}."
    if closed != place:
        return f"allow the group {group} to enter {closed} (chmod g+x). Then, {join}."
    return f"{opened}. Then, {join}."
