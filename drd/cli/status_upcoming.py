"""The next scheduled runs of a plan, for its screen: from the state, or from the daemon."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from drd.api import documents
from drd.cli import remote


def upcoming(args: argparse.Namespace) -> Sequence[Mapping[str, Any]]:
    """Return them as `drd schedule --json` has them. Raises DrdError."""
    document = remote.document(
        args, "/v1/schedule", lambda app: documents.schedule(app, args.plan), plan=args.plan
    )
    items: Sequence[Mapping[str, Any]] = document["items"]
    return items
