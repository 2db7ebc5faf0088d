"""One component on its way out of the repositories."""

from __future__ import annotations

from pathlib import Path

from drd.flows.holders import Holders
from drd.model.part import Part
from drd.model.snapshot import ComponentSnapshot
from drd.model.spans import Span
from drd.ports import Progress

BRIEF_BYTES = 256 << 20
"""What is smaller is fetched in seconds, from wherever it is."""


def fetched(held: Holders, snapshot: ComponentSnapshot, landing: Path, part: Part | None) -> Span:
    """Fetch it, or the paths of a part, into its empty `landing`; when that was."""
    services, name = held.services, snapshot.component
    begun = services.clock.monotonic()
    held.fetch(
        name,
        str(snapshot.snapshot),
        landing,
        lambda p: services.on_progress(
            Progress(name, "fetch", p.done_bytes, p.total_bytes or snapshot.bytes)
        ),
        include=part.paths if part is not None else (),
        brief=snapshot.bytes < BRIEF_BYTES,
    )
    return Span("fetch", begun, services.clock.monotonic())
