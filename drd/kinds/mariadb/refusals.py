"""Take values of rows out of the messages of a server: they go into mail and into the catalogue."""

from __future__ import annotations

import re

_HOLD_VALUES = frozenset(
    {
        1062, 1064, 1264, 1265, 1292, 1300, 1365, 1366, 1367, 1411, 1525, 1526, 1557, 1586, 1690,
        1859, 1918, 1977, 3140, 3141, 3143, 3144, 3145, 3146, 3147, 3148, 3149, 3150, 3155, 3156,
        3158, 3751, 3752, 3903,
    }
)  # fmt: skip
"""The numbers of errors with a value in their text: of a row, or of the statement that has it."""
_AFTER = {
    1062: "for key",
    1064: "at line",
    1586: "for key",
}
_AFTER_OTHERS = "for (?:column|function)|at (?:row|position)|value found|when converting|to"
"""Words after the value. It may contain quotes, so it reaches to the last quote before them."""
_QUOTED = r"(['\"]).*\1"
_BEGUN = r"(['\"])(?:.*\1|.*)"
_BARE = re.compile(r"(has no partition for value ).*", re.DOTALL)
_PRINTED = re.compile(r"ERROR (?:(\d+) \(\w{5}\)(?: at line \d+)?|at line \d+): (.*)")


def without_values(number: int, said: str) -> str:
    """Return the message of an error with this number without values: `Duplicate entry '…' for key
    'email'`."""
    if number not in _HOLD_VALUES:
        return said
    said = _BARE.sub(r"\1…", said)
    after = _AFTER.get(number, _AFTER_OTHERS)
    short, found = re.subn(rf"{_QUOTED}(?= (?:{after})\b)", "'…'", said, count=1, flags=re.DOTALL)
    return short if found else re.sub(_BEGUN, "'…'", said, count=1, flags=re.DOTALL)


def printed(stderr: str) -> str:
    """Return the last error that a client has printed, `ERROR 1062 (23000) at line 9: Duplicate
    entry …`, without values; empty if there is none. The lines around it may be those of a
    statement, or of a value."""
    found = [m for m in map(_PRINTED.match, stderr.splitlines()) if m]
    if not found:
        return ""
    number, said = found[-1].groups()
    head = found[-1][0].removesuffix(said)
    return head + without_values(int(number or 0), said)
