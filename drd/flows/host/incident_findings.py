"""What people have not done after incidents of a plan: overdue action items, contacts whose mail
came back."""

from __future__ import annotations

from drd.flows.incidents.actions import with_items
from drd.flows.incidents.messages import known
from drd.flows.services import Services
from drd.model.incident_findings import of_actions, of_contacts
from drd.model.plan import Plan
from drd.model.readiness_finding import ReadinessFinding

_MOST = 500
"""How many of the newest incidents drd searches for messages."""


def findings(services: Services, plan: Plan) -> list[ReadinessFinding]:
    """Return the findings of the incidents, also closed ones, in whose scope the plan is."""
    catalogue = services.catalogue
    items = [one for one in with_items(catalogue) if plan.name in one.plans]
    written = [
        one
        for one in catalogue.incidents.newest(closed=True, limit=_MOST)
        if one.drafts and plan.name in one.plans
    ]
    told = [(one.number, message) for one in written for message in known(catalogue, one.number)]
    addresses = services.addresses() if told else frozenset()
    return [*of_actions(items, services.clock.now()), *of_contacts(told, addresses)]
