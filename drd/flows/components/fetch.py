"""Fetch one component from the repositories."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from drd.flows.components.repository_choice import Holders
from drd.model.recovery_phases import Span
from drd.model.single_item import Part
from drd.model.snapshot import ComponentSnapshot
from drd.model.text import escaped, some
from drd.ports import Progress, Torn
from drd.registry import holes

BRIEF_BYTES = 256 << 20
"""Smaller data is fetched in seconds, from anywhere."""


class Fetch(NamedTuple):
    """When a component was fetched, which of its files had changed while they were stored, and
    which device nodes were left out."""

    span: Span
    torn: tuple[Torn, ...] = ()
    devices: tuple[str, ...] = ()

    @property
    def notes(self) -> list[str]:
        """The sentences about torn files and device nodes, for a person."""
        return [*self._about_torn(), *self._about_devices()]

    def _about_devices(self) -> list[str]:
        if not self.devices:
            return []
        named = some([escaped(path) for path in self.devices], 3)
        return [f"not restored: device nodes, which only root can make: {named}"]

    def _about_torn(self) -> list[str]:
        return [
            f"{escaped(t.path)} changed while it was backed up, so its copy is incomplete "
            f"({t.stored:,} of {t.noted:,} bytes are stored); use another restore point if the "
            "file matters"
            for t in self.torn
        ]


def fetched(
    holders: Holders, snapshot: ComponentSnapshot, landing: Path, part: Part | None
) -> Fetch:
    """Fetch the snapshot, or the paths of a part, into its empty `landing`."""
    services, name = holders.services, snapshot.component
    begun = services.clock.monotonic()
    got = holders.fetch(
        name,
        str(snapshot.snapshot),
        landing,
        lambda p: services.on_progress(
            Progress(name, "fetch", p.done_bytes, p.total_bytes or snapshot.bytes)
        ),
        include=part.paths if part is not None else (),
        brief=snapshot.bytes < BRIEF_BYTES,
        sparse=holes(snapshot) > 0,
    )
    return Fetch(Span("fetch", begun, services.clock.monotonic()), got.torn, got.devices)
