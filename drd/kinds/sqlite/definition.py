"""Change the SQL of tables and indexes as SQLite stores it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"(?P<space>\s+|--[^\n]*(?:\n|$)|/\*.*?(?:\*/|$))"
    r"|(?P<text>'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[^\]]*\])"
    r"|(?P<word>[\w$]+)"
    r"|(?P<other>.)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str

    @property
    def word(self) -> str:
        return self.text.upper() if self.kind == "word" else ""


def _tokens(sql: str) -> list[_Token]:
    return [_Token(str(m.lastgroup), m[0]) for m in _TOKEN.finditer(sql)]


def without_foreign_keys(sql: str) -> str:
    """Return a CREATE TABLE without references to other tables. Callers have to check the result,
    because this function knows only the part of SQLite's grammar that foreign keys need.
    """
    tokens = _tokens(sql)
    begin = next((n for n, t in enumerate(tokens) if t.text == "("), None)
    if begin is None:
        return sql
    kept: list[list[_Token]] = []
    for part in _definitions(tokens, begin + 1):
        words = [t.word for t in part if t.kind != "space"]
        head = words[2:3] if words[:1] == ["CONSTRAINT"] else words[:1]
        if head != ["FOREIGN"]:
            kept.append(_without_references(part))
    end = begin + 1 + sum(len(p) + 1 for p in _definitions(tokens, begin + 1)) - 1
    body = ",".join("".join(t.text for t in part) for part in kept)
    before = "".join(t.text for t in tokens[: begin + 1])
    return before + body + "".join(t.text for t in tokens[end:])


def _definitions(tokens: list[_Token], start: int) -> list[list[_Token]]:
    """Split the content of the outermost parentheses at its commas."""
    definitions: list[list[_Token]] = [[]]
    depth = 1
    for token in tokens[start:]:
        if token.kind == "other":
            depth += {"(": 1, ")": -1}.get(token.text, 0)
            if depth == 0:
                break
            if depth == 1 and token.text == ",":
                definitions.append([])
                continue
        definitions[-1].append(token)
    return definitions


def _without_references(part: list[_Token]) -> list[_Token]:
    depth = 0
    for number, token in enumerate(part):
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "other" else 0
        if depth == 0 and token.word == "REFERENCES":
            rest = _after_reference(part, number + 1)
            before = _without_name(part[:number])
            return [*before, *_without_references(part[rest:])]
    return part


def _without_name(part: list[_Token]) -> list[_Token]:
    """Remove `CONSTRAINT name` from the end."""
    solid = [n for n, t in enumerate(part) if t.kind != "space"]
    if len(solid) >= 2 and part[solid[-2]].word == "CONSTRAINT":
        return part[: solid[-2]]
    return part


_ACTIONS = {"SET": 2, "NO": 2, "CASCADE": 1, "RESTRICT": 1}


def _after_reference(part: list[_Token], at: int) -> int:
    """Return the end of the clause that begins with the table's name."""
    solid = [n for n in range(at, len(part)) if part[n].kind != "space"]
    position = 1
    if position < len(solid) and part[solid[position]].text == "(":
        while part[solid[position]].text != ")":
            position += 1
        position += 1

    def word(offset: int) -> str:
        index = position + offset
        return part[solid[index]].word if index < len(solid) else ""

    while True:
        if word(0) == "ON":
            position += 2 + _ACTIONS.get(word(2), 1)
        elif word(0) == "MATCH":
            position += 2
        elif word(0) == "NOT" and word(1) == "DEFERRABLE":
            position += 1
        elif word(0) == "DEFERRABLE":
            position += 3 if word(1) == "INITIALLY" else 1
        else:
            return solid[position] if position < len(solid) else len(part)


def renamed_index(sql: str, name: str) -> str:
    """Return a CREATE INDEX with another name."""
    tokens = _tokens(sql)
    on = next(n for n, t in enumerate(tokens) if t.word == "ON")
    old = next(n for n in range(on - 1, -1, -1) if tokens[n].kind != "space")
    tokens[old] = _Token("text", '"' + name.replace('"', '""') + '"')
    return "".join(t.text for t in tokens)
