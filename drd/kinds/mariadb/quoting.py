"""Quote names and texts for MariaDB's SQL."""

from __future__ import annotations

from collections.abc import Iterator


def ident(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """Quote a text, for a session whose sql_mode has backslash escapes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def account(user: str, host: str) -> str:
    """Quote a user, or a role, which has no host."""
    return f"{ident(user)}@{ident(host)}" if host else ident(user)


def db_pattern(name: str) -> str:
    """Quote the name of a database for GRANT, where `_` and `%` are wildcards."""
    return ident(name.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%"))


def pieces(sql: str) -> Iterator[tuple[str, str]]:
    """Split SQL into (kind, text): `name` in backticks, `text` in quotes, `comment`, and single
    characters (`code`)."""
    at = 0
    while at < len(sql):
        end, kind = _piece(sql, at)
        yield kind, sql[at:end]
        at = end


def _piece(sql: str, at: int) -> tuple[int, str]:
    char = sql[at]
    if char in "`'\"":
        return _quoted_end(sql, at), "name" if char == "`" else "text"
    if sql.startswith("/*", at):
        end = sql.find("*/", at + 2)
        return (len(sql) if end < 0 else end + 2), "comment"
    if char == "#" or (sql.startswith("--", at) and (sql[at + 2 : at + 3] or " ").isspace()):
        end = sql.find("\n", at)
        return (len(sql) if end < 0 else end), "comment"
    return at + 1, "code"


def _quoted_end(sql: str, at: int) -> int:
    quote, index = sql[at], at + 1
    while index < len(sql):
        if (sql[index] == "\\" and quote != "`") or (
            sql[index] == quote and sql[index + 1 : index + 2] == quote
        ):
            index += 2
        elif sql[index] == quote:
            return index + 1
        else:
            index += 1
    return len(sql)


def moved(sql: str, old: str, new: str) -> str:
    """Return SQL that the server printed, in which every name `old`.NAME becomes `new`.NAME."""
    if old == new:
        return sql
    parts = list(pieces(sql))
    after = [*(text for _, text in parts[1:]), ""]
    return "".join(
        ident(new) if kind == "name" and text == ident(old) and then == "." else text
        for (kind, text), then in zip(parts, after, strict=True)
    )
