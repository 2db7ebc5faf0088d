"""Which kind of component comes back how without drd."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from drd.errors import NotSupported
from drd.ports.by_hand import ByHandOf

KINDS = ("postgres", "sqlite", "files")
"""Those with a `by_hand.py`."""


def by_hand_of(kind: str) -> ByHandOf:
    """Raises NotSupported for a kind that cannot be brought back without drd."""
    if kind not in KINDS:
        raise NotSupported(f"components of kind {kind} have no instructions for a recovery by hand")
    return cast(ByHandOf, import_module(f"drd.kinds.{kind}.by_hand").by_hand)
