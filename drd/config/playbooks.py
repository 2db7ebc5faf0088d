"""Read playbooks, those of drd and those of an installation: text, schema, logic.

A file of one's own replaces the shipped one of the same name. All problems are reported with file
and line; a broken file leaves the others usable."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

import drd
from drd.config.daemon import DaemonSettings
from drd.config.exposed_files import judged, state_owners
from drd.config.json_schema import JsonSchema, SchemaView, published
from drd.config.playbook_build import build_playbook
from drd.config.playbook_logic import check_playbook, unheld_roles
from drd.config.playbook_schema import PlaybookFile
from drd.config.problems import Report, nearest
from drd.config.reading import read_bytes, read_reached
from drd.config.translation import translate
from drd.config.yaml import read
from drd.errors import ConfigError, Problem, UsageError
from drd.model.finding import Finding
from drd.model.nearest import closest
from drd.model.playbook import Playbook

SHIPPED = Path(drd.__file__).parent / "playbooks"
MOST = 200
"""Playbooks in a directory."""
_WHAT = "playbook"


@dataclass(frozen=True, slots=True)
class Playbooks:
    """The playbooks by name, in the order of the names, and what is wrong with files. `broken` has
    the errors of a name whose own file cannot be used: the shipped one does not take its place."""

    known: Mapping[str, Playbook]
    problems: tuple[Problem, ...] = ()
    broken: Mapping[str, tuple[Problem, ...]] = ()  # type: ignore[assignment]

    def get(self, name: str) -> Playbook:
        """Return the playbook of this name. Raises UsageError, ConfigError for a broken file."""
        if name in self.known:
            return self.known[name]
        if name in self.broken:
            raise ConfigError(list(self.broken[name]))
        near = closest(name, list(self.known))
        hint = f"did you mean {near}?" if near else "to see all playbooks: drd playbook list"
        raise UsageError(f"there is no playbook {name!r}", hint=hint)


def playbooks_of(settings: DaemonSettings, files: Sequence[Path] = ()) -> Playbooks:
    """Return the playbooks of drd and of an installation, and those of these files."""
    trusted = state_owners(settings.state_dir)
    return load_playbooks(settings.playbooks_dir, files, trusted)


def load_playbooks(
    directory: Path | None, files: Sequence[Path] = (), trusted: Collection[int] | None = None
) -> Playbooks:
    """Read the shipped playbooks, those of `directory`, and these files. With `trusted`, own files
    that users other than these can change are refused."""
    return _Reader(trusted).read(directory, files)


def playbook_files(directory: Path) -> list[Path]:
    """Return the files of playbooks in a directory."""
    return sorted(directory.glob("*.yaml"))


def playbook_schema() -> JsonSchema:
    """Return the JSON Schema of a playbook, for editors."""
    return published(PlaybookFile, "drd playbook")


def findings(settings: DaemonSettings) -> list[Finding]:
    """Return the findings of `drd doctor` about one's own playbooks: broken files, and roles that
    nobody holds."""
    if settings.playbooks_dir is None:
        return []
    read_ones = playbooks_of(settings)
    broken = [
        Finding("playbook-file", "error", Path(p.file).name, str(p), p.hint)
        for p in read_ones.problems
    ]
    return [*broken, *unheld_findings(read_ones, settings)]


def unheld_findings(found: Playbooks, settings: DaemonSettings) -> Iterator[Finding]:
    """Return a finding for each role of one's own playbooks that nobody holds."""
    for playbook in found.known.values():
        for role in unheld_roles(playbook, settings.known_roles) if playbook.own else ():
            text = f"playbook {playbook.name} needs the role {role}, which nobody holds"
            hint = "give the role to a person under `people` in drd.yaml, or correct the playbook."
            yield Finding("playbook-role", "warning", playbook.name, text, hint)


class _Reader:
    def __init__(self, trusted: Collection[int] | None) -> None:
        self.trusted = trusted
        self.problems: list[Problem] = []
        self.broken: dict[str, tuple[Problem, ...]] = {}
        self.shipped: dict[str, Playbook] = {}
        self.own: dict[str, Playbook] = {}

    def read(self, directory: Path | None, files: Sequence[Path]) -> Playbooks:
        for path in playbook_files(SHIPPED):
            self._open(path, own=False)
        own = self._own_files(directory)
        for path in dict.fromkeys(each.absolute() for each in (*own, *files)):
            self._open(path, own=True)
        found = {k: v for k, v in {**self.shipped, **self.own}.items() if k not in self.broken}
        known = dict(sorted(found.items()))
        return Playbooks(known, tuple(dict.fromkeys(self.problems)), self.broken)

    def _own_files(self, directory: Path | None) -> list[Path]:
        if directory is None:
            return []
        if not directory.is_dir():
            hint = "make the directory, or correct the key `playbooks` of drd.yaml."
            self.problems.append(Problem(str(directory), 1, "", "is not a directory", hint))
            return []
        own = playbook_files(directory)
        if len(own) > MOST:
            message = f"has {len(own)} playbooks, and drd reads at most {MOST}"
            hint = f"remove playbooks until {MOST} are left."
            self.problems.append(Problem(str(directory), 1, "", message, hint))
        return own[:MOST]

    def _open(self, path: Path, *, own: bool) -> None:
        try:
            report = self._report(path, own=own)
        except ConfigError as error:
            self._is_broken(path.stem, tuple(error.problems))
            return
        playbook = None if report.errors else _playbook(report, own=own)
        if playbook is None or report.errors:
            named = report.data.get("playbook") if isinstance(report.data, dict) else None
            self._is_broken(str(named or path.stem), tuple(report.errors))
        elif own and playbook.name in self.own:
            other = self.own[playbook.name].file
            hint = "give one of the two playbooks another name, or remove one of the two files."
            message = f'{other} already has a playbook with the name "{playbook.name}"'
            report.error(("playbook",), message, hint)
            self._is_broken(playbook.name, tuple(report.errors))
        else:
            (self.own if own else self.shipped)[playbook.name] = playbook

    def _is_broken(self, name: str, problems: tuple[Problem, ...]) -> None:
        self.problems += problems
        self.broken[name] = (*self.broken.get(name, ()), *problems)

    def _report(self, path: Path, *, own: bool) -> Report:
        """Read a file, and report a file that other users can change. Raises ConfigError."""
        if not own or self.trusted is None:
            raw, _ = read_bytes(path, what=_WHAT)
            return Report(read(raw, str(path), allow_empty=True))
        raw, reached = read_reached(path, what=_WHAT)
        report = Report(read(raw, str(path), allow_empty=True))
        exposed = judged(reached, self.trusted)
        if exposed is not None and not exposed.is_told_only:
            report.error((), f"the file {exposed.why}", exposed.remedy)
        return report


def _playbook(report: Report, *, own: bool) -> Playbook | None:
    if not isinstance(report.data, dict):
        hint = "a playbook has lines like `key: value`; `drd playbook new` writes a first one."
        report.error((), "is not a mapping", hint)
        return None
    try:
        file = PlaybookFile.model_validate(report.data)
    except ValidationError as error:
        translate(error, report, SchemaView(PlaybookFile), data=report.data)
        return None
    check_playbook(file, report)
    if report.errors:
        return None
    return build_playbook(file, report.document.file, own=own)


def unknown_playbook(name: str, known: Collection[str]) -> str:
    """Return the remedy for a name that no playbook has."""
    return nearest(name, sorted(known))
