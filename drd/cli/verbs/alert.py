"""The verbs of `drd alert`."""

from __future__ import annotations

from drd.cli.parser import Verbs
from drd.cli.verbs.families import family

EXAMPLES = """\
examples:
  drd alert list                        the open alerts, the worst first (drd alert alone as well)
  drd alert ack 3f9a --by anna --until 8h
  drd alert notify test                 a message through every channel"""


def add_parser(sub: Verbs) -> None:
    family(sub, "alert", "The alerts, and the channels that send them.", EXAMPLES)
