"""Judge which of a plan's restore points can be read, from the known state of its repositories.
Pure.

A point does not count if it is only in repositories that cannot be read, if it needs damaged data,
or if a drill could not restore its data.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from drd.model.attainment import Interval
from drd.model.facts import PlanFacts, PointFacts, RepositoryFacts, UndoneFacts
from drd.model.finding_codes import REPOSITORY, name_of
from drd.model.text import called, counted, noun
from drd.model.units import format_time
from drd.model.verdicts import PlanState, Reason, RepositoryAssessment, Verdict, lost_words
from drd.named import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

GONE = "repository-gone"
SILENT = "repository-unreachable"
DAMAGED = "repository-damaged"
VANISHED = "points-vanished"
"""Codes of alerts about a repository or its points."""

ABSENT = "absent"
"""The state of a place where drd has not yet found or made a repository."""
STATES = ("ok", "gone", "emptied", "replaced", "shut", "damaged", "unreachable", "same", ABSENT)
"""The states of a repository that `assess_repository` reports."""


class Meeting(NamedTuple):
    """The state of a repository's place: `ok`, `gone` (no such bucket or directory), `emptied` (a
    place without a repository), `replaced` (another repository), `shut` (the plan's password does
    not open it), `unreachable` (nobody answers); `says` has the words.
    """

    state: Literal["ok", "gone", "emptied", "replaced", "shut", "unreachable"]
    says: str = ""


def readable(facts: PlanFacts) -> PointFacts | None:
    """Return the complete point with the latest data time that some repository can restore."""
    newest = None
    for repository in facts.repositories:
        sound = repository.sound
        if repository.lost is None and sound is not None:
            newest = sound if newest is None or sound.data_time > newest.data_time else newest
    return newest


def undoing(facts: PlanFacts) -> UndoneFacts | None:
    """Return the undone or unfinished recovery whose data is in the newest readable point; None if
    there is none."""
    left, undone = readable(facts), facts.undone
    if left is None or undone is None or left.data_time <= undone.point.data_time:
        return None
    return undone


def standing(facts: PlanFacts) -> PointFacts | None:
    """Return the readable point that a recovery chooses: without the data of an undone one."""
    undone = undoing(facts)
    return undone.point if undone is not None else readable(facts)


def of_what_counts(facts: PlanFacts, data_time: datetime | None) -> datetime | None:
    """Return the data time of the newest point without the data of an undone recovery in a place
    whose newest point has this data time."""
    undone = undoing(facts)
    if undone is None or data_time is None:
        return data_time
    return min(data_time, undone.point.data_time)


def newest_ever(facts: PlanFacts) -> tuple[datetime, datetime] | None:
    """Return data time and availability of the newest complete point that drd had reason to count
    on, even if it has vanished since.
    """
    newest, vanished = facts.newest, facts.vanished
    if vanished is not None and (newest is None or vanished.data_time > newest.data_time):
        return vanished.data_time, vanished.available_at
    return (newest.data_time, newest.available_at) if newest is not None else None


def unreadable_since(facts: PlanFacts) -> datetime | None:
    """Return when drd noticed that the newest point that it had counted on cannot be read; None
    while it can be read, or if there never was such a point.
    """
    newest, left = newest_ever(facts), readable(facts)
    if newest is None or (left is not None and left.data_time >= newest[0]):
        return None
    if not facts.repositories:
        return None  # nobody knows, which has a reason of its own
    if facts.newest is None or facts.newest.data_time < newest[0]:
        return facts.vanished.at if facts.vanished is not None else None
    known = [at for r in facts.repositories if (at := _lost_at(r, newest[0])) is not None]
    tried = facts.unrestorable
    if tried is not None:
        return min(tried.at, max(known, default=tried.at))
    return max(known, default=facts.loaded_at)


def _lost_at(repository: RepositoryFacts, newest: datetime) -> datetime | None:
    """Return since when the newest point cannot be read in a repository; None if it never was
    there.
    """
    if repository.newest is None or repository.newest.data_time < newest:
        return None
    sound = repository.sound
    is_torn = sound is None or sound.data_time < newest
    known = [
        repository.lost_since if repository.lost is not None else None,
        repository.damaged_since if repository.damage is not None and is_torn else None,
        repository.missing_since if repository.missing and is_torn else None,
    ]
    return min((at for at in known if at is not None), default=None)


def outage(facts: PlanFacts, now: datetime) -> Interval | None:
    """Return the interval up to now in which drd knew that every readable point is older than the
    RPO, or lacks data that an undo had put back.
    """
    since = outage_from(facts)
    return (since, now) if since is not None and since < now else None


def outage_from(facts: PlanFacts) -> datetime | None:
    """Return when the interval begins, perhaps in the future; None if there is no interval."""
    undone = undoing(facts)
    known = (unreadable_since(facts), undone.at if undone is not None else None)
    since = min((at for at in known if at is not None), default=None)
    left = standing(facts)
    if since is None or left is None:
        return since
    return max(since, left.data_time + timedelta(seconds=facts.points_within_s))


def judge_repositories(facts: PlanFacts, now: datetime) -> list[Reason]:
    """Return the reasons that each repository gives apart from the points lost with it: at risk at
    best.
    """
    reasons = []
    nothing_left = readable(facts) is None
    for repository in facts.repositories:
        reasons += _reasons_of_one(facts, repository, now, nothing_left=nothing_left)
    if facts.vanished is not None:
        reasons += _vanished(facts)
    if facts.newest is not None:
        reasons += [
            Reason(
                Verdict.MET,
                f"repository {r.repository}: drd has not yet found a repository at the URL that "
                "the plan has now",
                facts.anew,
            )
            for r in facts.repositories
            if not r.met and r.newest is None and r.copy_of is None
        ]
    return reasons


_LOST = {
    "gone": "it is gone",
    "emptied": "it is empty",
    "replaced": "another repository is there",
    "shut": "wrong password",
}
"""Words in the title of the alert about a repository in which nothing can be read."""


def _reasons_of_one(
    facts: PlanFacts, repository: RepositoryFacts, now: datetime, *, nothing_left: bool
) -> list[Reason]:
    name = repository.repository
    lead = "everything would be lost: " if nothing_left and newest_ever(facts) else ""
    verdict = Verdict.BREACHED if nothing_left else Verdict.AT_RISK
    again = f"drd doctor {facts.plan}"
    hurt = PlanState.NOT_READY
    reasons = []
    if repository.lost is not None:
        says = f": {repository.lost_says}" if repository.lost_says else ""
        since = repository.lost_since
        seen = f" (drd saw this first at {format_time(since, seconds=True)})" if since else ""
        text = f"{lead}repository {name} {lost_words(repository.lost)}{says}{seen}"
        brief = _LOST.get(repository.lost, "")
        reasons.append(Reason(verdict, text, again, GONE, subject=name, brief=brief, at_least=hurt))
    elif repository.unreachable is not None:
        text = f"repository {name}: {repository.unreachable}"
        stuck = repository.copy_of is None and _backup_is_stuck(facts, repository, now)
        at_risk = Verdict.AT_RISK if stuck else Verdict.MET
        subject = name_of(REPOSITORY, name)  # as a look ahead has it: it is the same alert
        reasons.append(Reason(at_risk, text, again, SILENT, subject=subject, code=REPOSITORY))
    if repository.damage is not None:
        # What of it is damaged is no way back; whether something else is, the lead has said.
        lost_by_it = lead if repository.newest is not None else ""
        verdict = verdict if lost_by_it else Verdict.AT_RISK
        text = f"{lost_by_it}repository {name} is damaged: {repository.damage}"
        mend = f"drd verify {facts.plan} --repository {name}"
        reasons.append(Reason(verdict, text, mend, DAMAGED, subject=name, at_least=hurt))
    if repository.missing:
        points = counted(repository.missing, "restore point")
        lost_by_it = lead if repository.newest is not None and repository.lost is None else ""
        verdict = Verdict.BREACHED if lost_by_it else Verdict.AT_RISK
        text = (
            f"{lost_by_it}repository {name} lacks snapshots of {points}: somebody removed these "
            "snapshots without drd"
        )
        if facts.made_by:
            tool = called(facts.made_by)
            text = (
                f"{lost_by_it}{points} of {tool} left repository {name} earlier than the plan says "
                f"that {tool} keeps them (`retention`)"
            )
            command = again
        else:
            command = f"drd retention {facts.plan} --dry-run"
        reasons.append(Reason(verdict, text, command, VANISHED, subject=name, at_least=hurt))
    return reasons


def _backup_is_stuck(facts: PlanFacts, repository: RepositoryFacts, now: datetime) -> bool:
    """Return whether a backup could not be stored since then, or should have been stored by now."""
    since, newest = repository.unreachable_since, facts.newest
    if since is None or (facts.failures is not None and facts.failures.at >= since):
        return True
    if facts.interval_s is None or newest is None:
        return False
    usual_s = facts.interval_s + (facts.backup_p95_s or 0.0)
    return now > newest.data_time + timedelta(seconds=usual_s)


def _vanished(facts: PlanFacts) -> list[Reason]:
    """Return the reason that points vanished: at risk until a backup has made a new one."""
    assert facts.vanished is not None
    count, at, left = facts.vanished.points, facts.vanished.at, readable(facts)
    points = counted(count, "restore point is", "restore points are")
    if newest := facts.vanished.newest:
        points = f"restore point {newest} is"
        if count > 1:
            points = f"{counted(count, 'restore point')}, the newest of them {newest}, are"
    them = noun(count, "it", "them")
    when = format_time(at)
    text = (
        f"{points} no longer in the repository: somebody removed {them} without drd (noticed "
        f"{when})"
    )
    if facts.made_by:
        tool = called(facts.made_by)
        text = (
            f"{points} no longer in the repository, earlier than the plan says that {tool} keeps "
            f"{them} (`retention`; noticed {when})"
        )
    if left is None and facts.newest is None:
        text = f"everything would be lost: {text}"
        return [Reason(Verdict.BREACHED, text, f"drd points {facts.plan}", VANISHED)]
    if left is not None and left.available_at > at:
        return []
    return [Reason(Verdict.AT_RISK, text, f"drd points {facts.plan}", VANISHED)]


def assess_repository(facts: RepositoryFacts) -> RepositoryAssessment:
    state, since = "ok", None
    if facts.lost is not None:
        state, since = facts.lost, facts.lost_since
    elif facts.same:
        state = "same"
    elif facts.damage is not None:
        state, since = "damaged", facts.damaged_since
    elif facts.unreachable is not None:
        state, since = "unreachable", facts.unreachable_since
    elif not facts.met and facts.newest is None:
        state = ABSENT
    there = facts.sound if facts.lost is None else None
    time = there.data_time if there else None
    return RepositoryAssessment(
        facts.repository, facts.copy_of, state, since, time, facts.newest is not None
    )
