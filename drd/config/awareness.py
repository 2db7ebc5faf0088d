"""The awareness texts: those of drd, and those of an installation, which replace them by name."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import drd
from drd.config.daemon import DaemonSettings
from drd.config.exposed_files import judged, state_owners
from drd.config.reading import read_bytes, read_reached
from drd.errors import ConfigError, Problem, UsageError
from drd.model.finding import Finding
from drd.model.nearest import closest
from drd.model.plan import NAME
from drd.model.text import shortened
from drd.model.training import AwarenessText

SHIPPED = Path(drd.__file__).parent / "training"
SUFFIX = ".md"
MOST = 200
"""Texts in a directory."""
_LONGEST_TITLE = 100
_WHAT = "awareness text"


@dataclass(frozen=True, slots=True)
class AwarenessTexts:
    """The texts by name, in the order of the names. The file of one's own that cannot be used is a
    problem, and drd's own text does not take its place."""

    known: Mapping[str, AwarenessText]
    problems: tuple[Problem, ...] = ()

    def get(self, name: str) -> AwarenessText:
        """Return the text of this name. Raises UsageError; ConfigError if its file is broken."""
        if name in self.known:
            return self.known[name]
        broken = [p for p in self.problems if Path(p.file).name == f"{name}{SUFFIX}"]
        if broken:
            raise ConfigError(broken)
        near = closest(name, list(self.known))
        hint = f"did you mean {near}?" if near else "to see all texts: drd training texts"
        raise UsageError(f"there is no awareness text {name!r}", hint=hint)


def texts_of(settings: DaemonSettings) -> AwarenessTexts:
    """Return the texts of drd and of an installation."""
    return load_texts(settings.awareness_dir, state_owners(settings.state_dir))


def findings(settings: DaemonSettings) -> list[Finding]:
    """Return the findings of `drd doctor` about one's own texts: the files that cannot be used."""
    if settings.awareness_dir is None:
        return []
    return [
        Finding("awareness-file", "error", Path(p.file).name, str(p), p.hint)
        for p in texts_of(settings).problems
    ]


def load_texts(directory: Path | None, trusted: Collection[int]) -> AwarenessTexts:
    """Read the shipped texts and those of `directory`. Files that users other than the `trusted`
    ones can change are refused."""
    known = {}
    for path in sorted(SHIPPED.glob(f"*{SUFFIX}")):
        text = read_bytes(path, what=_WHAT)[0].decode()
        known[path.stem] = _text(path.stem, text, own=False)
    problems: list[Problem] = []
    for path in _own_files(directory, problems):
        known.pop(path.stem, None)
        try:
            known[path.stem] = _own(path, trusted)
        except ConfigError as error:
            problems += error.problems
    return AwarenessTexts(dict(sorted(known.items())), tuple(problems))


def _own_files(directory: Path | None, problems: list[Problem]) -> list[Path]:
    if directory is None:
        return []
    if not directory.is_dir():
        hint = "make the directory, or correct the key `awareness` of drd.yaml."
        problems.append(Problem(str(directory), 1, "", "is not a directory", hint))
        return []
    own = sorted(directory.glob(f"*{SUFFIX}"))
    if len(own) > MOST:
        message = f"has {len(own)} texts, but drd reads at most {MOST}"
        problems.append(
            Problem(str(directory), 1, "", message, f"remove texts until {MOST} are left.")
        )
    return own[:MOST]


def _own(path: Path, trusted: Collection[int]) -> AwarenessText:
    """Return the text of a file that only trusted users can have written. Raises ConfigError."""

    def refused(line: int, message: str, hint: str) -> ConfigError:
        return ConfigError([Problem(str(path), line, "", message, hint)])

    if not re.fullmatch(NAME, path.stem):
        hint = "use lower-case letters, digits and hyphens, at most 40: NAME.md"
        raise refused(1, "the name of the file cannot be the name of a text", hint)
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
