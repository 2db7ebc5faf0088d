"""What a drd.yaml gives to others than root: who may use drd, which user runs its servers, who gets
its messages and figures, and whose directories it uses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from drd.config.paths import DEFAULT_CONFIG, DEFAULT_STATE, place
from drd.kit.stored_text import KeyPath, StoredText, is_any, patterns
from drd.process.private import why_not_private

GIVES = patterns("""
groups.read groups.operate run_as people.*.user people.*.roles people.*.email
contacts.*.mail contacts.*.channel contacts.*.age contacts.*.pgp
notify.*.host notify.*.to
metrics.http metrics.textfile incident.intake.listen incident.intake.mapping
""")
"""These users of the host get rights or see what drd knows, these addresses get its messages."""

PLACES = patterns("state state.url work_dir cache_dir public_dir")
"""Directories of drd's own. Whoever owns one reads and replaces what drd has there; root acts as
the owner of the state."""

_SQLITE = "sqlite:///"


def is_given_away(key: KeyPath, value: Any, text: StoredText) -> bool:
    """Return whether a value gives others something. The default of a key gives nothing that drd
    would not give without a drd.yaml."""
    if is_any(key, GIVES):
        return not _is_default(key, value, text)
    return is_any(key, PLACES) and _is_of_others(str(value))


def _is_default(key: KeyPath, value: Any, text: StoredText) -> bool:
    return any(
        "default" in node and node["default"] == value for node in text.view.nodes(key, text.data)
    )


def _is_of_others(value: str) -> bool:
    """Return whether another user of this host than drd's owns this place, or can make it. A
    catalogue elsewhere becomes a file at the default place."""
    if "://" in value and not value.startswith(_SQLITE):
        return False
    path = value.removeprefix(_SQLITE).partition("?")[0]
    where = Path(place(path, os.path.dirname(DEFAULT_CONFIG)))  # noqa: PTH120
    if where.is_relative_to(_home()):
        return False
    try:
        return any(map(_others_can_make, {where, Path(os.path.realpath(where))}))
    except (OSError, ValueError):  # too long, or not a name of a file
        return True


def _others_can_make(where: Path) -> bool:
    there = next(p for p in (where, *where.parents) if p.exists())
    there = there if there.is_dir() else there.parent
    return why_not_private(there, _service_user()) is not None


def _home() -> Path:
    return Path(DEFAULT_STATE.removeprefix(_SQLITE)).parent


def _service_user() -> int | None:
    """Return the user to whom `drd install` gave the directory of the state; None before that."""
    try:
        return _home().lstat().st_uid
    except OSError:
        return None
