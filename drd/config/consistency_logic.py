"""Check the groups of components that belong together in time."""

from __future__ import annotations

from collections.abc import Iterator

from drd.config.parse import Parsed
from drd.config.problems import Report, nearest
from drd.config.yaml import Path
from drd.registry import KINDS


def check_consistency(parsed: Parsed, report: Report) -> None:
    """Report groups that could never be measured, or that say the same twice."""
    seen: dict[frozenset[str], Path] = {}
    for at, group in zip(parsed.group_at, parsed.file.consistency, strict=True):
        path: Path = ("consistency", at)
        _names(parsed, group.components, (*path, "components"), report)
        names = frozenset(group.components)
        if names in seen:
            line = report.document.line(seen[names])
            message = f"line {line} already has a group of the same components"
            report.error(path, message, "remove one of the two groups.")
        seen.setdefault(names, path)
        _copied_first(parsed, group.components, (*path, "components"), report)


def _names(parsed: Parsed, names: list[str], path: Path, report: Report) -> None:
    for at, name in enumerate(names):
        if parsed.kinds and name not in parsed.kinds:
            hint = nearest(name, list(parsed.kinds))
            report.error((*path, at), f'there is no component "{name}"', hint)
        elif name in names[:at]:
            report.error((*path, at), f"names {name} twice", "write each name once.")
    if len(names) < 2:
        message = "names fewer than two components, so there is nothing to compare"
        report.error(path, message, "name at least two components, or remove the group.")


def _copied_first(parsed: Parsed, names: list[str], path: Path, report: Report) -> None:
    late = list(_dated_at_end(parsed, names, report))
    if len(late) > 1:
        report.warn(
            path,
            f"drd copies the whole servers of {' and '.join(late)}, and the data time of each is "
            "the end of its copying: the spread is the difference of these ends",
            "write a `within` that is larger than this difference, or put these components into "
            "plans of their own.",
        )


def _dated_at_end(parsed: Parsed, names: list[str], report: Report) -> Iterator[str]:
    for name in dict.fromkeys(names):
        kind = parsed.kinds.get(name, "")
        if kind not in KINDS or report.has_broken(("components", name)):
            continue
        if KINDS[kind].dated_at_end(parsed.file.components[name]):
            yield name
