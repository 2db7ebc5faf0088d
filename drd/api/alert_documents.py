"""The documents of alerts, which the screens of `drd alerts` and `drd ack` are made from."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from drd.api.values import Document, time_of
from drd.bootstrap import App
from drd.flows.status.daemon_alive import daemon_lives
from drd.flows.status.overview import subjects
from drd.model.alerts import Alert, rank
from drd.model.compliance import assess
from drd.model.facts import StatusFacts
from drd.plan_files import plan_files

_STATES = ("firing", "acknowledged", "resolved")


def alerts(app: App, plan: str | None, *, all_of_them: bool) -> Document:
    """`drd alerts`: unacknowledged ones first, then the worst, then the oldest; of resolved ones,
    the newest. `holds` is false for an open alert whose condition does not hold now; `watched` is
    false where no daemon runs that would check."""
    name = app.plans.known_name(plan) if plan else None
    history = app.catalogue.alerts.history(name, limit=50 if all_of_them else 0)
    there = _confirmed_alerts(app, {a.plan for a in history if a.plan and a.resolved_at is None})
    return {
        "watched": daemon_lives(app.catalogue, app.clock.now()),
        "alerts": [
            {**alert_document(a), "holds": _is_current(a, there)}
            for a in sorted(history, key=_order)
        ],
    }


def _is_current(alert: Alert, there: Mapping[str, Collection[str]]) -> bool:
    if alert.resolved_at is not None or alert.gone_at is not None:
        return False
    return alert.id in there.get(alert.plan, (alert.id,))


def _confirmed_alerts(app: App, plans: Collection[str]) -> dict[str, set[str]]:
    """Return, by plan, the open alerts that the current verdicts confirm, as `drd status` judges:
    also by the plans' files."""
    if not plans:
        return {}
    now = app.clock.now()
    facts = app.read_facts(next(iter(plans)) if len(plans) == 1 else None)
    judged = subjects(StatusFacts(facts), plan_files(app.settings.plans_dir))
    there = (judged[f.plan] for f in facts if f.plan in plans)
    return {subject.plan: {a.id for a in assess(subject, now).alerts} for subject in there}


def _order(alert: Alert) -> tuple[int, int, float]:
    if alert.resolved_at is not None:
        return _STATES.index("resolved"), 0, -alert.resolved_at.timestamp()
    return _STATES.index(alert.state), rank(alert.severity), alert.since.timestamp()


def alert_document(alert: Alert) -> Document:
    """Return the document of one alert."""
    actor = alert.acknowledged_actor
    return {
        "alert": alert.id,
        "plan": alert.plan,
        "kind": alert.kind,
        "code": alert.code or alert.kind,
        "subject": alert.subject,
        "severity": alert.severity,
        "state": alert.state,
        "since": time_of(alert.since),
        "message": alert.text,
        "command": alert.remedy,
        "text": alert.text,
        "remedy": alert.remedy,
        "acknowledged_by": alert.acknowledged_by,
        "acknowledged_until": time_of(alert.acknowledged_until),
        "acknowledged_why": alert.acknowledged_why,
        "acknowledged_actor": actor.to_json() if actor else None,
        "gone_at": time_of(alert.gone_at),
        "resolved_at": time_of(alert.resolved_at),
    }
