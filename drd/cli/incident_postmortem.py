"""`drd incident postmortem`: write the post-mortem, or renew the parts of drd in its file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drd.api.incident_postmortem import postmortem_document, reviewed
from drd.api.postmortem_page import about
from drd.bootstrap import App
from drd.cli import output
from drd.cli.incident_acting import path_of
from drd.cli.incident_scope import plans_or_warning
from drd.cli.new_file import write_new
from drd.cli.remote import Remote
from drd.cli.renewed_file import renew
from drd.cli.session import session
from drd.errors import UsageError
from drd.flows.incidents.choosing import chosen
from drd.model.marked_parts import renewed
from drd.model.text import some

_FORMATS = {".md": "markdown", ".html": "html"}


def run(args: argparse.Namespace) -> int:
    format_ = _format(args.output) if args.output is not None else "markdown"
    with session(args, reading=True) as app:
        told = _told(app, args)
    missing: tuple[str, ...] = ()
    is_new = args.output is not None and not os.path.lexists(args.output)
    if args.output is not None:
        missing = _write(args.output, told["incident"], told[format_], is_new=is_new)
    if args.json:
        facts = {k: v for k, v in told.items() if k not in _FORMATS.values()}
        text = told["markdown"] if args.output is None else None
        output.print_json(
            {**facts, "file": args.output, "left_out": list(missing), "markdown": text}
        )
    elif args.output is None:
        output.say(told["markdown"].rstrip("\n"))
    elif not args.quiet:
        _say(args.output, missing, is_new=is_new)
    return 0


def _format(name: str) -> str:
    known_format = _FORMATS.get(Path(name).suffix.lower())
    if known_format is None:
        raise UsageError(
            f"drd cannot see from the name {name} whether to write Markdown or HTML",
            hint="use a file name that ends with .md or .html",
        )
    return known_format


def _told(app: App, args: argparse.Namespace) -> Mapping[str, Any]:
    if not app.state.is_ours:
        return Remote(app).get(f"{path_of(args.number)}/postmortem")
    incident = app.catalogue.incidents.get(chosen(app.catalogue, args.number))
    plans = plans_or_warning(app)
    entries = app.catalogue.incidents.entries(incident)
    return postmortem_document(reviewed(app, incident, entries, plans))


def _write(name: str, number: int, fresh: str, *, is_new: bool) -> tuple[str, ...]:
    """Write a new file, or renew the parts of an existing file. Return the parts that the existing
    file does not contain."""
    if is_new:
        write_new(name, fresh.encode())
        return ()
    missing: list[str] = []

    def make(before: str) -> str:
        text, left = renewed(before, fresh, about(number), name)
        missing.extend(left)
        return text

    renew(name, make)
    return tuple(missing)


def _say(name: str, missing: tuple[str, ...], *, is_new: bool) -> None:
    if is_new:
        output.say(
            f"wrote {name}. Write your own text outside of the markers (lines with “drd begin” and "
            "“drd end”). The same command later renews only the text between the markers"
        )
        return
    output.say(f"renewed the parts of {name} that drd writes; nothing else was changed")
    if missing:
        output.warn(
            f"{name} does not contain these parts, because somebody removed their markers: "
            f"{some(missing, 10)}. To get these parts: write a new file, and copy the parts from it"
        )
