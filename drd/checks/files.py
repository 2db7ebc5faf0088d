"""The check `files`: the restored tree against the source's fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal

from pydantic import Field

from drd.checks.fingerprints import at_backup, of_restored
from drd.checks.settings import CheckSettings
from drd.checks.words import (
    ALREADY_WRITES,
    not_run,
    nothing_counted,
    part_not_run,
    result,
    some,
)
from drd.model.entry_difference import entry_differences
from drd.model.plan import CheckSpec
from drd.model.run import CheckResult, CheckVerdict
from drd.model.snapshot import WAS_EMPTY, TreeFingerprint, only_links, torn
from drd.model.text import counted, escaped, noun
from drd.model.units import format_size
from drd.ports import CheckContext
from drd.ports.check import CheckKind
from drd.ports.kinds import KindSpec
from drd.process.accounts import as_here

_EXPECTED = "as at backup"
_BUDGET_S = 3600.0


class FilesCheck(CheckSettings):
    """The restored tree against the fingerprint taken at backup."""

    kind: Literal["files"]
    component: str = Field(
        description="The component of kind files whose restored files are compared with those at "
        "the backup."
    )


class TreeComparison:
    """Compares every entry: kind, contents, mode, link, extended attributes and, as root, owner.

    Times of entries are not compared. What changed during the capture, what could not be read and
    ownership without root are separate parts."""

    def run(self, spec: CheckSpec, context: CheckContext) -> list[CheckResult]:
        settings = spec.settings
        assert isinstance(settings, FilesCheck)
        inspector = context.inspectors.get(settings.component)
        if inspector is None:
            return [not_run(spec, f"{settings.component} was not restored", _EXPECTED)]
        snapshot = context.point.component(settings.component)
        before = at_backup(context, settings.component, TreeFingerprint)
        if snapshot is None or before is None:
            why = nothing_counted(
                context.point.id,
                "the backup did not record a fingerprint of the source, "
                "so this check cannot compare",
            )
            return [not_run(spec, why, _EXPECTED)]
        now = of_restored(spec, inspector, before, budget_s=_BUDGET_S, expected=_EXPECTED)
        if isinstance(now, CheckResult):
            return [now]
        compared = compare(as_here(snapshot) or before, now, owners=context.is_root)
        if context.exposed and compared.extra == len(compared.differing) > 0:
            compared.asks = f": {ALREADY_WRITES}"
        return _rows(spec, compared, may_be_empty=context.may_be_empty(settings.component))


@dataclass(slots=True)
class TreeDifferences:
    """The result of comparing two trees. `differing` are sentences in the order of paths; the other
    lists are paths. `devices` are nodes that only root can make. `extra` counts differing entries
    that did not exist at the backup; `asks` is a question to a person about the result. `files`
    counts compared entries that are not directories, `had_…` the entries at the backup;
    `torn_bytes` is the size of files that changed while they were captured. `links` are named paths
    that were links to files that the backup does not contain.
    """

    compared: int = 0
    files: int = 0
    bytes: int = 0
    had_files: int = 0
    had_bytes: int = 0
    torn_bytes: int = 0
    differing: list[str] = field(default_factory=list)
    extra: int = 0
    asks: str = ""
    volatile: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    devices: list[str] = field(default_factory=list)
    owners: bool = True


def compare(before: TreeFingerprint, now: TreeFingerprint, *, owners: bool) -> TreeDifferences:
    """Compare every entry of either tree; `owners` includes ownership and what only root
    can set.
    """
    comparison = TreeDifferences(owners=owners and all(e.uid >= 0 for e in now.entries.values()))
    _weigh(before, now, comparison)
    comparison.unread = sorted({*before.not_reached, *now.not_reached})
    comparison.links = sorted(before.links_outside())
    for path in sorted(before.entries.keys() | now.entries.keys()):
        was, now_is = before.entries.get(path), now.entries.get(path)
        if was is None:
            _judge_extra(path, before, comparison)
        elif was.volatile:
            comparison.volatile.append(path)
        elif now_is is None and was.kind == "device" and not owners:
            comparison.devices.append(path)
        elif now_is is None:
            _judge_missing(path, before, now, comparison)
        else:
            comparison.compared += 1
            comparison.files += now_is.kind != "directory"
            comparison.bytes += now_is.size
            wrong = entry_differences(was, now_is, owners=comparison.owners)
            if wrong:
                comparison.differing.append(f"{escaped(path)}: {', '.join(wrong)}")
    return comparison


def _weigh(before: TreeFingerprint, now: TreeFingerprint, found: TreeDifferences) -> None:
    """Add up the sizes. For entries that appeared or vanished during the capture, only the restored
    data shows the size.
    """
    for path, entry in before.entries.items():
        if entry.kind == "directory":
            continue
        back = now.entries.get(path) if entry.volatile else None
        size = max(entry.size, back.size if back is not None else 0)
        found.had_files += 1
        found.had_bytes += size
        found.torn_bytes += size if entry.volatile else 0


def _judge_extra(path: str, before: TreeFingerprint, found: TreeDifferences) -> None:
    """Names came and went in a directory that changed while it was captured, or was not read."""
    above = next((str(p) for p in PurePosixPath(path).parents if str(p) in before.entries), None)
    if above is not None and (before.entries[above].volatile or above in before.not_reached):
        found.volatile.append(path)
    else:
        found.differing.append(f"{escaped(path)}: did not exist at backup")
        found.extra += 1


def _judge_missing(
    path: str, before: TreeFingerprint, now: TreeFingerprint, found: TreeDifferences
) -> None:
    """Judge missing entries. An entry that could not be read is unknown, and so is one below a
    directory that could not be listed.
    """
    above = [path, *(str(p) for p in PurePosixPath(path).parents)]
    if path in before.not_reached or any(p in now.not_reached for p in above):
        if path not in found.unread:
            found.unread.append(path)
        return
    found.differing.append(f"{escaped(path)}: missing")


def _rows(spec: CheckSpec, found: TreeDifferences, *, may_be_empty: bool) -> list[CheckResult]:
    parts = [*_parts(spec, found)]
    if found.links and len(found.links) < found.had_files and not may_be_empty:
        parts.append(_links(spec, found.links))
    if found.differing:
        text = f"{counted(len(found.differing), 'entry', 'entries')} differ: "
        text = (text if len(found.differing) > 1 else "") + some(found.differing)
        own = result(spec, CheckVerdict.FAILED, text + found.asks, _EXPECTED)
    elif (why := _nothing_compared(found, may_be_empty=may_be_empty)) is not None:
        own = not_run(spec, why, _EXPECTED)
    else:
        below = found.compared - found.files
        also = f" and {counted(below, 'directory', 'directories')}" if below else ""
        text = f"{counted(found.files, 'file')}{also}, {format_size(found.bytes)}, 0 differ"
        own = result(spec, CheckVerdict.PASSED, text, _EXPECTED)
    return [own, *parts]


def _nothing_compared(found: TreeDifferences, *, may_be_empty: bool) -> str | None:
    """Say why the comparison proves nothing about the component; None if it does."""
    if not found.compared:
        return "no entry could be compared"
    if not found.had_files:
        return None if may_be_empty else WAS_EMPTY
    if found.had_files == len(found.links) and not may_be_empty:
        return only_links(found.links)
    if not found.files:
        return f"none of {counted(found.had_files, 'file')} could be compared"
    return torn(found.torn_bytes, found.had_bytes) or None


def _parts(spec: CheckSpec, found: TreeDifferences) -> list[CheckResult]:
    named: Mapping[str, list[str]] = {
        "changed during the capture": found.volatile,
        "could not be read": found.unread,
        "device nodes, which only root can make": found.devices,
    }
    parts = [
        part_not_run(
            spec,
            name,
            f"{counted(len(paths), 'entry', 'entries')} not compared: "
            f"{some([escaped(p) for p in paths])}",
            _EXPECTED,
        )
        for name, paths in named.items()
        if paths
    ]
    if not found.owners:
        why = "restored without root's rights, so the owners of files were not set"
        parts.append(part_not_run(spec, "ownership", why, _EXPECTED))
    return parts


def _links(spec: CheckSpec, links: list[str]) -> CheckResult:
    """Return the part that a restore lacks, because named paths were links."""
    one = "is a symlink, and the target of the link is not in the backup"
    what = noun(len(links), one, "are symlinks, and the targets of the links are not in the backup")
    why = f"{some([escaped(p) for p in links])} {what}"
    return part_not_run(spec, "behind links", why, _EXPECTED)


def _fits(spec: KindSpec) -> bool:
    return spec.comparison == SPEC.name


SPEC = CheckKind("files", FilesCheck, TreeComparison(), fits=_fits, compares=True)
