"""What the screen of one plan shows in addition to its verdicts: the next scheduled runs, and what
is overdue for people. It comes from the state or from the daemon."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from drd.api import documents, findings
from drd.cli import remote
from drd.model.incident_findings import ACTION_ITEMS, CONTACTS
from drd.model.training_findings import CODES

_ABOUT_PEOPLE = (*CODES, ACTION_ITEMS, CONTACTS)

Items = Sequence[Mapping[str, Any]]


def _upcoming(args: argparse.Namespace) -> Items:
    """Return them as `drd schedule --json` has them. Raises DrdError."""
    document = remote.document(
        args, "/v1/schedule", lambda app: documents.schedule(app, args.plan), plan=args.plan
    )
    items: Items = document["items"]
    return items


def _people(args: argparse.Namespace) -> Items:
    """Return the findings about people of the last readiness check that are not in order. Raises
    DrdError."""
    document = remote.document(
        args, "/v1/readiness", lambda app: findings.readiness(app, args.plan), plan=args.plan
    )
    return [
        finding
        for plan in document["plans"]
        for finding in plan["findings"]
        if finding["code"] in _ABOUT_PEOPLE and finding["severity"] != "ok"
    ]


ASKED: Mapping[str, Callable[[argparse.Namespace], Items]] = {
    "upcoming": _upcoming,
    "people": _people,
}
