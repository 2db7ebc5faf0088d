"""Functions for receiving and replaying the log of a server, for all kinds of servers."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from drd.errors import SourceError, SourceUnreachable
from drd.model.finding import Finding
from drd.model.log import LogMark, LogTarget
from drd.model.units import format_time
from drd.ports.logs import RolledTo

NEEDED = """\
def of($key): (first(.tags[] | select(startswith($key))) // $key) | ltrimstr($key) | [length, .];
    map(select(.paths[0] // "" | startswith("/") and (test("[[:cntrl:]]") | not)))
    | [group_by([of("log-source:"), of("log-number:")])[] | max_by(of("log-end:"))
        | select(of("log-end:") >= ($from | [length, .]))]
    | sort_by(of("log-number:"), of("log-begin:"))"""
"""The program of jq that chooses, of snapshots of a log as restic lists them, those that a replay
from the position `$from` (hexadecimal) needs: the longest one of each batch that does not end
before. They are in the order of the log: their times may have another order, because the clock of a
host can be set back. Whoever can write to the repository chooses the paths: the shell would take
the second line of one for another word of restic, which can run commands, so drd leaves out such
snapshots. drd itself makes none."""
SUBTREE = r'"\(.id):\(.paths[0])"'
"""How jq names the files of such a snapshot for `restic restore`: without the directories above
them, which differ if the log was received on several hosts."""

_ASIDE = "received-before"
"""The directory that keeps the log that was received before the last gap."""


def require_ready(findings: Iterable[Finding]) -> None:
    """Raise SourceError for the first right or setting that drd needs and the server lacks."""
    for finding in findings:
        if finding.failed:
            raise SourceError(finding.text, hint=finding.remedy, permanent=True)


def refused(log: str, said: str, *, lost: bool) -> SourceError:
    """Return the error for a statement of the receiver of the `log` that failed; `lost` if the
    connection broke."""
    if lost:
        return SourceUnreachable(
            f"the connection to the server broke: {said}",
            hint="drd connects again. If the error repeats, check the error log of the server.",
        )
    return SourceError(
        f"the server refuses what drd needs to receive its {log}: {said}",
        hint="to see what the server lacks: drd doctor PLAN",
    )


def begun_anew(directory: Path, *, keep: bool) -> None:
    """Empty the directory of a receiver. With `keep`, its former content stays in a directory
    beside it: the repository may not have this part of the log yet, and the server may be gone."""
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
    earlier: int = 0,
    left_out_at: datetime | None = None,
) -> RolledTo:
    """Return the text and the data time of a replay. The text `replayed` names the replayed part,
    `end` is the end of the log, `around` are the last replayed transaction and the first one after
    it, each None if there is none. `stopped` says whether the replay stopped before the end of the
    log. `earlier` is how many transactions after that place have an earlier time than the target:
    they were left out, too. `left_out_at` is the commit time of the first transaction after that
    place. A drill that rehearses leaves out the last transaction on purpose, and measures how far a
    recovery would get."""
    text, at = replayed, end.at if target.before is None else min(target.before, end.at)
    if left_out_at is not None and target.before is None and not target.rehearses:
        at = min(left_out_at, end.at)
    if not stopped:
        until = format_time(end.at, seconds=True)
        text += f", the end of the stored log (everything that was committed at {until})"
    before, after = around
    if before is not None:
        text += f"; transaction {before} is there"
    if after is not None:
        text += f", transaction {after}, the next one, is not"
    if earlier == 1:
        text += "; 1 transaction that comes later in the log has an earlier time, and is left out"
    elif earlier:
        text += f"; {earlier:,} transactions that come later in the log have earlier times, and "
        text += "are left out"
    return RolledTo(text, at)
