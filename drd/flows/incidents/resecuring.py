"""Record that a credential was replaced, so that an attacker does not know it any more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from drd.errors import UsageError
from drd.flows.incidents.texts import reason_of
from drd.flows.incidents.writing import Desk, require_opened
from drd.model.incidents import entries as kinds
from drd.model.incidents.entries import draft
from drd.model.incidents.incident import Incident
from drd.model.incidents.rotations import rotations
from drd.model.inventory import Credential
from drd.model.nearest import meant
from drd.model.records import Draft
from drd.model.text import some


def rotated(
    desk: Desk,
    name: str,
    known: Mapping[str, tuple[Credential, ...]],
    *,
    plan: str | None,
    at: datetime | None,
) -> Incident:
    """Record that a credential was replaced, in each plan of the scope that names it, or in `plan`
    alone. `known` has the credentials of the plans in the scope. Raises UsageError."""
    if plan is not None and plan not in known:
        raise UsageError(
            f"{plan} is not in the scope of incident {desk.number}, or drd cannot read it",
            hint=f"plans in the scope of the incident: {some(known, 10) or 'none'}. To add a plan: "
            f"drd incident scope {desk.number} --add PLAN",
        )
    asked = {p: c for p, c in known.items() if plan is None or p == plan}
    plans = [p for p, credentials in asked.items() if name in {one.name for one in credentials}]
    if not plans:
        names = sorted({one.name for credentials in asked.values() for one in credentials})
        raise UsageError(
            f"the plans in the scope of incident {desk.number} do not name a credential {name!r}",
            hint=meant(name, names)
            if names
            else "name the credentials of the service in its plan: `credentials:` "
            "(docs/inventory.md).",
        )

    def drafts(incident: Incident) -> list[Draft]:
        require_opened(incident)
        body = {"credential": name, "plans": plans, "at": at or desk.author.at}
        return [draft(kinds.ROTATED, desk.number, desk.author, body)]

    return desk.catalogue.incidents.add(desk.number, drafts)


def not_rotated(desk: Desk, entry: int, reason: str) -> Incident:
    """Withdraw an entry that said that a credential was replaced. Raises UsageError."""
    there = {one.entry for one in rotations(desk.entries())}
    if entry not in there:
        raise UsageError(
            f"entry {entry} does not record that a credential was rotated, or is already withdrawn",
            hint=f"entries that you can withdraw: {some(sorted(there), 10) or 'none'}",
        )
    body = {"entry": entry, "reason": reason_of(reason)}
    return desk.catalogue.incidents.add(
        desk.number, lambda _: [draft(kinds.ROTATED, desk.number, desk.author, body)]
    )
