"""Check the part of a manifest about a tree: it may contain only what the source writes there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drd.kinds.files.holes import HOLES
from drd.model import strict
from drd.model.snapshot import ComponentSnapshot, TreeFingerprint
from drd.process.accounts import require_names

MOST_PATHS = 10_000


def require_written(snapshot: ComponentSnapshot, private: Mapping[str, Any]) -> None:
    """Raise Refused for facts, a fingerprint or a private part that no source of files writes."""
    place, facts = f"facts of {snapshot.component}", snapshot.facts
    paths = strict.each(
        strict.absolute_path,
        strict.member(facts, "paths", place),
        f"{place}.paths",
        most=MOST_PATHS,
    )
    if not paths:
        raise strict.UnexpectedValue(f"{place}.paths is empty")
    for key in ("files", "excluded", HOLES):
        if key in facts:
            strict.count(facts[key], f"{place}.{key}")
    require_names(facts, place)
    if private:
        raise strict.UnexpectedValue(f"private of {snapshot.component} is not empty")
    tree = snapshot.fingerprint
    if tree is None:
        return
    if not isinstance(tree, TreeFingerprint):
        raise strict.UnexpectedValue(
            f"the fingerprint of {snapshot.component} does not describe a tree"
        )


def within(path: str, paths: Mapping[str, object] | tuple[str, ...]) -> bool:
    """Return whether a path is one of these paths or below one of them."""
    return any(path == p or path.startswith(f"{p.rstrip('/')}/") for p in paths)


def outside(found: list[str], named: tuple[str, ...]) -> tuple[str, ...]:
    """Return the paths that are not within the plan's paths."""
    return tuple(p for p in found if not within(p, named))
