"""What receiving and replaying the log of a server has in common, whatever the server is."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from drd.errors import SourceError, SourceUnreachable
from drd.model.finding import Finding
from drd.model.log import LogMark, LogTarget
from drd.model.units import format_time
from drd.ports.logs import RolledTo

_ASIDE = "received-before"
"""The directory that keeps what had arrived before the receiver last had to begin anew."""


def require_ready(findings: Iterable[Finding]) -> None:
    """Raise SourceError for the first thing that receiving the log needs and the server lacks."""
    for finding in findings:
        if finding.failed:
            raise SourceError(finding.text, hint=finding.remedy, permanent=True)


def refused(log: str, said: str, *, lost: bool) -> SourceError:
    """Return the error for a statement of the receiver of the `log` that failed; `lost` if the
    connection broke."""
    if lost:
        return SourceUnreachable(
            f"the connection to the server broke: {said}",
            hint="drd tries again by itself; if this goes on, check the log of the server.",
        )
    return SourceError(
        f"the server refuses what drd needs to receive its {log}: {said}",
        hint="see what is missing: drd doctor PLAN",
    )


def begun_anew(directory: Path, *, keep: bool) -> None:
    """Empty the directory of a receiver. If it has a part of the log, `keep` that beside it: it may
    not be stored yet, and its server may be gone."""
    if keep:
        aside = directory.with_name(_ASIDE)
        shutil.rmtree(aside, ignore_errors=True)
        directory.rename(aside)
    else:
        shutil.rmtree(directory)
    directory.mkdir(mode=0o700)


def rolled_to(
    replayed: str,
    target: LogTarget,
    end: LogMark,
    around: tuple[object | None, object | None],
    *,
    stopped: bool,
) -> RolledTo:
    """Return how far a log that leads to `end` was replayed. `replayed` names the part that was
    replayed, `around` are the last transaction in it and the first one after it, as far as there
    are any. It is `stopped` if the replay stopped before the end."""
    text, at = replayed, end.at
    if not stopped:
        until = format_time(end.at, seconds=True)
        text += f", which is the end of what is there (everything that was committed at {until})"
    elif target.before is not None:
        at = min(target.before, end.at)
    before, after = around
    if before is not None:
        text += f"; transaction {before} is there"
    if after is not None:
        text += f", transaction {after}, the next one, is not"
    return RolledTo(text, at)
