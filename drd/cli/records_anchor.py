"""`drd records anchor`: the state of the chain, stored in the repositories."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from drd import process
from drd.api.record_documents import anchor_document, numbers
from drd.bootstrap import App
from drd.cli import output, records_back
from drd.cli.session import require_owner, session
from drd.errors import SecretUnavailable, UsageError
from drd.flows.records import anchors, expiring
from drd.flows.records.at_once import anchor_each
from drd.flows.records.key import RecordKey
from drd.flows.records.noted import NOTED, NOTED_SOON
from drd.flows.records.restricted import hiding, recipients
from drd.flows.records.timestamps import Stamping
from drd.model.text import counted, escaped
from drd.model.units import format_duration


def run(args: argparse.Namespace) -> int:
    with session(args, acts=False, records=True) as app:
        require_owner(app, "records anchor")
        now = app.clock.now()
        signer = RecordKey(app.settings.records_key).read()
        current = app.catalogue.records.current_key()
        if current not in ("", signer.public.id):
            raise SecretUnavailable(
                f"drd has key {signer.public.id}, but the records are signed by key {current}",
                hint="to see the keys: drd records key",
            )
        if args.reencrypt:
            _require_keys(app)
        if not args.incidents and not args.reencrypt:
            _remove_expired(app, args)
        wanted, kept_as = _wanted(app, args)
        authority = None if args.incidents or args.reencrypt else app.settings.authority
        stamping = Stamping(app.catalogue, authority, now)
        hides = hiding(app.catalogue, app.settings.role_keys)
        known = app.catalogue.queue.noted(kept_as)
        before = known[1].get("places", {}) if known is not None else {}

        def work(place: anchors.Place) -> anchors.Result:
            return anchors.anchor(
                app.catalogue,
                place,
                app.open_repository,
                signer,
                app.clock.now(),
                entries=args.incidents,
                anew=args.reencrypt,
                hides=hides,
            )

        def note_entries(results: Sequence[anchors.Result]) -> None:
            places = {**before, **anchors.noted(results, before)}
            app.catalogue.queue.note(kept_as, {"places": places}, now)

        if args.incidents:
            results = anchor_each(wanted, work, lambda: _newest(app), note_entries)
        else:
            results = anchor_each(wanted, work)
        unstored = not args.incidents and bool(app.catalogue.incidents.open_numbers())
        stamping.store([r.place for r in results if not r.error], app.open_repository)
        if not args.reencrypt:
            places = {**anchors.noted(results, before), **stamping.noted(results)}
            app.catalogue.queue.note(kept_as, {"places": places}, now)
    _tell_of_anchors(results, stamping, args)
    if unstored and not (args.json or args.quiet):
        output.say(
            "an anchor does not contain the entries of open incidents. The service stores these "
            "within a minute; without the service: drd records anchor --incidents"
        )
    return 1 if any(result.error for result in results) else 0


def _remove_expired(app: App, args: argparse.Namespace) -> None:
    """Remove bodies after their time, before the anchors: these then contain the records of it."""
    keep_s = app.settings.keep_bodies_s
    if keep_s is None:
        return
    gone = expiring.remove_expired(app.catalogue, keep_s, app.clock.now(), process.actor_here())
    if gone and not (args.json or args.quiet):
        bodies = counted(len(gone), "body", "bodies")
        output.say(
            f"removed {bodies} of entries {numbers(gone)}: kept for {format_duration(keep_s)}, as "
            "records.keep_bodies of drd.yaml says"
        )


def _newest(app: App) -> int:
    head = app.catalogue.records.head()
    return head.seq if head is not None else 0


def _tell_of_anchors(
    results: Sequence[anchors.Result], stamping: Stamping, args: argparse.Namespace
) -> None:
    if args.json:
        output.print_json(
            {
                "places": [_result_document(r) for r in results],
                "timestamp": stamping.document(),
            }
        )
    elif not args.quiet:
        for result in results:
            said = _reencrypted(result) if args.reencrypt else _outcome(result)
            output.say(f"{result.place.name}: {said}")
        if stamping.made is not None:
            made = stamping.made
            output.say(f"{made.authority} has stamped entry {made.seq} with its time")
    if stamping.error:
        output.warn(f"{escaped(stamping.error)}. drd tries again with the next anchor")
    for result in results:
        if result.error and (args.quiet or args.json):
            output.warn(f"{result.place.name}: {result.error}")


def _require_keys(app: App) -> None:
    """Raise UsageError without keys of roles, and warn of bodies that only former keys open."""
    if not recipients(app.settings.role_keys):
        raise UsageError(
            "drd.yaml does not contain keys for roles, so drd cannot encrypt entries for roles",
            hint="add the keys: incident: {roles: {lead: {age: [age1…]}}}",
        )
    sealed = sum(bool(entry.sealed) for entry in app.catalogue.records.read())
    if sealed:
        output.warn(
            f"{counted(sealed, 'restricted entry is', 'restricted entries are')} encrypted on "
            "this host, too, and stay encrypted to the former keys. To include these "
            "entries, first run: drd records unseal --identity FILE"
        )


def _reencrypted(result: anchors.Result) -> str:
    if result.error and result.seq:
        return f"{_reencrypted(replace(result, error=''))}. But {result.error}"
    if result.error:
        return f"nothing stored: {result.error}"
    if not result.stored:
        return "has no restricted entries"
    if not result.place.weak:
        return (
            "stored the restricted entries again for the keys of the roles; what is encrypted to "
            "the former keys stays there, too, because drd deletes nothing in this repository"
        )
    gone = counted(result.taken_back, "older file")
    return f"stored the restricted entries again for the keys of the roles, removed {gone}"


def _wanted(app: App, args: argparse.Namespace) -> tuple[list[anchors.Place], str]:
    """Return the repositories, and the key under which the results are noted. After the last
    incident was closed, those that have its entries get the rest of them."""
    plans = list(records_back.loaded(app))
    if not args.incidents:
        return anchors.places(plans), NOTED
    store = app.catalogue.incidents
    numbers = store.open_numbers()
    known = app.catalogue.queue.noted(NOTED_SOON)
    before = known[1].get("places", {}) if known is not None and not numbers else {}
    last = [p for p in anchors.places(plans) if p.spec.url in before]
    if last:
        return last, NOTED_SOON
    numbers = numbers or [i.number for i in store.newest(closed=True, limit=1)]
    scope = {plan for number in numbers for plan in store.get(number).plans}
    return anchors.soon(plans, scope), NOTED_SOON


def _result_document(result: anchors.Result) -> dict[str, Any]:
    return {
        "place": result.place.name,
        "url": result.place.spec.url,
        "weak": result.place.weak,
        "entry": result.seq or None,
        "stored": result.stored,
        "taken_back": result.taken_back,
        "error": result.error or None,
        "ahead": anchor_document(result.ahead) if result.ahead is not None else None,
    }


def _outcome(result: anchors.Result) -> str:
    if result.error and result.seq:
        return f"{_outcome(replace(result, error=''))}. But {result.error}"
    if result.error:
        return f"no anchor stored: {result.error}"
    if not result.stored:
        return (
            f"already has an anchor of entry {result.seq}"
            if result.seq
            else "there are no records yet"
        )
    gone = f", removed {counted(result.taken_back, 'older anchor')}" if result.taken_back else ""
    return f"stored an anchor of entry {result.seq}{gone}"
