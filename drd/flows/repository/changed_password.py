"""Say of a password that does not open a repository that its file was changed, if it was."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from weakref import WeakSet

from drd import secrets
from drd.errors import WrongKey
from drd.model.snapshot import made_by
from drd.model.units import format_time
from drd.ports import Catalogue

_TOLD: WeakSet[WrongKey] = WeakSet()
"""Errors whose text already contains what is known: several functions meet the same error."""
_ITS_OWN = "the password that restic uses now"


def shows_no_loss(error: WrongKey) -> bool:
    """Return whether only the password's file has a wrong text. The service still uses the former
    password, and checks itself whether it opens the repository."""
    if error.changed is None or secrets.is_given_copies():
        return False
    return secrets.former_of_service(Path(error.changed[0])) is not None


def tell_of_change(catalogue: Catalogue, url: str, error: WrongKey) -> None:
    """Add to the error when the file of the password was changed, if it opened the repository
    before, and where the former password is."""
    if error in _TOLD:
        return
    _TOLD.add(error)
    plans = sorted({place.plan for place in catalogue.health.places() if place.url == url})
    points = [p for plan in plans for p in catalogue.points.of_plan(plan)]
    tool = next((tool for p in points if (tool := made_by(p.id))), "")
    if tool == "restic":
        error.hint = _of_restic(error.changed[0] if error.changed else None)
    if error.changed is None:
        return
    file, stamp = error.changed
    at = datetime.fromtimestamp(stamp, UTC)
    copy = secrets.former_of_service(Path(file))
    if copy is not None and secrets.is_given_copies():
        error.message += (
            f". {file} was changed at {format_time(at)}, but the service tried its copy of "
            "the former text"
        )
        error.hint = "drd doctor && systemctl restart drd"
        return
    if copy is not None:
        error.message += (
            f". {file} was changed at {format_time(at)}, and the running service still has "
            "the former text until the service stops"
        )
        back = f"restore the former text before the service stops: `install -m 600 {copy} {file}`."
        error.hint = (
            f"if {tool} still uses the former text, {back}\nOtherwise {error.hint}"
            if tool
            else f"{back} To change the password of a repository: drd repository rekey "
            f"{plans[0] if plans else 'PLAN'}"
        )
        return
    stored = [p.available_at for p in points]
    opened = max((time for time in stored if time < at), default=None)
    if opened is None or max(stored) > at:
        return
    error.message += (
        f". {file} was changed at {format_time(at)}, after the last backup with the former "
        f"text ({format_time(opened)})"
    )
    kits = [kit for plan in plans if (kit := catalogue.kits.newest(plan)) and kit.made_at < at]
    if kits:
        made_at = max(kit.made_at for kit in kits)
        error.message += f"; the recovery kit of {format_time(made_at)} has the former password"
    if tool:
        return
    error.hint = (
        f"write the former password into {file} again. To change the password of a repository: drd "
        f"repository rekey {plans[0]}"
    )


def _of_restic(file: str | None) -> str:
    """Return the remedy for a repository that restic itself fills: drd does not set its password.
    It may have another one now."""
    if file is None:
        return f"write {_ITS_OWN} to the place that `password` of the repository names in the plan."
    return f"write {_ITS_OWN} into {file}."
