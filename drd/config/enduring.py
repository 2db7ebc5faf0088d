"""Read a broken drd.yaml as far as that is safe, for commands that must work in an emergency.

`SPARE` lists the keys that may be left out. An error anywhere else refuses the whole file. So does
an error that may hide another key: a misspelt `people` must not look like a host without people."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeVar

from drd.config.daemon_schema import SPARE, DaemonFile
from drd.config.json_schema import SchemaView
from drd.config.problems import Report
from drd.config.yaml import Document, Path, read
from drd.errors import ConfigError, Problem
from drd.model.nearest import closest

T = TypeVar("T")

_SPARE_KEYS = {str(p[0]) for p in SPARE if p[1:] in ((), ("*",))}
_VITAL = sorted(set(DaemonFile.model_fields) - _SPARE_KEYS)
_KEY = re.compile(r"([A-Za-z_][\w-]*|\"[^\"]*\"|'[^']*')[ ]*:(?=\s|$)")
_ANY_KEY = re.compile(r"^[\s\-]*[\"']?([A-Za-z_][\w-]*)[\"']?[ ]*:", re.MULTILINE)
_CLOSE = 0.75
_ROUNDS = 20


def read_parts(raw: bytes, file: str) -> tuple[Document, tuple[Problem, ...]]:
    """Read each section of the file separately, for a file that is not YAML as a whole. Returns
    what could be read, and the errors of the other sections. Raises ConfigError if one of these is
    needed, or if the file has no such sections."""
    try:
        return read(raw, file, allow_empty=True), ()
    except ConfigError as error:
        whole = error
    data: dict[str, Any] = {}
    parts = Document(file, data, {})
    wrong: list[Problem] = []
    for key, text in _sections(raw, whole):
        try:
            part = read(text.encode(), file)
        except ConfigError as error:
            hidden = {name for name in _ANY_KEY.findall(text)[1:] if _may_be_vital(name)}
            if key not in _SPARE_KEYS or hidden or key in data:
                raise whole from None
            wrong += [problem._replace(path=key) for problem in error.problems]
            continue
        if not isinstance(part.data, dict) or list(part.data) != [key] or key in data:
            raise whole
        data |= part.data
        parts.places.update(part.places)
        parts.problems.extend(part.problems)
        parts.broken.update(part.broken)
    if not wrong:
        raise whole
    return parts, tuple(wrong)


def _sections(raw: bytes, whole: ConfigError) -> Iterable[tuple[str, str]]:
    """The key of each section, and its text after as many empty lines as are above it."""
    try:
        lines = raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise whole from None
    begins = [n for n, line in enumerate(lines) if line[:1] not in ("", " ", "\t", "#", "-")]
    for begin, end in zip(begins, [*begins[1:], len(lines)], strict=True):
        key = _KEY.match(lines[begin])
        if key is None:
            raise whole
        yield key[1].strip("\"'"), "\n" * begin + "\n".join(lines[begin:end]) + "\n"


def as_far_as_possible(
    document: Document, check: Callable[[Report], T]
) -> tuple[T, tuple[Problem, ...]]:
    """Check the document; if it has errors, check it again without the broken entries that may be
    left out. Returns what was accepted, and the errors. Raises the ConfigError with all errors if
    one of the broken entries is needed."""
    left_out: set[Path] = set()
    problems: list[Problem] = []
    first: ConfigError | None = None
    for _ in range(_ROUNDS):
        report = Report(document, left_out)
        try:
            return check(report), tuple(dict.fromkeys(problems))
        except ConfigError as error:
            first = first or error
            spare = _spare(report, left_out)
            if spare is None:
                raise first from None
            problems += error.problems
            left_out |= spare
    assert first is not None
    raise first


def _spare(report: Report, left_out: Collection[Path]) -> set[Path] | None:
    """Return what to leave out for the errors of the report; None if one of them is not spare."""
    if not report.broken or any(not problem.path for problem in report.errors):
        return None
    broken_places: set[Path] = set()
    for path in report.broken:
        place = _place(path, report)
        if place is None or place in left_out:
            return None
        broken_places.add(place)
    return broken_places


def _place(path: Path, report: Report) -> Path | None:
    """Return the entry around this path that may be left out."""
    if len(path) == 1 and path[0] not in DaemonFile.model_fields:
        key = str(path[0])
        return path if not _may_be_vital(key) and _near(key, sorted(_SPARE_KEYS)) else None
    if len(path) > 1 and _is_unknown(path, report) and _may_be_vital(str(path[-1])):
        return None
    fitting = [p for p in SPARE if len(p) <= len(path) and _fits(p, path)]
    if fitting:
        return path[: max(map(len, fitting))]
    return path if path[0] in _SPARE_KEYS else None


def _fits(pattern: Path, path: Path) -> bool:
    return all(a in ("*", b) for a, b in zip(pattern, path, strict=False))


def _near(key: str, known: Collection[str]) -> bool:
    return bool(closest(key, known, alike=_CLOSE))


def _may_be_vital(key: str) -> bool:
    """Return whether a key that is not understood may be one that drd must not do without, with
    too much indentation, or misspelt."""
    return _near(key, _VITAL)


def _is_unknown(path: Path, report: Report) -> bool:
    """Return whether the schema has no such key there: contacts have `plans` of their own."""
    key = path[-1]
    return isinstance(key, str) and key not in SchemaView(DaemonFile).properties(
        path[:-1], report.document.data
    )
