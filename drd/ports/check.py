"""Assertions about what came back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from drd.model.plan import CheckSpec, Plan
from drd.model.run import CheckResult
from drd.model.snapshot import RestorePoint
from drd.ports.by_hand import ByHand, Passage
from drd.ports.destinations import Inspector
from drd.ports.kinds import KindSpec, any_kind
from drd.process import Fence

if TYPE_CHECKING:
    # `drd status` imports the ports, and pydantic would take longer than all that it does.
    from drd.fields import Settings


def no_fence(_name: str, _words: Sequence[str]) -> Fence | None:
    """In a recovery: a check looks at what is there for everybody."""
    return None


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What checks may know: the plan, the point that came back, and how to ask its components.

    `inspectors` has the restored components by name. `last_observed` are numbers that the newest
    passed drill saw, by check name. `directory` is a scratch place. `fence` gives what the command
    of a check, by the check's name, runs behind in a drill.
    """

    plan: Plan
    point: RestorePoint
    inspectors: Mapping[str, Inspector]
    now: datetime
    is_root: bool
    last_observed: Mapping[str, Any]
    directory: Path
    run_as: str | None = None
    fence: Callable[[str, Sequence[str]], Fence | None] = no_fence

    def may_be_empty(self, component: str) -> bool:
        """Whether the plan says that there may be nothing in it to compare."""
        known = self.plan.components.get(component)
        return known is not None and known.may_be_empty


class Check(Protocol):
    """Carries out one kind of check. Stateless."""

    def run(self, spec: CheckSpec, context: CheckContext) -> list[CheckResult]:
        """The check's own row first, then rows for parts that could not be compared.

        Never raises for what it was asked to find out: a check that could not look is `not_run`.
        """


def no_query(_: Any) -> str | None:
    """For a check that does not compare with an answer of the source."""
    return None


def no_words(_: Any, __: ByHand | None) -> Passage | None:
    """For a check of which nobody can say in a command how a person does it."""
    return None


@dataclass(frozen=True, eq=False, slots=True)
class CheckKind:
    """All that drd has to know of one kind of check.

    `settings` is the model of such a check in a plan, derived from `CheckSettings`; `check` carries
    it out. `fits` tells of which kinds components can be checked so. A check that `compares` does
    so with the state at backup. `baseline` gives the query that the source answers at backup, by
    the settings. With `reads_as_root` it runs with root's rights where drd has them, to read files
    whoever owns them. `by_hand` says by the settings, and by how the component comes back, what a
    person without drd does.
    """

    name: str
    settings: type[Settings]
    check: Check
    fits: Callable[[KindSpec], bool] = any_kind
    compares: bool = False
    baseline: Callable[[Any], str | None] = no_query
    reads_as_root: bool = False
    by_hand: Callable[[Any, ByHand | None], Passage | None] = no_words


CheckFactory = Callable[[str], Check]
