"""Who asks through the socket, by what the kernel reports, and their rights."""

from __future__ import annotations

import array
import errno
import grp
import os
import pwd
import socket
import struct
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

from drd import process
from drd.api.rights import Right, holds
from drd.config.daemon import DaemonSettings
from drd.errors import Refused, UsageError
from drd.model.actor import Actor
from drd.model.person_names import is_among, user_of
from drd.model.text import escaped

_SO_PEERGROUPS = getattr(socket, "SO_PEERGROUPS", 59)
_MOST_GROUPS = 65536  # the kernel's own bound, NGROUPS_MAX


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that connected, as it was at that time; it cannot change this later."""

    pid: int
    uid: int
    groups: frozenset[int]
    login: process.Login = process.UNKNOWN_LOGIN

    @classmethod
    def of(cls, connection: socket.socket) -> Peer:
        """Return the peer of a connection. Raises OSError if the kernel does not report it."""
        pid, uid, groups = credentials(connection)
        return cls(pid, uid, groups, process.login_of_peer(connection, uid, pid))


def credentials(connection: socket.socket) -> tuple[int, int, frozenset[int]]:
    """Process, user and groups of the peer. Raises OSError when the kernel does not report them."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, gid = struct.unpack("3i", raw)
    return pid, uid, frozenset([gid, *_supplementary(connection, uid, gid)])


def _supplementary(connection: socket.socket, uid: int, gid: int) -> Collection[int]:
    """Return all groups of the peer; from the user database where the kernel does not report
    them."""
    size = 64
    while size <= _MOST_GROUPS:
        try:
            raw = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, size * 4)
        except OSError as error:
            if error.errno == errno.ERANGE:  # there are more
                size *= 8
                continue
            break
        return array.array("I", raw[: len(raw) // 4 * 4])
    with suppress(KeyError):
        return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    return ()


@dataclass(frozen=True, slots=True)
class Caller:
    """A peer as drd.yaml knows it. `roles` are the roles of the person who is mapped to the user;
    None if nobody is mapped."""

    peer: Peer
    user: str
    person: str
    roles: tuple[str, ...] | None
    reads: bool
    operates: bool

    @classmethod
    def of(cls, peer: Peer, settings: DaemonSettings) -> Caller:
        """Return the caller by the current settings."""
        user = process.user_name(peer.uid)
        person = settings.users.get(user, "")
        return cls(
            peer,
            user,
            person,
            settings.roles.get(person, ()) if person else None,
            _in_group(peer, settings.read_group),
            _in_group(peer, settings.operate_group),
        )

    def may(self, right: Right) -> bool:
        """Root has every right."""
        if self.peer.uid == 0:
            return True
        return holds(right, roles=self.roles, reads=self.reads, operates=self.operates)

    def require(self, right: Right, what: str, settings: DaemonSettings) -> None:
        """Raise Refused, with the right that is missing."""
        if self.may(right):
            return
        if self.person:
            raise Refused(
                f"{self.person} (user {self.user}) may not do this: {what}",
                hint=f"give {self.person} a role with this right in drd.yaml, for instance "
                "operator (docs/api.md); for people in drd.yaml only their roles count, not "
                "their groups.",
            )
        read, operate = settings.read_group, settings.operate_group
        groups, group = (
            (f"{read} or {operate}", read) if right is Right.READ else (operate, operate)
        )
        raise Refused(
            f"user {self.user} may not do this: {what}",
            hint=f"members of the group {groups} have this right: `sudo usermod -aG {group} "
            f"{self.user}`, then log in again.",
        )

    def actor(self, by: str | None = None) -> Actor:
        """Return the actor for the record, with the claimed name."""
        return process.actor_of_peer(self.peer.uid, self.peer.login, by=by or "")

    def name(self, by: str | None, settings: DaemonSettings) -> str:
        """The name under which a decision is recorded: the person whom drd.yaml maps to the user;
        else the claimed name, if it can be true. Raises UsageError."""
        if self.person:
            return self.person
        if by is None:
            return self.user
        if self.peer.uid != 0:
            require_own_name(by, settings, self.user)
        return by

    def known_as(self, settings: DaemonSettings) -> str:
        """Return the name that the kernel's report proves: the name of the person who is mapped to
        the user, else the name of the user. It is empty if this user name is the name of a person
        who is mapped to another user."""
        if self.person:
            return self.person
        return "" if is_among(self.user, settings.users.values()) else self.user

    def people(self, by: str | None, settings: DaemonSettings) -> dict[str, Sequence[str]]:
        """Return the people who may answer steps, for this caller: the people of drd.yaml. A caller
        who is not one of these people, and who claims no name, holds no role, even if the user name
        is the name of a person.
        """
        if self.person or by is not None:
            return dict(settings.roles)
        return {**settings.roles, self.user: ()}


def require_own_name(by: str, settings: DaemonSettings, *users: str) -> None:
    """Raise UsageError if drd.yaml maps the person `by` to a user, but not to one of the `users`
    that the kernel reported."""
    user = user_of(by, settings.users)
    if user is None or user in users:
        return
    by, user, own = escaped(by), escaped(user), escaped(users[0])
    raise UsageError(
        f"drd.yaml maps {by} to the user {user}, but you are the user {own}",
        hint=f"{by} has to run this command as user {user}; to answer yourself, leave out --by.",
    )


def _in_group(peer: Peer, name: str) -> bool:
    try:
        return grp.getgrnam(name).gr_gid in peer.groups
    except KeyError:
        return False
