"""The part of a point that single paths name."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from drd.errors import NotInPoint, UsageError
from drd.kinds.files.walk import to_bytes
from drd.model.single_item import Part, as_named, hint_of_names, near
from drd.model.snapshot import ComponentSnapshot, FileEntry, TreeFingerprint


def narrow(snapshot: ComponentSnapshot, part: Part) -> tuple[Part, ComponentSnapshot]:
    """Implements `Kind.narrow`. A path may lack its first slash."""
    if part.is_whole:
        return part, snapshot
    tree = snapshot.fingerprint
    paths = named_paths(part)
    if isinstance(tree, TreeFingerprint):
        paths = tuple(as_named(path, tree.entries) for path in paths)
    for path in paths:
        if isinstance(tree, TreeFingerprint):
            _require_there(path, tree, snapshot)
        inside = [p for p in paths if path.startswith(f"{p}/")]
        if inside:
            raise UsageError(
                f"--path {path} is inside --path {inside[0]}", hint=f"leave out --path {path}."
            )
    narrowed = replace(part, paths=paths)
    facts = {**snapshot.facts, "paths": list(paths)}
    if not isinstance(tree, TreeFingerprint):
        return narrowed, replace(snapshot, facts=facts)
    return narrowed, replace(snapshot, facts=facts, fingerprint=_only(tree, paths))


def named_paths(part: Part) -> tuple[str, ...]:
    """Return the paths as the point names them."""
    return tuple(dict.fromkeys(os.path.normpath(f"/{p.lstrip('/')}") for p in part.paths))


def _require_there(path: str, tree: TreeFingerprint, snapshot: ComponentSnapshot) -> None:
    """Require that the paths exist in the point. Raises UsageError with similar names."""
    above = (path, *map(str, Path(path).parents))
    if path in tree.entries or any(p in tree.not_reached for p in above):
        return
    close = near(path, tree.entries, separator="/")
    of = ", ".join(snapshot.facts["paths"])
    raise NotInPoint(
        f"this restore point of component {snapshot.component} does not contain {path}",
        hint=hint_of_names(close) or f"give a path below {of}, or choose another restore point.",
    )


def _only(tree: TreeFingerprint, paths: tuple[str, ...]) -> TreeFingerprint:
    """Return the entries at and below the paths. A hard-linked file whose first name is elsewhere
    becomes a file of its own.
    """

    def is_inside_part(path: str) -> bool:
        return any(path == p or path.startswith(f"{p}/") for p in paths)

    first: dict[str, str] = {}
    entries: dict[str, FileEntry] = {}
    for path, entry in sorted(tree.entries.items(), key=lambda e: to_bytes(e[0]).split(b"/")):
        if not is_inside_part(path):
            continue
        link = entry.link if entry.kind == "file" else None
        if link is None or is_inside_part(link):
            entries[path] = entry
        elif link in first:
            entries[path] = replace(entry, link=first[link])
        else:
            first[link] = path
            whole = tree.entries.get(link, entry)
            entries[path] = replace(entry, link=None, digest=whole.digest, size=whole.size)
    return TreeFingerprint(
        entries, {p: why for p, why in tree.not_reached.items() if is_inside_part(p)}
    )
