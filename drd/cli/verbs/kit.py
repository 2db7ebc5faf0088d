"""Options of `drd kit`."""

from __future__ import annotations

import argparse

from drd.cli.options import global_options
from drd.cli.parser import Parser, Verbs
from drd.cli.verbs.families import verbs_of

EXAMPLES = """\
examples:
  drd kit export orders-api --to /mnt/usb/orders.kit --passphrase-file /root/kit-passphrase
  drd kit export orders-api billing --to drd.kit --recipient age1… --recipient "ssh-ed25519 …"
  drd kit export orders-api --to drd.kit --shares 3/5
  drd kit verify drd.kit --share drd.kit.share-1-of-5-… --share … --share …
  drd kit verify drd.kit --passphrase-file /root/kit-passphrase
  drd kit verify drd.kit --identity ~/.config/age/me.txt

Keep the kit away from this host, and the passphrase away from the kit. Its first line says how to
open it without drd.

exit codes of verify: 0 the kit opens every repository and fits the plan, 4 the plan has changed
since, 10 no repository, 12 wrong passphrase or key, 13 no restore point, 1 anything else."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "kit",
        description="The recovery kit: plans, keys, addresses and a printable runbook in one file.",
        epilog=EXAMPLES,
    )
    assert isinstance(parser, Parser)
    verbs = verbs_of(parser, sub, "kit")
    export = verbs.add_parser(
        "export",
        help="write a kit",
        description="Write a recovery kit of the plans, encrypted with age, readable without drd.",
        epilog=EXAMPLES,
    )
    global_options(export)
    export.add_argument("plan", nargs="+", help="names of plans, or their files")
    export.add_argument(
        "--to",
        required=True,
        metavar="FILE",
        help="the file to write; drd replaces an older kit in this file",
    )
    lock = export.add_mutually_exclusive_group()
    lock.add_argument(
        "--passphrase-file",
        metavar="F",
        help="file with one line, the passphrase that encrypts the kit",
    )
    lock.add_argument(
        "--recipient",
        action="append",
        metavar="R",
        help="public key of a person who may open the kit, age1… or ssh-…; may be given "
        "several times (default: the keys of `kit` in the plan or drd.yaml)",
    )
    lock.add_argument(
        "--shares",
        metavar="K/N",
        help="encrypt the kit with a new passphrase, and write the "
        "passphrase in N shares; any K of them open the kit, for example 3/5",
    )
    export.add_argument("--json", action="store_true", help="print one JSON document")
    export.set_defaults(handler="drd.cli.kit:export")
    verify = verbs.add_parser(
        "verify",
        help="test whether the kit is enough to open the repositories",
        description="Test whether a kit is enough for a recovery: open the repositories with the "
        "passwords and addresses in the kit, without the plan files and secrets of this host.",
        epilog=EXAMPLES,
    )
    global_options(verify)
    verify.add_argument("file", metavar="FILE", help="the kit")
    key_options(verify)
    verify.add_argument("--json", action="store_true", help="print one JSON document")
    verify.set_defaults(handler="drd.cli.kit:verify")


def key_options(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add the options that open a kit."""
    key = parser.add_mutually_exclusive_group(required=required)
    key.add_argument("--passphrase-file", metavar="F", help="file with the kit's passphrase")
    key.add_argument(
        "--identity",
        metavar="F",
        help="file with the age identity or SSH key of a recipient of the kit",
    )
    key.add_argument(
        "--share",
        action="append",
        metavar="F",
        help="file of one share; give --share once for each share",
    )
