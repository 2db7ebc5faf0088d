"""Asking before something that cannot be undone."""

from __future__ import annotations

import signal
import sys

from drd.errors import Cancelled, UsageError


def confirm(plan: str, what: str, hint: str) -> None:
    """Have the plan's name typed. Raises Cancelled when it was not, and UsageError with the hint
    where there is nobody to ask. `what` is `a recovery`."""
    if not sys.stdin.isatty():
        raise UsageError(
            f"{what} asks before it begins, and there is no terminal to ask on", hint=hint
        )
    # While it only asks, Ctrl-C and end of input are answers.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        answer = input(f"type the plan's name to begin [{plan}]: ")
    except (KeyboardInterrupt, EOFError):
        answer = ""
        print(file=sys.stderr)
    finally:
        signal.signal(signal.SIGINT, before)
    if answer.strip() != plan:
        raise Cancelled("not confirmed: nothing was touched")
