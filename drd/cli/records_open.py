"""`drd records unseal`: what an identity opens of the restricted entries, back in the catalogue."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from drd.api.record_documents import numbers
from drd.cli import output
from drd.cli.session import require_owner, session
from drd.errors import RepositoryDamaged, WrongKey
from drd.flows.records.restricted import put_back
from drd.kit.sealing import read_secret_file
from drd.model.text import counted


def run(args: argparse.Namespace) -> int:
    with session(args, acts=False, records=True) as app:
        require_owner(app, "records unseal")
        identity = read_secret_file(Path(args.identity), "identity").encode()
        done = put_back(app.catalogue, identity)
    if args.json:
        output.print_json(
            {
                "opened": [entry.seq for entry in done.entries],
                "closed": list(done.closed),
                "false": list(done.false),
            }
        )
    elif not args.quiet:
        count = counted(len(done.entries), "restricted entry is", "restricted entries are")
        output.say(f"{count} readable on this host again; they match the digests in the records")
    if done.false:
        raise RepositoryDamaged(
            f"the encrypted body of {_entries(done.false)} is not the one that was recorded: "
            "somebody replaced it",
            hint="use another copy: an export (drd records decrypt), or another repository.",
        )
    if done.closed:
        raise WrongKey(
            f"the identity does not open {_entries(done.closed)}",
            hint="run this again with the identity of another role that drd.yaml named when they "
            "were encrypted.",
        )
    return 0


def _entries(seqs: Sequence[int]) -> str:
    return ("entry " if len(seqs) == 1 else "entries ") + numbers(seqs)
