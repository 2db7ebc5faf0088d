"""Quote names, texts and settings for SQL."""

from __future__ import annotations

import re

# Settings whose value is a list of quoted names (GUC_LIST_QUOTE in the server's source): as one
# quoted text they would become a list of one name.
_LISTS = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)


def ident(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def named(name: str) -> str:
    """Return the name of a role for a sentence: in quotes unless it is one plain word."""
    return name if re.fullmatch(r"[^\W\d][\w$.@-]*", name) else ident(name)


def literal(text: str) -> str:
    quoted = "'" + text.replace("'", "''") + "'"
    return "E" + quoted.replace("\\", "\\\\") if "\\" in text else quoted


def grantee(name: str) -> str:
    """Quote a role, or return PUBLIC for the empty name."""
    return ident(name) if name else "PUBLIC"


def set_clause(setting: str) -> str:
    """Return `SET name TO value` for a `name=value` of the server's catalogues."""
    name, _, value = setting.partition("=")
    if name in _LISTS:
        value_sql = ", ".join(literal(word) for word in _split(value)) or "''"
    else:
        value_sql = literal(value)
    return f"SET {ident(name)} TO {value_sql}"


def catalog_first(path: str) -> tuple[str, ...] | None:
    """Return the schemas of a search path without pg_catalog, for a path that lists pg_catalog
    behind another schema: without the name the server searches it first. None for a path that needs
    no change.
    """
    names = [name if quoted else name.lower() for name, quoted in _split_names(path)]
    if "pg_catalog" not in names[1:] or names[0] == "pg_catalog":
        return None
    return tuple(name for name in names if name != "pg_catalog")


def _split(value: str) -> list[str]:
    return [word for word, _ in _split_names(value)]


def _split_names(value: str) -> list[tuple[str, bool]]:
    """Return the names of a list, and whether each was quoted: quoted ones as they are, others
    without the surrounding space.
    """
    words: list[tuple[str, bool]] = []
    word, quoted, was_quoted = "", False, False
    index = 0
    while index < len(value):
        char = value[index]
        if char == '"' and quoted and value[index + 1 : index + 2] == '"':
            word += '"'
            index += 1
        elif char == '"':
            quoted = not quoted
            was_quoted = True
        elif char == "," and not quoted:
            words.append((word if was_quoted else word.strip(), was_quoted))
            word, was_quoted = "", False
        elif quoted or not char.isspace() or (word and not was_quoted):
            word += char
        index += 1
    last = word if was_quoted else word.strip()
    return [*words, (last, was_quoted)] if value.strip() else []
