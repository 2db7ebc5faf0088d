"""How a failed check, step or component is named in one line, as `drd drill` shows it. The status
reads it in a cold start, so this module imports only texts.
"""

from __future__ import annotations

from drd.model.text import without_output

STEP_SUCCEEDS = "succeeds"
"""What is expected of a step; the check of a failed step is called `step NAME`."""

RESTORES = "restores without an error"
"""What drd expects of each component; if a component cannot be restored, its check shows this as
expected."""


def check_name(name: str, expected: str) -> str:
    """Return the name of a check in a sentence: `check "orders"`, `step announce`."""
    return name if expected == STEP_SUCCEEDS else f'check "{name}"'


def failed_words(name: str, observed: str, expected: str) -> str:
    """Return the check with the value that it found and the one that it expected: `check "orders":
    2,433 (expected < 10)`. For a step, or for a component that cannot be restored, return why it
    failed.
    """
    told = check_name(name, expected)
    if seen := " ".join(without_output(observed).split()):
        told += f": {seen}"
    if expected and expected not in (STEP_SUCCEEDS, RESTORES):
        told += f" (expected {expected})"
    return told
