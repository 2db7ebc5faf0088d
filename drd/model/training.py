"""What a plan requires of people, and who meets it until when. Pure.

What somebody did is in the chain of records. It counts for the user whom the kernel named then, and
so for the person whom drd.yaml maps to this user now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class AwarenessRule:
    """People with one of these `roles` (empty: all people of drd.yaml) attest these `texts` (empty:
    all texts) once in `every_s` seconds.
    """

    every_s: float
    texts: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OperatorsRule:
    """At least so many `people` have passed an operator drill of the plan in the last `within_s`
    seconds."""

    people: int
    within_s: float


@dataclass(frozen=True, slots=True)
class TrainingPolicy:
    """What a plan requires of people; None for what it does not require."""

    operators: OperatorsRule | None = None
    awareness: AwarenessRule | None = None

    @property
    def requires_nothing(self) -> bool:
        return self.operators is None and self.awareness is None


@dataclass(frozen=True, slots=True)
class ReviewPolicy:
    """How often people must review the plan, in seconds, and the day of the last review (None:
    there was no review)."""

    every_s: float
    last: date | None = None

    @property
    def due(self) -> datetime | None:
        """Return the end of the day until which the next review is due. None: there was no review,
        so the next one is due now."""
        if self.last is None:
            return None
        end = datetime.combine(self.last, time(), UTC) + timedelta(days=1)
        return end + timedelta(seconds=self.every_s)


@dataclass(frozen=True, slots=True)
class AwarenessText:
    """A text that people attest to have read. A text with another `digest` is another one."""

    name: str
    title: str
    text: str
    digest: str
    own: bool = False


@dataclass(frozen=True, slots=True)
class Attested:
    """That a user read a text with this digest; `entry` is the number of the record."""

    user: str
    text: str
    digest: str
    at: datetime
    entry: int


@dataclass(frozen=True, slots=True)
class Drilled:
    """That a user passed an operator drill of a plan; `entry` is the number of the record."""

    user: str
    plan: str
    run: str
    at: datetime
    blind: bool
    entry: int


@dataclass(frozen=True, slots=True)
class TookPart:
    """The fact that a user took part in a table-top exercise that was played to its end. `number`
    is the number of its first record."""

    user: str
    exercise: str
    at: datetime
    number: int


@dataclass(frozen=True, slots=True)
class Crew:
    """The people of drd.yaml: the roles of each, and the person of each user."""

    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)

    def person(self, user: str) -> str:
        """Return the name of the person who is this user in drd.yaml. Without such a person, return
        the name of the user; as `user NAME` if a person in drd.yaml has the same name."""
        mapped = self.users.get(user)
        if mapped is not None:
            return mapped
        taken = {name.casefold() for name in self.roles}
        return f"user {user}" if user.casefold() in taken else user

    def user(self, person: str) -> str:
        """Return the user of a person; empty if drd.yaml has none."""
        return next((user for user, name in self.users.items() if name == person), "")

    def with_roles(self, roles: Sequence[str]) -> tuple[str, ...]:
        """Return the people with one of these roles; all people if no roles are given."""
        return tuple(
            name for name, held in self.roles.items() if not roles or set(held) & set(roles)
        )


class Standing(StrEnum):
    """Whether a person meets a requirement."""

    VALID = "valid"
    EXPIRED = "expired"
    CHANGED = "changed"
    NEVER = "never"
    NO_USER = "no user"


@dataclass(frozen=True, slots=True)
class Qualification:
    """What one person did for one requirement: when last, and until when it counts."""

    person: str
    subject: str
    standing: Standing
    last: datetime | None = None
    until: datetime | None = None

    @property
    def is_valid(self) -> bool:
        return self.standing is Standing.VALID

    @property
    def has_no_user(self) -> bool:
        """Whether the person can prove nothing, because drd.yaml does not name a user for them."""
        return self.standing is Standing.NO_USER

    @property
    def words(self) -> str:
        """Say in a few words whether this counts, and until when."""
        last = f"{self.last:%Y-%m-%d}" if self.last is not None else ""
        return {
            Standing.VALID: f"until {self.until:%Y-%m-%d}" if self.until else "valid",
            Standing.EXPIRED: f"last on {last}",
            Standing.CHANGED: f"the text changed after {last}",
            Standing.NEVER: "never",
            Standing.NO_USER: "drd.yaml does not name a user for this person",
        }[self.standing]


@dataclass(frozen=True, slots=True)
class Known:
    """What people did, by the records, newest first."""

    attested: tuple[Attested, ...] = ()
    drilled: tuple[Drilled, ...] = ()
    took_part: tuple[TookPart, ...] = ()


def attestations(
    rule: AwarenessRule,
    known: Known,
    crew: Crew,
    texts: Mapping[str, AwarenessText],
    now: datetime,
) -> list[Qualification]:
    """Return one qualification for each text of the rule and each person who has to attest it. A
    text that does not exist is left out."""
    return [
        _attestation(person, texts[name], rule.every_s, known, crew, now)
        for name in rule.texts or texts
        if name in texts
        for person in crew.with_roles(rule.roles)
    ]


def _attestation(  # noqa: PLR0917 - each is needed
    person: str,
    text: AwarenessText,
    every_s: float,
    known: Known,
    crew: Crew,
    now: datetime,
) -> Qualification:
    of_it = [a for a in known.attested if a.text == text.name and crew.person(a.user) == person]
    of_it = [a for a in of_it if a.at <= now]
    if not of_it:
        never = Standing.NEVER if crew.user(person) else Standing.NO_USER
        return Qualification(person, text.name, never)
    same = [a for a in of_it if a.digest == text.digest]
    if not same:
        return Qualification(person, text.name, Standing.CHANGED, _last(of_it).at)
    last = _last(same).at
    until = last + timedelta(seconds=every_s)
    standing = Standing.VALID if now <= until else Standing.EXPIRED
    return Qualification(person, text.name, standing, last, until)


def _last(found: Iterable[Attested]) -> Attested:
    return max(found, key=lambda one: one.at)


def operators(
    rule: OperatorsRule | None, plan: str, known: Known, crew: Crew, now: datetime
) -> list[Qualification]:
    """Return one qualification for each person who ever passed an operator drill of the plan.
    Without a rule, a passed drill counts for ever."""
    last: dict[str, datetime] = {}
    for one in known.drilled:
        if one.plan == plan and one.at <= now:
            person = crew.person(one.user)
            last[person] = max(one.at, last.get(person, one.at))
    return [_operator(person, plan, at, rule, now) for person, at in last.items()]


def _operator(
    person: str, plan: str, at: datetime, rule: OperatorsRule | None, now: datetime
) -> Qualification:
    if rule is None:
        return Qualification(person, plan, Standing.VALID, at)
    until = at + timedelta(seconds=rule.within_s)
    standing = Standing.VALID if now <= until else Standing.EXPIRED
    return Qualification(person, plan, standing, at, until)


def unknown_texts(rule: AwarenessRule, texts: Mapping[str, AwarenessText]) -> Iterator[str]:
    """Return the texts that a rule names and that do not exist."""
    return (name for name in rule.texts if name not in texts)
