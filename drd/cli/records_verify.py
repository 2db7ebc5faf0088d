"""`drd records verify` and `drd records continue`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from drd.api.record_documents import (
    entry_document,
    numbers,
    report_document,
    stamps_document,
)
from drd.bootstrap import App
from drd.cli import output, records_back
from drd.cli.kit import key_of
from drd.cli.session import require_owner, session, without_host
from drd.errors import UsageError
from drd.flows.records import anchors, continuing, timestamps
from drd.flows.records.export import STAMPS, check_export, check_files, read_export
from drd.flows.records.noted import note_check
from drd.kit.archive import unpack
from drd.kit.sealing import read_kit, unseal
from drd.model.chain import ChainReport, Fault
from drd.model.checkpoint import Anchor, Vouched
from drd.model.incidents.entries import OPEN, subject
from drd.model.text import counted, escaped, left_out
from drd.model.timestamps import Stamped
from drd.model.units import format_time

_SHOWN_FAULTS = 20
_MOST_STAMPS = 10_000
_AFTER_A_LOSS = ("truncated", "replaced")
"""Faults of a chain that lacks its end: somebody removed it, or this host is a copy of an older
state."""


def verify(args: argparse.Namespace) -> int:
    if args.file is not None:
        with without_host(args):
            return _of_file(Path(args.file), args)
    with session(args, reading=True) as app:
        require_owner(app, "records verify")
        others = [*_kept_elsewhere(args.against or []), *_in_kit(args)]
        wanted = [] if args.here else anchors.places(records_back.loaded(app))
        report, vouched, stamped = _checked(app, wanted, others, args.timestamp_ca)
        _warn_of_guards(app.catalogue.records.missing_guards())
    return _told(report, vouched if wanted or others else None, stamped, args)


def _checked(
    app: App, wanted: Sequence[anchors.Place], others: Sequence[Anchor], ca: str | None
) -> tuple[ChainReport, Vouched, Stamped]:
    """Check the records of this host, and note the result for status and alerts."""
    report, vouched = anchors.compare(app.catalogue, wanted, app.open_repository, others, _own(app))
    report.faults += _wrong_incidents(app)
    stamped = _stamped(app, wanted, ca)
    report.faults += stamped.faults
    faults = vouched.faults if wanted or others else None
    note_check(app.catalogue, app.clock.now(), report.faults, faults)
    return report, vouched, stamped


def _own(app: App) -> str | None:
    key = records_back.own_key(app)
    return key.text if key is not None else None


def _warn_of_guards(missing: Sequence[str]) -> None:
    if missing:
        output.warn(
            f"the catalogue lacks {counted(len(missing), 'trigger')} that refuse changes of "
            f"the records: {', '.join(missing)}. Somebody removed them, so changes since the "
            "newest anchor may stay unnoticed. To create the triggers again, run one of these "
            "commands: drd catalogue rebuild, systemctl restart drd"
        )


def _of_file(file: Path, args: argparse.Namespace) -> int:
    """Check an export, with the time stamps beside it."""
    exported = read_export(file)
    stamps = timestamps.in_export(file)
    hashes = {entry.seq: entry.header.hash for entry in exported.entries}
    own = (file if file.is_dir() else file.parent) / STAMPS / timestamps.CA
    ca = args.timestamp_ca or (str(own) if own.is_file() else None)
    stamped = timestamps.judged(stamps, ca, hashes.get)
    report = check_export(exported)
    report.faults += check_files(file, exported)
    return _told(report, None, stamped, args)


def _stamped(app: App, wanted: Sequence[anchors.Place], ca: str | None) -> Stamped:
    """What time stamps say of the chain: those of this host, and those beside the anchors. `ca` is
    the file with the certificates of their authority, if the caller names one."""
    hash_of = timestamps.hashes_in(app.catalogue)
    authority = app.settings.authority
    ca = ca or (authority.ca if authority is not None else None)
    here = app.catalogue.stamps.newest(_MOST_STAMPS)
    asked = wanted if authority or here else []
    there = timestamps.found(asked, app.open_repository, hash_of, here)
    stamped = timestamps.judged([*here, *there], ca, hash_of)
    if authority is not None:
        stamped.failing = timestamps.failing(app.catalogue, authority)
    return stamped


def _wrong_incidents(app: App) -> Iterator[Fault]:
    """What the table of incidents says otherwise than the entries, from which it is made."""
    for number in app.catalogue.incidents.wrong_rows():
        about = app.catalogue.records.about(subject(number), kind=OPEN)
        yield Fault(
            about[0].seq if about else 0,
            "incident",
            f"the table of incidents and the entries of incident {number} differ. The next start "
            "of the service, or drd catalogue rebuild, makes the table again from the entries",
        )


def _kept_elsewhere(exports: list[str]) -> Iterator[Anchor]:
    for name in exports:
        found_anchors = anchors.of_export(read_export(Path(name)), f"the export {name}")
        if found_anchors is None:
            raise UsageError(
                f"{name} cannot confirm the records: it was changed, or nothing in it is signed",
                hint=f"to see why: drd records verify {name}",
            )
        yield found_anchors


def _in_kit(args: argparse.Namespace) -> Iterator[Anchor]:
    if args.kit is None:
        return
    if not (args.passphrase_file or args.identity):
        raise UsageError(
            "--kit needs --passphrase-file or --identity, to open the kit",
            hint="add --passphrase-file or --identity.",
        )
    kit = unpack(unseal(read_kit(Path(args.kit)), key_of(args), name=args.kit), name=args.kit)
    if kit.index.records is None:
        raise UsageError(
            f"kit {args.kit} does not contain the state of the records: the kit was made "
            "before the records were signed",
            hint="make the kit again: drd kit export",
        )
    yield anchors.of_kit(kit.index.records, f"the kit {args.kit}")


def go_on(args: argparse.Namespace) -> int:
    with session(args, acts=False, records=True) as app:
        require_owner(app, "records continue")
        plans = list(records_back.loaded(app))
        came = records_back.brought_back(app, plans)
        records_back.tell(app, came, quiet=args.quiet or args.json)
        made = continuing.go_on(
            app.catalogue,
            anchors.places(plans),
            app.open_repository,
            reason=args.reason,
            at=app.clock.now(),
            returned=came.newest if came.count else None,
            own=_own(app),
        )
        # Otherwise status and alerts show the former fault until the next check.
        _checked(app, anchors.places(plans), (), None)
    if args.json:
        output.print_json({"records": [entry_document(entry) for entry in made]})
    elif not args.quiet:
        for entry in made:
            output.say(f"entry {entry.seq} says what is lost: drd records show {entry.seq}")
        output.say("store an anchor of this entry away from this host: drd records anchor")
    return 0


# --- what a check found ------------------------------------------------------------------------


def _told(
    report: ChainReport, vouched: Vouched | None, stamped: Stamped, args: argparse.Namespace
) -> int:
    """Print what a check of the chain found, and return the exit code."""
    wanted = args.key
    strange = wanted is not None and wanted not in {key.id for key in report.keys}
    if args.json:
        document = {
            **report_document(report, vouched),
            "timestamps": stamps_document(stamped),
            "key_expected": wanted,
        }
        output.print_json({**document, "key_found": not strange})
    elif not args.quiet:
        _print_report(report, vouched)
        _print_stamps(stamped)
        if strange:
            output.say_below("  ", f"no record here is signed by key {wanted}")
    if report.faults or strange or (vouched is not None and vouched.faults):
        return 1
    return 0 if vouched is not None and vouched.newest is not None else 5


def _print_report(report: ChainReport, vouched: Vouched | None) -> None:
    faults = [*report.faults, *(vouched.faults if vouched is not None else ())]
    if report.last is None:
        output.say("there are no records" if faults else "there are no records yet")
    else:
        until = format_time(report.last.header.at, seconds=True)
        output.say(f"records: {counted(report.entries, 'entry', 'entries')}, up to {until}")
    for fault in faults[:_SHOWN_FAULTS]:
        entry = f"entry {fault.seq}: " if fault.seq else ""  # an incident may have none
        output.say_below("  ", f"{entry}{escaped(fault.text)} ({fault.code})")
    if faults:
        what = "these records were changed" if report.last is not None else "they were removed"
        output.say_below("  ", f"{what}{left_out(len(faults) - _SHOWN_FAULTS)}")
        if any(fault.code in _AFTER_A_LOSS for fault in faults):
            how = records_back.RECORD_IT
            output.say_below(
                "  ", f"if this host was made from a kit or a copy of its state, {how}"
            )
    elif report.last is not None:
        output.say_below("  ", "the chain is whole: no entry was changed, removed or moved")
    _print_keys(report)
    if vouched is None:
        output.say_below(
            "  ",
            "drd did not compare the records with an anchor. Somebody could have removed "
            "entries at the end. Compare the id of the key with the id in the recovery kit",
        )
    else:
        _print_anchors(report, vouched)


def _print_stamps(stamped: Stamped) -> None:
    if stamped.unchecked:
        count = counted(stamped.count, "time stamp")
        output.say_below("  ", f"{count} not checked: {escaped(stamped.unchecked)}")
    if stamped.proven:
        last, at = stamped.proven[-1]
        of = f", by the newest of {len(stamped.proven)}" if len(stamped.proven) > 1 else ""
        output.say_below(
            "  ",
            f"entry {last.seq}, and all before it, existed at "
            f"{format_time(at, seconds=True)}, as a time stamp proves{of} "
            f"({escaped(last.authority)})",
        )
    if stamped.failing:
        output.say_below("  ", f"{escaped(stamped.failing)}; drd tries again")
    for why in stamped.wrong[:_SHOWN_FAULTS]:
        output.say_below("  ", escaped(why))


def _print_keys(report: ChainReport) -> None:
    for key in report.keys:
        how = "" if key.attested else "; the former key was lost, so no other key confirms this one"
        output.say_below("  ", f"signed since entry {key.since} by key {key.id}{how}")
    for one in report.continuations:
        if one.chain == report.chain and one.seq <= one.common:
            lost = f"all entries that an anchor confirms, up to {one.seq}, were restored"
        elif one.chain == report.chain:
            lost = f"an older copy was restored, and later entries, up to {one.seq}, are lost"
        else:
            lost = f"the chain before it, up to entry {one.seq}, is lost"
        output.say_below("  ", f"entry {one.entry} continues the chain after a loss: {lost}")
    if report.last is not None and not report.keys:
        output.say_below("  ", "no entry is signed. To make a key: drd records init")
    elif report.unsigned:
        output.say_below("  ", f"not signed: {numbers(report.unsigned)}")
    for word, seqs in (
        ("redacted", report.redacted),
        ("without its body", report.withheld),
        ("encrypted", report.sealed),
    ):
        if seqs:
            output.say_below("  ", f"{word}: {numbers(seqs)}")


def _print_anchors(report: ChainReport, vouched: Vouched) -> None:
    newest, last = vouched.newest, report.last.seq if report.last is not None else 0
    if newest is None:
        first = report.first_at
        begun = f" since the first one, of {format_time(first, seconds=True)}" if first else ""
        output.say_below(
            "  ",
            f"no anchor confirms any entry{begun}. Somebody could have removed entries at the "
            "end, or replaced the whole chain",
        )
    else:
        output.say_below("  ", f"confirmed up to {_at(newest)}{_weakness(newest)}")
        strong = vouched.newest_strong
        if newest.weak and strong is not None:
            output.say_below("  ", f"and up to {_at(strong)}: this host cannot delete that anchor")
        if newest.checkpoint.seq < last:
            since = newest.checkpoint.seq + 1
            output.say_below(
                "  ",
                f"no anchor confirms entry {since} and later entries. Somebody could have "
                "replaced or removed these entries",
            )
    for name, why in vouched.unreached.items():
        output.say_below("  ", f"not compared with {name}: {escaped(why)}")
    if vouched.strangers:
        places = sorted({a.place for a in vouched.strangers})
        count = counted(len(vouched.strangers), "anchor")
        output.say_below(
            "  ",
            f"drd did not use {count} in {', '.join(places)}: each belongs to another "
            "installation or has a wrong signature",
        )


def _at(anchor: Anchor) -> str:
    point = anchor.checkpoint
    return f"entry {point.seq} of {format_time(point.at, seconds=True)}, by {anchor.place}"


def _weakness(anchor: Anchor) -> str:
    return " (weak: this host's own key may delete this anchor)" if anchor.weak else ""
