"""Options of `drd records`."""

from __future__ import annotations

import argparse

from drd.cli.options import count, global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd records init                         make the key that signs the records
  drd records list orders-api --limit 20   what was proven, decided and done
  drd records show 214
  drd records verify                       whether the chain is whole
  drd records anchor                       store the state of the chain in the repositories
  drd records export /root/records         for others: with a script that checks it without drd
  drd records verify /root/records         the same on any machine, without the catalogue
  drd records redact 214 --reason "request of 2026-11-28"
  drd records key                          the public half of the key
  drd records continue --reason "restored after the loss of db1"
  drd records rotate                       a new key, signed by the former one

exit codes: 0 done, 1 the records were changed, or an anchor was not stored, 2 usage, 5 nothing is
wrong, and no anchor elsewhere could be compared."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "records",
        description="The signed, append-only records of what was proven, decided and done.",
        epilog=EXAMPLES,
    )
    verbs = parser.add_subparsers(
        dest="records_verb",
        metavar="VERB",
        required=True,
    )
    _reading(verbs)
    _checking(verbs)
    _anchoring(verbs)
    _verb(verbs, "init", "make the key that signs the records", "init", description=_INIT)
    redact = _verb(
        verbs,
        "redact",
        "remove the body of an entry; a signed record says so",
        "redact",
        description="Remove the body of an entry (personal data, a name). A signed record "
        "of who removed it, and why, stays; the chain still verifies.",
    )
    redact.add_argument("entry", type=count, help="number of the entry")
    redact.add_argument("--reason", required=True, metavar="TEXT", help="why it is removed")
    redact.add_argument(
        "--yes", action="store_true", help="ask nothing; the body cannot be restored"
    )
    _verb(
        verbs,
        "key",
        "the public half of the key",
        "key",
        description="Show the public half of the key that signs the records, and the keys "
        "before it.",
    )
    rotate = _verb(
        verbs,
        "rotate",
        "replace the key",
        "rotate",
        description="Replace the key that signs the records. The former key signs the "
        "record of the new one. Restart the service afterwards.",
    )
    rotate.add_argument(
        "--lost",
        action="store_true",
        help="the former key is lost or stolen: only the new key itself attests it, and "
        "each check says so",
    )


_INIT = (
    "Make the key that signs the records, where drd.yaml names it (records: {key: …}), and record "
    "it. Later records are signed. Changes nothing if there is one."
)


def _reading(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    listing = _verb(
        verbs,
        "list",
        "the newest entries",
        "list_",
        description="List the newest entries: drills, recoveries, decisions, holds.",
    )
    listing.add_argument("plan", nargs="?", help="show only entries about this plan")
    listing.add_argument("--kind", metavar="KIND", help="show only this kind, such as evidence")
    listing.add_argument(
        "--limit", type=count, default=30, metavar="N", help="show at most N entries (default: 30)"
    )
    show = _verb(
        verbs,
        "show",
        "all that one entry contains",
        "show",
        description="Show one entry with its body, hash and signature.",
    )
    show.add_argument("entry", type=count, help="number of the entry")
    export = _verb(
        verbs,
        "export",
        "write the records for others",
        "export",
        description="Write the records into a new directory, with a script that checks "
        "them without drd.",
    )
    export.add_argument("directory", metavar="DIRECTORY", help="the directory to make")
    export.add_argument(
        "--plan", metavar="PLAN", help="contain the bodies of this plan's entries only"
    )


def _checking(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    verify = _verb(
        verbs,
        "verify",
        "whether the chain is whole",
        "verify",
        description="Check every entry of the catalogue: hashes, order, bodies, signatures; and "
        "compare the chain with the anchors in the repositories. Or check an export.",
    )
    verify.add_argument("file", nargs="?", metavar="FILE", help="an export: its directory or file")
    verify.add_argument(
        "--key", metavar="ID", help="the id of the key that must have signed: see drd records key"
    )
    verify.add_argument(
        "--against",
        action="append",
        metavar="EXPORT",
        help="also compare with this earlier export, kept elsewhere; may be given several times",
    )
    verify.add_argument(
        "--kit",
        metavar="FILE",
        help="also compare with the anchor in this recovery kit; add the option that opens the kit",
    )
    opens = verify.add_mutually_exclusive_group()
    opens.add_argument("--passphrase-file", metavar="F", help="file with the kit's passphrase")
    opens.add_argument(
        "--identity",
        metavar="F",
        help="file with the age identity or SSH key of a recipient of the kit",
    )
    verify.set_defaults(share=None)
    verify.add_argument(
        "--here",
        action="store_true",
        help="check only the catalogue: do not read anchors from the repositories",
    )


def _anchoring(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    anchor = _verb(
        verbs,
        "anchor",
        "store the state of the chain in the repositories",
        "anchor",
        description="Store an anchor in the repositories of all plans: a signed statement of the "
        "newest entry. Repositories that have it already are left out. The daemon does this every "
        "hour; while an incident is open, within a minute of each entry, with --incidents.",
    )
    anchor.add_argument(
        "--incidents",
        action="store_true",
        help="only in three repositories of plans in the scope of open incidents, and in one of "
        "another plan",
    )
    going_on = _verb(
        verbs,
        "continue",
        "continue after the records were lost, or an older copy restored",
        "go_on",
        description="Add a signed record that says that this installation was restored from an "
        "older copy, or lost its records. It names the last anchor in the repositories, and the "
        "entries that are lost. Every later check shows it.",
    )
    going_on.add_argument("--reason", required=True, metavar="TEXT", help="what happened")


def _verb(
    verbs: argparse._SubParsersAction,  # type: ignore[type-arg]
    name: str,
    line: str,
    handler: str,
    *,
    description: str,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name, help=line, description=description, epilog=EXAMPLES
    )
    global_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    module = "records_verify" if handler in ("verify", "anchor", "go_on") else "records"
    parser.set_defaults(handler=f"drd.cli.{module}:{handler}")
    return parser
