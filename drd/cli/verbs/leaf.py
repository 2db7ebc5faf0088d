"""Verbs below a verb: `drd records verify`."""

from __future__ import annotations

import argparse

from drd.cli.options import global_options


def leaf(
    verbs: argparse._SubParsersAction,  # type: ignore[type-arg]
    name: str,
    line: str,
    handler: str,
    *,
    description: str,
    epilog: str,
) -> argparse.ArgumentParser:
    """Add a verb with the options that all verbs have: the global ones and --json. The handler is
    `module:function` in drd.cli; the line describes the verb in the overview."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        name, help=line, description=description, epilog=epilog
    )
    global_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler=f"drd.cli.{handler}")
    return parser
