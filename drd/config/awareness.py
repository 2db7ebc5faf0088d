"""The awareness texts of drd and of the installation. A text of the installation replaces the text
of drd with the same name."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

import drd
from drd.config.daemon import DaemonSettings
from drd.config.exposed_files import judged, state_owners
from drd.config.own_files import Own, Sort, broken_findings, own_in
from drd.config.reading import read_bytes, read_reached
from drd.errors import ConfigError, Problem
from drd.model.finding import Finding
from drd.model.plan import NAME
from drd.model.text import shortened
from drd.model.training import AwarenessText

SHIPPED = Path(drd.__file__).parent / "training"
SUFFIX = ".md"
_LONGEST_TITLE = 100
_WHAT = "awareness text"
_SORT = Sort(_WHAT, "awareness", "", SHIPPED, "drd training texts")
AwarenessTexts: TypeAlias = Own[AwarenessText]


def texts_of(settings: DaemonSettings) -> AwarenessTexts:
    """Return the texts of drd and of an installation."""
    return load_texts(settings.awareness_dir, state_owners(settings.state_dir))


def findings(settings: DaemonSettings) -> list[Finding]:
    """Return the findings of `drd doctor` about own texts: the files that drd cannot use."""
    if settings.awareness_dir is None:
        return []
    return broken_findings("awareness-file", texts_of(settings).problems)


def load_texts(directory: Path | None, trusted: Collection[int]) -> AwarenessTexts:
    """Read the shipped texts and those of `directory`. Files that users other than the `trusted`
    ones can change are refused."""
    known = {}
    for path in _files(SHIPPED):
        text = read_bytes(path, what=_WHAT)[0].decode()
        known[path.stem] = _text(path.stem, text, own=False)
    problems: list[Problem] = []
    broken: dict[str, Sequence[Problem]] = {}
    for path in own_in(directory, _SORT, _files, problems):
        known.pop(path.stem, None)
        try:
            known[path.stem] = _own(path, trusted)
        except ConfigError as error:
            broken[path.stem] = error.problems
            problems += error.problems
    return Own(_SORT, dict(sorted(known.items())), tuple(problems), broken)


def _files(directory: Path) -> list[Path]:
    return sorted(directory.glob(f"*{SUFFIX}"))


def _own(path: Path, trusted: Collection[int]) -> AwarenessText:
    """Return the text of a file that only trusted users can have written. Raises ConfigError."""

    def refused(line: int, message: str, hint: str) -> ConfigError:
        return ConfigError([Problem(str(path), line, "", message, hint)])

    if not re.fullmatch(NAME, path.stem):
        hint = (
            "rename the file to NAME.md; NAME has at most 40 lower-case letters, digits and hyphens"
        )
        raise refused(1, "the name of this file is not a valid name of a text", hint)
    raw, reached = read_reached(path, what=_WHAT)
    exposed = judged(reached, trusted)
    if exposed is not None and not exposed.is_told_only:
        raise refused(1, f"the file {exposed.why}", exposed.remedy)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise refused(line, "is not UTF-8 text", "write the file as UTF-8.") from None
    if not text.strip():
        raise refused(1, "is empty", "write the text, with a title in the first line: # TITLE")
    return _text(path.stem, text, own=True)


def _text(name: str, text: str, *, own: bool) -> AwarenessText:
    """Return a text. Its title is its first line."""
    title = shortened(text.strip().split("\n", 1)[0].lstrip("#").strip(), _LONGEST_TITLE)
    return AwarenessText(name, title, text, sha256(text.encode()).hexdigest(), own)
