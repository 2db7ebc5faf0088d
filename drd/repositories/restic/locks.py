"""Who holds a repository's locks."""

from __future__ import annotations

import json

from drd.errors import RepositoryError
from drd.model.units import from_rfc3339
from drd.ports import LockInfo
from drd.repositories.restic.door import Door


def lock_holders(door: Door) -> list[LockInfo]:
    """One call of restic for each lock that is there, none where there is none. A lock that goes
    away meanwhile, or cannot be read, is left out."""
    found = []
    for name in sorted(door.session.place.locks()):
        try:
            told, _ = door.capture(["--no-lock", "cat", "lock", name])
            made = json.loads(told)
            found.append(
                LockInfo(
                    name,
                    str(made.get("hostname", "")),
                    int(made.get("pid", 0)),
                    from_rfc3339(str(made["time"])),
                )
            )
        except (RepositoryError, ValueError, KeyError, TypeError):
            continue
    return found
