"""The header Link (RFC 8288), read in one pass: a server must not be able to make that slow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence


def next_of(headers: Iterable[str]) -> str | None:
    """Return the address with `rel="next"`."""
    for header in headers:
        for address, parameters in _links(header):
            if "next" in _relations(parameters):
                return address
    return None


def _links(header: str) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the address and the parameters of each link in the header."""
    at = 0
    while (begin := header.find("<", at)) >= 0 and (end := header.find(">", begin)) >= 0:
        parameters, at = _parameters(header, end + 1)
        yield header[begin + 1 : end], parameters


def _parameters(header: str, at: int) -> tuple[list[str], int]:
    """Return what is between semicolons, to the comma that ends a link, and the place behind it."""
    parts, begin = [], at
    is_quoted = False
    while at < len(header):
        character = header[at]
        if is_quoted and character == "\\":
            at += 1
        elif character == '"':
            is_quoted = not is_quoted
        elif not is_quoted and character in ";,":
            parts.append(header[begin:at])
            begin = at + 1
            if character == ",":
                break
        at += 1
    else:
        parts.append(header[begin:])
    return parts, at + 1


def _relations(parameters: Sequence[str]) -> Sequence[str]:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "rel":
            return value.strip().strip('"').lower().split()
    return ()
