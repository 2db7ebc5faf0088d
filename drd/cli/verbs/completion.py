"""Options of `drd completion`."""

from __future__ import annotations

from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd completion bash > /etc/bash_completion.d/drd
  drd completion zsh > ~/.zfunc/_drd
  drd completion fish > ~/.config/fish/completions/drd.fish"""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "completion",
        description="Print a script that completes verbs, options and the names of plans.",
        epilog=EXAMPLES,
    )
    parser.add_argument("shell", choices=["bash", "zsh", "fish"])
    parser.set_defaults(handler="drd.cli.completion:run")
