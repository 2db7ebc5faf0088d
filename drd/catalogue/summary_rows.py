"""Makes facts for `drd status` from the rows of the summary queries.

Each cold start of `drd status` imports it: it uses the standard library alone, as `summary` does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from drd.catalogue.reading import HUGE
from drd.model.consistency import Spread, too_wide
from drd.model.copy_names import copy_in, named
from drd.model.down import Effect
from drd.model.drd_facts import IncidentFacts, OwnerFacts
from drd.model.drill_facts import DrillFacts, FailedCheck, PackageFacts, ScenarioFacts, Unproven
from drd.model.facts import (
    REOPENED,
    AlertFacts,
    BackupFacts,
    ComponentFacts,
    CopyFacts,
    FailedStep,
    FailureFacts,
    FindingFacts,
    HoldFacts,
    IncompleteFacts,
    LogFacts,
    PausedFacts,
    PlanFacts,
    PointFacts,
    RefusedFacts,
    RepositoryFacts,
    RunningFacts,
    UndoneFacts,
    UnfinishedFacts,
    UnreadyFacts,
    VanishedFacts,
)
from drd.model.package_versions import other_packages
from drd.model.unrestorable import UnrestorableFacts
from drd.presence import has_ended

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    _T = TypeVar("_T")


def plan(row: Sequence[Any], failed: tuple[tuple[str, str], ...]) -> PlanFacts:
    (name, owner, rpo_s, rto_s, window_s, digest, first_loaded_at, loaded_at) = row[:8]
    (interval_s, cron, backup_timeout_s, drill_every_s) = row[8:12]
    (file, file_mtime_ns, file_size, file_digest, load_error) = row[12:17]
    newest, incomplete = row[17:21], row[21:23]
    if not max(rpo_s, rto_s, window_s) < HUGE:  # TypeError for what is no number
        raise ValueError(f"the objectives of {name} are not numbers")
    point = _measured(newest, row[79])
    return PlanFacts(
        plan=name,
        owner=owner,
        rpo_s=rpo_s,
        rto_s=rto_s,
        window_s=window_s,
        digest=digest,
        first_loaded_at=time(first_loaded_at),
        loaded_at=time(loaded_at),
        interval_s=interval_s,
        cron=cron,
        backup_timeout_s=backup_timeout_s,
        drill_every_s=drill_every_s,
        file=file,
        file_mtime_ns=file_mtime_ns,
        file_size=file_size,
        file_digest=file_digest,
        load_error=load_error,
        newest=point,
        incomplete=IncompleteFacts(incomplete[0], time(incomplete[1]), (*failed, *_apart(row[80])))
        if incomplete[0]
        else None,
        complete_points=row[23] or 0,
        backup_p95_s=row[24],
        failures=_failures(row[25:31], point),
        last_drill=_drill(row[31:47]),
        last_passed_drill=_drill(row[47:63]),
        vanished=_vanished((*row[63:67], _named(*row[75:77]))),
        packages=_used(row[67]),
        proofs=tuple([digest for digest in row[68:70] if digest]),
        load_error_at=time(row[70]) if row[70] else None,
        backup=_backup(row[71:75]),
        proven_elsewhere=row[77] or "",
        description=row[78] or "",
        drill_full_every_s=row[81],
        point_rpo_s=row[82],
    )


def _used(noted: str | None) -> dict[str, str]:
    return {str(name): str(number) for name, number in json(noted).items()} if noted else {}


def _point(row: Sequence[Any]) -> PointFacts | None:
    return PointFacts(row[0], time(row[1]), time(row[2]), row[3]) if row[0] else None


def _measured(row: Sequence[Any], consistency: str | None) -> PointFacts | None:
    point = _point(row)
    return point and point._replace(consistency=_spreads(consistency))


def _spreads(noted: str | None) -> tuple[Spread, ...]:
    return tuple(Spread.from_json(one) for one in json(noted)) if noted else ()


def _apart(noted: str | None) -> tuple[tuple[str, str], ...]:
    """Return the groups whose data times are too far apart, each with the words for it."""
    return tuple((spread.names, spread.words) for spread in too_wide(_spreads(noted)))


def _backup(row: Sequence[Any]) -> BackupFacts | None:
    run, started_at, finished_at, added = row
    if started_at is None or finished_at is None:
        return None
    return BackupFacts(run, time(started_at), time(finished_at), int(added or 0))


def _failures(row: Sequence[Any], newest: PointFacts | None) -> FailureFacts | None:
    """Return the failures since the newest point. A host that was made from a repository may know
    the failures of the lost host, and not the run that succeeded after them."""
    tries, run, at, error, state, code = row
    if not run or (newest is not None and time(at) < newest.data_time):
        return None
    return FailureFacts(tries, run, time(at), error or state, code or "")


def _drill(row: Sequence[Any]) -> DrillFacts | None:
    if row[0] is None:
        return None
    (evidence, run, point, at, result, digest, rta_s, rpa_s, judged, restored, reason) = row[:11]
    return DrillFacts(
        evidence, run, point, time(at), result, digest, rta_s, rpa_s, bool(judged), restored,
        reason,
        _rehearsed(row[11]), row[12], time(row[13]) if row[13] else None, row[14],
        _unproven(row[15]),
    )  # fmt: skip


def _unproven(noted: str | None) -> tuple[Unproven, ...]:
    if noted is None or noted == "[]":
        return ()
    return tuple(Unproven(*u) for u in json(noted))


def _vanished(row: Sequence[Any]) -> VanishedFacts | None:
    number, data_time, available_at, at, newest = row
    if not number or data_time is None:
        return None
    return VanishedFacts(number, time(data_time), time(available_at), time(at), newest)


def scenario(row: Sequence[Any]) -> ScenarioFacts:
    last, passed = _drill(row[4:20]), _drill(row[20:36])
    packages = _packages(*row[36:38])
    return ScenarioFacts(row[1], row[2] is not None, row[3], last, passed, packages)


def _packages(now: str | None, drill: str | None) -> tuple[PackageFacts, ...]:
    """Those of which the drill had another version; none if nobody recorded its versions."""
    if now is None or drill is None:
        return ()
    return other_packages(json(drill).get("tools") or {}, json(now))


def repository(row: Sequence[Any]) -> RepositoryFacts:
    lost, lost_since, lost_says, unreachable, unreachable_since, damage, damaged_since = row[11:18]
    return RepositoryFacts(
        row[1],
        row[2],
        _measured(row[3:7], row[22]),
        _measured(row[7:11], row[23]),
        lost,
        time(lost_since) if lost_since else None,
        lost_says or "",
        unreachable,
        time(unreachable_since) if unreachable_since else None,
        damage,
        time(damaged_since) if damaged_since else None,
        len(json(row[18])) if row[18] else 0,
        time(row[19]) if row[19] else None,
        bool(row[20]),
        bool(row[21]),
    )


def failed_check(row: Sequence[Any]) -> FailedCheck:
    return FailedCheck(*row[1:])


def with_checks(
    drill: DrillFacts | None, failed: Mapping[str, Sequence[FailedCheck]]
) -> DrillFacts | None:
    """Return the drill with its failed checks, which are given by evidence."""
    if drill is None or drill.evidence not in failed:
        return drill
    return drill._replace(failed=tuple(failed[drill.evidence]))


def _rehearsed(coverage: str | None) -> tuple[int, int] | None:
    if coverage is None:
        return None
    known = json(coverage)
    return known["rehearsed"], known["of"]


def component(row: Sequence[Any]) -> ComponentFacts:
    _, component, kind, data_time, size, error, log, rpo_s = row
    at = time(data_time) if data_time else None
    known = json(log) if log else {}
    log_at, every_s = known.get("reaches"), known.get("every_s")
    reaches = time(log_at) if log_at else None
    log_facts = _log(known, reaches) if known else None
    return ComponentFacts(component, kind, at, size, error, reaches, every_s, log_facts, rpo_s)


def _log(known: Mapping[str, Any], reaches: datetime | None) -> LogFacts:
    """Return what is known of a log. Its last part leads on to now if nothing was written since."""
    spans = [(time(begin), time(end)) for begin, end in known.get("spans", ())]
    if spans and reaches is not None:
        begin, end = spans[-1]
        spans[-1] = begin, max(end, reaches)
    return LogFacts(tuple(spans), str(known.get("trouble", "")), str(known.get("remedy", "")))


def copy(row: Sequence[Any]) -> CopyFacts:
    _, repository, copy_of, *times, pause_s, added_at = row
    arrived, since, added = (time(at) if at else None for at in (*times, added_at))
    return CopyFacts(repository, copy_of, arrived, since, pause_s or 0.0, added)


def log_copy(row: Sequence[Any]) -> tuple[str, str, datetime | None]:
    """Return the repository and the component of a copied log, and how far this log reaches."""
    _, repository, component, log = row
    reaches = (json(log) if log else {}).get("reaches")
    return repository, component, time(reaches) if reaches else None


def with_logs(
    copies: Sequence[CopyFacts], logs: Sequence[tuple[str, str, datetime | None]]
) -> tuple[CopyFacts, ...]:
    """Return the copies with what they have of the logs of the plan."""
    return tuple(
        copy._replace(
            logs=tuple((name, at) for there, name, at in logs if there == copy.repository)
        )
        for copy in copies
    )


def alert(row: Sequence[Any]) -> AlertFacts:
    _, alert, kind, state, since, message, severity, command, by, until, subject, code = row
    until = time(until) if until else None
    return AlertFacts(
        alert, kind, state, time(since), message, severity, command, by, until, subject, code
    )


def incident(row: Sequence[Any]) -> IncidentFacts:
    number, title, state, severity, restricted, opened_at, next_at, plans, here = row
    return IncidentFacts(
        number,
        "" if restricted else title,
        state,
        severity,
        bool(restricted),
        time(opened_at) if opened_at else None,
        time(next_at) if next_at else None,
        () if restricted else tuple(json(plans)),
        time(here) if here else None,
    )


def stored_up_to(noted: Any) -> int:
    """Return the number of the entry up to which a repository has the entries of incidents."""
    places = noted.get("places", {}).values() if isinstance(noted, dict) else ()
    return max((p["seq"] for p in places if isinstance(p.get("seq"), int)), default=0)


def unready(row: Sequence[Any]) -> UnreadyFacts:
    _, at, error, withheld, digest = row
    known: dict[str, Any] = {"readiness": "", "findings": ()}
    if withheld is not None:
        known = json(withheld)
    findings = tuple(FindingFacts(**f) for f in known["findings"])
    return UnreadyFacts(time(at), error or "", known["readiness"], findings, digest or "")


def paused(row: Sequence[Any] | None) -> PausedFacts | None:
    if row is None or row[1] is None:
        return None
    pauses = tuple(
        FindingFacts(p["code"], p.get("subject", ""), p["text"], p["hint"]) for p in json(row[2])
    )
    return PausedFacts(time(row[1]), pauses)


def hold(row: Sequence[Any]) -> HoldFacts:
    _, point, reason, until, actor = row
    by = ""
    if actor is not None:
        from drd.model.actor import Actor  # few plans have one

        known_actor = Actor.from_json(json(actor))
        by = known_actor.words() if known_actor is not None else ""
    return HoldFacts(point, reason, time(until) if until else None, by)


_OPEN = ("running", "waiting")


def unfinished(rows: Iterable[Sequence[Any]]) -> dict[str, UnfinishedFacts]:
    """Return by plan the recovery that stopped before its end; each row is one of its steps."""
    by_plan: dict[str, UnfinishedFacts] = {}
    for plan, run, at, state, detail, pid, start, host, boot, *step in rows:
        works = state in _OPEN and pid is not None
        if works and not has_ended(pid, start, host, boot):
            continue
        so_far = by_plan.get(plan)
        if so_far is None:
            asked = json(detail)
            left, keeps = tuple(asked["begun"]), not asked.get("no_undo")
            reopened = state == "waiting" and pid is None and start is None
            ended = "running" if works else REOPENED if reopened else state
            so_far = UnfinishedFacts(run, time(at), ended, (), left, keeps=keeps)
        so_far = _after_step(so_far, step)
        if plan in by_plan or so_far.down or step[0] in ("restore", "stop"):
            by_plan[plan] = so_far
    return by_plan


def _after_step(so_far: UnfinishedFacts, step: Sequence[Any]) -> UnfinishedFacts:
    """Return what the recovery has done with this step too: a part of it, perhaps, if its process
    died meanwhile."""
    kind, subject, ended, result, name, error = step
    if ended == "failed" and not subject:
        so_far = so_far._replace(failed=FailedStep(name, kind, error or ""))
    if kind == "restore" and subject and ended in ("succeeded", "running"):
        left = tuple(name for name in so_far.left if name != subject)
        if ended == "running":
            return so_far._replace(partly=(*so_far.partly, subject), left=left)
        return so_far._replace(replaced=(*so_far.replaced, subject), left=left)
    if kind == "restore" or ended != "succeeded":
        return so_far
    if kind == "aside":
        note = json(result)
        noted = [a["component"] for a in note.get("aside", ()) if a["former"]]
        unseen = tuple(note.get("unseen", ()))
        return so_far._replace(kept=tuple(dict.fromkeys(noted)), unseen=unseen)
    return so_far._replace(down=Effect.from_json(json(result)).after(so_far.down))


def undone(rows: Iterable[Sequence[Any]]) -> dict[str, UndoneFacts]:
    """Return by plan the last undone recovery; each row is one of its components. If there is none,
    the recovery whose undo was unfinished when the newest point was made counts."""
    by_plan: dict[str, UndoneFacts] = {}
    unfinished: dict[str, UndoneFacts] = {}
    for plan, run, at, component, *point in rows:
        left = PointFacts(point[0], time(point[1]), time(point[2]), point[3])
        if run is None:
            during = json(component)
            names = tuple(during["components"])
            unfinished[plan] = UndoneFacts(during["run"], time(at), names, left, unfinished=True)
            continue
        before = by_plan[plan].components if plan in by_plan else ()
        by_plan[plan] = UndoneFacts(run, time(at), (*before, component), left)
    return unfinished | by_plan


def unrestorable(row: Sequence[Any]) -> UnrestorableFacts:
    return UnrestorableFacts(_named(row[1], row[4]), row[2], time(row[3]))


def _named(point: str | None, facts: str | None) -> str:
    return named(point, copy_in(json(facts)) if facts else None) if point else ""


def running(row: Sequence[Any]) -> RunningFacts:
    _, run, kind, at, pid, *owner = row
    return RunningFacts(run, kind, time(at), pid is None or has_ended(pid, *owner))


def with_open_run(one: PlanFacts, open_run: RunningFacts | None) -> PlanFacts:
    """Add the run that has not ended. A backup whose process died since the last success counts as
    failed before anybody has recorded that."""
    if open_run is None or not open_run.died or open_run.kind != "backup":
        return one._replace(running=open_run)
    if one.backup is not None and open_run.started_at <= one.backup.started_at:
        return one
    tries = one.failures.tries + 1 if one.failures is not None else 1
    words = "the backup was interrupted: its process died"
    failed = FailureFacts(tries, open_run.run, open_run.started_at, words)
    return one._replace(failures=failed)


def span(row: Sequence[Any]) -> tuple[datetime, datetime]:
    return time(row[1]), time(row[2])


def refused(noted: Mapping[str, Any]) -> dict[str, RefusedFacts]:
    return {
        k: RefusedFacts(v["mtime_ns"], v["size"], v["error"], bool(v.get("restart")))
        for k, v in noted.items()
    }


def json(text: str) -> Any:
    from json import loads

    return loads(text)


def until(
    missed: Sequence[tuple[datetime, datetime]], newest: tuple[datetime, datetime] | None
) -> tuple[tuple[datetime, datetime], ...]:
    """Return the intervals that were missed before the newest point became available. A forgotten
    point may be younger."""
    if newest is None:
        return ()
    end = newest[1]
    return tuple((start, min(stop, end)) for start, stop in missed if start < end)


def by_plan(
    rows: Iterable[Sequence[Any]], make: Callable[[Sequence[Any]], _T]
) -> dict[str, list[_T]]:
    """Group rows by their first column: the plan, or the evidence."""
    grouped: dict[str, list[_T]] = defaultdict(list)
    for row in rows:
        grouped[row[0]].append(make(row))
    return grouped


def time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def owner(noted: Mapping[str, Any]) -> OwnerFacts:
    """Read whose the state is, from what `Custody.to_json` wrote."""
    of = noted["owner"]
    return OwnerFacts(of["machine"], of["host"], of["path"], of["inode"], noted["contested"])
