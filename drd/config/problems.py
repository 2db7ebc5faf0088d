"""Collect the problems of a file, and say what a misspelt word may mean."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from drd.config.left_out import is_within, without
from drd.config.yaml import Document, Path, dotted
from drd.errors import ExtensionFailed, Problem
from drd.extension_faults import attributed
from drd.model.nearest import closest

NAME_HINT = "use lower-case letters, digits and hyphens, at most 40."


class Report:
    """The problems of one document, each with its line. `data` are its values, without the values
    at the paths `left_out`: keys, items of lists, and keys of these. Paths are the paths in `data`;
    reports show the paths in the document."""

    def __init__(self, document: Document, left_out: Collection[Path] = ()) -> None:
        self.document = document
        self.data, self._items = without(document.data, left_out)
        gone = tuple(map(dotted, left_out))
        self.problems: list[Problem] = [
            p for p in document.problems if not any(is_within(p.path, place) for place in gone)
        ]
        self.broken: set[Path] = {
            b for b in document.broken if not any(b[: len(p)] == p for p in left_out)
        }

    def error(
        self, path: Path, message: str, hint: str = "", *, of_key: bool = False, code: str = ""
    ) -> None:
        """`code` is that of a finding which commands report for a plan that they use."""
        self._add(path, message, hint, "error", of_key=of_key, code=code)
        self.broken.add(self._in_document(path))

    def warn(self, path: Path, message: str, hint: str = "") -> None:
        self._add(path, message, hint, "warning", of_key=True)

    def line(self, path: Path) -> int:
        """Return the line of a value."""
        return self.document.line(self._in_document(path))

    def _in_document(self, path: Path) -> Path:
        """Return the path before items were left out of lists."""
        if len(path) > 1 and isinstance(path[1], int) and path[0] in self._items:
            return path[0], self._items[path[0]][path[1]], *path[2:]
        return path

    def is_broken(self, path: Path) -> bool:
        """Return whether an error was reported at `path` or around it."""
        path = self._in_document(path)
        return any(path[:length] in self.broken for length in range(len(path) + 1))

    def has_broken(self, path: Path) -> bool:
        """Return whether an error was reported at `path`, around it or below it."""
        there = self._in_document(path)
        return self.is_broken(path) or any(b[: len(path)] == there for b in self.broken)

    @property
    def errors(self) -> list[Problem]:
        return self._sorted("error")

    @property
    def warnings(self) -> list[Problem]:
        return self._sorted("warning")

    def _sorted(self, severity: str) -> list[Problem]:
        problems = dict.fromkeys(p for p in self.problems if p.severity == severity)
        return sorted(problems, key=lambda p: p.line)

    def _add(
        self, path: Path, message: str, hint: str, severity: str, *, of_key: bool, code: str = ""
    ) -> None:
        path = self._in_document(path)
        line = self.document.line(path, of_key=of_key)
        problem = Problem(self.document.file, line, dotted(path), message, hint, severity, code)
        self.problems.append(problem)


@contextmanager
def reported(report: Report, path: Path) -> Iterator[None]:
    """In the body, report at `path` errors that the code of an extension must not raise."""
    try:
        with attributed(""):
            yield
    except ExtensionFailed as error:
        report.error(path, error.message, error.hint)


def nearest(word: str, known: Sequence[str]) -> str:
    """`did you mean "x"?`, or the list of known words."""
    return did_you_mean(word, known) or listed(known)


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return `did you mean "x"?`; empty if no known word is similar."""
    close = closest(word, known)
    return f'did you mean "{close}"?' if close else ""


def listed(known: Sequence[str]) -> str:
    return f"use one of: {', '.join(known)}." if known else ""


def require_whole_path(words: Sequence[str], path: Path, report: Report) -> None:
    """A program is found on PATH or by its whole path: drd's working directory is not fixed."""
    if "/" in words[0] and not words[0].startswith("/"):
        hint = "write its whole path, or the name of a program on PATH."
        report.error(path, f'"{words[0]}" is a relative path', hint)


def as_name(text: str) -> str:
    """Return the valid name that is most similar to `text`; empty if nothing of it is valid."""
    letters = unicodedata.normalize("NFKD", text.lower().replace("ß", "ss"))
    plain = "".join(c for c in letters if not unicodedata.combining(c))
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-")
