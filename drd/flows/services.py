"""What every flow needs, handed over by the composition root as one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from drd.model.facts import PlanFacts
from drd.model.kit_findings import KitFinding
from drd.model.plan import Plan, RepositorySpec
from drd.model.run import Run
from drd.ports import (
    Catalogue,
    CheckFactory,
    Clock,
    KindFactory,
    OnProgress,
    Repository,
    no_progress,
)

Say = Callable[[str], None]


def say_nothing(_: str) -> None:
    """For callers that nobody reads."""


@dataclass(frozen=True, slots=True)
class Services:
    """The world as a flow sees it.

    `work_dir` holds a directory a run; `run_as` is the user for sandbox servers when drd is root.
    `parallel` bounds how many components of a run work at once, `jobs` the parallel jobs within
    one. `own_files` finds drd's configuration and plans, for the built-in component: as many files
    as there are plans. `claim` is the pending run that this process was started to carry out.
    `warn` gets sentences that a person should read, `note` those that are merely good to know.
    `read_facts` reads what `status` knows of a plan, `kit_findings` what is wrong with its recovery
    kit.
    """

    catalogue: Catalogue
    clock: Clock
    kinds: KindFactory
    checks: CheckFactory
    open_repository: Callable[[RepositorySpec], Repository]
    work_dir: Path
    run_as: str | None
    is_root: bool
    parallel: int = 2
    jobs: int = 2
    versions: Mapping[str, str] = field(default_factory=dict)
    own_files: Callable[[], Sequence[Path]] = tuple
    on_progress: OnProgress = no_progress
    warn: Say = say_nothing
    note: Say = say_nothing
    claim: Run | None = None
    read_facts: Callable[[str], Sequence[PlanFacts]] | None = None
    kit_findings: Callable[[Plan], Sequence[KitFinding]] | None = None
