"""Who asks through the socket, by what the kernel says, and what that one may."""

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

_SO_PEERGROUPS = getattr(socket, "SO_PEERGROUPS", 59)
_MOST_GROUPS = 65536  # the kernel's own bound, NGROUPS_MAX


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that connected: as it was then, which it cannot take back."""

    pid: int
    uid: int
    groups: frozenset[int]
    login: process.Login = process.UNKNOWN_LOGIN

    @classmethod
    def of(cls, connection: socket.socket) -> Peer:
        """Raises OSError when the kernel does not say."""
        pid, uid, groups = credentials(connection)
        return cls(pid, uid, groups, process.login_of_peer(connection, uid, pid))


def credentials(connection: socket.socket) -> tuple[int, int, frozenset[int]]:
    """Process, user and groups of the peer. Raises OSError when the kernel does not say."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, gid = struct.unpack("3i", raw)
    return pid, uid, frozenset([gid, *_supplementary(connection, uid, gid)])


def _supplementary(connection: socket.socket, uid: int, gid: int) -> Collection[int]:
    """All groups of the peer; of the user database where the kernel does not tell them."""
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
    """A peer as drd.yaml knows it. `roles` are those of the person whom it maps to the user, None
    where it maps nobody."""

    peer: Peer
    user: str
    person: str
    roles: tuple[str, ...] | None
    reads: bool
    operates: bool

    @classmethod
    def of(cls, peer: Peer, settings: DaemonSettings) -> Caller:
        """Who this is by the settings of now."""
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
        """Root may everything."""
        if self.peer.uid == 0:
            return True
        return holds(right, roles=self.roles, reads=self.reads, operates=self.operates)

    def require(self, right: Right, what: str, settings: DaemonSettings) -> None:
        """Raises Refused, saying what would be needed."""
        if self.may(right):
            return
        if self.person:
            raise Refused(
                f"{self.person} (user {self.user}) has no right to: {what}",
                hint=f"the roles of {self.person} in drd.yaml decide, not groups; "
                "the role operator lets people ask for runs (docs/api.md).",
            )
        read, operate = settings.read_group, settings.operate_group
        groups = f"{read} or {operate}" if right is Right.READ else operate
        raise Refused(
            f"user {self.user} has no right to: {what}",
            hint=f"members of the group {groups} have: sudo usermod -aG "
            f"{groups.rpartition(' ')[2] if right is not Right.READ else read} {self.user}, then "
            "log in anew.",
        )

    def actor(self, by: str | None = None) -> Actor:
        """For the record, with what was claimed."""
        return process.actor_of_peer(self.peer.uid, self.peer.login, by=by or "")

    def name(self, by: str | None, settings: DaemonSettings) -> str:
        """Under which name a decision is recorded: the person's whom drd.yaml maps to the user;
        else the claimed one, if it can be true. Raises UsageError."""
        if self.person:
            return self.person
        if by is None:
            return self.user
        mapped = {name.casefold(): user for user, name in settings.users.items()}
        user = mapped.get(by.casefold())
        if user is not None and self.peer.uid != 0:
            raise UsageError(
                f"{by} is the user {user} by drd.yaml, and this is {self.user}",
                hint=f"let {by} answer as {user}, or leave out --by.",
            )
        return by

    def people(self, by: str | None, settings: DaemonSettings) -> dict[str, Sequence[str]]:
        """Who may answer steps, for this caller: the people of drd.yaml. Whoever is none of them,
        and claims nothing, holds no role, also when his user is called like one of them."""
        if self.person or by is not None:
            return dict(settings.roles)
        return {**settings.roles, self.user: ()}


def _in_group(peer: Peer, name: str) -> bool:
    try:
        return grp.getgrnam(name).gr_gid in peer.groups
    except KeyError:
        return False
