"""The person or program that asked for a run or made a decision: the facts from the kernel, and,
separately, the claims.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from drd.model.text import escaped

Came = Literal["terminal", "socket", "schedule"]

NO_LOGIN = 4294967295
"""The login uid that the kernel gives a process which no login session started."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asked for something.

    The kernel reports `uid`, `user` and `login_uid`. The login uid (the uid of the audit system)
    stays the same behind sudo and su; it is None if no login started the process, or if it could
    not be read: then `login_known` is False. `host` is where the request was made, `came` is how it
    reached drd. `claimed_user` (SUDO_USER) and `claimed_by` (`--by`) were only claimed. `service`
    says that the user is the user of drd's service, and not root.
    """

    uid: int
    user: str
    login_uid: int | None
    host: str
    came: Came
    login_user: str = ""
    claimed_user: str = ""
    claimed_by: str = ""
    login_known: bool = True
    service: bool = False

    @property
    def person(self) -> int | None:
        """The uid that identifies the person: the uid of the login, else the uid of the process.
        None for root and for drd's own user without a login, and for a process whose login could
        not be read: these may be anyone.
        """
        if self.login_uid is not None:
            return self.login_uid
        if not self.login_known:
            return None
        return self.uid if self.uid != 0 and not self.service else None

    def anybody(self) -> str:
        """Return whose process it is, in words, if it may be anyone's."""
        if not self.login_known:
            return "a user whose login cannot be read"
        user = f"drd's own user {escaped(self.user)}" if self.service else "root"
        return f"{user} without a login"

    def words(self) -> str:
        """Return the actor in words: `root (uid 0), logged in as anna (uid 1000), by a command on
        db1`.
        """
        text = f"{self.user} (uid {self.uid})" + ", drd's own user" * self.service
        if self.came != "schedule":
            text += self._login()
        places = {"terminal": "by a command on", "socket": "through the socket of"}
        text += f", {places.get(self.came, 'by the schedule of')} {self.host}"
        claims = {"SUDO_USER": self.claimed_user, "--by": self.claimed_by}
        claimed = " and ".join(f"{name} {value}" for name, value in claims.items() if value)
        return escaped(f"{text}; claimed: {claimed}" if claimed else text)

    def short(self) -> str:
        """Return the actor in few words: `root, logged in as anna`."""
        if self.login_user and self.login_user != self.user:
            return escaped(f"{self.user}, logged in as {self.login_user}")
        if self.service and self.person is None:
            return f"drd's own user {escaped(self.user)}"
        return escaped(self.user)

    def _login(self) -> str:
        if not self.login_known:
            return ", whose login could not be read"
        if self.login_uid is None:
            return ", without a login"
        if self.login_uid == self.uid:
            return ""
        return f", logged in as {self.login_user or 'somebody'} (uid {self.login_uid})"

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON for the catalogue and `--json`; `from_json` is the inverse.
        `service` is there only if it is true."""
        own = {"service": True} if self.service else {}
        return {
            "uid": self.uid,
            "user": self.user,
            "login_uid": self.login_uid,
            "login_user": self.login_user,
            "login_known": self.login_known,
            "host": self.host,
            "came": self.came,
            "claimed": {"sudo_user": self.claimed_user, "by": self.claimed_by},
            **own,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> Actor | None:
        """Read an actor from the catalogue; None if an older drd recorded nobody."""
        if not data:
            return None
        claimed = data.get("claimed") or {}
        return cls(
            uid=int(data["uid"]),
            user=str(data["user"]),
            login_uid=data.get("login_uid"),
            host=str(data["host"]),
            came=data["came"],
            login_user=str(data.get("login_user") or ""),
            claimed_user=str(claimed.get("sudo_user") or ""),
            claimed_by=str(claimed.get("by") or ""),
            login_known=_login_known(data),
            service=data.get("service") is True,
        )


def _login_known(data: Mapping[str, Any]) -> bool:
    """Older versions did not record this: they treated an unreadable login of a peer as no
    login.
    """
    by_socket = data["came"] == "socket" and data.get("login_uid") is None
    return bool(data.get("login_known", not by_socket))


class Sameness(StrEnum):
    """Whether two actors are the same person."""

    SAME = "same"
    OTHER = "other"
    UNKNOWN = "unknown"


def compare(one: Actor | None, another: Actor | None) -> Sameness:
    """Compare two actors, by what the kernel shows: the same login is the same person, even with
    another user; the same user is the same person, except root. `unknown` for root and drd's own
    user without a login, for a process whose login could not be read, and for an actor that an
    older drd did not record.
    """
    if one is None or another is None:
        return Sameness.UNKNOWN
    if one.person is not None and one.person == another.person:
        return Sameness.SAME
    if one.uid == another.uid != 0:
        return Sameness.SAME
    if one.person is None or another.person is None:
        return Sameness.UNKNOWN
    return Sameness.OTHER


def compare_all(others: Iterable[Actor | None], one: Actor | None) -> Sameness:
    """Compare `one` with all of the others: `same` if it is the same person as one of them,
    `different` only if it is certainly another person than each of them.
    """
    results = {compare(other, one) for other in others}
    for worst in (Sameness.SAME, Sameness.UNKNOWN):
        if worst in results:
            return worst
    return Sameness.OTHER
