"""Read the playbooks of drd and of the installation: their text, schema and logic.

A file of the installation replaces the shipped file of the same name. All problems are reported
with file and line. A broken file does not prevent the use of other files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import drd
from drd.config.daemon import DaemonSettings
from drd.config.exposed_files import state_owners
from drd.config.json_schema import JsonSchema, published
from drd.config.own_files import Own, OwnFile, Sort, broken_findings, load_own, validated
from drd.config.playbook_build import build_playbook
from drd.config.playbook_logic import check_playbook, unheld_roles
from drd.config.playbook_schema import PlaybookFile
from drd.model.finding import Finding
from drd.model.playbook import Playbook

SHIPPED = Path(drd.__file__).parent / "playbooks"
_SORT = Sort(
    "playbook",
    "playbooks",
    "playbook",
    SHIPPED,
    "drd playbook list",
    "; `drd playbook new` writes a first one",
)
Playbooks: TypeAlias = Own[Playbook]


def playbooks_of(settings: DaemonSettings, files: Sequence[Path] = ()) -> Playbooks:
    """Return the playbooks of drd, those of the installation, and those of the given files."""
    trusted = state_owners(settings.state_dir)
    return load_playbooks(settings.playbooks_dir, files, trusted)


def load_playbooks(
    directory: Path | None, files: Sequence[Path] = (), trusted: Collection[int] | None = None
) -> Playbooks:
    """Read the shipped playbooks, those of `directory`, and the given files. With `trusted`, a
    file of the installation is refused if users with other ids than these can change it."""
    return load_own(_SORT, _playbook, directory, files, trusted)


def playbook_schema() -> JsonSchema:
    """Return the JSON Schema of a playbook, for editors."""
    return published(PlaybookFile, "drd playbook")


def findings(settings: DaemonSettings) -> list[Finding]:
    """Return the findings of `drd doctor` about playbooks of the installation: broken files,
    and roles that nobody holds."""
    if settings.playbooks_dir is None:
        return []
    read_ones = playbooks_of(settings)
    broken = broken_findings("playbook-file", read_ones.problems)
    return [*broken, *unheld_findings(read_ones, settings)]


def unheld_findings(found: Playbooks, settings: DaemonSettings) -> Iterator[Finding]:
    """Yield a finding for each role of the installation's playbooks that nobody holds."""
    for playbook in found.known.values():
        for role in unheld_roles(playbook, settings.known_roles) if playbook.own else ():
            text = f"playbook {playbook.name} needs the role {role}, which nobody holds"
            hint = "give the role to a person under `people` in drd.yaml, or correct the playbook."
            yield Finding("playbook-role", "warning", playbook.name, text, hint)


def _playbook(read: OwnFile) -> Playbook | None:
    file = validated(PlaybookFile, read.report)
    if file is None:
        return None
    check_playbook(file, read.report)
    if read.report.errors:
        return None
    return replace(build_playbook(file, read.file, own=read.own), text=read.text)
