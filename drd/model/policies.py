"""When the runs of a plan start, and how many restore points they keep."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Blackout:
    """A time of the week in which nothing may start, in minutes after midnight of local time.
    `days` are the days on which it begins, 0 for Monday. A `to_min` that is not later than
    `from_min` is on the next day. 24:00 is 1440.
    """

    from_min: int
    to_min: int
    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When runs of one kind start: every `every_s` seconds, or by `cron` in `timezone`. With
    neither, runs start by hand only. `longest_gap_s` is the longest time between two starts by
    `cron`. drd ends a run after `timeout_s`.
    """

    every_s: float | None = None
    cron: str | None = None
    timezone: str = "UTC"
    blackout: tuple[Blackout, ...] = ()
    timeout_s: float = 3600.0
    longest_gap_s: float | None = None

    @property
    def interval_s(self) -> float | None:
        """The longest time between two starts by `every_s` or `cron`; None without both."""
        return self.every_s if self.every_s is not None else self.longest_gap_s

    @property
    def is_regular(self) -> bool:
        """True if runs start at regular times, by `every_s` or `cron`."""
        return self.every_s is not None or self.cron is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupPolicy(Times):
    """When backups start. With `auto` the RPO decides, and `longest_gap_s` is the resulting
    exposure. If `jitter_s` is None, drd chooses it. `rpo_s` is the shortest RPO of a component that
    has no log; None if it is the RPO of the plan.
    """

    auto: bool = False
    retries: int = 5
    jitter_s: float | None = None
    rpo_s: float | None = None


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How many restore points to keep; drd forgets a point that no rule keeps. If `every_s` is
    None, drd does this only by hand. `max_repack_bytes` limits how much one prune rewrites.
    """

    keep_within_s: float | None = None
    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    max_repack_bytes: int | None = None
    every_s: float | None = None

    @property
    def keeps_everything(self) -> bool:
        """True if the policy has no rules. Then drd never forgets a restore point."""
        return replace(self, max_repack_bytes=None, every_s=None) == RetentionPolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPolicy(Times):
    """When the repositories with `copy_of` receive the points that they lack. With neither
    `every_s` nor `cron`, drd copies after each backup. With `by_hand`, drd never copies by itself.
    `pause_s` is the longest time between two copies; 0 if drd copies after each backup.
    """

    by_hand: bool = False
    timeout_s: float = 12 * 3600.0
    pause_s: float = 0.0

    @property
    def follows(self) -> bool:
        """True if drd copies after each backup."""
        return not self.by_hand and not self.is_regular


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunePolicy(Times):
    """When drd removes from each repository the data that no snapshot needs."""

    every_s: float | None = 7 * 86400.0
    timeout_s: float = 6 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationPolicy(Times):
    """When drd verifies each repository. It reads every byte once within `read_all_within_s`."""

    every_s: float | None = 7 * 86400.0
    timeout_s: float = 12 * 3600.0
    read_all_within_s: float = 90 * 86400.0
