"""List directories of a restore point."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from posixpath import dirname, normpath

from drd.errors import NotInPoint, UsageError
from drd.model.contents import Contents, Item
from drd.model.single_item import as_named, hint_of_names, near
from drd.model.snapshot import ComponentSnapshot, FileEntry, TreeFingerprint


def contents(snapshot: ComponentSnapshot, within: str | None) -> Contents:
    """Implements `Kind.contents`: return the entries of a directory, or one file. Without a path,
    return the paths of the component."""
    tree, roots = snapshot.fingerprint, tuple(snapshot.facts["paths"])
    if not isinstance(tree, TreeFingerprint):
        raise UsageError(
            f"drd does not know the files of component {snapshot.component}: the restore point "
            "has no fingerprint of this component",
            hint="choose another restore point: drd points PLAN",
        )
    if within is None:
        if len(roots) != 1:
            return Contents("", tuple(_listed(tree, sorted(roots))))
        path = roots[0]
    else:
        path = as_named(normpath(f"/{within.lstrip('/')}"), tree.entries)
    return _at(snapshot, tree, roots, path)


def _at(
    snapshot: ComponentSnapshot, tree: TreeFingerprint, roots: tuple[str, ...], path: str
) -> Contents:
    below = path if path.endswith("/") else f"{path}/"
    entry = tree.entries.get(path)
    if entry is not None and entry.kind != "directory":
        return Contents(dirname(path), tuple(_listed(tree, [path])))
    inside = {
        below + p[len(below) :].partition("/")[0]
        for p in (*tree.entries, *tree.not_reached)
        if p.startswith(below) and p != below
    }
    if entry is None and not inside:
        if path in tree.not_reached:
            return Contents(dirname(path), tuple(_listed(tree, [path])))
        close = near(path, tree.entries, separator="/")
        raise NotInPoint(
            f"this restore point of component {snapshot.component} does not contain {path}",
            hint=hint_of_names(close)
            or f"give a path below {', '.join(roots)}, or choose another restore point.",
        )
    return Contents(path, tuple(_listed(tree, sorted(inside))))


def _listed(tree: TreeFingerprint, paths: Collection[str]) -> Iterator[Item]:
    sizes = _sizes(tree, paths)
    for path in paths:
        entry = tree.entries.get(path)
        if entry is None:
            why = tree.not_reached.get(path)
            kind = "directory" if why is None else "unknown"
            yield Item(path, kind, sizes[path] if why is None else None, note=why or "")
        else:
            size = sizes[path] if entry.kind in {"file", "directory"} else None
            yield Item(path, entry.kind, size, entry.mode, note=_note(entry))


def _sizes(tree: TreeFingerprint, paths: Collection[str]) -> dict[str, int]:
    """Return the bytes of the files at and below each path, in one pass."""
    sizes = dict.fromkeys(paths, 0)
    for path, entry in tree.entries.items():
        if entry.kind != "file":
            continue
        at = path
        while at not in sizes and at != "/":
            at = dirname(at)
        if at in sizes:
            sizes[at] += entry.size
    return sizes


def _note(entry: FileEntry) -> str:
    if entry.volatile:
        return "changed during the backup"
    return f"-> {entry.link}" if entry.kind == "symlink" and entry.link else ""
