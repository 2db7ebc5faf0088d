"""Acknowledge alerts: who takes care of one, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from drd.bootstrap import App
from drd.errors import UsageError
from drd.flows.alerts.messages import routed
from drd.model.actor import Actor
from drd.model.alerts import Alert
from drd.model.nearest import closest
from drd.model.units import from_rfc3339, parse_duration, to_rfc3339


def acknowledge(
    app: App, alert: str, *, by: str, until: str | None, why: str | None, actor: Actor
) -> Alert:
    """Silence an alert until a time, or until it is resolved. Raises UsageError."""
    now, settings = app.clock.now(), app.settings
    return app.catalogue.alerts.acknowledge(
        alert,
        by=by,
        until=moment(until, now) if until else None,
        why=why,
        at=now,
        tell=lambda transitions: routed(transitions, settings.channels),
        actor=actor,
    )


def known_person(name: str, people: Sequence[str]) -> str:
    """Raise UsageError, with the nearest name, if somebody is not among `people` and
    there are any."""
    if not name.strip():
        raise UsageError(
            "--by is empty", hint="give the person who takes care of the alert: --by NAME"
        )
    if not people or name in people:
        return name
    near = closest(name, people)
    known = ", ".join(people)
    hint = f'did you mean "{near}"?' if near else f"use one of these names: {known}."
    raise UsageError(f"drd.yaml does not list the person {name!r}", hint=hint)


def moment(text: str, now: datetime) -> datetime:
    """Parse a duration from now, or a time. Raises UsageError for anything else, and for a past
    time."""
    hint = "write a duration like 8h, or a time like 2026-11-25T08:00:00Z."
    try:
        until = now + timedelta(seconds=parse_duration(text))
    except OverflowError as error:
        raise UsageError(f"--until {text} is too far in the future", hint=hint) from error
    except ValueError:
        try:
            until = from_rfc3339(text)
        except ValueError as error:
            raise UsageError(
                f"--until {text!r} is neither a duration nor a time", hint=hint
            ) from error
    if until <= now:
        raise UsageError(f"--until {to_rfc3339(until)} is in the past", hint=hint)
    return until
