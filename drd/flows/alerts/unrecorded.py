"""Alerts that were sent although the catalogue could not take them, in a file beside it: the next
daemon knows them, and tells their end. Without it, whoever was called would never learn that."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from drd import log
from drd.model.actor import Actor
from drd.model.alerts import Alert, AlertChange, Transition, rank
from drd.model.units import from_rfc3339, to_rfc3339
from drd.modes import UNRECORDED, open_private_file, read_regular

ROOM = 64 * 1024
"""The file always has this many bytes, filled up with blanks, and is written in place: so it can be
written while the disk is full."""

_TIMES = ("since", "seen_at", "told_at", "gone_at", "acknowledged_until", "resolved_at")
_ACTOR = "acknowledged_actor"
_STUMBLES = (ValueError, TypeError, LookupError, AttributeError)
_log = log.get()


class UnrecordedAlerts:
    """Belongs to one thread of the daemon. With no directory it remembers nothing. What cannot be
    read or written is only logged: the alerts themselves were sent."""

    def __init__(self, directory: Path | None = None) -> None:
        self._file = directory / UNRECORDED if directory is not None else None
        self._written: bytes | None = None

    def read(self) -> list[Transition]:
        """Return what the last daemon could not record."""
        if self._file is None:
            return []
        try:
            entries = json.loads(read_regular(self._file, ROOM).rstrip(b"\0 "))
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            _log.warning("unrecorded_alerts.not_read", file=str(self._file), error=str(error))
            return []
        found = []
        for entry in entries if isinstance(entries, list) else ():
            try:
                found.append(_transition(entry))
            except _STUMBLES as error:  # of another version of drd
                _log.warning("unrecorded_alerts.not_read", file=str(self._file), error=str(error))
        return found

    def write(self, changes: Sequence[Transition]) -> None:
        """Remember these, and nothing else: the most severe, if there is no room for all."""
        if self._file is None:
            return
        content = _content(changes)
        if content == self._written:
            return
        try:
            fd = open_private_file(self._file)
            try:
                if os.pwrite(fd, content, 0) != len(content):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.ftruncate(fd, ROOM)
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            _log.debug("unrecorded_alerts.not_written", file=str(self._file), error=str(error))
            return
        self._written = content


def _content(changes: Sequence[Transition]) -> bytes:
    lines: list[bytes] = []
    room = ROOM - len(b"[]")
    for change in sorted(changes, key=lambda t: rank(t.after.severity)):
        line = json.dumps(_entry(change)).encode()
        if room < len(line) + 1:
            break
        lines.append(line)
        room -= len(line) + 1
    return (b"[" + b",".join(lines) + b"]").ljust(ROOM)


def _entry(change: Transition) -> dict[str, Any]:
    return {
        "change": str(change.change),
        "before": _alert_entry(change.before) if change.before is not None else None,
        "after": _alert_entry(change.after),
    }


def _transition(entry: dict[str, Any]) -> Transition:
    before = entry["before"]
    return Transition(
        AlertChange(entry["change"]),
        _alert(before) if before is not None else None,
        _alert(entry["after"]),
    )


def _alert_entry(alert: Alert) -> dict[str, Any]:
    entry = {f.name: getattr(alert, f.name) for f in fields(alert)}
    times = {name: to_rfc3339(entry[name]) for name in _TIMES if entry[name] is not None}
    actor = alert.acknowledged_actor
    return {**entry, **times, _ACTOR: actor.to_json() if actor is not None else None}


def _alert(entry: dict[str, Any]) -> Alert:
    times = {name: from_rfc3339(entry[name]) for name in _TIMES if entry[name] is not None}
    known = {f.name: entry[f.name] for f in fields(Alert) if f.name in entry}
    return Alert(**{**known, **times, _ACTOR: Actor.from_json(entry[_ACTOR])})
