"""The exposure of a plan, which is what would be lost now, and the reasons for its verdict."""

from __future__ import annotations

from datetime import datetime

from drd.model.clock import age, tried
from drd.model.facts import FindingFacts, IncompleteFacts, PlanFacts, PointFacts
from drd.model.own_objectives import Exposed, exposed, strictest_s, worst_of
from drd.model.repositories import newest_ever, standing, undoing, unreadable_since
from drd.model.text import called, some, without_output
from drd.model.units import format_duration, format_time
from drd.model.verdicts import PlanState, Reason, Verdict
from drd.named import NamedTuple

AT_RISK_SHARE = 0.8
"""Above this share of the RPO the plan is at risk: the objective may be missed before anyone
reacts.
"""


class AtStake(NamedTuple):
    """The data that a recovery from `point` would restore now, as its `parts`. `worst` is the part
    that is worst against its own objective, `exposure_s` the age of this part's data; None if the
    point is dated in the future: a clock was set back, so the age is unknown."""

    point: PointFacts
    parts: tuple[Exposed, ...]
    worst: Exposed
    exposure_s: float | None


def at_stake(facts: PlanFacts, now: datetime) -> AtStake | None:
    """Return the data that a recovery would restore now; None without a complete point."""
    point = standing(facts)
    if point is None:
        return None
    parts = exposed(facts, point, leads_on=leads_on(facts))
    worst = worst_of(parts, now)
    is_dated = age(point.available_at, now) is not None
    return AtStake(point, parts, worst, age(worst.data_time, now) if is_dated else None)


def leads_on(facts: PlanFacts) -> bool:
    """Return whether drd counts the logs. They continue the newest point: so drd must be able to
    read this point, and no undo may have put back older data."""
    return unreadable_since(facts) is None and undoing(facts) is None


def against(exposure_s: float | None, rpo_s: float) -> Verdict:
    """Compare an exposure with the RPO. An exposure of exactly the RPO still meets it."""
    if exposure_s is None:
        return Verdict.UNKNOWN
    if exposure_s > rpo_s:
        return Verdict.BREACHED
    return Verdict.AT_RISK if exposure_s > AT_RISK_SHARE * rpo_s else Verdict.MET


def judge_exposure(
    facts: PlanFacts, stake: AtStake | None, wrong: list[Reason], now: datetime
) -> list[Reason]:
    """Return the reasons for the verdict on the exposure. `wrong` has the problems of the
    repositories: they can be the cause if drd can read no point."""
    if stake is None:
        return _nothing_readable(facts, wrong, now)
    worst = stake.worst
    if stake.exposure_s is None:
        latest = format_time(max(worst.data_time, stake.point.available_at), seconds=True)
        text = f"the newest restore point is dated {latest}, which is in the future: "
        text += "a clock was set back"
        return [Reason(Verdict.UNKNOWN, text, f"drd points {facts.plan}", "rpo")]
    if unreadable_since(facts) is not None:
        return _older_one_left(facts, stake)
    verdict = against(stake.exposure_s, worst.rpo_s)
    trouble = _trouble(facts, now)
    put_back = _put_back(facts, worst)
    if verdict is Verdict.MET:
        notes = [Reason(verdict, put_back, _after_recovery(facts))] if put_back else []
        if trouble is None:
            return notes
        lead = "the last backup failed: " if facts.failures is not None else ""
        text, risk = lead + trouble.text, PlanState.AT_RISK
        return [Reason(verdict, text, trouble.remedy, says_why=trouble.code, at_least=risk), *notes]
    text = _exceeded(stake, verdict, put_back, now)
    if worst.by_log and not put_back:
        return [Reason(verdict, text, f"drd points {facts.plan}", "rpo")]
    if trouble:
        text = f"{text}. Cause: {trouble.text}"
        return [Reason(verdict, text, trouble.remedy, "rpo", trouble.code)]
    began = _backup_running(facts, now)
    if began is not None:
        return [began._replace(verdict=verdict, text=f"{text}; {began.text}")]
    if put_back:
        return [Reason(verdict, text, _after_recovery(facts), "rpo")]
    unseen = f"drd has not seen a newer copy from {called(facts.made_by)}"
    since = unseen if facts.made_by else "drd has recorded no later backup run"
    return [Reason(verdict, f"{text}; {since}", facts.anew, "rpo")]


def _exceeded(stake: AtStake, verdict: Verdict, put_back: str, now: datetime) -> str:
    """Return a text that names the RPO that is exceeded or nearly exceeded. This is the RPO of the
    worst component; the text also names the other components with the same verdict."""
    worst = stake.worst
    is_over = "exceeded" if verdict is Verdict.BREACHED else "nearly exceeded"
    rpo = f"RPO of {worst.component}" if worst.component else "RPO"
    fact = put_back or f"the newest complete backup has {_data_of(worst)}"
    if worst.by_log and not put_back:
        fact = f"the log that drd has stored has {_data_of(worst)}"
    others = [
        f"{part.component} (RPO {format_duration(part.rpo_s)})"
        for part in stake.parts
        if part is not worst and against(age(part.data_time, now), part.rpo_s) is verdict
    ]
    text = f"{rpo} {is_over}: {fact}"
    return f"{text}. The same is true of {some(others)}" if others else text


def _backup_running(facts: PlanFacts, now: datetime) -> Reason | None:
    """Return what is known of the backup that is running, if there is one."""
    running = facts.running
    if running is None or running.kind != "backup":
        return None
    since_s = age(running.started_at, now)
    began = format_time(running.started_at, seconds=True)
    # A process that was killed leaves its run so; nothing lives longer than its timeout.
    lives = since_s is None or since_s <= facts.backup_timeout_s
    words = (
        f"a backup has been running since {began}"
        if lives
        else f"a backup began at {began} and never ended"
    )
    return Reason(Verdict.MET, words, f"drd run show {running.run}", "rpo")


def _put_back(facts: PlanFacts, worst: Exposed) -> str:
    """Say that newer points lack what an undo put back, or have data of two times; empty if there
    are none."""
    undone = undoing(facts)
    if undone is None:
        return ""
    if undone.unfinished:
        return (
            f"the newest backup that does not mix data of two times has {_data_of(worst)}; "
            f"newer restore points were made while recovery {undone.run} had restored only a part "
            "of the service"
        )
    return (
        f"the newest backup of the data that the undo of recovery {undone.run} put back has "
        f"{_data_of(worst)}; newer restore points contain the data that this recovery "
        "had restored"
    )


def _after_recovery(facts: PlanFacts) -> str:
    """Return the command that leads to a newer point that counts: as long as a recovery is
    unfinished, a backup makes none."""
    left, undone = facts.unfinished, undoing(facts)
    if left is not None and undone is not None and undone.unfinished and left.run == undone.run:
        return f"drd run show {left.run}"
    return facts.anew


def _data_of(worst: Exposed) -> str:
    """Return words for the time of the data, and for the largest age that the RPO allows."""
    at, allowed = format_time(worst.data_time, seconds=True), format_duration(worst.rpo_s)
    return f"data of {at} (RPO {allowed})"


def _nothing_readable(facts: PlanFacts, wrong: list[Reason], now: datetime) -> list[Reason]:
    """Return the reason that no point can be restored: there never was one, or the repositories are
    `wrong`.
    """
    if newest_ever(facts) is None:
        return [_no_point(facts, now)]
    if any(r.verdict is Verdict.BREACHED for r in wrong):
        return []
    where = f"drd doctor {facts.plan}"
    if facts.unrestorable is not None:
        more, where = _made_anew(facts)
        text = f"everything would be lost: {facts.unrestorable.words()}, and drd "
        text += f"does not know another complete restore point that can be restored{more}"
        return [Reason(Verdict.BREACHED, text, where, "rpo", run=facts.unrestorable.run)]
    if facts.repositories:
        text = "everything would be lost: no repository of the plan contains a restore point"
        return [Reason(Verdict.BREACHED, text, where, "rpo")]
    text = "drd does not know which repository contains the restore points"
    return [Reason(Verdict.UNKNOWN, text, where, "rpo")]


def _older_one_left(facts: PlanFacts, stake: AtStake) -> list[Reason]:
    """Return the reason that only an older point can be read; the repository has its own reason."""
    data = _data_of(stake.worst)
    text, where = f"the newest readable restore point has {data}", facts.anew
    if facts.unrestorable is not None:
        more, where = _made_anew(facts)
        text = f"{facts.unrestorable.words()}; the newest remaining point, {stake.point.id}, "
        text += f"has {data}{more}"
    verdict = against(stake.exposure_s, stake.worst.rpo_s)
    if verdict is Verdict.MET:
        verdict = Verdict.AT_RISK
    return [Reason(verdict, text, where, "rpo")]


def _made_anew(facts: PlanFacts) -> tuple[str, str]:
    """Return how a new point is made after one could not be restored: the words beside the command,
    and the command. If another tool makes the copies, listing them again makes none.
    """
    if not facts.made_by:
        return "", facts.anew
    return f". Let {called(facts.made_by)} make a new copy", f"drd points {facts.plan}"


def _no_point(facts: PlanFacts, now: datetime) -> Reason:
    """Return the reason that there is no point. It is unknown while the first backup may still come
    in time. Once the plan has been loaded for longer than its shortest RPO, more than that would be
    lost.
    """
    loaded_s = age(facts.first_loaded_at, now)
    late = loaded_s is not None and loaded_s > strictest_s(facts)
    verdict = Verdict.BREACHED if late else Verdict.UNKNOWN
    text = (
        "there is no complete restore point"
        if facts.incomplete
        else ("there is no restore point yet")
    )
    trouble = _trouble(facts, now)
    if trouble:
        text = f"{text}. Cause: {trouble.text}"
        return Reason(verdict, text, trouble.remedy, "no-point", trouble.code)
    unmet = [r.repository for r in facts.repositories if not r.met]
    drilled = facts.last_drill is not None and facts.last_drill.point is not None
    known_before = drilled or any(c.data_time for c in facts.components)
    if unmet and known_before:
        text = (
            f"{text} that counts: the plan has another URL for {' and '.join(unmet)} than "
            "before, and drd has not yet found a repository there (restore points at the former "
            f"URL: drd points {facts.plan})"
        )
        return Reason(verdict, text, f"drd doctor {facts.plan}", "no-point")
    text = f"{text}: nothing can be restored"
    began = _backup_running(facts, now)
    if began is not None:
        return Reason(verdict, f"{text}; {began.text}", began.remedy, "no-point")
    return Reason(verdict, text, facts.anew, "no-point")


def _trouble(facts: PlanFacts, now: datetime) -> FindingFacts | None:
    """Return why there is no newer point, with the kind of the alert that reports the same. The
    reason is that backups have failed since the last success, or else that the newest point is
    incomplete (a point that was rebuilt from a repository has no run).
    """
    if facts.failures is not None:
        tries, run, at, error, _ = facts.failures
        text = f"{without_output(error) or 'backup failed'} ({tried(tries, at, now)})"
        # As the alerts have it: a run that left an incomplete point is told as that.
        left_a_point = facts.incomplete is not None and facts.incomplete.id == run
        kind = "point-incomplete" if left_a_point else "backup-failing"
        return FindingFacts(kind, "", text, f"drd run show {run}")
    if facts.incomplete is not None:
        text = incomplete_point(facts.incomplete)
        return FindingFacts("point-incomplete", "", text, f"drd points {facts.plan}")
    return None


def incomplete_point(point: IncompleteFacts) -> str:
    """Name the point, and the error of each component that it lacks."""
    failed = "; ".join(f"{name}: {without_output(error)}" for name, error in point.failed)
    text = f"the newest restore point {point.id} is incomplete"
    return f"{text}: {failed}" if failed else text
