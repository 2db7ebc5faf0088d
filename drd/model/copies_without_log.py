"""Report copies that contain only restore points, and not the logs that continue them."""

from __future__ import annotations

from drd.model.facts import PlanFacts
from drd.model.text import noun, some
from drd.model.verdicts import Reason, Verdict


def copies_without_log(facts: PlanFacts) -> list[Reason]:
    """Return a note that copies of the plan do not have its logs; none if all have all logs, or if
    the plan has no log."""
    logged = [c.component for c in facts.components if c.log_every_s is not None]
    copies = [c.repository for c in facts.copies if not set(logged) <= {n for n, _ in c.logs}]
    if not copies:
        return []
    lacks = noun(len(copies), "copy", "copies")
    do, it = noun(len(copies), "does", "do"), noun(len(copies), "it", "one of them")
    text = (
        f"{lacks} {some(copies)} {do} not have the log of {some(logged)}: a recovery from {it} "
        "alone loses what was written after the restore point"
    )
    return [Reason(Verdict.MET, text, f"drd doctor {facts.plan}")]
