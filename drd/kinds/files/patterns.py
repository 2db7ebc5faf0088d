"""Match the patterns under `exclude`. Pure.

A pattern without a slash is matched against names at any depth (`*.tmp`). One that begins with a
slash matches the whole path (`/etc/app/cache`, `/srv/**/tmp`); any other pattern with a slash
matches the end of the path (`cache/*.idx`). `*`, `?` and `[…]` stay within a name, `**` stands for
any number of directories, and a pattern that ends with a slash matches directories only. What
matches is excluded with everything below it.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence


class Excludes:
    """Several patterns, matched at once."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._any = _compiled([p for p in patterns if not p.endswith("/")])
        self._directories = _compiled([p.rstrip("/") for p in patterns if p.endswith("/")])

    def match(self, path: str, *, directory: bool) -> bool:
        """Return whether an absolute path itself is excluded, without regard to its parents."""
        if self._any is not None and self._any.fullmatch(path):
            return True
        return (
            directory
            and self._directories is not None
            and self._directories.fullmatch(path) is not None
        )


def _compiled(patterns: Sequence[str]) -> re.Pattern[str] | None:
    wanted = [_regex(p) for p in patterns if p.strip("/")]
    return re.compile("|".join(wanted), re.DOTALL) if wanted else None


def _regex(pattern: str) -> str:
    anywhere = not pattern.startswith("/")
    parts = [p for p in pattern.split("/") if p]
    body = "/(?:.*/)?" if anywhere else "/"
    for part in parts[:-1]:
        body += "(?:[^/]+/)*" if part == "**" else _name(part) + "/"
    return body + (".+" if parts[-1] == "**" else _name(parts[-1]))


def _name(part: str) -> str:
    """Return fnmatch's expression for one name, which does not match a slash."""
    text = ""
    position = 0
    for match in re.finditer(r"\*+|\?|\[[!\]]?[^\]]*\]", part):
        text += re.escape(part[position : match.start()])
        position = match.end()
        name = match[0]
        if name[0] == "*":
            text += "[^/]*"
        elif name == "?":
            text += "[^/]"
        else:
            # `(?s:…)\Z` is what translate puts around; the set itself is what we want.
            text += "(?!/)" + fnmatch.translate(name).removeprefix("(?s:").rpartition(")")[0]
    return text + re.escape(part[position:])
