"""What a kind of component reports about restored data: where it is, who uses it, and what is left
to do."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from drd.model import stored
from drd.model.finding_codes import TARGET_DIRECTORY
from drd.model.stored import Stored
from drd.model.text import some

ACCOUNTS = "accounts"
"""The code of the task to make users and groups that own the restored data."""
BEFORE_USE = (ACCOUNTS, TARGET_DIRECTORY)
"""Tasks that come before the programs that use the data are started, in this order: owners of the
data, and the right to write beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredPlace(Stored):
    """Where a component is after its restore. `places` names each place for a person, as the dry
    run does; `address` is how a client reaches it, a path or a connection string without a
    password; `values` has the parts of the address by name, such as host and port."""

    component: str | None = stored.text()
    kind: str | None = stored.text()
    places: tuple[str, ...] = stored.texts()
    address: str | None = stored.text()
    values: Mapping[str, Any] = stored.mapping()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage(Stored):
    """Programs that use `what`: data that a recovery would replace, or has restored. `by` names
    them for a person, `units` are their systemd units. `effect` says what happens to them or to the
    data. If it `blocks`, they must end before drd replaces the data. If it is about `former` data,
    they still use the data that the recovery has replaced. `pids` are their processes, in the order
    of `by`, as long as nobody has asked which of them are runs of drd; `runs` are such runs."""

    component: str | None = stored.text()
    what: str | None = stored.text()
    by: tuple[str, ...] = stored.texts()
    units: tuple[str, ...] = stored.texts()
    effect: str | None = stored.text()
    blocks: bool = stored.flag()
    former: bool = stored.flag()
    pids: tuple[int, ...] = stored.counts(sparse=True)
    runs: tuple[str, ...] = stored.texts(sparse=True)

    @property
    def words(self) -> str:
        """`database "shop" is in use by 2 sessions of app`."""
        return f"{self.what} is in use by {some(self.by)}"

    def started_by(self, started: Mapping[str, Collection[str]]) -> tuple[str, ...]:
        """Return the steps of the runbook that have started the programs which use the restored
        data; `started` has the units of each step that has started a service. Empty if no step has
        started them, or if this is not known."""
        steps = tuple(step for step, units in started.items() if set(units) & set(self.units))
        known = {unit for step in steps for unit in started[step]}
        return steps if set(self.units) <= known and not self.former else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(Stored):
    """Something that a person has to do after a recovery, with a `command` if there is one."""

    code: str | None = stored.text()
    component: str | None = stored.text()
    text: str | None = stored.text()
    command: str | None = stored.text()
