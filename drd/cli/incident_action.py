"""`drd incident action`: what is to change after an incident."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from drd.api.action_documents import action_of, listed
from drd.bootstrap import App
from drd.cli import output
from drd.cli.incident_acting import acted, warn_of_notes, zoned
from drd.cli.session import session
from drd.errors import UsageError
from drd.flows.incidents.actions import with_items
from drd.model.incidents.actions import ActionItem
from drd.model.incidents.incident_words import action_state
from drd.model.text import escaped
from drd.model.units import format_time

_VERBS = ("add", "done", "list")
_HEADER = ("incident", "item", "due", "owner", "state", "what")


def run(args: argparse.Namespace) -> int:
    number, verb, rest = _words(args.words)
    if verb == "list":
        if rest:
            raise _surplus(verb, rest)
        return _list(args, number)
    if len(rest) != 1:
        raise _surplus(verb, rest) if rest else _missing(verb)
    given: dict[str, Any] = {"reason": args.reason}
    if verb == "done":
        given["done"] = _item(rest[0])
    else:
        given |= {
            "text": rest[0],
            "owner": args.owner,
            "due": args.due,
            "verified_by": args.verified_by,
        }
    with session(args, acts=False, records=True) as app:
        document = acted(app, args, "action", number, given)
    _tell(args, verb, given, document)
    return 0


def _words(words: Sequence[str]) -> tuple[int | None, str, Sequence[str]]:
    """Return the number of the incident, the verb (add, done or list), and the words after it."""
    rest, number = list(words), None
    if rest and rest[0].isdecimal():
        number = int(rest.pop(0))
    if not rest:
        return number, "list", ()
    verb = rest.pop(0)
    if verb not in _VERBS:
        raise UsageError(
            f"incident action: {escaped(verb)!r} is not add, done or list",
            hint="for examples: drd incident action --help",
        )
    return number, verb, rest


def _missing(verb: str) -> UsageError:
    what = "the text" if verb == "add" else "the number of the item"
    hint = "for examples: drd incident action --help"
    return UsageError(f"incident action {verb}: {what} is missing", hint=hint)


def _surplus(verb: str, words: Sequence[str]) -> UsageError:
    return UsageError(
        f"incident action {verb}: too many words: {escaped(' '.join(words))}",
        hint="put a text of several words in quotes. For examples: drd incident action --help",
    )


def _item(word: str) -> int:
    if not word.isdecimal():
        hint = "use a number from the column `item`: drd incident action list"
        raise UsageError(f"{escaped(word)!r} is not the number of an action item", hint=hint)
    return int(word)


def _tell(
    args: argparse.Namespace, verb: str, given: Mapping[str, Any], document: Mapping[str, Any]
) -> None:
    if args.json:
        output.print_json(document)
    elif not args.quiet:
        about = f"incident {document['incident']} ({escaped(document['title'] or '')})"
        if verb == "done":
            output.say(f"{about}: action item {given['done']} is done")
            return
        item = action_of(document["actions"][-1])
        closes = f". drd closes the item when {item.verified_by} passes" if item.verified_by else ""
        times = " and ".join(document["times"])
        output.say(f"{about}: action item {item.entry} added, due {times}{escaped(closes)}")
        warn_of_notes(document)


def _list(args: argparse.Namespace, number: int | None) -> int:
    def here(app: App) -> dict[str, Any]:
        if number is not None:
            return listed([app.catalogue.incidents.get(number)], every=True)
        return listed(with_items(app.catalogue), every=False)

    told, zone = zoned(args, "/v1/actions", here, incident=number)
    if args.json:
        output.print_json(told)
        return 0
    rows = [_row(one["incident"], action_of(one), zone) for one in told["actions"]]
    none = "no action item is open" if number is None else f"incident {number} has no action items"
    output.say(output.table(rows, header=_HEADER) if rows else none)
    return 0


def _row(incident: int, item: ActionItem, zone: tzinfo) -> tuple[str, ...]:
    by = (
        f"; drd closes it when {item.verified_by} passes"
        if item.verified_by and item.done_at is None
        else ""
    )
    why = f" ({item.reason})" if item.reason else ""
    return (
        str(incident),
        str(item.entry),
        format_time(item.due, zone=zone),
        escaped(item.owner),
        action_state(item, datetime.now(UTC), zone),
        escaped(f"{item.text}{why}{by}"),
    )
