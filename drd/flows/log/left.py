"""Note and remove replication slots that servers keep for drd's receivers of logs. A server keeps
its log for a slot even if no receiver uses the slot. So drd notes each slot, and removes it when no
receiver needs it."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from drd import log
from drd.errors import DrdError
from drd.flows.services import Services
from drd.model.plan import Component, Plan
from drd.model.text import escaped
from drd.ports import KindFactory, Queue

_BEGINNING = "log-slot:"


class Left(NamedTuple):
    """A thing that the server of a component keeps for drd, such as a slot: its `name` there, and
    the `command` with which a person removes it on the server."""

    plan: str
    component: str
    kind: str
    name: str
    command: str

    @property
    def text(self) -> str:
        return (
            f"the server of component {escaped(self.component)} of plan {escaped(self.plan)} keeps "
            f"its log for drd's replication slot {self.name}, which no receiver uses"
        )


def note(services: Services, plan: Plan, component: Component, name: str) -> None:
    """Note that the server of a component now keeps a slot of this name for drd, and remove the
    slot that it kept under another name."""
    kind = services.kinds(component.kind)
    if not kind.log_left(name):
        return
    key = f"{_BEGINNING}{plan.name}:{component.name}"
    value = {"kind": component.kind, "name": name}
    known = services.catalogue.queue.noted(key)
    if known is not None and known[1] == value:
        return
    former = str(known[1].get("name", "")) if known is not None else ""
    if kind.log_left(former):
        with suppress(DrdError):
            kind.leave_log(component, former)
    services.catalogue.queue.note(key, value, services.clock.now())


def kept(queue: Queue, kinds: KindFactory, plan: str = "") -> list[Left]:
    """Return the slots that servers keep for drd: for one plan, or for all plans if `plan` is
    empty."""
    slots = []
    for key, value in queue.notes(f"{_BEGINNING}{plan}:" if plan else _BEGINNING).items():
        name, _, component = key.removeprefix(_BEGINNING).partition(":")
        kind, slot = str(value.get("kind", "")), str(value.get("name", ""))
        command = ""
        with suppress(DrdError, KeyError):  # an extension that is not there any more
            command = kinds(kind).log_left(slot) if slot else ""
        if command:
            slots.append(Left(name, component, kind, slot, command))
    return slots


def leave(services: Services, plan: Plan, left: Left) -> None:
    """Remove the slot that the server of a component keeps for drd. Raises SourceError."""
    services.kinds(left.kind).leave_log(plan.components[left.component], left.name)
    forget(services.catalogue.queue, left, services.clock.now())
    log.get().info("receiver.left", plan=plan.name, component=left.component, slot=left.name)


def forget(queue: Queue, left: Left, at: datetime) -> None:
    """Note that the server does not keep the slot any more, or that drd has shown a person the
    command to remove the slot.
    """
    queue.note(f"{_BEGINNING}{left.plan}:{left.component}", {}, at)
