"""`drd records unseal`: decrypt restricted entries with an identity, and put them back in the
catalogue."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from drd import process
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
        done = put_back(app.catalogue, identity, app.clock.now(), process.actor_here())
    record = done.record
    if args.json:
        output.print_json(
            {
                "opened": [entry.seq for entry in done.entries],
                "closed": list(done.closed),
                "false": list(done.false),
                "record": record.seq if record is not None else None,
            }
        )
    elif not args.quiet:
        count = counted(len(done.entries), "restricted entry is", "restricted entries are")
        output.say(f"{count} readable on this host again; they match the digests in the records")
        if record is not None:
            output.say(f"entry {record.seq} records who made them readable, and when")
    if record is not None and not record.signature:
        output.warn(
            f"entry {record.seq}, which records this, is not signed: drd cannot read the key "
            "of the records. Put the key back, or make a new key: drd records rotate --lost"
        )
    if done.false:
        raise RepositoryDamaged(
            f"the encrypted body of {_entries(done.false)} is not the one that was recorded: "
            "somebody replaced it",
            hint="use another copy: an export (drd records decrypt), or another repository.",
        )
    if done.closed:
        raise WrongKey(
            f"the identity does not open {_entries(done.closed)}",
            hint="run this command again with the identity of a role whose keys drd.yaml "
            "contained when these entries were encrypted.",
        )
    return 0


def _entries(seqs: Sequence[int]) -> str:
    return ("entry " if len(seqs) == 1 else "entries ") + numbers(seqs)
