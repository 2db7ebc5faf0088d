"""What is recorded in the chain of records: each record contains the values themselves, so that
later changes of the rows that it describes do not matter."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from drd.model.actor import Actor
from drd.model.alerts import Alert
from drd.model.holds import GivenUp, Hold
from drd.model.records import CONTINUED, KEY, REDACTION, Draft, Entry, body_of
from drd.model.run import Decision, Evidence, Run, RunKind, RunState

_ALWAYS = frozenset(
    {
        *(RunKind.DRILL, RunKind.RECOVERY, RunKind.PLAYBOOK),
        *(RunKind.RETENTION, RunKind.PRUNE, RunKind.REKEY),
    }
)
"""Runs whose end enters whoever started them: they prove something, or they remove something."""


def about(plan: str | None, what: str, of: str = "run") -> str:
    """Return the subject of a record about something `of` a plan; without the plan if only rows say
    which it is that others could have written."""
    return f"{plan}/{what}" if plan else f"{of}:{what}"


def enters(run: Run) -> bool:
    """Return whether the end of this run is recorded in any case. What the schedule does every few
    minutes (backups, copies, checks) is in the catalogue and in the repositories, and enters only
    while the plan is in the scope of an open incident."""
    return run.kind in _ALWAYS or not run.by_schedule


def of_end(
    run: Run,
    state: RunState,
    *,
    at: datetime,
    error: str | None,
    actor: Actor | None,
    forgotten: Sequence[str] = (),
) -> Draft:
    """Return the record of the end of a run; `forgotten` are the points that a retention forgot."""
    body: dict[str, Any] = {
        "run": run.id,
        "plan": run.plan,
        "run_kind": run.kind,
        "about": run.subject,
        "trigger": run.trigger,
        "state": state,
        "error": error,
        "started_at": run.started_at,
        "finished_at": at,
        "plan_digest": run.plan_digest,
        "host": run.owner_host,
        "actor": actor,
        **({"forgotten": list(forgotten)} if forgotten else {}),
    }
    return Draft("run.end", about(run.plan, run.id), body, at, actor)


def forgotten_points(entry: Entry) -> list[str]:
    """Return the points that a retention has forgotten, by the record of its end."""
    body = body_of(entry)
    forgotten = body.get("forgotten") if body.get("run_kind") == RunKind.RETENTION else None
    return [str(point) for point in forgotten] if isinstance(forgotten, list) else []


def of_evidence(run: Run, evidence: Evidence, actor: Actor | None) -> Draft:
    """Return the record of what a drill or a recovery measured."""
    body = {"run_kind": run.kind, "actor": actor, "host": run.owner_host, "evidence": evidence}
    return Draft("evidence", about(run.plan, run.id), body, evidence.finished_at, actor)


def of_decision(plan: str, run: str, decision: Decision, actor: Actor) -> Draft:
    """Return the record of a decision about a run or one of its steps."""
    body = {
        "run": run,
        "plan": plan,
        "step": decision.step,
        "action": decision.action,
        "by": decision.by,
        "comment": decision.comment,
        "attempt": decision.attempt,
        "actor": actor,
    }
    return Draft("decision", about(plan, run), body, decision.at, actor)


def of_hold(hold: Hold, actor: Actor) -> Draft:
    body = {
        "point": hold.point,
        "plan": hold.plan,
        "reason": hold.reason,
        "until": hold.until,
        "actor": actor,
    }
    return Draft("hold", about(hold.plan, hold.point, "point"), body, hold.held_at, actor)


def of_release(hold: Hold, *, at: datetime, reason: str, actor: Actor) -> Draft:
    body = {"point": hold.point, "plan": hold.plan, "reason": reason, "actor": actor}
    return Draft("release", about(hold.plan, hold.point, "point"), body, at, actor)


def of_forgotten_points(points: Iterable[GivenUp], actor: Actor) -> list[Draft]:
    return [
        Draft(
            "point.forget",
            about(one.plan, one.point),
            {
                "point": one.point,
                "plan": one.plan,
                "repository": one.repository,
                "reason": one.reason,
                "actor": one.by or actor,
            },
            one.at,
            one.by or actor,
        )
        for one in points
    ]


def of_forgotten_plan(plan: str, counts: Any, at: datetime, actor: Actor) -> Draft:
    return Draft("plan.forget", plan, {"plan": plan, "had": counts, "actor": actor}, at, actor)


def of_cancel(run: Run, at: datetime, actor: Actor) -> Draft:
    body = {"run": run.id, "plan": run.plan, "run_kind": run.kind, "actor": actor}
    return Draft("run.cancel", about(run.plan, run.id), body, at, actor)


def of_acknowledgement(
    alert: str, plan: str, *, by: str, why: str | None, until: datetime | None, at: datetime,
    actor: Actor,
) -> Draft:  # fmt: skip
    body = {
        "alert": alert,
        "plan": plan,
        "by": by,
        "why": why,
        "until": until,
        "actor": actor,
    }
    return Draft("alert.ack", about(plan, alert, "alert"), body, at, actor)


def of_alert(
    alert: Alert, plan: str, *, resolved: bool, at: datetime, actor: Actor | None
) -> Draft:
    """Return the record that an alert was opened or got worse, or was resolved."""
    body = {
        "alert": alert.id,
        "plan": plan,
        "alert_kind": alert.kind,
        "about": alert.subject,
        "severity": alert.severity,
        "text": alert.text,
        "since": alert.since,
    }
    kind = "alert.resolved" if resolved else "alert.open"
    return Draft(kind, about(plan, alert.id, "alert"), body, at, actor)


def of_key(
    key: str,
    public: str,
    former: str,
    at: datetime,
    actor: Actor,
    *,
    lost: bool = False,
    endorsed: str = "",
    points: Collection[str] | None = None,
) -> Draft:
    """Return the record of a new key. `former` is the id of the key that it replaces; the former
    key signs this record, unless it was `lost`. `endorsed` is the former key's signature of the new
    key and the time, which restore points carry (`drd.model.manifest_signature`). `points` are the
    marks of all manifests that the former key had signed; None if they are not known.
    """
    body: dict[str, Any] = {"key": key, "public": public, "former": former, "lost": lost}
    body |= {"actor": actor, **({"endorsed": endorsed, "at": at} if endorsed else {})}
    body |= {"points": sorted(points)} if points is not None else {}
    return Draft(KEY, f"key:{key}", body, at, actor)


def of_continuation(
    found: Mapping[str, Any], *, after: int, common: int, reason: str, at: datetime, actor: Actor
) -> Draft:
    """Return the record that an installation continues after an anchor which its chain does not
    contain."""
    body = {**found, "after": after, "common": common, "reason": reason, "actor": actor}
    return Draft(CONTINUED, f"entry:{after}", body, at, actor)


def of_unsealing(seqs: Sequence[int], at: datetime, actor: Actor) -> Draft:
    """Return the record that somebody made encrypted entries readable on this host again."""
    return Draft("unseal", f"entry:{seqs[0]}", {"entries": list(seqs), "actor": actor}, at, actor)


def of_redaction(seq: int, digest: str, reason: str, at: datetime, actor: Actor) -> Draft:
    body = {"entry": seq, "digest": digest, "reason": reason, "actor": actor}
    return Draft(REDACTION, f"entry:{seq}", body, at, actor)
