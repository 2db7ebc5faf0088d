"""The names of playbooks in rows of runs and in records, which also contain names of plans."""

from __future__ import annotations

PREFIX = "playbook:"
"""The prefix of the name of a playbook. The name of a plan cannot begin with this prefix."""


def playbook_of(plan: str) -> str | None:
    """Return the name of the playbook that a run belongs to; None if it belongs to a plan."""
    return plan.removeprefix(PREFIX) if plan.startswith(PREFIX) else None


def of_words(plan: str) -> str:
    """Return in words what a run executes: `plan orders`, `playbook leaked-api-key`."""
    name = playbook_of(plan)
    return f"plan {plan}" if name is None else f"playbook {name}"
