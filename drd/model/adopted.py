"""What a plan says about copies that another tool makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from drd.model.copy_names import copy_in, named
from drd.model.text import counted

if TYPE_CHECKING:
    from drd.model.plan import Component, SecretRef
    from drd.model.snapshot import RestorePoint


READ_UP_TO = 1 << 30
"""The largest packed dump that drd reads to its end over the network, in bytes, if the plan does
not say it."""


@dataclass(frozen=True, slots=True)
class CommandTool:
    """The commands that list, restore and verify copies; if `verify` is empty, there is no such
    command. `env` are the secrets that they get, by the name of their variable."""

    list: tuple[str, ...]
    restore: tuple[str, ...]
    verify: tuple[str, ...] = ()
    env: tuple[tuple[str, SecretRef], ...] = ()
    timeout_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Stanza:
    """A stanza of pgBackRest. `config` is the text of its configuration file; `options` are options
    that replace or complete it; `env` are secrets, all by the variables that pgBackRest reads.
    `repo` is the number of the repository, if there are several. With `check`, drd may let the
    server begin a new WAL segment, to see whether it arrives in the archive."""

    name: str
    config: SecretRef | None = None
    options: tuple[tuple[str, str], ...] = ()
    env: tuple[tuple[str, SecretRef], ...] = ()
    repo: int = 1
    timeout_s: float = 86400.0
    check: bool = False


@dataclass(frozen=True, slots=True)
class Adopted:
    """What another tool, `made_by`, stores: copies of the components of `plan`. With `only`, only
    the copies of a host, or with a tag, count. `read_up_to` is the size of the largest dump that
    drd reads to its end over the network before it counts. `command` has the commands of a tool
    that drd does not know, `stanza` what pgBackRest needs."""

    made_by: str
    plan: str
    components: tuple[Component, ...] = ()
    only: tuple[tuple[str, str], ...] = ()
    command: CommandTool | None = None
    stanza: Stanza | None = None
    read_up_to: int = READ_UP_TO

    @property
    def verifier(self) -> str:
        """Return what verifies the copies without drd, all at once; empty if drd reads the copies
        itself."""
        if self.command is not None:
            return "the plan's command `verify`"
        return "`pgbackrest verify`" if self.stanza is not None else ""

    @property
    def secrets(self) -> dict[str, SecretRef] | None:
        """The secrets of a tool that has no password of the repository, by their purpose; None for
        a tool that has such a password."""
        if self.command is not None:
            return {f"env.{name}": ref for name, ref in self.command.env}
        if self.stanza is None:
            return None
        references = {f"env.{name}": ref for name, ref in self.stanza.env}
        return references | ({"config": self.stanza.config} if self.stanza.config else {})


KEEPING: Mapping[str, str] = {
    "restic": "add a tag with `restic tag --add keep SNAPSHOT`, and give `--keep-tag keep` to each "
    "`restic forget`.",
    "pgbackrest": "pgBackRest cannot hold one backup. Before its next backup or expire, set "
    "`repo1-retention-full` high enough to keep this one (and `repo1-retention-archive`, if it is "
    "set), or copy the repository to another place.",
}
"""How a person makes a tool keep a copy that it would let expire."""


_COPIES: Mapping[str, tuple[str, str]] = {
    "restic": ("snapshot", "snapshots"),
    "pgbackrest": ("backup", "backups"),
}


def copies_of(made_by: str, count: int) -> str:
    """Return a number of copies in the tool's own word, by which its output can be searched."""
    return counted(count, *_COPIES.get(made_by, ("copy", "copies")))


OLDER = timedelta(days=1)
"""How much older than its data time a copy may be: a dump has the time at which it was finished, a
log has the time at which its last segment arrived."""


def copy_name(point: RestorePoint) -> str:
    """Return the name that the tool has given to the copy; if it has none, the id of the point."""
    names = (copy_in(c.facts) for c in point.components)
    return next((name for name in names if name is not None), point.id)


def with_copy(point: RestorePoint) -> str:
    """Return the id of the point, and the tool's own name of its copy where another tool made it:
    `restic-1f0c9d3a (copy 5d1a03be)`."""
    name = copy_name(point)
    return named(point.id, name if name != point.id else None)


ROLLED_FORWARD = "rolled_forward_to"
"""The fact of a component that names the WAL segment up to which a copy is rolled forward."""


def rolled_forward(point: RestorePoint) -> bool:
    """Return whether the point is the newest state of a copy, which moves with each segment."""
    return any(ROLLED_FORWARD in c.facts for c in point.components)
