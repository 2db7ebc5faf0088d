"""Options of `drd records`."""

from __future__ import annotations

import argparse

from drd.cli.options import count
from drd.cli.parser import Verbs
from drd.cli.verbs.leaf import leaf

EXAMPLES = """\
examples:
  drd records init                         make the key that signs the records
  drd records list orders-api --limit 20   what was proven, decided and done
  drd records show 214
  drd records verify                       whether the chain is whole
  drd records anchor                       store the state of the chain in the repositories
  drd records export /root/records         for others: with a script that checks it without drd
  drd records verify /root/records         the same on any machine, without the catalogue
  drd records decrypt /root/records --identity lead.key
  drd records unseal --identity lead.key   decrypt restricted entries after a loss
  drd records anchor --reencrypt           for keys of roles that were added to drd.yaml later
  drd records redact 214 --reason "request of 2026-11-28"
  drd records key                          the public half of the key
  drd records continue --reason "restored after the loss of db1"
  drd records rotate                       a new key, signed by the former one

exit codes: 0 done, 1 the records were changed, or an anchor was not stored, 2 usage, 5 drd found
no change, but could not compare the records with an anchor elsewhere."""


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
    _exporting(verbs)
    _opening(verbs)
    _checking(verbs)
    _anchoring(verbs)
    leaf(
        verbs,
        "init",
        "make the key that signs the records",
        "records:init",
        description=_INIT,
        epilog=EXAMPLES,
    )
    _redacting(verbs)
    _keys(verbs)


_INIT = (
    "Make the key that signs the records, at the path that drd.yaml names (records: {key: "
    "…}), and record this key. Later records are signed. Changes nothing if there is a key "
    "already."
)


def _reading(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    listing = leaf(
        verbs,
        "list",
        "the newest entries",
        "records:list_",
        description="List the newest entries: drills, recoveries, decisions, holds.",
        epilog=EXAMPLES,
    )
    listing.add_argument("plan", nargs="?", help="show only entries about this plan")
    listing.add_argument("--kind", metavar="KIND", help="show only this kind, such as evidence")
    listing.add_argument(
        "--limit", type=count, default=30, metavar="N", help="show at most N entries (default: 30)"
    )
    show = leaf(
        verbs,
        "show",
        "all that one entry contains",
        "records:show",
        description="Show one entry with its body, hash and signature.",
        epilog=EXAMPLES,
    )
    show.add_argument("entry", type=count, help="number of the entry")


def _exporting(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    export = leaf(
        verbs,
        "export",
        "write the records for others",
        "records:export",
        description="Write the records into a new directory, with a script that checks "
        "them without drd.",
        epilog=EXAMPLES,
    )
    export.add_argument("directory", metavar="DIRECTORY", help="the directory to make")
    export.add_argument(
        "--plan",
        metavar="PLAN",
        help="export only the bodies of this plan's entries, and the headers of all entries",
    )


def _opening(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    """Options of the verbs that read restricted entries with an identity."""
    decrypt = leaf(
        verbs,
        "decrypt",
        "read restricted entries of an export",
        "records_decrypt:run",
        description="Read the restricted entries of an export, on any machine, with the identity "
        "of a role that drd.yaml named when it was made (incident: {roles: …}).",
        epilog=EXAMPLES,
    )
    decrypt.add_argument("file", metavar="EXPORT", help="an export: its directory or file")
    decrypt.add_argument(
        "--identity", required=True, metavar="F", help="file with the age identity or SSH key"
    )
    opening = leaf(
        verbs,
        "unseal",
        "decrypt restricted entries that were restored from a repository",
        "records_open:run",
        description="After a loss, drd restores restricted entries from repositories, where they "
        "are encrypted to the keys of the roles. This command decrypts the entries that the "
        "identity opens, checks them against the digests of the records, and stores them in the "
        "catalogue. From then on root and drd's user on this host can read them, as before the "
        "loss, and repositories get them for the roles that drd.yaml names now.",
        epilog=EXAMPLES,
    )
    opening.add_argument(
        "--identity", required=True, metavar="F", help="file with the age identity or SSH key"
    )


def _checking(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    verify = leaf(
        verbs,
        "verify",
        "whether the chain is whole",
        "records_verify:verify",
        description="Check every entry of the catalogue: hashes, order, bodies, signatures; and "
        "compare the chain with the anchors in the repositories. Or check an export.",
        epilog=EXAMPLES,
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
    verify.add_argument(
        "--timestamp-ca",
        metavar="FILE",
        help="the certificates (PEM) by which time stamps are checked (default: the file in "
        "drd.yaml, or in the export)",
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
    anchor = leaf(
        verbs,
        "anchor",
        "store the state of the chain in the repositories",
        "records_anchor:run",
        description="Store an anchor in the repositories of all plans: a signed statement of "
        "the newest entry. Repositories that contain this anchor already are "
        "left out. The daemon does this every hour; while an incident is open, "
        "within a minute of each entry, with --incidents. With `records: {keep_bodies: …}` in "
        "drd.yaml it first removes the bodies of older entries.",
        epilog=EXAMPLES,
    )
    which = anchor.add_mutually_exclusive_group()
    which.add_argument(
        "--incidents",
        action="store_true",
        help="store the anchor only in at most three repositories of plans in the scope of "
        "open incidents, and in one repository of another plan. Also store the entries "
        "that each of these repositories lacks",
    )
    which.add_argument(
        "--reencrypt",
        action="store_true",
        help="store the restricted entries again in all repositories that contain restricted "
        "entries, encrypted to the keys of the roles that drd.yaml names now",
    )
    going_on = leaf(
        verbs,
        "continue",
        "continue after the records were lost, or after an older copy was restored",
        "records_verify:go_on",
        description="Add a signed record that this installation was restored from an older copy, "
        "or lost its records. The record names the last anchor in the repositories "
        "and the lost entries. Every later check shows this record.",
        epilog=EXAMPLES,
    )
    going_on.add_argument("--reason", required=True, metavar="TEXT", help="what happened")


def _redacting(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    redact = leaf(
        verbs,
        "redact",
        "remove the body of an entry, with a signed record of it",
        "records:redact",
        description="Remove the body of an entry (personal data, a name). A signed record of "
        "who removed the body, and why, stays; the chain can still be verified.",
        epilog=EXAMPLES,
    )
    redact.add_argument("entry", type=count, help="number of the entry")
    redact.add_argument("--reason", required=True, metavar="TEXT", help="why the body is removed")
    redact.add_argument(
        "--with-corrections",
        action="store_true",
        help="also remove the bodies of the entries that correct this entry or that it "
        "corrects: these can contain the same text",
    )
    redact.add_argument(
        "--yes",
        action="store_true",
        help="do not ask for confirmation; drd cannot restore the body later",
    )


def _keys(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    leaf(
        verbs,
        "key",
        "the public half of the key",
        "records:key",
        description="Show the public half of the key that signs the records, and the keys "
        "before it.",
        epilog=EXAMPLES,
    )
    rotate = leaf(
        verbs,
        "rotate",
        "replace the key",
        "records:rotate",
        description="Replace the key that signs the records. The former key signs the record "
        "of the new key. Restart the service afterwards.",
        epilog=EXAMPLES,
    )
    rotate.add_argument(
        "--lost",
        action="store_true",
        help="the former key is lost or stolen: the new key is then not confirmed by another "
        "key, and each check reports that",
    )
