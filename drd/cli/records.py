"""`drd records`: the signed records of what was proven, decided and done."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from drd import process
from drd.api.record_documents import entry_document
from drd.bootstrap import App
from drd.cli import output
from drd.cli.confirm import confirm_corrections, confirm_redaction
from drd.cli.session import require_owner, session
from drd.flows.records.export import Exported
from drd.flows.records.export import export as write_export
from drd.flows.records.key import RecordKey
from drd.flows.records.redacting import corrected_by, with_same_text
from drd.flows.records.restricted import hiding
from drd.flows.records.rotation import KeyChange, initialise
from drd.flows.records.rotation import rotate as replace_key
from drd.flows.records.timestamps import for_export
from drd.model.records import Entry
from drd.model.text import counted, escaped
from drd.model.units import format_time
from drd.signing import public_key

_SHOWN_FAULTS = 20


def list_(args: argparse.Namespace) -> int:
    with session(args, reading=True) as app:
        require_owner(app, "records list")
        entries = app.catalogue.records.newest(plan=args.plan, kind=args.kind, limit=args.limit)
    if args.json:
        output.print_json({"records": [entry_document(entry) for entry in entries]})
    elif not entries:
        output.say("there are no records that match the options")
    else:
        output.say(output.table([_row(e) for e in entries], header=_HEADER))
    return 0


_HEADER = ("entry", "at", "who", "what", "about", "signed")


def _row(entry: Entry) -> list[str]:
    header = entry.header
    return [
        str(entry.seq),
        format_time(header.at, seconds=True),
        escaped(header.actor_name),
        escaped(header.kind) + _state_of_body(entry),
        escaped(header.subject),
        "yes" if entry.signature else "no",
    ]


def _state_of_body(entry: Entry) -> str:
    if entry.body is not None:
        return ""
    return " (encrypted)" if entry.sealed else " (redacted)"


def show(args: argparse.Namespace) -> int:
    with session(args, reading=True) as app:
        require_owner(app, "records show")
        entry = app.catalogue.records.get(args.entry)
    document = entry_document(entry)
    if args.json:
        output.print_json(document)
        return 0
    body = document.pop("body")
    document["actor"] = f"{entry.header.actor_name} ({entry.header.actor_kind})"
    for name, value in document.items():
        output.say(f"{name:<10} {escaped(str(value)) if value is not None else 'none'}")
    gone = "encrypted for the roles of drd.yaml" if entry.sealed else "removed"
    shown = gone if body is None else json.dumps(body, indent=2, ensure_ascii=True)
    for line in f"body: {shown}".split("\n"):
        output.say(line)
    return 0


def export(args: argparse.Namespace) -> int:
    with session(args, reading=True) as app:
        require_owner(app, "records export")
        hides = hiding(app.catalogue, app.settings.role_keys, plain=False)
        done = write_export(
            app.catalogue.records,
            Path(args.directory),
            plan=args.plan,
            stamps=for_export(app.catalogue, app.settings.authority),
            hides=hides,
        )
        keys = keys_of(app)
    return tell_of_export(args, done, keys, {})


def tell_of_export(
    args: argparse.Namespace, done: Exported, keys: list[dict[str, Any]], more: dict[str, Any]
) -> int:
    """Say what an export contains, and what to do with it; the JSON document also has `more`."""
    document = {
        **more,
        "directory": str(done.directory),
        "entries": done.entries,
        "bodies": done.bodies,
        "keys": keys,
    }
    if args.json:
        output.print_json(document)
    elif not args.quiet:
        what = counted(done.entries, "entry", "entries")
        output.say(f"wrote {what}, {done.bodies} with their bodies, to {done.directory}")
        output.say(f"to check them on any machine: sh {done.directory}/verify.sh")
        for key in keys:
            output.say(
                f"send the id of the key separately, so that readers can compare it: {key['key']}"
            )
    return 0


def init(args: argparse.Namespace) -> int:
    with session(args) as app:
        require_owner(app, "records init")
        key = RecordKey(app.settings.records_key)
        done = initialise(app.catalogue.records, key, app.clock.now())
    words = {(True, True): "made", (False, True): "recorded", (True, False): "made"}
    word = words.get((done.made, done.recorded), "unchanged")
    return _print_change(done, key, word, args)


def rotate(args: argparse.Namespace) -> int:
    with session(args) as app:
        require_owner(app, "records rotate")
        key = RecordKey(app.settings.records_key)
        done = replace_key(app.catalogue, key, app.clock.now(), lost=args.lost)
    return _print_change(done, key, "replaced", args)


_CHANGES = {
    "made": "made the key that signs the records",
    "recorded": "recorded the key that signs the records",
    "replaced": "replaced the key that signs the records; the new key",
    "unchanged": "the records have a key already",
}


def _print_change(done: KeyChange, key: RecordKey, word: str, args: argparse.Namespace) -> int:
    public = done.public
    if args.json:
        output.print_json(
            {
                "key": public.id,
                "public": public.text,
                "file": str(key.file),
                "change": word,
                "former": done.former or None,
            }
        )
    elif not args.quiet:
        output.say(f"{_CHANGES[word]}: {public.id}, {key.file}")
        if word != "unchanged":
            output.say("restart the service, so that it signs with this key: systemctl restart drd")
            output.say(
                "then make the recovery kit again, because the kit contains the public "
                "half of the key"
            )
    return 0


def key(args: argparse.Namespace) -> int:
    with session(args, reading=True) as app:
        require_owner(app, "records key")
        own_key = RecordKey(app.settings.records_key)
        keys = keys_of(app)
    why = _why_unusable(own_key, keys)
    if args.json:
        output.print_json({"reference": own_key.ref.describe(), "keys": keys, "unusable": why})
    else:
        for one in keys:
            output.say(f"key {one['key']}, since entry {one['since']}")
            output.say(one["pem"].strip())
        if why is not None:
            output.say(f"drd cannot sign with {own_key.ref.describe()}: {why}")
    return 0


def _why_unusable(key: RecordKey, keys: list[dict[str, Any]]) -> str | None:
    if not key.exists:
        return f"{key.file} does not exist; to make a key: drd records init"
    signer = key("")
    if signer is None:
        return f"this user cannot read {key.file}, or the file is not a key"
    current = keys[-1]["key"] if keys else ""
    if current not in ("", signer.public.id):
        return (
            f"the file contains key {signer.public.id}, but the records are signed by key {current}"
        )
    return None


def keys_of(app: App) -> list[dict[str, Any]]:
    """The public keys of the chain, the oldest first."""
    keys = []
    for entry in reversed(app.catalogue.records.newest(kind="key", limit=1000)):
        body = json.loads(entry.body.text) if entry.body is not None else {}
        public = public_key(str(body.get("public")))
        if public is not None:
            keys.append(
                {"key": public.id, "public": public.text, "pem": public.pem, "since": entry.seq}
            )
    return keys


def redact(args: argparse.Namespace) -> int:
    with session(args) as app:
        require_owner(app, "records redact")
        entry = app.catalogue.records.get(args.entry)
        same = with_same_text(app.catalogue, entry)
        both = args.with_corrections
        if same.known and not (both or args.yes):
            for one in same.known:
                output.say(f"entry {one.seq} can contain the same text: {_relation(one)}")
            both = confirm_corrections()
        chosen = [entry, *same.known] if both else [entry]
        left = [*(() if both else same.known), *same.sealed]
        if not args.yes:
            for one in chosen:
                output.say(
                    f"entry {one.seq} ({one.header.kind} of {escaped(one.header.subject)}): drd "
                    "will remove the body of this entry for good"
                )
            confirm_redaction(entry.seq)
        now, by = app.clock.now(), process.actor_here()
        with app.catalogue.together():
            made = [
                app.catalogue.records.redact(one.seq, reason=args.reason, at=now, actor=by)
                for one in chosen
            ]
    removed, kept = [one.seq for one in chosen], [one.seq for one in left]
    if args.json:
        output.print_json(
            {"entry": entry.seq, "record": made[0].seq, "redacted": removed, "left": kept}
        )
    elif not args.quiet:
        for one, record in zip(chosen, made, strict=True):
            output.say(f"removed the body of entry {one.seq}; entry {record.seq} records it")
    for one in left:
        output.warn(
            f"entry {one.seq} still has its body, which can contain the same text: "
            f"{_relation(one)}. To remove it: drd records redact {one.seq} --reason TEXT"
        )
    return 0


def _relation(other: Entry) -> str:
    """Say why another entry can contain the text of the redacted one."""
    if (number := corrected_by(other)) is not None:
        return f"it corrects entry {number}"
    if other.sealed:
        return "it is encrypted on this host, so drd does not know what it corrects"
    return "another entry corrects it"
