"""Options of `drd notify test` and `drd notify list`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

TEST_EXAMPLES = """\
examples:
  drd notify test                        a message through every channel
  drd notify test --channel webhook-1    through this one only"""

LIST_EXAMPLES = """\
examples:
  drd notify list                        the channels, what they report, and whether they work"""

EXAMPLES = TEST_EXAMPLES + LIST_EXAMPLES.removeprefix("examples:")


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "notify",
        description="List or test the channels of `notify` in drd.yaml.",
        epilog=EXAMPLES,
    )
    below = parser.add_subparsers(dest="action", metavar="VERB", required=True)
    test = below.add_parser(
        "test",
        help="send a test message through every channel, and print which channels accepted it",
        description="Send a test message through every channel now, including heartbeats. "
        "drd does not try a failed test again. Exit code 0: all channels "
        "accepted the message; 1: at least one did not.",
        epilog=TEST_EXAMPLES,
    )
    global_options(test)
    test.add_argument(
        "--channel",
        metavar="NAME",
        action="append",
        help="test only this channel; may be given several times",
    )
    test.add_argument("--json", action="store_true", help="print one JSON document")
    test.set_defaults(handler="drd.cli.notify:test")
    channels = below.add_parser(
        "list",
        help="the channels, and their state",
        description="The channels of drd.yaml, and the heartbeats of plans that were tried: what "
        "each one reports, and, if it fails, since when and why.",
        epilog=LIST_EXAMPLES,
    )
    global_options(channels)
    channels.add_argument("--json", action="store_true", help="print one JSON document")
    channels.set_defaults(handler="drd.cli.notify:list_channels")
