"""`${…}` in the texts of a runbook: find references, and replace them by values."""

from __future__ import annotations

import re
from collections.abc import Callable

_REFERENCE = re.compile(r"\$(\$?)\{([^{}]*)\}")


def references(text: str) -> list[str]:
    """Return the names that the text refers to, in order: `${target.db.path}` is `target.db.path`.
    A doubled dollar, `$${…}`, is literal.
    """
    return [m[2].strip() for m in _REFERENCE.finditer(text) if not m[1]]


def pieces(text: str) -> list[tuple[bool, str]]:
    """Split the text: each piece says whether it is a reference, and has its name or the text
    itself.
    """
    parts, end = [], 0
    for match in _REFERENCE.finditer(text):
        if match[1]:
            continue
        parts += [(False, text[end : match.start()]), (True, match[2].strip())]
        end = match.end()
    parts.append((False, text[end:]))
    return [(is_one, t.replace("$${", "${") if not is_one else t) for is_one, t in parts if t]


def filled(text: str, value: Callable[[str], str]) -> str:
    """Return the text with each reference replaced by its value; references within values stay as
    they are.
    """

    def one(match: re.Match[str]) -> str:
        return f"${{{match[2]}}}" if match[1] else value(match[2].strip())

    return _REFERENCE.sub(one, text)


_SQL = re.compile(
    r"""--[^\n]* | /\*.*?\*/ | [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
    | \$(\w*)\$(?!\{).*?\$\1\$""",
    re.DOTALL | re.VERBOSE,
)
"""Parts of SQL that are not read word by word: comments, strings, quoted names, dollar quotes."""


def within_quotes(sql: str) -> str:
    """Return the SQL with every reference in a string: `${point}` becomes `'${point}'`, and one
    within a string stays. Raises ValueError, with the reason, if a value is not allowed there.
    """
    if not references(sql):
        return sql
    parts, end = [], 0
    for token in _SQL.finditer(sql):
        parts += [_quoted(sql[end : token.start()]), token[0]]
        end = token.end()
        if references(token[0]) and not token[0].startswith("'"):
            raise ValueError(
                "a ${value} is allowed in a quoted string or outside of quotes, but not in a "
                "quoted name or in a comment"
            )
    return "".join([*parts, _quoted(sql[end:])])


def _quoted(sql: str) -> str:
    """Quote references in SQL outside of strings. A dollar before the braces stays."""
    if "'" in sql or '"' in sql:
        raise ValueError("a quote in the SQL is not closed")
    return _REFERENCE.sub(lambda m: m[0] if m[1] else f"'{m[0]}'", sql)
