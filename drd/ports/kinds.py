"""Kinds of components: what the rest of drd has to know of one before it works with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from drd.fields import Settings

Holds = Literal["tables", "paths", "opaque"]
"""What there is in a component: tables that can be asked by SQL, files by path, or nothing that drd
could name."""


@dataclass(frozen=True, eq=False, slots=True)
class KindSpec:
    """`settings` is the model of a component in a plan, with its `kind`; `target` the model of what
    a target says about such a component. `comparison` is the kind of check that compares what came
    back with the fingerprint."""

    name: str
    settings: type[Settings]
    target: type[Settings]
    holds: Holds
    comparison: str
