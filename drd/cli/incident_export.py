"""`drd incident export`: the entries of an incident for others."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from drd import age
from drd.api.incident_documents import incident_document, timeline_document
from drd.api.incident_postmortem import postmortem_document, reviewed
from drd.api.investigation_documents import investigation_document
from drd.api.message_documents import message_document
from drd.bootstrap import App
from drd.cli import output
from drd.cli.incident_acting import author
from drd.cli.incident_scope import plans_or_warning
from drd.cli.incident_screen import screen
from drd.cli.records import keys_of, tell_of_export
from drd.cli.session import require_owner, session
from drd.errors import UsageError
from drd.flows.incidents.choosing import chosen
from drd.flows.records.export import export
from drd.flows.records.restricted import concealed, hiding, recipients, restricted_incidents
from drd.flows.records.timestamps import for_export
from drd.model.file_list import KIND
from drd.model.incidents.doubts import altered, doubts
from drd.model.incidents.entries import Author
from drd.model.incidents.incident import Incident
from drd.model.incidents.investigation import investigation
from drd.model.incidents.message_fold import messages
from drd.model.incidents.stix import bundle_text
from drd.model.incidents.timeline import timeline
from drd.model.records import Draft, Entry, body_of

_COLUMNS = 100


def run(args: argparse.Namespace) -> int:
    given, directory = _words(args.words)
    with session(args, acts=False, records=True) as app:
        require_owner(
            app,
            "incident export",
            "the export contains the headers of all records, also of incidents that you may not "
            "read",
            "To see what you may read: drd incident show --json, or drd incident print.",
        )
        incident = app.catalogue.incidents.get(chosen(app.catalogue, given))
        entries = app.catalogue.incidents.entries(incident)
        if not incident.restricted:
            entries = concealed(entries, restricted_incidents(app.catalogue))
        lines, investigated = timeline(incident, entries), investigation(entries)
        warnings = list(doubts(incident, altered(entries)))
        document = {
            **incident_document(incident),
            "investigation": investigation_document(investigated),
            "timeline": timeline_document(lines),
            "warnings": warnings,
        }
        updates = incident.updates
        now = app.clock.now()
        text = screen(
            incident, lines, now, _COLUMNS, found=investigated, updates=updates, warnings=warnings
        )
        files = {
            "timeline.json": f"{output.json_text(document)}\n",
            "timeline.txt": "\n".join(text) + "\n",
            "indicators.stix.json": bundle_text(investigated.indicators),
            **_afterwards(app, incident, entries),
        }
        done = export(
            app.catalogue.records,
            directory,
            only=frozenset(entry.seq for entry in entries),
            beside=_protected(app, incident, files),
            stamps=for_export(app.catalogue, app.settings.authority),
            hides=hiding(app.catalogue, app.settings.role_keys, plain=False),
            seal=_seal(author(app, args, left_out=given is None), incident.number),
        )
        keys = keys_of(app)
    if done.is_forgeable:
        output.warn(
            "drd could not sign the entry that seals the files of this export, so a check of the "
            "export reports a fault. Give drd its key again, then export to another directory: "
            "drd records key says what is wrong with the key"
        )
    return tell_of_export(args, done, keys, {"incident": incident.number})


def _afterwards(app: App, incident: Incident, entries: Sequence[Entry]) -> dict[str, str]:
    """Return the files with the post-mortem, the action items, the messages and the evidence: the
    content by name."""
    plans = plans_or_warning(app)
    told = postmortem_document(reviewed(app, incident, entries, plans))
    sent = [message_document(m, {}, "") for m in messages(incident.number, entries)]
    shown = investigation_document(investigation(entries))["evidence"]
    measured = [body_of(entry) for entry in entries if entry.header.kind == "evidence"]
    files = {
        "actions.json": {"incident": incident.number, "actions": told["actions"]},
        "messages.json": {"incident": incident.number, "messages": sent},
        "evidence.json": {"incident": incident.number, "evidence": shown, "measured": measured},
    }
    return {
        "postmortem.md": told["markdown"],
        "postmortem.html": told["html"],
        **{name: f"{output.json_text(document)}\n" for name, document in files.items()},
    }


def _seal(said: Author, number: int) -> Callable[[str], Draft]:
    """Return the function that makes the entry that seals the files. The subject of the entry is
    not the incident, so everybody can check the files, even of a restricted incident."""

    def made(digest: str) -> Draft:
        body = {"incident": number, "list_sha256": digest, "by": said.by, "actor": said.actor}
        return Draft(KIND, f"{KIND}:{number}", body, said.at, said.actor)

    return made


def _protected(app: App, incident: Incident, files: Mapping[str, str]) -> Mapping[str, str]:
    """Return the files of a restricted incident encrypted to the keys of the roles; none without a
    key."""
    if not incident.restricted:
        return files
    keys = recipients(app.settings.role_keys)
    if not keys:
        output.warn(
            f"incident {incident.number} is restricted, and drd.yaml does not contain keys "
            "for roles, which the encryption needs. So the export contains the headers of "
            "its entries, but not their contents and not the timeline"
        )
        return {}
    return {
        f"{name}.age": age.encrypt(text.encode(), keys, armored=True).decode()
        for name, text in files.items()
    }


def _words(words: Sequence[str]) -> tuple[int | None, Path]:
    """Return the number of the incident, if it was given, and the directory."""
    if len(words) == 1:
        return None, Path(words[0])
    if len(words) == 2 and words[0].isdecimal():
        return int(words[0]), Path(words[1])
    raise UsageError(
        f"incident export: {len(words)} words given",
        hint="name the number of the incident and a directory: drd incident export 3 DIRECTORY",
    )
