"""`drd completion`."""

from __future__ import annotations

import argparse
from typing import Any

from drd.cli import output

EXAMPLES = """\
examples:
  drd completion bash > /etc/bash_completion.d/drd
  drd completion zsh > ~/.zfunc/_drd
  drd completion fish > ~/.config/fish/completions/drd.fish"""


def add_parser(sub: Any) -> None:
    parser = sub.add_parser(
        "completion",
        help="print the completion script for your shell",
        description="Print a script that completes verbs and options.",
        epilog=EXAMPLES,
    )
    parser.add_argument("shell", choices=["bash", "zsh", "fish"])
    parser.set_defaults(handler="drd.cli.completion:run")


def run(args: argparse.Namespace) -> int:
    from argcomplete.shell_integration import shellcode

    output.say(shellcode(["drd"], shell=args.shell))
    return 0
