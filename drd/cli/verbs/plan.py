"""Options of `drd plan`: check, show, schema; new and forget are beside it."""

from __future__ import annotations

from typing import Any

from drd.cli.options import global_options
from drd.cli.parser import Parser, Verbs
from drd.cli.verbs.families import verbs_of
from drd.cli.verbs.plan_history import add_history
from drd.registry import KINDS

EXAMPLES = """\
examples:
  drd plan new --name orders-api --sqlite /srv/orders/orders.db --files /etc/orders
  drd plan check                      every plan of the plans directory
  drd plan check orders-api.yaml      one file, wherever it is
  drd plan show orders-api            with all defaults
  drd plan schema > plan.schema.json  for an editor with yaml-language-server

exit codes: 0 all plans are sound (warnings allowed), 2 one is not."""

CHECK_EXAMPLES = """\
examples:
  drd plan check                     every plan of the plans directory
  drd plan check orders-api          one of them
  drd plan check ./orders-api.yaml   one file, wherever it is
  drd plan check --json | jq '.problems[]'

exit codes: 0 all plans are sound (warnings allowed), 2 one is not."""

SHOW_EXAMPLES = """\
examples:
  drd plan show orders-api
  drd plan show orders-api --json | jq -r .digest
  drd plan show orders-api --loaded    the text that drd has stored, if the file is gone"""

SCHEMA_EXAMPLES = """\
examples:
  drd plan schema > plan.schema.json
  # yaml-language-server: $schema=plan.schema.json     as the first line of a plan beside it
  drd plan schema --markdown > plan-reference.md"""

NEW_EXAMPLES = """\
examples:
  drd plan new                                        what drd finds on this host
  drd plan new --name orders-api --postgres 'postgresql:///orders' --files /etc/nginx
  drd plan new --sqlite /srv/shop/shop.db --repository s3:https://s3.example.com/acme-dr/shop
  drd plan new --output -                             print the plan, write nothing
  drd plan new --name shop --adopt /mnt/nas/restic --password-file /root/nas-password
  drd plan new --adopt /var/backups/shop              dumps that another tool writes there
  drd plan new --adopt s3:https://s3.example.com/acme/shop                dumps in a bucket
  drd plan new --name shop --adopt main               the stanza main of pgBackRest"""

RISKS_EXAMPLES = """\
examples:
  drd plan risks                     every plan
  drd plan risks orders-api --open   only what nobody has covered or decided
  drd plan risks --json | jq '.plans[].risks[] | select(.open)'

In the plan:
  risks:
    - {what: host-loss, likelihood: low, impact: high, covers: [host-loss]}
    - {what: insider, treatment: accept, owner: anna, reviewed: 2026-11-28}

exit codes: 0 listed, 2 usage."""

CONTROLS_EXAMPLES = """\
examples:
  drd plan controls                          every control of every plan, and its last result
  drd plan controls orders-api --check       check all controls of a plan now
  drd plan controls orders-api --check tls   check one of them
  drd plan controls orders-api --accept gateway-policy   the change was wanted
  drd plan controls --json | jq '.controls[] | select(.state != "holds")'

exit codes: 0 all hold, or listed; 4 a control that was checked does not hold, 5 one could not be
checked, 2 usage."""

FORGET_EXAMPLES = """\
examples:
  drd plan forget orders-api         shows what will be removed, and asks
  drd plan forget orders-api --yes

First remove the plan's file, and reload the service: systemctl reload drd

exit codes: 0 forgotten, 2 its file is still there or drd knows no such plan, 11 one of its
runs has not ended."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "plan",
        description="Plans are YAML files that describe what a service consists of, how much "
        "data it may lose, how long it may be down, and how it is restored.",
        epilog=EXAMPLES,
    )
    global_options(parser)
    assert isinstance(parser, Parser)
    verbs = verbs_of(parser, sub, "plan")
    _add_check(verbs)
    _add_show(verbs)
    _add_schema(verbs)
    _add_new(verbs)
    _add_forget(verbs)
    _add_risks(verbs)
    _add_controls(verbs)
    add_history(verbs)


def _add_check(verbs: Any) -> None:
    parser = verbs.add_parser(
        "check",
        help="check plans, and show each problem with its line",
        description="Read plans and report what is wrong with them, as `file:line: key: "
        "message`. drd reads only the files, and does not contact repositories "
        "or databases.",
        epilog=CHECK_EXAMPLES,
    )
    global_options(parser)
    parser.add_argument(
        "plans", nargs="*", metavar="FILE|PLAN", help="plans by name or file (default: all)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.plan:check")


def _add_show(verbs: Any) -> None:
    parser = verbs.add_parser(
        "show",
        help="the resolved plan, as drd uses it",
        description="Print a plan with every default written out. drd does not print "
        "secrets, only where they are.",
        epilog=SHOW_EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", metavar="PLAN", help="name of a plan, or its file")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document, with the plan's hash"
    )
    parser.add_argument(
        "--loaded",
        action="store_true",
        help="print the text of the plan that drd loaded last, as it was written. Use this "
        "text to write the file of the plan again if the file is gone. The text does "
        "not contain secrets",
    )
    parser.set_defaults(handler="drd.cli.plan:show")


def _add_schema(verbs: Any) -> None:
    parser = verbs.add_parser(
        "schema",
        help="the JSON Schema of plans, for editors",
        description="The JSON Schema of plans: an editor completes keys and explains them. It "
        "includes what the packages under `extensions` in drd.yaml add.",
        epilog=SCHEMA_EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("--markdown", action="store_true", help="print a Markdown page instead")
    parser.set_defaults(handler="drd.cli.plan:schema")


def _add_new(verbs: Any) -> None:
    parser = verbs.add_parser(
        "new",
        help="a first plan from what drd finds on this host",
        description="Write a plan with comments for what drd finds on this host: databases "
        "of PostgreSQL, MariaDB and MySQL servers, servers of Redis and Valkey, SQLite "
        "files that services have open, the configuration of gateways in /etc "
        "(nginx, haproxy, apache2, caddy, traefik, envoy, kong). drd does not "
        "search for a kind whose components you give; --no-redis and so on prevent "
        "the search for others. It also prints what it found but left out, "
        "for example containers. It does not make a backup.",
        epilog=NEW_EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("--name", help="the name of the plan (default: from what drd finds)")
    _add_components(parser)
    parser.add_argument(
        "--repository",
        metavar="URL",
        help="where the backups are stored: s3:https://host/bucket/prefix, an absolute path, or an "
        "address such as sftp:USER@HOST:/PATH",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="the file to write (default: NAME.yaml in the plans directory); - for stdout",
    )
    parser.add_argument("--force", action="store_true", help="overwrite an existing file")
    _add_adoption(parser)
    parser.set_defaults(handler="drd.cli.plan_new:new")


def _add_components(parser: Any) -> None:
    """Add the options that say what the plan contains."""
    for kind, starting in ((spec.name, spec.starting) for spec in KINDS):
        if starting is None:
            continue
        about = f"components of kind {kind}"
        given = starting.about or about
        parser.add_argument(
            f"--{kind}", nargs="+", action="extend", default=[], metavar="WHERE", help=given
        )
        parser.add_argument(
            f"--no-{kind}", action="store_true", help=f"do not search this host for {about}"
        )
    parser.add_argument(
        "--kind",
        nargs="+",
        action="append",
        default=[],
        metavar=("KIND", "WHERE"),
        help="add components of a kind that comes from an extension (`extensions` in drd.yaml). "
        "Write the name of the kind, then the place of the data of each component",
    )


def _add_adoption(parser: Any) -> None:
    """Add the options for the backups that another tool makes."""
    parser.add_argument(
        "--adopt",
        metavar="URL|DIRECTORY|STANZA",
        help="write a plan for backups that another tool makes: restic in the repository at "
        "URL; dumps in DIRECTORY or in a bucket (s3:https://HOST/BUCKET/PREFIX), or a quoted "
        "pattern that their paths match; or "
        "pgBackRest in STANZA (or its FILE.conf, or the directory of its repository). "
        "drd reads the newest backup to write the plan, and does not change the backups",
    )
    parser.add_argument(
        "--password-file",
        metavar="FILE",
        help="with --adopt URL: the file with the password of that repository",
    )
    parser.add_argument(
        "--host", metavar="NAME", help="with --adopt: only copies that were made on this host"
    )
    parser.add_argument(
        "--tag",
        metavar="TAG",
        help="with --adopt URL: only copies with this tag of restic. Backrest gives its plan "
        "NAME the tag plan:NAME",
    )


def _add_forget(verbs: Any) -> None:
    parser = verbs.add_parser(
        "forget",
        help="forget the records of a plan whose file is gone",
        description="Remove drd's records of a plan that is no longer loaded: its points, "
        "runs and evidence. The alerts of the plan end. drd does not change the "
        "content of its repositories.",
        epilog=FORGET_EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", metavar="PLAN", help="name of a plan")
    parser.add_argument(
        "--yes", action="store_true", help="do not ask for confirmation (for scripts)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.plan_forget:forget")


def _add_risks(verbs: Any) -> None:
    parser = verbs.add_parser(
        "risks",
        help="the threats to each service, and what covers them",
        description="The risks that a plan names, and usual threats to an API that it does not "
        "name. A risk is covered by a scenario whose drill passed and still counts, a playbook or "
        "a control.",
        epilog=RISKS_EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", nargs="?", metavar="PLAN", help="name of a plan (default: all)")
    parser.add_argument(
        "--open", action="store_true", help="list only what nobody has covered or decided"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.plan_risks:risks")


def _add_controls(verbs: Any) -> None:
    parser = verbs.add_parser(
        "controls",
        help="the checks of each live service, and their results",
        description="List the controls of plans: read-only checks of the live service, which the "
        "daemon repeats. With --check, check them now.",
        epilog=CONTROLS_EXAMPLES,
    )
    global_options(parser)
    parser.add_argument("plan", nargs="?", metavar="PLAN", help="name of a plan (default: all)")
    parser.add_argument(
        "--check",
        nargs="*",
        metavar="CONTROL",
        help="check these controls of PLAN now (default: all controls)",
    )
    parser.add_argument(
        "--accept",
        nargs="+",
        metavar="CONTROL",
        help="the change that these controls report was intended: compare them with the "
        "newest point from now on",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.plan_controls:controls")
