"""Names of users and groups. `drd status` of a member of the group imports it: it stays light."""

from __future__ import annotations

import grp
import pwd


def user_name(uid: int) -> str:
    """Return the name of a user; if the user has no name, the id."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """Return the name of a group; if the group has no name, the id."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def which_user(uid: int) -> str:
    """Return the user in words: `user NAME`; if the user has no name, `the user with id 1234`."""
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"the user with id {uid}"
