"""The options that all verbs of `drd incident` share."""

from __future__ import annotations

import argparse
import re

from drd.cli.verbs.leaf import leaf

NUMBER = "number of the incident (default: the only open one)"
TIMES = '14:30, "yesterday 14:30", -2h, now, 2026-11-28T14:30, or a time in RFC 3339'
_BEFORE_NOW = re.compile(r"^-\d+(\.\d+)?[smhdw0-9.]*$")
"""`-2h` is a time, not an option."""


def incident_verb(
    verbs: argparse._SubParsersAction,  # type: ignore[type-arg]
    name: str,
    line: str,
    handler: str,
    *,
    examples: str,
    description: str,
) -> argparse.ArgumentParser:
    """Add a verb of `drd incident`, with its examples: one a line."""
    told = "examples:\n" + "\n".join(f"  {example}" for example in examples.split("\n"))
    parser = leaf(verbs, name, line, handler, description=description, epilog=told)
    parser._negative_number_matcher = _BEFORE_NOW  # noqa: SLF001 (no public name)
    return parser


def entry(
    verbs: argparse._SubParsersAction,  # type: ignore[type-arg]
    name: str,
    line: str,
    words: str,
    *,
    examples: str,
    description: str,
    handler: str = "",
) -> argparse.ArgumentParser:
    """A verb whose words may begin with the number of the incident."""
    handler = handler or f"incident_entries:{name}"
    parser = incident_verb(verbs, name, line, handler, examples=examples, description=description)
    what = f"[N] {words}".strip()
    parser.add_argument(
        "words", nargs="*", metavar=what, help=f"{words.lower()}; N is the number of the incident"
    )
    author(parser)
    return parser


def author(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--by", metavar="NAME", help="who makes this entry (default: the person that `people` maps "
        "to your user, else your user)",
    )  # fmt: skip


def reader(parser: argparse.ArgumentParser) -> None:
    """Accept --by like all verbs of `drd incident`, so that nobody has to know which verbs record
    something."""
    parser.add_argument(
        "--by",
        metavar="NAME",
        help="has no effect here: this command only reads, and does not record who ran it",
    )


def reason(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--reason", default="", metavar="TEXT", help=text)
