"""Which parts of the status have changed since a given count of changes."""

from __future__ import annotations

from drd.model.facts import StatusFacts
from drd.named import NamedTuple


class Changed(NamedTuple):
    """The changes in the catalogue. `facts` has the plans whose status may have changed, and
    everything about drd itself. `gone` are names of such plans that are not loaded; their alerts
    are in `facts.others`. `everything`: this is the whole status. `seq` counts changes up: pass it
    with the next question.
    """

    seq: int
    facts: StatusFacts
    gone: tuple[str, ...] = ()
    everything: bool = False
