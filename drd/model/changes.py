"""What has changed in the catalogue since a count."""

from __future__ import annotations

from drd.model.facts import StatusFacts
from drd.named import NamedTuple


class Changed(NamedTuple):
    """`facts` has the plans whose status may have changed, and all that is about drd itself; `gone`
    are names of such plans that are not loaded (any more), whose alerts are in `facts.others`.
    `everything` says that it is all there is. `seq` counts changes up; it is to be given back."""

    seq: int
    facts: StatusFacts
    gone: tuple[str, ...] = ()
    everything: bool = False
