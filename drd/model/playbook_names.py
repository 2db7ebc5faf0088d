"""The names of playbooks where names of plans stand as well: in rows of runs, and in records."""

from __future__ import annotations

PREFIX = "playbook:"
"""What the name of a playbook begins with there. No plan can have such a name."""


def playbook_of(plan: str) -> str | None:
    """Return the name of the playbook that a run belongs to; None if it belongs to a plan."""
    return plan.removeprefix(PREFIX) if plan.startswith(PREFIX) else None


def of_words(plan: str) -> str:
    """Return whose run it is, in words: `plan orders`, `playbook leaked-api-key`."""
    name = playbook_of(plan)
    return f"plan {plan}" if name is None else f"playbook {name}"
