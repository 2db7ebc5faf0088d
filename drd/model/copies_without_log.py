"""Report that copies contain only restore points, and not the logs that continue them."""

from __future__ import annotations

from drd.model.facts import PlanFacts
from drd.model.text import noun, some
from drd.model.verdicts import Reason, Verdict


def copies_without_log(facts: PlanFacts) -> list[Reason]:
    """Return a note that the copies of the plan do not get its logs; none if the plan has no copies
    or no logs."""
    logged = [c.component for c in facts.components if c.log_every_s is not None]
    copies = [copy.repository for copy in facts.copies]
    if not logged or not copies:
        return []
    gets = noun(len(copies), "copy", "copies")
    get, it = noun(len(copies), "does", "do"), noun(len(copies), "it", "one of them")
    text = (
        f"{gets} {some(copies)} {get} not get the log of {some(logged)}: a recovery from {it} "
        "alone loses what was written after the restore point"
    )
    return [Reason(Verdict.MET, text, f"drd points {facts.plan}")]
