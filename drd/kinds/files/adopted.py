"""Files in a copy that another tool has made."""

from __future__ import annotations

from drd.kinds.files.settings import FilesSettings
from drd.model.plan import Component
from drd.ports.adopted import AdoptedPart, FoundFile, Landing


def adopts(component: Component, file: FoundFile | None) -> AdoptedPart:  # noqa: ARG001 - a tree
    """Implements `AdoptsOf`."""
    settings = component.settings
    assert isinstance(settings, FilesSettings)
    paths = tuple(dict.fromkeys(settings.paths))
    return AdoptedPart(Landing(paths=paths), {"paths": list(paths)})
