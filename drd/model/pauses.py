"""The reasons why retention forgets nothing at present. Pure.

Retention waits whenever "old enough to go" is in doubt: a clock or a listing that cannot be
trusted, backups that do not succeed, damage that nobody has dealt with.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drd.model.clock import JUMP_S, SYNCHRONISE
from drd.model.finding import Finding
from drd.model.snapshot import RestorePoint, newest_complete
from drd.model.text import noun, some
from drd.model.units import format_duration, format_time

_IN_A_COMMAND = 200
_NAMED = 5
"""The largest number of restore points that a sentence names."""


class Pause(Finding):
    """A finding because of which retention waits: a warning, about a repository if `subject` names
    one."""

    __slots__ = ()

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON, also with the key `hint` of former versions, which those read."""
        return {
            "code": self.code,
            "severity": self.severity,
            "subject": self.subject,
            "text": self.text,
            "remedy": self.remedy,
            "hint": self.remedy,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Pause:
        """Return the inverse of `to_json`. Older versions recorded no subject."""
        code, subject = str(data["code"]), str(data.get("subject", ""))
        return cls(code, "warning", subject, str(data["text"]), str(data["hint"]))


@dataclass(frozen=True, slots=True)
class Damage:
    """Known damage of a repository. `affected` are the points that need the damaged data; None if
    drd cannot find out.
    """

    repository: str
    text: str
    affected: tuple[str, ...] | None = None


def words(pauses: Sequence[Pause]) -> str:
    """Join all pauses into one sentence, for the run's record."""
    return "paused: " + "; ".join(pause.text for pause in pauses)


def of_backups(
    plan: str,
    points: Sequence[RestorePoint],
    *,
    last_failed: str | None,
    rpo_s: float,
    now: datetime,
) -> list[Pause]:
    """Pause if the last backup failed (`last_failed` says how), or the newest complete point is
    older than `rpo_s` (`oldest_s`): the points that are kept now may be all there will be.
    """
    pauses = []
    if last_failed is not None:
        pauses.append(
            Pause(
                "backup-failed",
                "warning",
                "",
                f"the last backup failed: {last_failed}",
                f"correct the cause, then: drd backup {plan}",
            )
        )
    newest = newest_complete([p for p in points if p.forgotten_at is None])
    if newest is None:
        pauses.append(
            Pause(
                "no-point",
                "warning",
                "",
                "there is no complete restore point",
                f"drd backup {plan}",
            )
        )
        return pauses
    age_s = (now - newest.data_time).total_seconds()
    if age_s > rpo_s:
        pauses.append(
            Pause(
                "rpo",
                "warning",
                "",
                "the newest complete restore point has data of "
                f"{format_time(newest.data_time, seconds=True)}, but the RPO is "
                f"{format_duration(rpo_s)}",
                f"make a backup: drd backup {plan}. If no backup was missed, check the clock of "
                "this host: timedatectl",
            )
        )
    return pauses


def of_damage(
    plan: str,
    damages: Sequence[Damage],
    kept: Collection[str],
    given_up: Set[tuple[str, str]],
) -> list[Pause]:
    """Pause for damage that was neither repaired nor given up by name, and that affects an existing
    point, no point yet, or points unknown to drd. `given_up` has points, each with the repository
    in which it was given up, `""` for all.
    """
    pauses = []
    for damage in damages:
        what = damage.text
        again = f"drd verify {plan} --repository {damage.repository}"
        if damage.affected is None:
            hint = again
        elif not damage.affected:
            # New points may build on it, and then older ones are what is left.
            what += ", which no restore point needs"
            hint = f"repair the repository (docs/copies.md, Repairing a repository), then: {again}"
        else:
            open_ones = [
                p
                for p in damage.affected
                if p in kept and given_up.isdisjoint({(p, ""), (p, damage.repository)})
            ]
            if not open_ones:
                continue
            what += f" ({named(open_ones)})"
            hint = (
                "repair the repository (docs/copies.md, Repairing a repository), or forget the "
                f"points: drd points forget {' '.join(open_ones[:_NAMED])} --repository "
                f"{damage.repository} --reason TEXT"
            )
        text = f"repository {damage.repository} is damaged: {what}"
        pauses.append(Pause("damage", "warning", damage.repository, text, hint))
    return pauses


def of_listing(repository: str, missing: Sequence[str], *, nowhere: bool = False) -> list[Pause]:
    """Pause if the repository lists fewer snapshots of the `missing` points than before, and drd
    did not remove them. `nowhere`: no other repository has these points either.
    """
    if not missing:
        return []
    only = "" if nowhere else f" --repository {repository}"
    return [
        Pause(
            "listing-shrank",
            "warning",
            repository,
            f"repository {repository} {lists_less(missing)}",
            "find out who removed the snapshots, and restore them, for example from older "
            "versions of the bucket's objects. If the snapshots are lost, forget the points: "
            f"drd points forget {' '.join(missing[:_IN_A_COMMAND])}{only} --reason TEXT",
        )
    ]


_REMOVE_UNREADABLE = (
    "drd catalogue verify names what cannot be read, and prints the commands that remove it."
)


def of_unreadable(text: str, hint: str | None) -> Pause:
    """Pause if something in the listing cannot be read: it may be the manifest of a point that
    would be forgotten.
    """
    return Pause("unreadable", "warning", "", text, hint or _REMOVE_UNREADABLE)


def of_clock(repository: str, ahead_s: float | None) -> list[Pause]:
    """Pause if this host's clock is `ahead_s` seconds ahead of the repository server's; None if
    that is unknown.
    """
    if ahead_s is None or abs(ahead_s) <= JUMP_S:
        return []
    way = "ahead of" if ahead_s > 0 else "behind"
    return [
        Pause(
            "clock-differs",
            "warning",
            repository,
            f"this host's clock is {format_duration(abs(ahead_s))} {way} the clock of {repository}",
            SYNCHRONISE,
        )
    ]


def of_jump(plan: str, jumped_s: float | None) -> list[Pause]:
    """Pause if the clock was set by `jumped_s` since drd last trusted it."""
    if jumped_s is None:
        return []
    way = "forward" if jumped_s > 0 else "back"
    return [
        Pause(
            "clock-jumped",
            "warning",
            "",
            f"this host's clock was set {way} by {format_duration(abs(jumped_s))}, and nobody "
            "has confirmed the new time",
            f"check the clock: timedatectl. If the time is right now: drd retention {plan} "
            "--clock-is-right --reason TEXT",
        )
    ]


def lists_less(missing: Sequence[str]) -> str:
    """Say that a repository lacks snapshots of these points; its name precedes the text."""
    return f"lacks snapshots of {named(missing)}: somebody removed these snapshots without drd"


def named(points: Sequence[str]) -> str:
    """List restore points: `restore points a, b and 3 more`."""
    return f"{noun(len(points), 'restore point')} {some(points, _NAMED)}"
