"""The rights that the components of one kind need on their servers, as one script of SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from drd.model.plan import Component


@dataclass(frozen=True, slots=True)
class Logins:
    """The system users that log in where a connection names no user: `service` makes backups and
    drills, `person` recoveries."""

    service: str
    person: str


@dataclass(frozen=True, slots=True)
class Grants:
    """`sql` gives the rights, and changes nothing if it runs again; `program` is the command that
    reads `sql` from its standard input, as a user who may give the rights. `lacks` has lines that
    say which recoveries need more rights than `sql` gives, and what to do for them. `reader` is the
    name of the program: kinds with different programs cannot share a script. `begins` are lines
    before all SQL, `about` what a person has to know about the script, in lines. Kinds with the
    same program give the same `begins` and `about`."""

    program: str
    sql: str
    lacks: tuple[str, ...] = ()
    reader: str = ""
    begins: str = ""
    about: tuple[str, ...] = ()


class GrantsOf(Protocol):
    """The function in the package of a kind that gives this script."""

    def __call__(
        self,
        components: Sequence[Component],
        targets: Mapping[str, Sequence[object]],
        logins: Logins,
    ) -> Grants:
        """`components` are all of this kind in the plan, `targets` the settings that targets have
        for them, by the name of the component. Raises DrdError."""
