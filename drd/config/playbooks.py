"""Read playbooks, those of drd and those of an installation: text, schema, logic.

A file of one's own replaces the shipped one of the same name. All problems are reported with file
and line; a broken file leaves the others usable."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

import drd
from drd.config.daemon import DaemonSettings
from drd.config.exposed_files import state_owners
from drd.config.json_schema import JsonSchema, SchemaView, published
from drd.config.own_files import Sort, read_own
from drd.config.playbook_build import build_playbook
from drd.config.playbook_logic import check_playbook, unheld_roles
from drd.config.playbook_schema import PlaybookFile
from drd.config.problems import Report
from drd.config.translation import translate
from drd.errors import ConfigError, Problem, UsageError
from drd.model.finding import Finding
from drd.model.nearest import closest
from drd.model.playbook import Playbook

SHIPPED = Path(drd.__file__).parent / "playbooks"
_SORT = Sort(
    "playbook", "playbooks", "playbook", SHIPPED, "; `drd playbook new` writes a first one"
)


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
    found = read_own(_SORT, directory, files, trusted)
    built: dict[str, Playbook] = {}
    for file in found.all():
        playbook = _playbook(file.report, own=file.own)
        if playbook is None:
            found.breaks(file.name, file.report.errors)
        else:
            built[file.name] = replace(playbook, text=file.text)
    known = {k: built[k] for k in found.chosen() if k in built and k not in found.broken}
    return Playbooks(known, tuple(dict.fromkeys(found.problems)), found.broken)


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


def _playbook(report: Report, *, own: bool) -> Playbook | None:
    try:
        file = PlaybookFile.model_validate(report.data)
    except ValidationError as error:
        translate(error, report, SchemaView(PlaybookFile), data=report.data)
        return None
    check_playbook(file, report)
    if report.errors:
        return None
    return build_playbook(file, report.document.file, own=own)
