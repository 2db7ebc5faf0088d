"""Assertions about what came back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from drd.model.plan import CheckSpec, Plan
from drd.model.run import CheckResult
from drd.model.snapshot import RestorePoint
from drd.ports.destinations import Inspector
from drd.process import Fence


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
    """One kind of check."""

    kind: str

    def run(self, spec: CheckSpec, context: CheckContext) -> list[CheckResult]:
        """The check's own row first, then rows for parts that could not be compared.

        Never raises for what it was asked to find out: a check that could not look is `not_run`.
        """


CheckFactory = Callable[[str], Check]
