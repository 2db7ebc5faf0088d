"""`drd incident message`: tell people about an incident, and show whom the message reached."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from typing import Any

from drd.api import message_acts as acts
from drd.bootstrap import App
from drd.cli import output
from drd.cli.confirm import confirm_approval
from drd.cli.follow import is_alive
from drd.cli.given_file import read_given
from drd.cli.incident_acting import path_of, zone_of, zoned
from drd.cli.incident_clerk import Clerk
from drd.cli.incident_intake import taken, tell_bounces
from drd.cli.render import hanging, terminal_width
from drd.cli.session import session
from drd.errors import UsageError
from drd.flows.incidents.choosing import chosen
from drd.flows.incidents.messages import DIGITS
from drd.model.incidents.bounces import LARGEST, bounces_in
from drd.model.incidents.messages import MAY_REPEAT, Fate, Recipient, Way
from drd.model.text import escaped
from drd.model.units import format_time, from_rfc3339


def list_(args: argparse.Namespace) -> int:
    has_daemon = True

    def here(app: App) -> dict[str, Any]:
        nonlocal has_daemon
        has_daemon = _has_daemon(app)
        return acts.listed(app, chosen(app.catalogue, args.number))

    told, zone = zoned(args, f"{path_of(args.number)}/messages", here)
    if args.json:
        output.print_json(told)
        return 0
    number = told["incident"]
    if not told["messages"]:
        output.say(f"incident {number} has no message yet")
        output.say(f"> drd incident message preview {number} internal")
    for message in told["messages"]:
        for line in _listed(message, number, zone, has_daemon=has_daemon):
            output.say(line)
    _warn_of_waiting(told["messages"], has_daemon=has_daemon)
    return 0


def preview(args: argparse.Namespace) -> int:
    number, word = _words(args, "AUDIENCE")
    with session(args, reading=True) as app:
        zone, clerk = zone_of(app), Clerk(app, args, number)
        told = clerk.kept(int(word)) if word.isdecimal() else clerk.compose("preview", word)
    if (problem := told.pop("problem", None)) is not None:
        output.complain(problem["message"], problem["hint"])
    if args.json:
        output.print_json(told)
        return 0
    for line in _content_lines(told, zone):
        output.say(line)
    if not word.isdecimal():
        output.say(
            "this was only a preview: drd did not keep or send the message. To keep it for "
            f"approval: {_drafting(args, told['incident'], word)}"
        )
    return 0


def _drafting(args: argparse.Namespace, number: int, word: str) -> str:
    """Return the command that keeps what was previewed."""
    words = ["drd", "incident", "message", "draft", str(number), word]
    words += ["--text", args.text] if args.text else []
    for option, values in (("--set", args.set), ("--to", args.to)):
        words += [each for value in values for each in (option, value)]
    words += ["--template", args.template] if args.template else []
    words += ["--next-update", args.next_update] if args.next_update else []
    return escaped(shlex.join(words + ["--encrypt"] * args.encrypt))


def draft(args: argparse.Namespace) -> int:
    number, word = _words(args, "AUDIENCE")
    with session(args) as app:
        zone = zone_of(app)
        message = Clerk(app, args, number).compose("draft", word)
    return _told(args, message, zone, _next_step(message))


def approve(args: argparse.Namespace) -> int:
    number, word = _words(args, "M")
    which = _message_number(number, word)
    with session(args) as app:
        zone, clerk = zone_of(app), Clerk(app, args, number)
        digest = args.digest or _seen(args, clerk, which, zone)
        message = clerk.act("approve", which, {"digest": digest})
    return _told(args, message, zone, _next_step(message))


def _seen(args: argparse.Namespace, clerk: Clerk, which: int, zone: tzinfo) -> str:
    """Show a message, and have the person say yes to it. Returns the digest of what was shown;
    raises UsageError if drd cannot ask."""
    content = clerk.approvable(which)
    read = f"drd incident message preview {content['incident']} {which}"
    hint = (
        f"read the message: {read}. To approve the message as shown there, add --digest "
        f"{content['digest'][:DIGITS]}."
    )
    if args.json or args.quiet:
        raise UsageError(
            "an approval with --json or --quiet needs --digest: drd shows nothing to approve",
            hint=hint,
        )
    confirm_approval(_content_lines(content, zone), hint)
    return str(content["digest"])


def send(args: argparse.Namespace) -> int:
    number, word = _words(args, "M")
    with session(args) as app:
        zone, clerk = zone_of(app), Clerk(app, args, number)
        which = int(word) if word.isdecimal() else _to_send(clerk, word)
        to = args.to if word.isdecimal() else ()
        clerk.act("send", which, {"again": args.again, "to": list(to)})
        message, has_daemon = clerk.delivered(which), _has_daemon(app)
    _told(args, message, zone, "", has_daemon=has_daemon)
    to = args.to if args.again else ()
    return 1 if _undelivered(message, to, has_daemon=has_daemon) else 0


def _to_send(clerk: Clerk, word: str) -> int:
    """Return the message to send. An audience inside gets a new one; one outside the only one that
    was approved and not sent."""
    audience = acts.audience_of(word)
    if not audience.is_external:
        return int(clerk.compose("draft", word)["message"])
    told = clerk.listed()
    number = told["incident"]
    unsent = [
        m
        for m in told["messages"]
        if m["audience"] == audience and m["sent_at"] is None and not m["withdrawn"]
    ]
    ready = [m for m in unsent if m["approved"]]
    if len(ready) == 1:
        return int(ready[0]["message"])
    if ready:
        raise UsageError(
            f"{len(ready)} approved messages to {audience} are not sent yet",
            hint="send one of them: "
            + "; ".join(f"drd incident message send {number} {m['message']}" for m in ready[-5:]),
        )
    command = f"drd incident message draft {number} {audience}"
    if unsent:
        command = f"drd incident message approve {number} {unsent[-1]['message']}"
    raise UsageError(
        f"nobody has approved a message to {audience}, and drd sends messages to people outside "
        "only after an approval",
        hint=command,
    )


def told(args: argparse.Namespace) -> int:
    return _settle(args, args.reference)


def bounced(args: argparse.Namespace) -> int:
    if args.from_ is not None:
        return _reported(args)
    if not args.reason.strip():
        raise UsageError(
            "--reason is missing: the text of the bounce",
            hint='add the text, for example: --reason "550 user unknown"',
        )
    return _settle(args, args.reason)


def _reported(args: argparse.Namespace) -> int:
    """Record what a mail server reports. The same report again, and one that the server still
    tries, change nothing."""
    for name in ("words", "to", "reason", "at"):
        if getattr(args, name):
            what = "the numbers" if name == "words" else f"--{name}"
            raise UsageError(
                f"--from and {what} cannot be combined: the report itself says which mail came "
                "back, when and why",
                hint=f"leave out {what}, or --from.",
            )
    raw = read_given(args.from_, LARGEST, "give the report of one mail.")
    if bounces_in(raw) is None:
        raise UsageError(
            "this is not a report of a mail server about a mail of an incident: it does not "
            "contain a Message-ID of drd",
            hint="record by hand that the mail came back: drd incident message bounced N "
            "M --to NAME --reason TEXT",
        )
    with session(args) as app:
        return tell_bounces(args, taken(app, args, raw))


def _settle(args: argparse.Namespace, said: str) -> int:
    return _done(args, {"to": args.to, "said": said, "at": args.at})


def withdraw(args: argparse.Namespace) -> int:
    return _done(args, {"reason": args.reason})


def _done(args: argparse.Namespace, given: Mapping[str, Any]) -> int:
    number, word = _words(args, "M")
    with session(args) as app:
        zone = zone_of(app)
        message = Clerk(app, args, number).act(
            args.message_verb, _message_number(number, word), given
        )
        has_daemon = _has_daemon(app)
    return _told(args, message, zone, "", has_daemon=has_daemon)


def _has_daemon(app: App) -> bool:
    """Return whether a daemon sends what waits. For other users, it has just answered."""
    return not app.state.is_ours or is_alive(app)


def _words(args: argparse.Namespace, what: str) -> tuple[int | None, str]:
    """Return the number of the incident, if one was given, and the word after it."""
    given: Sequence[str] = args.words
    if len(given) == 2 and given[0].isdecimal():
        return int(given[0]), given[1]
    if len(given) == 1:
        return None, given[0]
    verb = f"incident message {args.message_verb}"
    fact = "too many words given, or in the wrong order" if given else f"no {what} given"
    hint = f"write them in this order: drd {verb} [N] {what}. To see examples: drd {verb} --help"
    raise UsageError(f"{verb}: {fact}", hint=hint)


def _message_number(number: int | None, word: str) -> int:
    if not word.isdecimal():
        which = f" {number}" if number is not None else ""
        raise UsageError(
            f"{escaped(word)!r} is not the number of a message",
            hint=f"to list the messages: drd incident message list{which}",
        )
    return int(word)


def _told(
    args: argparse.Namespace,
    message: Mapping[str, Any],
    zone: tzinfo,
    step: str,
    *,
    has_daemon: bool = True,
) -> int:
    if args.json:
        output.print_json(message)
    elif not args.quiet:
        for line in _listed(message, message["incident"], zone, has_daemon=has_daemon):
            output.say(line)
        if step:
            output.say(f"> {step}")
        _warn_of_waiting([message], has_daemon=has_daemon)
    return 0


def _warn_of_waiting(messages: Sequence[Mapping[str, Any]], *, has_daemon: bool) -> None:
    """Say that nobody sends what still waits, if no daemon runs."""
    if not has_daemon and any(one["queued"] for m in messages for one in m["deliveries"]):
        output.warn(
            "no daemon runs, so what is not sent yet waits until one does. Start the daemon: "
            "systemctl start drd"
        )


def _next_step(message: Mapping[str, Any]) -> str:
    number, content = message["incident"], message["content"]
    if content is not None and content["external"] and not message["approved"]:
        digest = content["digest"][:DIGITS]
        return f"drd incident message approve {number} {message['message']} --digest {digest}"
    return f"drd incident message send {number} {message['message']}"


def _undelivered(message: Mapping[str, Any], to: Sequence[str], *, has_daemon: bool) -> bool:
    """Return whether one of these did not get it; without names, one of all. What a channel has not
    accepted yet counts, unless a daemon sends it."""
    asked = [one for one in message["deliveries"] if not to or {one["name"], one["to"]} & set(to)]
    return any(
        Fate(one["fate"]) in MAY_REPEAT
        or Fate(one["fate"]) is Fate.WAITING
        or (one["queued"] and not has_daemon)
        for one in asked
    )


def _listed(
    message: Mapping[str, Any], number: int, zone: tzinfo, *, has_daemon: bool
) -> Iterator[str]:
    """Return the lines of a message in a list: its state, its approval, and each recipient."""
    width = terminal_width(sys.stdout)
    content = message["content"]
    subject = f': "{escaped(content["parts"][0]["subject"])}"' if content is not None else ""
    head = f"message {message['message']} "
    state = f"to {message['audience'] or '?'}, {message['state']}{subject}"
    yield from hanging(head, state, width)
    by = f"drafted {_time(message['drafted_at'], zone)} by {escaped(message['drafted_by'])}"
    if message["approved_at"] is not None:
        at = _time(message["approved_at"], zone)
        by += f", approved {at} by {escaped(message['approved_by'] or '?')}"
    digest = content["digest"][:DIGITS] if content is not None else ""
    yield from hanging("  ", f"{by}, digest {digest}", width)
    if message["approval_lacks"]:
        words = f"lacks an approval by the present rule: {escaped(message['approval_lacks'])}"
        yield from hanging("  ", words, width)
        yield f"  > drd incident message approve {number} {message['message']}"
    for one in message["deliveries"]:
        recipient, fate = Recipient.from_json(one), Fate(one["fate"])
        since = f" {_time(one['at'], zone)}" if one["at"] is not None else ""
        said = f": {escaped(one['said'])}" if one["said"] else ""
        if one["queued"]:
            then = "; the daemon tries again" if one["said"] else "; the daemon sends it now"
            said += then if has_daemon else "; not sent yet"
        lost = fate is Fate.WAITING and not one["queued"] and not message["withdrawn"]
        if lost:
            said += (
                "; the message is not in the outbox of this host, so drd does not send it by itself"
            )
        line = f"{escaped(recipient.words)}: {fate}{since}{said}"
        yield from hanging("  ", line, width)
        if not message["withdrawn"]:
            yield from _remedies(message["message"], number, recipient, fate, lost=lost)


def _time(text: str, zone: tzinfo) -> str:
    return format_time(from_rfc3339(text), zone=zone)


def _remedies(
    which: int, number: int, recipient: Recipient, fate: Fate, *, lost: bool
) -> Iterator[str]:
    one = recipient.to if recipient.way is Way.MAIL else recipient.name
    to = f"--to {_quoted(one)}"
    if (fate in MAY_REPEAT or lost) and recipient.way is not Way.HAND:
        yield f"  > drd incident message send {number} {which} --again {to}"
    if fate is Fate.TO_TELL:
        yield f"  > drd incident message told {number} {which} {to}"


def _quoted(name: str) -> str:
    """Return a name as a word for a shell; one with control characters is left to the person."""
    if all(c.isalnum() or c in " .-_" for c in name):
        return f'"{name}"'
    return shlex.quote(name) if escaped(name) == name else "NAME"


def _content_lines(content: Mapping[str, Any], zone: tzinfo) -> Iterator[str]:
    for part in content["parts"]:
        yield (
            f"to {content['audience']} (template {part['template']}, language {part['language']}):"
        )
        recipients = [Recipient.from_json(one) for one in part["recipients"]]
        yield from (f"  {escaped(one.words)}" for one in recipients)
        yield from [] if recipients else ["  nobody"]
        yield f"subject: {escaped(part['subject'])}"
        yield ""
        for line in part["text"].rstrip("\n").split("\n"):
            yield escaped(line)
        yield ""
    if content["next_update"] is not None:
        yield f"promises the next update by {_time(content['next_update'], zone)}"
    yield f"digest {content['digest'][:DIGITS]}"
