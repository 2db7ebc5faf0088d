"""A dump in a copy that another tool has made."""

from __future__ import annotations

from drd.kinds.command.manifest import facts_of, filename
from drd.kinds.command.settings import CommandSettings
from drd.model.plan import Component
from drd.ports.adopted import AdoptedPart, FoundFile, Landing


def adopts(component: Component, file: FoundFile | None) -> AdoptedPart:
    """Implements `AdoptsOf`."""
    assert isinstance(component.settings, CommandSettings)
    assert file is not None
    called = filename(component.name)
    settings = component.settings
    landing = Landing(
        file=component.copied_as or "/",
        called=called,
        bytes=file.bytes,
        ends_with=settings.ends_with or "",
    )
    return AdoptedPart(landing, facts_of(component.name, settings))
