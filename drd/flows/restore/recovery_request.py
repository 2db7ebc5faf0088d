"""The request for a recovery, which is also in the run's row: the same request means the same
recovery."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from drd.errors import UsageError
from drd.flows.components.repository_choice import usable_repositories
from drd.model.plan import IN_PLACE, Plan, Target
from drd.model.run import Run
from drd.model.run_details import RecoveryDetail
from drd.model.single_item import Part

DEFAULT_SCENARIO = "database-loss"


@dataclass(frozen=True, slots=True)
class RecoveryRequest:
    """What the operator requested. Without `components`: all components of the target. `in_place`:
    the target may be production. `part`: restore only this part of one component, in place or
    beside the existing data. `no_undo`: keep no copy of the replaced data. `accept_paths`: restore
    also paths that the plan does not name; `after_kit`: accept a point that the kit does not list;
    `as_owner`: no code of a database runs with more rights than its owner has; `clean_for`: the
    point is the clean point of this incident, after which credentials have to be rotated; `log`:
    where the replay of a log stops, if that is no time: a position, a transaction, or `last`."""

    target: str
    point: str | None = None
    before: datetime | None = None
    lost_at: datetime | None = None
    components: tuple[str, ...] = ()
    overwrite: bool = False
    no_owner: bool = False
    as_owner: bool = False
    repository: str | None = None
    scenario: str = DEFAULT_SCENARIO
    in_place: bool = False
    part: Part | None = None
    no_undo: bool = False
    accept_paths: bool = False
    after_kit: bool = False
    clean_for: int | None = None
    log: str | None = None

    @property
    def over_production(self) -> bool:
        """The operator said that production is to be overwritten."""
        return self.in_place or self.target == IN_PLACE

    @property
    def beside(self) -> bool:
        """The data gets another name or path, and nothing is replaced."""
        return self.part is not None and self.part.into is not None

    def detail(self) -> RecoveryDetail:
        """Return the fields that identify a recovery that is resumed: the same request means the
        same recovery.
        """
        return RecoveryDetail(
            target=self.target,
            asked_point=self.point,
            before=self.before,
            lost_at=self.lost_at,
            components=self.components,
            repository=self.repository or None,
            scenario=self.scenario if self.scenario != DEFAULT_SCENARIO else None,
            in_place=self.in_place,
            part=self.part,
            clean_for=self.clean_for,
            log=self.log,
        )

    def some(self, plan: Plan) -> tuple[str, ...]:
        """The components, if only some were asked for; empty if they are all of the target's: then
        all steps of the runbook apply."""
        all_of_it = set(target_of(plan, self.target).components) & set(plan.components)
        if self.part is None and all_of_it <= set(self.components):
            return ()
        return self.components

    def only(self, plan: Plan) -> tuple[str, ...] | None:
        """Return the repositories that may be used; None means all. Raises UsageError."""
        return usable_repositories(plan, self.repository, self.scenario)

    @classmethod
    def of_run(cls, run: Run) -> RecoveryRequest:
        """Return the request of a run. Raises UsageError if its row does not contain it."""
        said = run.detail
        if not isinstance(said, RecoveryDetail) or said.target is None:
            raise UsageError(
                f"the catalogue does not contain the request of run {run.id} of {run.plan}",
                hint="somebody changed the catalogue without drd. Start a new recovery: drd "
                f"recover {run.plan} …",
            )
        return cls(
            target=said.target,
            point=said.asked_point,
            before=said.before,
            lost_at=said.lost_at,
            components=said.components,
            overwrite=said.overwrite,
            no_owner=said.no_owner,
            as_owner=said.as_owner,
            repository=said.repository,
            scenario=said.scenario or DEFAULT_SCENARIO,
            in_place=said.in_place,
            part=said.part,
            no_undo=said.no_undo,
            accept_paths=said.accept_paths,
            after_kit=said.after_kit,
            clean_for=said.clean_for,
            log=said.log,
        )


def target_of(plan: Plan, name: str) -> Target:
    """Return the plan's target. Raises UsageError if the plan has no such target."""
    if name == IN_PLACE:
        return Target(IN_PLACE, {n: c.settings for n, c in plan.components.items()})
    if name not in plan.targets:
        known = ", ".join(plan.targets)
        choose = f"choose one of the plan's targets: {known}. Or add" if known else "add"
        raise UsageError(
            f"plan {plan.name} has no target {name!r}",
            hint=f"{choose} a target under `targets` in {plan.file}. To restore to the "
            "original places: --in-place.",
        )
    return plan.targets[name]
