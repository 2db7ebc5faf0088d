"""Checks of restored data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from drd.model.plan import CheckSpec, Plan
from drd.model.run import CheckResult
from drd.model.snapshot import RestorePoint
from drd.ports.by_hand import ByHand, Passage
from drd.ports.inspector import Inspector
from drd.ports.kinds import Ability, KindSpec, any_kind
from drd.process import Fence

if TYPE_CHECKING:
    # `drd status` imports the ports, and pydantic would take longer than all that it does.
    from drd.fields import Contradiction, Settings


def no_fence(_name: str, _words: Sequence[str]) -> Fence | None:
    """Return no fence: in a recovery, everybody on the host may use what was restored."""
    return None


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What checks may know: the plan, the restored point, and how to ask its components.

    `inspectors` has the restored components by name. `last_observed` are the numbers that the
    newest passed drill saw, by check name. `directory` is a scratch place. `fence` gives the fence
    that the command of a check has in a drill, by the name of the check. `exposed`: others can
    reach the restored data, as in every recovery, and may have changed it already. `replayed` has
    the components whose log was replayed beyond the point, each with the data time after this, or
    None if only the log tells this time.
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
    exposed: bool = False
    replayed: Mapping[str, datetime | None] = field(default_factory=dict)

    def data_time(self, component: str | None) -> datetime | None:
        """Return the data time of a restored component, without a component that of the point; None
        if it is not known."""
        if component is not None and component in self.replayed:
            return self.replayed[component]
        row = self.point.component(component) if component is not None else None
        return (row.data_time if row is not None else None) or self.point.data_time

    def may_be_empty(self, component: str) -> bool:
        """Return whether the plan allows that the component contains nothing to compare."""
        known = self.plan.components.get(component)
        return known is not None and known.may_be_empty


class Check(Protocol):
    """Carries out one kind of check. Stateless."""

    def run(self, spec: CheckSpec, context: CheckContext) -> list[CheckResult]:
        """Return the row of the check itself first, then rows for parts that could not be compared.
        It raises no errors about the data: a check that could not examine the data is `not_run`.
        """


def no_query(_: Any) -> str | None:
    """Give no query: for a check that compares with no answer of the source."""
    return None


def needs_nothing(_: Any) -> None:
    """Need no ability of the component: for a check that does not depend on its settings."""


def never_refused(_: Any, __: KindSpec) -> None:
    """Refuse no settings: for a check that no drill refuses for what its settings say."""


def no_words(_: Any, __: ByHand | None) -> Passage | None:
    """Give no command: for a check that a person cannot carry out by a command."""
    return None


@dataclass(frozen=True, eq=False, slots=True)
class CheckKind:
    """All that drd has to know about one kind of check.

    `settings` is the model of such a check in a plan, derived from `CheckSettings`; `check` carries
    it out. `fits` says which kinds of component it can check. A check with `compares` compares with
    the state at backup. `baseline` gives, by the settings, the query that the source answers at
    backup. `needs` gives, by the settings, an ability without which the check cannot read a
    component. `refused` gives, by the settings and the kind of the component, the error for which
    every drill refuses the check, although the plan can be used. With `reads_as_root` the check
    runs with root's rights, if drd has them, to read files of every owner. With `runs_programs` the
    check runs programs of the plan: no server of drd's own works on the restored data meanwhile.
    `by_hand` says what a person does without drd,
    by the settings and by how the component is restored.
    """

    name: str
    settings: type[Settings]
    check: Check
    fits: Callable[[KindSpec], bool] = any_kind
    compares: bool = False
    baseline: Callable[[Any], str | None] = no_query
    needs: Callable[[Any], Ability | None] = needs_nothing
    refused: Callable[[Any, KindSpec], Contradiction | None] = never_refused
    reads_as_root: bool = False
    runs_programs: bool = False
    by_hand: Callable[[Any, ByHand | None], Passage | None] = no_words


CheckFactory = Callable[[str], Check]
