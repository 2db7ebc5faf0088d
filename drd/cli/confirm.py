"""Ask before something that cannot be undone."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable

from drd.cli import output
from drd.errors import Cancelled, UsageError
from drd.model.text import escaped


def confirm(plan: str, what: str, hint: str) -> None:
    """Have the plan's name typed. Raises Cancelled if it was not, and UsageError with the hint if
    there is no terminal. `what` is `a recovery`."""
    if not sys.stdin.isatty():
        raise UsageError(
            f"{what} needs your confirmation, but drd has no terminal to ask you",
            hint=hint,
        )
    _typed(plan, f"to begin, type the name of the plan ({plan}): ")


def confirm_point(point: str, what: str, hint: str, *, asks: bool) -> None:
    """Have a restore point's id typed. Raises as `confirm` does, and if asking is not allowed."""
    if not asks or not sys.stdin.isatty():
        raise UsageError(
            f"{what}, so drd does not restore it without a separate confirmation", hint=hint
        )
    _typed(point, f"to recover it anyway, type the id of the restore point ({point}): ")


def confirm_texts() -> None:
    """Have a person confirm that texts may become root's. Raises Cancelled if they do not."""
    _typed("accept", "if the lost host used all of this, type accept: ")


def confirm_redaction(entry: int) -> None:
    """Have the number of an entry typed. Raises UsageError without a terminal, Cancelled if it is
    not confirmed."""
    if not sys.stdin.isatty():
        raise UsageError("a redaction needs confirmation", hint="add --yes to confirm.")
    _typed(
        str(entry),
        f"drd cannot restore the text of a redacted entry. To redact entry {entry}, type its "
        "number: ",
    )


def confirm_corrections() -> bool:
    """Ask whether the entries that can contain the same text are redacted, too. Raises UsageError
    without a terminal, Cancelled without an answer."""
    if not sys.stdin.isatty():
        raise UsageError(
            "a redaction needs confirmation",
            hint="add --yes to confirm, and --with-corrections to redact these entries as well.",
        )
    answer = _answer("remove the texts of these entries, too? (yes or no) ").lower()
    if answer not in ("y", "yes", "n", "no"):
        raise Cancelled("no answer: nothing was changed")
    return answer in ("y", "yes")


def confirm_approval(shown: Iterable[str], hint: str) -> None:
    """Show the lines of a message and have its approval typed. Raises as `confirm` does."""
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        raise UsageError("an approval without a terminal needs --digest", hint=hint)
    for line in shown:
        output.say(line)
    _typed("approve", "to approve exactly this message, type approve: ")


def confirm_reading(text: str, digest: str) -> None:
    """Have a person confirm that they have read an awareness text. Raises as `confirm` does."""
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        raise UsageError(
            f"to attest a text without a terminal, give its digest: --digest {digest}",
            hint=f"first read the text: drd training show {text}",
        )
    _typed("read", "to attest that you have read this text, type read: ")


def asked_for(question: str) -> str:
    """Return what a person types. Raises Cancelled if the person types nothing."""
    answer = _answer(question)
    if not answer:
        raise Cancelled("nothing was typed: nothing was changed")
    return answer


def _typed(wanted: str, question: str) -> None:
    if _answer(question) != wanted:
        raise Cancelled("not confirmed: nothing was changed")


def _answer(question: str) -> str:
    # At a question, Ctrl-C and end of input are answers.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        answer = input(escaped(question))
    except (KeyboardInterrupt, EOFError):
        answer = ""
        print(file=sys.stderr)
    finally:
        signal.signal(signal.SIGINT, before)
    return answer.strip()
