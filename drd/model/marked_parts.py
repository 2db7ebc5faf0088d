"""Parts of a text that drd writes, between markers, in a file that belongs to people: drd renews
the parts, and changes nothing outside of the markers. Pure.

A marker is a comment on a separate line, with the same form in Markdown and in HTML: `<!-- drd
begin: incident 3 impact -->`, and `end` in the place of `begin`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from drd.errors import ConfigError, Problem

_MARKER = re.compile(r"\s*<!-- drd (begin|end): ([a-z]+ [0-9]+) ([a-z-]+) -->\s*")
_LIKE_ONE = re.compile(r"<!--\s*drd\b", re.IGNORECASE)


def begin(of: str, part: str) -> str:
    """Return the text of the comment that begins a part; `of` is the subject of the text, such as
    `incident 3`."""
    return f"drd begin: {of} {part}"


def end(of: str, part: str) -> str:
    """Return the text of the comment that ends a part."""
    return f"drd end: {of} {part}"


def parts(text: str, of: str, file: str = "") -> dict[str, tuple[int, int]]:
    """Return two lines of each part by its name, counted from 0: the first line after the marker
    that begins the part, and the line of the marker that ends it. Raises ConfigError, with
    the line of `file`, for markers that are broken."""
    parts_by_name: dict[str, tuple[int, int]] = {}
    opened: tuple[str, int] | None = None
    for place, line in enumerate(text.splitlines()):
        if not _LIKE_ONE.search(line):
            continue
        word, name = _read(line, place + 1, of, file)
        if word == "begin":
            if opened is not None:
                raise _unended(*opened, of, file)
            if name in parts_by_name:
                raise _broken(
                    file,
                    place + 1,
                    f'part "{name}" begins a second time',
                    "remove one of the two parts, with its markers.",
                )
            opened = name, place + 1
        elif opened is None or opened[0] != name:
            raise _broken(
                file,
                place + 1,
                f'part "{name}" ends here, but no line before this one begins the part',
                f"put the line <!-- {begin(of, name)} --> where the part begins, or remove this "
                "line.",
            )
        else:
            parts_by_name[name], opened = (opened[1], place), None
    if opened is not None:
        raise _unended(*opened, of, file)
    if not parts_by_name:
        raise _broken(
            file,
            1,
            "the file does not contain the markers of a part that drd writes",
            "name a new file.",
        )
    return parts_by_name


def _read(line: str, number: int, of: str, file: str) -> tuple[str, str]:
    marker = _MARKER.fullmatch(line)
    if marker is None:
        raise _broken(
            file,
            number,
            "this marker does not have the form that drd writes",
            f"write the marker alone on its line: <!-- {begin(of, 'NAME')} -->, or remove it.",
        )
    word, about, name = marker.groups()
    if about != of:
        raise _broken(
            file, number, f"the file is about {about}, not about {of}", "name another file."
        )
    return word, name


def _unended(name: str, line: int, of: str, file: str) -> ConfigError:
    return _broken(
        file,
        line,
        f'part "{name}" begins here, but the line that ends it is missing',
        f"put the line <!-- {end(of, name)} --> after the part, or remove this line.",
    )


def _broken(file: str, line: int, fact: str, remedy: str) -> ConfigError:
    return ConfigError([Problem(file, line, "", fact, remedy)])


def renewed(text: str, fresh: str, of: str, file: str) -> tuple[str, tuple[str, ...]]:
    """Return the text of a file in which its parts are replaced by the parts of `fresh`, and the
    names of the parts of `fresh` that the file does not contain, because somebody removed them.
    Raises ConfigError, with the line, for markers that are broken."""
    there, wanted = parts(text, of, file), parts(fresh, of)
    for name, (first, _) in there.items():
        if name not in wanted:
            remedy = "remove the two markers of this part: the text between them stays."
            raise _broken(file, first, f'drd does not write a part "{name}"', remedy)
    lines, new = text.splitlines(keepends=True), fresh.splitlines()
    made, after = list[str](), 0
    for name, (first, last) in there.items():
        ending = "\r\n" if lines[first - 1].endswith("\r\n") else "\n"
        begin_, end_ = wanted[name]
        made += lines[after:first]
        made += [f"{line}{ending}" for line in new[begin_:end_]]
        after = last
    made += lines[after:]
    return "".join(made), tuple(name for name in wanted if name not in there)


def texts(fresh: str, of: str) -> Mapping[str, str]:
    """Return the text of each part, by its name."""
    lines = fresh.splitlines()
    return {
        name: "\n".join(lines[first:last]).strip()
        for name, (first, last) in parts(fresh, of).items()
    }
