"""`drd install`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from drd.cli import output
from drd.cli.upgrading import UpgradeNotice, notices
from drd.flows.host.install import Installation, execute, plan_install
from drd.flows.host.shipped_files import UNIT, entry_point
from drd.plan_files import plan_files

_WORDS = {
    "write": ("wrote", "would write"),
    "update": ("updated", "would update"),
    "make": ("made", "would make"),
    "give": ("gave", "would give"),
    "run": ("ran", "would run"),
    "remove": ("removed", "would remove"),
    "keep": ("kept", "would keep"),
    "unchanged": ("unchanged", "unchanged"),
}

_KINDS = {
    "changes": "will change",
    "refused": "prevents the start of drd",
    "person": "needs a person",
}


def run(args: argparse.Namespace) -> int:
    planned = plan_install(Path(args.prefix).absolute(), entry_point())
    notices = _notices(planned, args)
    execute_or_print(planned, args, notices)
    if not args.json and not args.quiet:
        for line in _next(planned):
            output.say(line)
    return 0


def _notices(planned: Installation, args: argparse.Namespace) -> list[UpgradeNotice]:
    """Notices about an upgrade of this host, read before anything is changed."""
    if not planned.here:
        return []

    return notices(args.config, planned.prefix)


def execute_or_print(
    planned: Installation, args: argparse.Namespace, found: Sequence[UpgradeNotice] = ()
) -> None:
    """Execute the installation; with --dry-run, only print it. `found` are further notices about an
    upgrade."""
    if not args.dry_run:
        execute(planned)
    if args.json:
        upgrade = [notice._asdict() for notice in found]
        output.print_json({**_document(planned, args), **({"upgrade": upgrade} if found else {})})
    elif not args.quiet:
        rows = [[_WORDS[s.action][args.dry_run], s.subject, s.note] for s in planned.steps]
        output.say(output.table(rows) if rows else "the service of drd is not installed here")
        for note in _notes(planned):
            output.warn(note)
        for notice in found:
            output.say(f"{_KINDS[notice.kind]}: {notice.text}")
            if notice.remedy:
                output.say(f"    {notice.remedy}")


def _notes(planned: Installation) -> list[str]:
    return [o.message for o in planned.obstacles] + planned.notes


def _document(planned: Installation, args: argparse.Namespace) -> dict[str, Any]:
    return {
        "prefix": str(planned.prefix),
        "dry_run": args.dry_run,
        "steps": [
            {"action": s.action, "subject": s.subject, "note": s.note} for s in planned.steps
        ],
        "notes": _notes(planned),
    }


def _next(planned: Installation) -> Iterator[str]:
    """Return what a person does next, after a first installation or an upgrade of the unit."""
    unit = next(s for s in planned.steps if s.subject == str(planned.prefix / UNIT))
    if unit.action == "update" and planned.here:
        yield "\nNext: systemctl restart drd"
    if unit.action == "write" and planned.here and plan_files(planned.prefix / "etc/drd/plans"):
        yield "\nNext:"
        yield "  1. drd doctor --as-service        test the plans as the service will run them"
        yield "  2. systemctl enable --now drd"
        yield "Then: drd status, and journalctl -u drd."
    elif unit.action == "write" and planned.here:
        yield "\nNext:"
        yield "  1. drd plan new                   write a plan for what drd finds on this host"
        yield "  2. write the plan's secrets to /etc/drd/credentials: owner root, mode 0600"
        yield "  3. drd plan check; drd doctor"
        yield "  4. systemctl enable --now drd"
        yield "Then: drd status, and journalctl -u drd."
