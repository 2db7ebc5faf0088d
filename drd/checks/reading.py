"""Whether the text of a query clearly changes data, before any server sees it.

The server, or the kind, has the last word: here only what no kind accepts from a check is found, so
that `drd plan check` reports what each drill would refuse. Where the servers do not agree on what a
text means, nothing is said.
"""

from __future__ import annotations

import re

_CHANGES_ROWS = frozenset({"insert", "update", "delete", "merge", "replace"})
"""The words that can stand in and behind WITH, and change data."""

_CHANGES = _CHANGES_ROWS | {
    "truncate", "create", "drop", "alter", "rename", "grant", "revoke", "copy", "load", "attach",
    "detach", "vacuum", "reindex", "lock", "begin", "start", "commit", "rollback", "savepoint",
}  # fmt: skip
"""The words with which no statement that only reads begins, in any server's SQL."""

_TOKEN = re.compile(
    r"""\s+ | --[^\n]* | /\*.*?\*/ | \#[^\n]*
    | (?P<text>'(?:[^']|'')*' | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\])
    | (?P<word>[^\W\d]\w*) | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_OF_ONE_SERVER = re.compile(r"""\\|\$\w*\$|\#|--\S|/\*!|\[[^\]]*['"`;]""")
"""What one server reads as a comment or a text, and another does not."""

_NESTED = re.compile(r"/\*(?:(?!\*/).)*/\*", re.DOTALL)
"""A comment within a comment, where the servers do not agree either."""


def changes(query: str) -> str:
    """Return what shows that a query does not only read, or is more than one statement; empty if
    nothing clearly does."""
    if _NESTED.search(query):
        return ""
    words = _tokens(query)
    first = next((w for w in words if w != "("), "")
    if first in _CHANGES:
        return f"it begins with {first.upper()}"
    if not first or _OF_ONE_SERVER.search(query):
        return ""
    if ";" in words and any(w != ";" for w in words[words.index(";") :]):
        return "it has a second statement"
    change = _change_with(words[words.index(first) :]) if first == "with" else ""
    return f"its WITH leads to {change.upper()}" if change else ""


def _tokens(query: str) -> list[str]:
    """Return the words in lower case and the single characters, and `""` for each quoted text."""
    found = []
    for match in _TOKEN.finditer(query):
        if match["text"] is not None:
            found.append('""')
        elif match.lastgroup is not None:
            found.append(match[0].lower())
    return found


def _change_with(words: list[str]) -> str:
    """Return the word of a change that a statement with WITH contains, in one of its parts or
    behind them; empty if there is none."""
    at = 2 if words[1:2] == ["recursive"] else 1
    while True:
        at += 1
        if words[at : at + 1] == ["("]:  # names of columns
            at = _behind(words, at)
        if words[at : at + 1] != ["as"]:
            return ""
        at += 1
        while words[at : at + 1] in (["not"], ["materialized"]):
            at += 1
        if words[at : at + 1] != ["("]:
            return ""
        inner = words[at + 1] if at + 1 < len(words) else ""
        if inner in _CHANGES_ROWS:
            return inner
        at = _behind(words, at)
        if words[at : at + 1] != [","]:
            break
        at += 1
    then = words[at] if at < len(words) else ""
    return then if then in _CHANGES_ROWS else ""


def _behind(words: list[str], at: int) -> int:
    """Return the place behind the parenthesis that closes the one at `at`."""
    depth = 0
    for place in range(at, len(words)):
        depth += (words[place] == "(") - (words[place] == ")")
        if depth == 0:
            return place + 1
    return len(words)
