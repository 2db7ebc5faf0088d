"""Bringing a component back without drd: the commands, for a person with a shell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from drd.model.plan import Component, SecretRef


@dataclass(frozen=True, slots=True)
class Passage:
    """A sentence and the bash commands that it is about; either may be missing. With `adapt` the
    commands are to be adapted, not to be run as they stand."""

    text: str
    commands: str = ""
    adapt: bool = False


@dataclass(frozen=True, slots=True)
class ByHand:
    """How one component comes back. The commands run in one bash after those that open the
    repository: `snapshot COMPONENT` prints the id of its snapshot, `fact COMPONENT NAME` one of its
    facts, `manifest.json` is the manifest, `$KIT` the directory of the kit.

    `files` are what the commands read from the kit besides, by their path in it, with secrets in
    them. `ask` are the words before a query that print its answer, `change` those before
    statements, which stop at the first that fails; `feed` reads such from its standard input.
    `values` has what `${COMPONENT.…}` stands for, each as a part of a word; `environment` the
    assignments that tell a command where it is.
    """

    passages: tuple[Passage, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    ask: str = ""
    change: str = ""
    feed: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    environment: str = ""


class ByHandOf(Protocol):
    """What a kind has to say about that, in `by_hand.py` of its package."""

    def __call__(
        self,
        component: Component,
        target: object | None,
        *,
        place: str,
        resolve: Callable[[SecretRef], str],
    ) -> ByHand:
        """`target` are the settings of a target for this component, None for wherever it was.
        `place` is a directory of the kit for `files`."""
