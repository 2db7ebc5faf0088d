"""A SQLite database in a copy that another tool has made."""

from __future__ import annotations

from drd.kinds.sqlite.manifest import filename
from drd.kinds.sqlite.settings import SqliteSettings
from drd.model.plan import Component
from drd.ports.adopted import AdoptedPart, FoundFile, Landing


def adopts(component: Component, file: FoundFile | None) -> AdoptedPart:
    """Implements `AdoptsOf`."""
    settings = component.settings
    assert isinstance(settings, SqliteSettings)
    assert file is not None
    called = filename(component.name)
    facts = {
        "path": settings.path,
        "filename": called,
        "mode": file.mode & 0o777,
        "uid": file.uid,
        "gid": file.gid,
    }
    landing = Landing(file=component.copied_as or settings.path, called=called, bytes=file.bytes)
    return AdoptedPart(landing, facts)
