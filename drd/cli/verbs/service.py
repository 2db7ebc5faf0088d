"""The verbs of `drd service`."""

from __future__ import annotations

from drd.cli.parser import Verbs
from drd.cli.verbs.families import family

EXAMPLES = """\
examples:
  drd service install --dry-run         what would be written
  drd service adopt --reason "the host was renamed to db2"
  drd service completion bash > /etc/bash_completion.d/drd"""


def add_parser(sub: Verbs) -> None:
    family(sub, "service", "drd itself on this machine.", EXAMPLES)
