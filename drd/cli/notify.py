"""`drd notify test` and `drd notify list`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from drd.api.values import error_document
from drd.bootstrap import App
from drd.cli import output
from drd.cli.session import session
from drd.errors import CatalogueError, UsageError
from drd.flows.alerts.direct import DeliveryAttempt, deliver_directly
from drd.flows.durable_steps import describe
from drd.model.message import TEST, ChannelSpec, Message
from drd.model.nearest import meant
from drd.model.text import counted, without_output
from drd.model.units import format_duration, to_rfc3339
from drd.ports.notify import ChannelFacts
from drd.registry import NOTIFIERS, unavailable_with


def test(args: argparse.Namespace) -> int:
    with session(args) as app:
        chosen = _chosen(app.settings.channels, args.channel)
        attempts = _send(app, chosen)
        _record(app, attempts)
    failed = [a for a in attempts if a.error is not None]
    if args.json:
        output.print_json({"ok": not failed, "channels": [_as_json(a) for a in attempts]})
    else:
        for attempt in failed if args.quiet else attempts:
            _say(attempt)
    return 1 if failed else 0


def _chosen(channels: Sequence[ChannelSpec], names: Sequence[str] | None) -> list[ChannelSpec]:
    if not channels:
        raise UsageError(
            "drd.yaml does not define a channel: `notify` is missing or empty",
            hint="add a channel, for example notify: [{kind: webhook, url: {credential: "
            "NAME}}]; see docs/notifications.md.",
        )
    known = [c.name for c in channels]
    for name in names or ():
        if name not in known:
            raise UsageError(f'there is no channel "{name}"', hint=meant(name, known))
    return [c for c in channels if not names or c.name in names]


def _send(app: App, channels: Sequence[ChannelSpec]) -> list[DeliveryAttempt]:
    message = Message(
        event=TEST,
        plan="",
        severity="info",
        title="test message",
        text="Somebody ran `drd notify test`. Nothing is wrong.",
        at=app.clock.now(),
    )
    return deliver_directly(message, channels, app.channels.open, app.clock)


def _record(app: App, attempts: Sequence[DeliveryAttempt]) -> None:
    """Record the results, for `drd status` and the alert about channels. Users who may not write
    the catalogue can test all the same."""
    for attempt in attempts:
        why = describe(attempt.error) if attempt.error is not None else None
        channel = attempt.channel
        try:
            app.catalogue.outbox.tried(
                channel.name,
                channel.kind,
                at=app.clock.now(),
                error=why.text if why is not None else None,
                remedy=why.remedy if why is not None else "",
            )
        except CatalogueError as trouble:
            output.warn(f"the result was not recorded: {trouble.message}")
            return


def _as_json(attempt: DeliveryAttempt) -> dict[str, Any]:
    error = attempt.error
    return {
        "channel": attempt.channel.name,
        "kind": attempt.channel.kind,
        "delivered": error is None,
        "duration_s": round(attempt.duration_s, 3),
        "said": output.masked(attempt.said),
        "error": output.masked(error.message) if error is not None else None,
        "hint": output.masked(error.hint) if error is not None else None,
    }


def _say(attempt: DeliveryAttempt) -> None:
    took = f"{round(attempt.duration_s * 1000)} ms"
    error, name = attempt.error, attempt.channel.name
    if error is None:
        output.say(output.masked(f"{name}: delivered in {took}: {attempt.said}"))
        return
    said = f"{name}: not delivered after {took}: {error.message}"
    output.say_below("", output.masked(said))
    if error.hint:
        output.say_remedy("  HINT: ", output.masked(error.hint))


def list_channels(args: argparse.Namespace) -> int:
    with session(args, acts=False, records=True) as app:
        now = app.clock.now()
        facts = {f.name: f for f in app.catalogue.outbox.channels()}
        rows = [(c, facts.pop(c.name, None)) for c in app.settings.channels]
    if args.json:
        named = [_channel_json(c.name, c.kind, c, f) for c, f in rows]
        named += [_channel_json(f.name, f.kind, None, f) for f in facts.values()]
        output.print_json({"channels": named})
        return 0
    lines = [[c.name, c.kind, _of_package(c) or _health(f, now), _carries(c)] for c, f in rows]
    lines += [[f.name, f.kind, _health(f, now), ""] for f in facts.values()]
    if lines:
        header = ("CHANNEL", "KIND", "HEALTH", "CARRIES")
        output.say(output.table(lines, header=header))
    elif not args.quiet:
        output.say(
            "drd.yaml does not define a channel. How to add a channel: docs/notifications.md"
        )
    return 0


def _channel_json(
    name: str, kind: str, channel: ChannelSpec | None, facts: ChannelFacts | None
) -> dict[str, Any]:
    def time(at: datetime | None) -> str | None:
        return to_rfc3339(at) if at is not None else None

    return {
        "channel": name,
        "kind": kind,
        "on": list(channel.on) if channel is not None else [],
        "plans": list(channel.plans) if channel is not None else [],
        "severity": list(channel.severities) if channel is not None else [],
        "last_tried_at": time(facts.last_tried_at) if facts is not None else None,
        "last_delivered_at": time(facts.last_delivered_at) if facts is not None else None,
        "failing_since": time(facts.failing_since) if facts is not None else None,
        "tries": facts.tries if facts is not None else 0,
        "waiting": facts.waiting if facts is not None else 0,
        **error_document(facts.error if facts else None, facts.remedy if facts else ""),
    }


def _of_package(channel: ChannelSpec) -> str:
    """Say why the kind of a channel is unavailable; empty for one that drd can use."""
    if channel.kind in NOTIFIERS:
        return ""
    package = unavailable_with("notifiers", channel.kind)
    return f"delivers nothing: {package.why}" if package is not None else ""


def _health(facts: ChannelFacts | None, now: datetime) -> str:
    if facts is None or facts.last_tried_at is None:
        return "never tried"
    waiting = f", {counted(facts.waiting, 'message')} waiting" if facts.waiting else ""
    if facts.failing_since is not None:
        since = format_duration((now - facts.failing_since).total_seconds())
        tries = counted(facts.tries, "try", "tries")
        return f"has failed for {since} ({tries}){waiting}: {without_output(facts.error or '')}"
    assert facts.last_delivered_at is not None
    ago = format_duration((now - facts.last_delivered_at).total_seconds())
    return f"ok, last message {ago} ago{waiting}"


def _carries(channel: ChannelSpec) -> str:
    plans = f" of {', '.join(channel.plans)}" if channel.plans else ""
    if channel.is_heartbeat:
        return f"runs: {', '.join(channel.on)}{plans}" if channel.plans else "the daemon"
    severities = "" if len(channel.severities) == 3 else f" ({', '.join(channel.severities)})"
    return f"{', '.join(channel.on)}{plans}{severities}"
