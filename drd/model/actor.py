"""Who asked for a run or made a decision: the kernel's facts, and beside them what was claimed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from drd.model.text import escaped

Came = Literal["terminal", "socket", "schedule"]

NO_LOGIN = 4294967295
"""The login uid that the kernel gives a process that no login session started."""


@dataclass(frozen=True, slots=True)
class Actor:
    """`uid`, `user` and `login_uid` are the kernel's word: the login uid is the one of the audit,
    which stays the same behind sudo and su; None where no login started the process, or where it
    could not be read, and then `login_known` is False. `host` is where it was asked for, `came`
    how. `claimed_user` (SUDO_USER) and `claimed_by` (`--by`) are only what somebody said."""

    uid: int
    user: str
    login_uid: int | None
    host: str
    came: Came
    login_user: str = ""
    claimed_user: str = ""
    claimed_by: str = ""
    login_known: bool = True

    @property
    def person(self) -> int | None:
        """The uid that identifies the person: of the login, else of the process; None for root
        without a login, and for a process whose login could not be read: anyone may be behind
        these."""
        if self.login_uid is not None:
            return self.login_uid
        if not self.login_known:
            return None
        return self.uid if self.uid != 0 else None

    def words(self) -> str:
        """`root (uid 0), logged in as anna (uid 1000), at a terminal of db1`."""
        text = f"{self.user} (uid {self.uid})"
        if self.came != "schedule":
            text += self._login()
        places = {"terminal": "at a terminal of", "socket": "through the socket of"}
        text += f", {places.get(self.came, 'by the schedule of')} {self.host}"
        claims = {"SUDO_USER": self.claimed_user, "--by": self.claimed_by}
        claimed = " and ".join(f"{name} {value}" for name, value in claims.items() if value)
        return escaped(f"{text}; claimed: {claimed}" if claimed else text)

    def short(self) -> str:
        """`root, logged in as anna`, for a short line."""
        if self.login_user and self.login_user != self.user:
            return escaped(f"{self.user}, logged in as {self.login_user}")
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
        """For the catalogue and `--json`; `from_json` is its inverse."""
        return {
            "uid": self.uid,
            "user": self.user,
            "login_uid": self.login_uid,
            "login_user": self.login_user,
            "login_known": self.login_known,
            "host": self.host,
            "came": self.came,
            "claimed": {"sudo_user": self.claimed_user, "by": self.claimed_by},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> Actor | None:
        """None if an older drd did not record it."""
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
        )


def _login_known(data: Mapping[str, Any]) -> bool:
    """A drd that did not record this treated an unreadable login of a peer as none."""
    by_socket = data["came"] == "socket" and data.get("login_uid") is None
    return bool(data.get("login_known", not by_socket))


class Sameness(StrEnum):
    """Whether two actors are one person."""

    SAME = "same"
    OTHER = "other"
    UNKNOWN = "unknown"


def compare(one: Actor | None, another: Actor | None) -> Sameness:
    """Whether both are one person, as far as the kernel shows.

    The same login is the same person, whatever the user; so is the same user, except root. Root
    without a login may be anyone, and so may a process whose login could not be read, or an actor
    that an older drd did not record."""
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
    """Whether `one` is another person than all of the others: `same` if it is one of them."""
    results = {compare(other, one) for other in others}
    for worst in (Sameness.SAME, Sameness.UNKNOWN):
        if worst in results:
            return worst
    return Sameness.OTHER
