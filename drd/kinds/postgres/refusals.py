"""Take values of rows out of the messages of a server: they go into mail and into the catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_OBJECTS = (
    "access method|aggregate|cast|column|collation|constraint|conversion|database|domain|encoding|"
    "enum|event trigger|extension|file|foreign-data wrapper|function|index|language|LC_COLLATE|"
    "LC_CTYPE|library|locale|operator class|operator family|parameter|partition|policy|procedure|"
    "provider|publication|relation|replication slot|role|rule|schema|sequence|server|service|"
    "statistics object|subscription|table|tablespace|text search configuration|"
    "text search dictionary|trigger|type|user|version|view"
)
_NAME = re.compile(
    # A colon only after these words: `for enum locale: "…"` has a value there.
    rf"\b(?:(?:{_OBJECTS})(?: name)?|locale name:) \"[^\"]*\"",
    re.IGNORECASE,
)
_CONNECTION = "connection to server "
"""How libpq's messages begin about a login that fails: no statement has run, and none of what they
quote is of a row. A message of the server begins with its severity."""
_QUOTED = re.compile(r'".*"|[»«„].*[«»“]|["»«„].*', re.DOTALL)
_ENGLISH = ("ERROR:", "FATAL:")
_SECTION = re.compile(r"(DETAIL: |HINT: |CONTEXT: |Command was:) (.*)", re.DOTALL)
_OTHER_SECTION = re.compile(r"[^\W\d_]+(?: \d+)?\s*:\s")
"""The beginning of another section, and of these from a server that speaks another language."""
_KEY = re.compile(
    r"(Key \(.+?\))=\(.*\) (is duplicated|already exists|is not present in .*)", re.DOTALL
)
_OTHER_KEY = re.compile(r"(Key \(.+?\))=\(.*", re.DOTALL)
_ROW = re.compile(r"(.* row contains) .*", re.DOTALL)
_COPY = re.compile(r"COPY [^,\n]+, line \d+(?:, column [^:\n]+)?")
_LITERAL = re.compile(r"'(?:[^']|'')*(?:'|$)|(\$\w*\$).*?(?:\1|$)", re.DOTALL)
_ROWS = re.compile(r"\bVALUES\s*\(.*", re.IGNORECASE | re.DOTALL)


def without_values(said: str) -> str:
    """Return a message without what it quotes, except the names of objects before it: `invalid
    input syntax for type integer: "…"`. A value may contain quotes, so it reaches to the last
    one."""
    at = 0
    for name in _NAME.finditer(said):
        if '"' in said[at : name.start()]:
            break
        at = name.end()
    return said[:at] + _QUOTED.sub('"…"', said[at:], count=1)


def of_pg_restore(lines: Sequence[str]) -> str:
    """Return the lines of an error of pg_restore as one line without values of rows: the message,
    DETAIL and CONTEXT have them, and a statement that inserts them. Of a server that speaks another
    language, only the message and the statement are shown. If pg_restore could not log in, the
    message stays whole."""
    if lines and lines[0].startswith(_CONNECTION):
        return _in_one_line(lines)
    sections = [""]
    for line in lines:
        if len(sections[0]) and (_SECTION.match(line) or _OTHER_SECTION.match(line)):
            sections.append(line)
        else:
            sections[-1] += f"\n{line}"
    other = not any(word in sections[0] for word in _ENGLISH)
    shown = [without_values(sections[0])]
    shown += [part for s in sections[1:] for part in _shown(s) if not (other and _in_server(s))]
    return _in_one_line(shown)


def _in_one_line(parts: Sequence[str]) -> str:
    return " ".join(filter(None, (line.strip() for part in parts for line in part.splitlines())))


def _in_server(section: str) -> bool:
    return not section.startswith("Command was:")


def _shown(section: str) -> Iterator[str]:
    found = _SECTION.match(section)
    head, said = found.groups() if found else ("", "")
    if head == "HINT: ":
        yield f"{head} {said}"
    elif head == "DETAIL: ":
        yield f"{head} {_detail(said)}"
    elif head == "CONTEXT: " and (place := _COPY.match(said)):
        yield f"{head} {place[0]}"
    elif head == "Command was:":
        yield f"{head} " + _LITERAL.sub("'…'", _ROWS.sub("VALUES (…", said))


def _detail(said: str) -> str:
    if found := _KEY.match(said):
        return f"{found[1]} {found[2]}"
    if found := _OTHER_KEY.match(said) or _ROW.match(said):
        return f"{found[1]} …"
    return "…" if ")=(" in said else without_values(said)
