"""`drd incident message`: who is told what about an incident, and what became of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo

from drd.api.message_documents import content_document, message_document
from drd.bootstrap import App
from drd.cli import output
from drd.cli.confirm import confirm_approval
from drd.cli.incident_acting import author, zone_of
from drd.cli.incident_compose import audience_of, composed, plans_of, reach_of
from drd.cli.render import hanging, terminal_width
from drd.cli.session import require_owner, session
from drd.errors import UsageError
from drd.flows.incidents import messages as flow
from drd.flows.incidents.choosing import chosen
from drd.flows.incidents.writing import Desk
from drd.model.incidents.messages import (
    MAY_REPEAT,
    Act,
    Content,
    Fate,
    IncidentMessage,
    Way,
)
from drd.model.text import escaped
from drd.model.units import format_time

_WAIT_S = 30.0


def list_(args: argparse.Namespace) -> int:
    with session(args, reading=True) as app:
        require_owner(app, "incident message list")
        number = chosen(app.catalogue, args.number)
        found = flow.known(app.catalogue, number)
        waits = {m.number: flow.queued(app.catalogue, number, m) for m in found}
        zone = zone_of(app)
    if args.json:
        document = [message_document(message) for message in found]
        output.print_json({"incident": number, "messages": document})
        return 0
    if not found:
        output.say(f"incident {number} has no message yet")
        output.say(f"> drd incident message preview {number} internal")
    for message in found:
        for line in _listed(message, number, waits[message.number], zone):
            output.say(line)
    return 0


def preview(args: argparse.Namespace) -> int:
    number, word = _words(args, "AUDIENCE")
    with session(args, reading=True) as app:
        require_owner(app, "incident message preview")
        which = chosen(app.catalogue, number)
        if word.isdecimal():
            message = flow.message_of(app.catalogue, which, int(word))
            if message.content is None:
                raise UsageError(
                    f"the text of message {word} was redacted", hint="see drd incident show"
                )
            content = message.content
        else:
            audience, now = audience_of(word), app.clock.now()
            content = composed(app, args, which, audience, now, only_shows=True)
        zone = zone_of(app)
    if args.json:
        output.print_json({"incident": which, **content_document(content)})
        return 0
    for line in _content_lines(content, zone):
        output.say(line)
    if not word.isdecimal():
        output.say(f"nothing was kept or sent: drd incident message draft {which} {word}")
    return 0


def draft(args: argparse.Namespace) -> int:
    number, word = _words(args, "AUDIENCE")
    with session(args) as app:
        require_owner(app, "incident message draft")
        desk = _desk(app, args, number)
        content = composed(app, args, desk.number, audience_of(word), desk.author.at)
        message = flow.draft(desk, content)
    return _told(args, desk, message, _next_step(desk.number, message))


def approve(args: argparse.Namespace) -> int:
    number, word = _words(args, "M")
    with session(args) as app:
        require_owner(app, "incident message approve")
        desk = _desk(app, args, number)
        which = _message_number(word)
        digest = args.digest or _seen(args, desk, which)
        reach = app.channels.reach()
        message = flow.approve(desk, which, digest, reach)
    return _told(args, desk, message, _next_step(desk.number, message))


def _seen(args: argparse.Namespace, desk: Desk, which: int) -> str:
    """Show a message, and have the person say yes to it. Returns the digest of what was shown;
    raises UsageError if drd cannot ask."""
    message, content = flow.approvable(desk, which)
    read = f"drd incident message preview {desk.number} {message.number}"
    digits = message.digest[: flow.DIGITS]
    if args.json or args.quiet:
        raise UsageError(
            "an approval with --json or --quiet needs --digest: drd shows nothing to approve",
            hint=f"read it: {read}; then add --digest {digits}, if that is what it shows.",
        )
    confirm_approval(
        _content_lines(content, desk.zone),
        f"read it: {read}; then add --digest {digits}, if that is what it shows.",
    )
    return message.digest


def send(args: argparse.Namespace) -> int:
    number, word = _words(args, "M")
    with session(args) as app:
        require_owner(app, "incident message send")
        desk = _desk(app, args, number)
        which = _to_send(app, args, desk, word)
        incident = app.catalogue.incidents.get(desk.number)
        reach = reach_of(app, plans_of(app), incident)
        to = args.to if word.isdecimal() else ()
        flow.send(desk, which, reach, again=args.again, to=to)
        _deliver(app)
        message = flow.message_of(app.catalogue, desk.number, which)
        waits = flow.queued(app.catalogue, desk.number, message)
    _told(args, desk, message, "", waits)
    return 1 if _undelivered(message, args.to if args.again else ()) else 0


def _deliver(app: App) -> None:
    """Send what waits, now: there may be no daemon, and the person wants to know."""
    app.channels.letter_sender(at_once=True, wait_s=_WAIT_S).deliver_due()
    sender = app.channels.outbox_sender()
    sender.deliver_due()
    sender.wait(_WAIT_S)


def _to_send(app: App, args: argparse.Namespace, desk: Desk, word: str) -> int:
    """Return the message to send. An audience inside gets a new one; one outside the only one that
    was approved and not sent."""
    if word.isdecimal():
        return int(word)
    audience = audience_of(word)
    if not audience.is_external:
        content = composed(app, args, desk.number, audience, desk.author.at)
        return flow.draft(desk, content).number
    found = [
        m
        for m in flow.known(app.catalogue, desk.number)
        if m.audience == audience and m.sent_at is None and not m.withdrawn
    ]
    ready = [m for m in found if m.is_approved]
    if len(ready) == 1:
        return ready[0].number
    if ready:
        raise UsageError(
            f"{len(ready)} approved messages to {audience} wait",
            hint=f"name the number of one: drd incident message send {desk.number} M",
        )
    command = f"drd incident message draft {desk.number} {audience}"
    if found:
        command = f"drd incident message approve {desk.number} {found[-1].number}"
    raise UsageError(
        f"nobody has approved a message to {audience}: it would leave the house",
        hint=command,
    )


def told(args: argparse.Namespace) -> int:
    return _settle(args, Act.TOLD, args.reference)


def bounced(args: argparse.Namespace) -> int:
    if not args.reason.strip():
        raise UsageError(
            "--reason is missing: what the bounce says", hint='add --reason "550 user unknown"'
        )
    return _settle(args, Act.BOUNCED, args.reason)


def _settle(args: argparse.Namespace, act: Act, said: str) -> int:
    number, word = _words(args, "M")
    with session(args) as app:
        require_owner(app, f"incident message {args.message_verb}")
        desk = _desk(app, args, number)
        at = desk.past(args.at) if args.at is not None else None
        which = _message_number(word)
        message = flow.message_of(app.catalogue, desk.number, which)
        name = args.to or _only(message)
        message = flow.settle(desk, which, name, act, said=said, happened_at=at)
    return _told(args, desk, message, "")


def _only(message: IncidentMessage) -> str:
    """Return the only recipient. Raises UsageError if there are several."""
    names = {one.name for one in message.content.recipients} if message.content else set()
    if len(names) != 1:
        raise UsageError(
            f"message {message.number} has {len(names)} recipients", hint="name one: --to NAME"
        )
    return names.pop()


def withdraw(args: argparse.Namespace) -> int:
    number, word = _words(args, "M")
    with session(args) as app:
        require_owner(app, "incident message withdraw")
        desk = _desk(app, args, number)
        message = flow.withdraw(desk, _message_number(word), args.reason)
    return _told(args, desk, message, "")


def _desk(app: App, args: argparse.Namespace, number: int | None) -> Desk:
    which = chosen(app.catalogue, number)
    return Desk(app.catalogue, which, author(app, args, left_out=number is None), zone_of(app))


def _words(args: argparse.Namespace, what: str) -> tuple[int | None, str]:
    """Return the number of the incident, if one was given, and the word after it."""
    given: Sequence[str] = args.words
    if len(given) == 2 and given[0].isdecimal():
        return int(given[0]), given[1]
    if len(given) == 1:
        return None, given[0]
    verb = f"incident message {args.message_verb}"
    fact = "too many words given" if given else f"no {what} given"
    raise UsageError(f"{verb}: {fact}", hint=f"examples: drd {verb} --help")


def _message_number(word: str) -> int:
    if not word.isdecimal():
        raise UsageError(
            f"{escaped(word)!r} is not the number of a message",
            hint="to list the messages: drd incident message list",
        )
    return int(word)


def _told(
    args: argparse.Namespace,
    desk: Desk,
    message: IncidentMessage,
    step: str,
    waits: Mapping[int, str] | None = None,
) -> int:
    if args.json:
        output.print_json({"incident": desk.number, **message_document(message)})
    elif not args.quiet:
        for line in _listed(message, desk.number, waits or {}, desk.zone):
            output.say(line)
        if step:
            output.say(f"> {step}")
    return 0


def _next_step(number: int, message: IncidentMessage) -> str:
    external = message.content is not None and message.content.audience.is_external
    if external and not message.is_approved:
        digest = message.digest[:12]
        return f"drd incident message approve {number} {message.number} --digest {digest}"
    return f"drd incident message send {number} {message.number}"


def _undelivered(message: IncidentMessage, to: Sequence[str]) -> bool:
    """Return whether one of these did not get it; without names, one of all."""
    recipients = message.content.recipients if message.content is not None else ()
    asked = [
        delivery.fate
        for one, delivery in zip(recipients, message.deliveries, strict=True)
        if not to or {one.name, one.to} & set(to)
    ]
    return any(fate in MAY_REPEAT or fate is Fate.WAITING for fate in asked)


def _listed(
    message: IncidentMessage, number: int, waits: Mapping[int, str], zone: tzinfo
) -> Iterator[str]:
    """Return the lines of a message in a list: its state, its approval, and each recipient; `waits`
    says why a letter was not taken until now."""
    width = terminal_width(sys.stdout)
    subject = f': "{message.content.parts[0].subject}"' if message.content is not None else ""
    head = f"message {message.number} "
    yield from hanging(head, f"to {message.audience or '?'}, {message.state}{subject}", width)
    by = f"drafted {format_time(message.drafted_at, zone=zone)} by {escaped(message.drafted_by)}"
    if message.approved_at is not None:
        at = format_time(message.approved_at, zone=zone)
        by += f", approved {at} by {escaped(message.approved_by)}"
    yield from hanging("  ", f"{by}, digest {message.digest[:12]}", width)
    recipients = message.content.recipients if message.content is not None else ()
    for place, (recipient, delivery) in enumerate(zip(recipients, message.deliveries, strict=True)):
        since = f" {format_time(delivery.at, zone=zone)}" if delivery.at is not None else ""
        why = waits.get(place) or delivery.text
        said = f": {escaped(why)}" if why else ""
        said += "; the daemon tries it again" if place in waits else ""
        line = f"{escaped(recipient.words)}: {delivery.fate}{since}{said}"
        yield from hanging("  ", line, width)
        yield from _remedies(message, number, recipient.name, recipient.way, delivery.fate)


def _remedies(
    message: IncidentMessage, number: int, name: str, way: Way, fate: Fate
) -> Iterator[str]:
    to = f"--to {_quoted(name)}"
    if fate in MAY_REPEAT and way is not Way.HAND:
        yield f"  > drd incident message send {number} {message.number} --again {to}"
    if fate is Fate.TO_TELL:
        yield f"  > drd incident message told {number} {message.number} {to}"


def _quoted(name: str) -> str:
    """Return a name as a word for a shell; one that could be more than that is left to the
    person."""
    return f'"{name}"' if all(c.isalnum() or c in " .-_" for c in name) else "NAME"


def _content_lines(content: Content, zone: tzinfo) -> Iterator[str]:
    for part in content.parts:
        yield f"to {content.audience} (template {part.template}, language {part.language}):"
        yield from (f"  {escaped(one.words)}" for one in part.recipients)
        yield from [] if part.recipients else ["  nobody"]
        yield f"subject: {escaped(part.subject)}"
        yield ""
        for line in part.text.rstrip("\n").split("\n"):
            yield escaped(line)
        yield ""
    if content.next_update is not None:
        yield f"promises the next update by {format_time(content.next_update, zone=zone)}"
    yield f"digest {content.digest[:12]}"
