"""Options of `drd bootstrap`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs
from drd.cli.verbs.kit import key_options

EXAMPLES = """\
examples:
  drd bootstrap --kit orders-api.kit --passphrase-file passphrase
  drd bootstrap --kit orders-api.kit --share share-1 --share share-4 --share share-5
  drd bootstrap --kit orders-api.kit --identity me.txt --root /tmp/look
  AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… drd bootstrap \\
      --repository s3:https://s3.example.com/acme-dr/orders-api --password-file password
  drd bootstrap --repository sftp:backup@nas.example.com:/srv/orders-api --password-file password \\
      --access key=id_ed25519 --access known_hosts=known_hosts

Existing files stay: if one differs, drd writes nothing. The same command may be given again.
drd.yaml goes to --config, else to $DRD_CONFIG, else to its path on the lost host (without a kit:
/etc/drd/drd.yaml); plans go to the directory `plans` beside it. With --root, all of this is below
DIR. drd prints the places before it writes.

Anyone with a repository's password can store plans in it. drd shows what these plans would run,
read, write and connect to, and uses them after you have typed `accept`. Without a
terminal, texts with commands, or that could reveal a secret or a file of this host, give users
rights in drd or send messages, need --accept-commands (docs/kit.md). Before that, drd opens only
the repository that you named. A kit needs no such confirmation: it opens only with a secret of your
own.

exit codes: 0 ready to recover, or a kit's files are in place, 1 something could not be read or
written, 12 wrong passphrase or key; without a kit also 10 no repository, 12 wrong password, 13 no
restore point."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "bootstrap",
        description="Install plans, configuration and secrets from a kit or a repository, and "
        "rebuild the catalogue.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--kit", metavar="FILE", help="the recovery kit: the file that drd kit export has written"
    )
    source.add_argument(
        "--repository",
        metavar="URL",
        help="address of a repository, in the form of `url` in a plan, for example "
        "s3:https://HOST/BUCKET or sftp:USER@HOST:/PATH",
    )
    key_options(parser, required=False)
    parser.add_argument("--password-file", metavar="F", help="file with the repository's password")
    parser.add_argument(
        "--accept-commands",
        action="store_true",
        help="use the plans and the drd.yaml in the repository without asking for "
        "confirmation. drd then runs the commands in these files, and uses the secrets, "
        "files and addresses that they name",
    )
    parser.add_argument(
        "--ca-cert",
        metavar="F",
        help="PEM file with the certificate authority of the repository's server, if this host "
        "does not trust this authority",
    )
    parser.add_argument(
        "--access",
        metavar="NAME=FILE",
        action="append",
        default=[],
        help="secret that the repository needs besides its password, by its name in the "
        "plan. An sftp repository needs key and known_hosts, rest needs password, rclone needs "
        "config. If a value is not a secret, write the value instead of a file: user=NAME. "
        "Repeat --access for each value",
    )
    parser.add_argument(
        "--root", metavar="DIR", default="/", help="write all files below DIR (default: /)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.bootstrap:run")
