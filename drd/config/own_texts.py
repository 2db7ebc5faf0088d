"""The own texts of a host (regimes, playbooks, exercises, templates, awareness texts), as kits and
repositories keep them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from drd.config.daemon import DaemonSettings


def own_texts(settings: DaemonSettings) -> Mapping[str, Path]:
    """Return the installation's own regimes, playbooks, exercises and templates of messages, by the
    name that they have in copies: `regimes/acme.yaml`, `templates/press.j2`."""
    places = {
        "regimes": settings.regimes_dir,
        "playbooks": settings.playbooks_dir,
        "exercises": settings.exercises_dir,
        "templates": settings.templates_dir,
        "awareness": settings.awareness_dir,
    }
    return {
        f"{kind}/{file.name}": file
        for kind, directory in places.items()
        if directory is not None
        for file in sorted(directory.glob(f"*{_SUFFIXES[kind]}"))
        if OWN_TEXT.fullmatch(f"{kind}/{file.name}") and file.is_file()
    }


_SUFFIXES = {
    "regimes": ".yaml",
    "playbooks": ".yaml",
    "exercises": ".yaml",
    "templates": ".j2",
    "awareness": ".md",
}
OWN_TEXT = re.compile(
    r"(?:regimes|playbooks|exercises)/[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.yaml|"
    r"templates/[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.j2|"
    r"awareness/[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.md"
)
"""The allowed names of an installation's own texts in copies and kits: no path that leads to
another place."""
