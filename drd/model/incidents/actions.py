"""Action items: what is to change after an incident, by whom, when it is due, and what shows that
it is done. drd derives the items from the entries of the incident, also after it is closed.
Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from drd.model.playbook_names import PREFIX
from drd.model.records import Entry
from drd.model.units import from_rfc3339


class ActionAct(StrEnum):
    """What an entry about an action item says."""

    ADD = "add"
    DONE = "done"
    """A person says that the item is done, with a reason."""
    VERIFIED = "verified"
    """The check, control, drill or finding that the item names has passed."""


class Proof(StrEnum):
    """What can show that an action item is done."""

    CHECK = "check"
    CONTROL = "control"
    DRILL = "drill"
    FINDING = "finding"
    PLAYBOOK = "playbook"


@dataclass(frozen=True, slots=True)
class VerifiedBy:
    """What shows that an item is done: `check:PLAN/NAME`, `control:PLAN/NAME`, `drill:PLAN`,
    `drill:PLAN/SCENARIO`, `finding:PLAN/CODE`, `playbook:NAME`. `name` is empty for any drill of
    the plan, and for a playbook, whose name is in `plan`."""

    proof: Proof
    plan: str
    name: str = ""

    @property
    def runs_of(self) -> str:
        """The name in rows of runs to which a proof belongs: a plan or a playbook."""
        return f"{PREFIX}{self.plan}" if self.proof is Proof.PLAYBOOK else self.plan

    def __str__(self) -> str:
        return f"{self.proof}:{self.plan}{'/' * bool(self.name)}{self.name}"

    @classmethod
    def read(cls, text: str) -> VerifiedBy:
        """Read what `str` has written. Raises ValueError."""
        proof, _, rest = text.partition(":")
        plan, _, name = rest.partition("/")
        read = cls(Proof(proof.strip()), plan.strip(), name.strip())
        has_name = bool(read.name)
        needs_name = read.proof not in (Proof.DRILL, Proof.PLAYBOOK)
        if (
            not read.plan
            or (needs_name and not has_name)
            or (has_name and read.proof is Proof.PLAYBOOK)
        ):
            raise ValueError(f"{text!r} is not a valid name of something that proves an item")
        return read


@dataclass(frozen=True, slots=True)
class ActionItem:
    """One item. `entry` is the number of the entry that added it. `proof` is the id of the run that
    showed that the item is done, empty if a person said this, with a `reason`."""

    entry: int
    at: datetime
    by: str
    text: str
    owner: str
    due: datetime
    verified_by: str = ""
    done_at: datetime | None = None
    done_by: str = ""
    reason: str = ""
    proof: str = ""

    @property
    def awaits(self) -> VerifiedBy | None:
        """The proof that closes the item; None if only a person can close it."""
        try:
            return VerifiedBy.read(self.verified_by) if self.verified_by else None
        except ValueError:  # of a later version of drd
            return None

    def is_overdue(self, now: datetime) -> bool:
        return self.done_at is None and self.due < now


def changed(
    items: tuple[ActionItem, ...], entry: Entry, body: Mapping[str, Any]
) -> tuple[ActionItem, ...]:
    """Return the items after an entry about an item. Raises KeyError, ValueError or TypeError for a
    body that drd has not written."""
    return _CHANGES[ActionAct(body["act"])](items, entry, body)


def _added(
    items: tuple[ActionItem, ...], entry: Entry, body: Mapping[str, Any]
) -> tuple[ActionItem, ...]:
    made = ActionItem(
        entry.seq,
        entry.header.at,
        _by(entry, body),
        str(body["text"]),
        str(body["owner"]),
        from_rfc3339(body["due"]),
        str(body.get("verified_by") or ""),
    )
    return (*items, made)


def _ended(
    items: tuple[ActionItem, ...], entry: Entry, body: Mapping[str, Any]
) -> tuple[ActionItem, ...]:
    """Return the items after an item was ended. If it was ended twice, the first end counts."""
    number = int(body["action"])
    shown = str(body["run"]) if body["act"] == ActionAct.VERIFIED else ""
    by = "drd" if shown else _by(entry, body)
    return tuple(
        replace(
            item,
            done_at=entry.header.at,
            done_by=by,
            reason=str(body.get("reason") or ""),
            proof=shown,
        )
        if item.entry == number and item.done_at is None
        else item
        for item in items
    )


def _by(entry: Entry, body: Mapping[str, Any]) -> str:
    return str(body.get("by") or entry.header.actor_name)


_CHANGES: Mapping[
    ActionAct,
    Callable[[tuple[ActionItem, ...], Entry, Mapping[str, Any]], tuple[ActionItem, ...]],
] = {ActionAct.ADD: _added, ActionAct.DONE: _ended, ActionAct.VERIFIED: _ended}


def words(body: Mapping[str, Any], due: str, items: Sequence[ActionItem]) -> str:
    """Return the words of an entry for the timeline. `due` is the due time in words, `items` are
    the items before the entry."""
    act = ActionAct(body["act"])
    if act is ActionAct.ADD:
        by = f", drd closes it when {body['verified_by']} passes" if body.get("verified_by") else ""
        return f"action item: {body['text']} ({body['owner']}), due {due}{by}"
    number = int(body["action"])
    text = next((f": {item.text}" for item in items if item.entry == number), "")
    if act is ActionAct.VERIFIED:
        return f"action item {number} done{text}; {body['verified_by']} passed (run {body['run']})"
    return f"action item {number} done{text}: {body['reason']}"
