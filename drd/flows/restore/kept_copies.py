"""Kept copies: what recoveries replaced. They are noted with the run, and restored by undo
(`exchange.py`) or removed by done.

The places themselves are checked. The note, a step of the run, is for processes that cannot check
the places: it is a reminder, and names what to search when a person has moved something."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from drd import log, process
from drd.errors import AlreadyRunning, DrdError, UsageError
from drd.flows.restore.recovery_request import RecoveryRequest, target_of
from drd.flows.services import Services
from drd.flows.state.kept_notes import noted
from drd.flows.state.run_dirs import keeping_place, target_place
from drd.flows.state.run_removal import remove_run
from drd.model.actor import Actor
from drd.model.plan import Component, Plan
from drd.model.run import SET_ASIDE as STEP
from drd.model.run import (
    Decision,
    Run,
    RunKind,
    RunState,
    StepState,
)
from drd.model.run_details import RecoveryDetail
from drd.model.step_record import RESTORE
from drd.model.step_results import AsideStepResult
from drd.ports import Ability, Aside, Catalogue, KeptCopies, RestoreOptions, RunLease

_WAIT_S = 60.0
_LOOKED_AT = 200


def reminders(catalogue: Catalogue, plan: str) -> list[tuple[Run, Aside]]:
    """Return all kept copies of a plan's recoveries that nobody has released, the newest first."""
    runs = catalogue.runs.newest(plan, limit=_LOOKED_AT, kind=RunKind.RECOVERY)
    return [(run, aside) for run in runs for aside in noted(catalogue, run)]


def note(services: Services, plan: Plan, owned: RunLease) -> None:
    """At the end of a recovery, check its places and note the kept copies. Places that cannot be
    checked now keep their earlier note."""
    catalogue = services.catalogue
    run = catalogue.runs.get(owned.run.id)
    if run.detail.point is None:
        return
    with process.shielded():
        try:
            request = RecoveryRequest.of_run(run)
            if request.overwrite and request.no_undo:
                return
            before = noted(catalogue, run)
            result = _asides_of_run(services, plan, run, before)
            if result.aside or result.unseen or before:
                now = services.clock.now()
                catalogue.steps.begin(owned, STEP, "aside", now)
                catalogue.steps.finish(owned, STEP, StepState.SUCCEEDED, at=now, result=result)
        except DrdError as error:
            log.get().warning("aside.not_noted", run=run.id, error=error.message)


def _asides_of_run(
    services: Services, plan: Plan, run: Run, before: Sequence[Aside]
) -> AsideStepResult:
    held: list[Aside] = []
    unseen = []
    begun = {r.subject for r in services.catalogue.steps.of_run(run.id) if r.kind == RESTORE}
    for name, kept in copies_by_component(services, plan, run):
        if name not in begun:
            continue
        try:
            with closing(kept):
                held += kept.held()
        except DrdError as error:
            log.get().warning("aside.not_looked_at", component=name, error=error.message)
            earlier = [a for a in before if a.component == name]
            held += earlier
            unseen += [] if earlier else [name]
    return AsideStepResult(aside=tuple(held), unseen=tuple(unseen))


def copies_by_component(
    services: Services, plan: Plan, run: Run
) -> Iterator[tuple[str, KeptCopies]]:
    """Yield the kept copies by component, in the order of the plan. Raises NotAsNoted if only a row
    that others can write says where the run worked.
    """
    row_trust = services.row_trust
    if RecoveryRequest.of_run(run).part is not None:
        row_trust.require_record(run)
    try:
        point = row_trust.sees(run, services.catalogue.points.get(plan.name, str(run.detail.point)))
    except DrdError:  # retention has forgotten it
        point = None
    for name, component, settings in places_of(plan, run):
        snapshot = point.component(name) if point is not None else None
        kind, part = services.kinds(component.kind), RecoveryRequest.of_run(run).part
        if part is not None and part.tables:
            continue  # a table's replaced version is gone with the transaction
        if Ability.KEEP in kind.spec.of(component.settings).can:
            place = keeping_place(services, run.id, component)
            yield name, kind.kept_copies(component, settings, snapshot, place, part=part)


def places_of(plan: Plan, run: Run) -> Iterator[tuple[str, Component, object]]:
    """Each component that the run was to restore, with the settings of its destination. Raises
    UsageError when the plan no longer has that target, or the run belongs to another plan."""
    if run.plan != plan.name:
        raise UsageError(
            f"run {run.id} belongs to plan {run.plan}, not to plan {plan.name}",
            hint=f"check the run: drd run show {run.id}",
        )
    request = RecoveryRequest.of_run(run)
    target = target_of(plan, request.target)
    noted = run.detail.begun if isinstance(run.detail, RecoveryDetail) else ()
    begun = noted or request.components or tuple(target.components)
    for name, component in plan.components.items():
        if name in target.components and name in begun:
            yield name, component, target.components[name]


# --- the end of kept copies, and what undo needs ------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeptState:
    """The kept copies of a run now. `gone` ones were noted and do not exist any more."""

    run: Run
    held: tuple[Aside, ...]
    gone: tuple[Aside, ...] = ()


def standing_of(
    services: Services, plan: Plan, run: Run, components: Sequence[str] = ()
) -> KeptState:
    """Check the places. Raises UsageError if the run is not a recovery, or did not have that
    component."""
    if run.kind is not RunKind.RECOVERY or run.detail.point is None:
        raise UsageError(
            f"run {run.id} of plan {run.plan} has no kept copies, because it is a {run.kind}"
            + (" that had not begun to restore" if run.kind is RunKind.RECOVERY else ""),
            hint=f"find the recovery that replaced the data: drd runs {run.plan}",
        )
    run = services.row_trust.known(run)
    asides: list[Aside] = []
    names = []
    for name, kept in copies_by_component(services, plan, run):
        names.append(name)
        if not components or name in components:
            with closing(kept):
                asides += kept.held()
    unknown = [c for c in components if c not in names]
    if unknown:
        raise UsageError(
            f"run {run.id} did not restore {', '.join(unknown)}",
            hint=f"name one of the components that the run restored: {', '.join(names)}.",
        )
    present = {(a.component, a.place) for a in asides}
    gone = [
        a
        for a in noted(services.catalogue, run)
        if (a.component, a.place) not in present and (not components or a.component in components)
    ]
    return KeptState(run, tuple(asides), tuple(gone))


def remove_kept_copies(
    services: Services,
    plan: Plan,
    run: Run,
    *,
    by: str,
    comment: str = "",
    actor: Actor | None = None,
) -> KeptState:
    """Remove the kept copies, because the operator is done; afterwards an undo is not possible.
    Missing copies are ignored."""
    run = services.row_trust.known(run)
    with exclusive(services, plan):
        standing = standing_of(services, plan, run)
        if run.state.final and not standing.held and not standing.gone:
            if run.state is not RunState.SUCCEEDED:  # a person gives it up
                at = services.clock.now()
                given_up = Decision("", "done", by, comment, 0, at, actor)
                services.catalogue.decisions.add(run.id, given_up, plan=plan.name)
            services.row_trust.over(run)
            return standing
        standing = settled(
            services,
            plan,
            run,
            action="done",
            by=by,
            comment=comment,
            deed=lambda _, kept: kept.discard(),
            actor=actor,
        )
        services.row_trust.over(run)
        return standing


def settled(
    services: Services,
    plan: Plan,
    run: Run,
    *,
    action: Literal["undo", "redo", "done"],
    by: str,
    deed: Callable[[str, KeptCopies], None],
    comment: str = "",
    actor: Actor | None,
) -> KeptState:
    """Execute the act at each place, with a record before and a note afterwards."""
    catalogue = services.catalogue
    gone = standing_of(services, plan, run).gone if action != "done" else ()  # not reported yet
    why = f"the process of this recovery died; afterwards {by} closed the recovery (drd {action})"
    if not run.state.final and not give_up(services, plan, run, why=why):
        raise AlreadyRunning(f"run {run.id} was taken over by another process", run=run.id)
    at = services.clock.now()
    decision = Decision("", action, by, comment, 0, at, actor)
    catalogue.decisions.add(run.id, decision, plan=plan.name)
    try:
        for name, kept in copies_by_component(services, plan, run):
            with closing(kept):
                deed(name, kept)
    finally:
        with process.shielded():
            held = standing_of(services, plan, run).held
            now = services.clock.now()
            result = AsideStepResult(aside=(*held, *gone))
            catalogue.steps.note(run.id, STEP, "aside", at=now, result=result)
    return KeptState(run, held)


@contextmanager
def exclusive(services: Services, plan: Plan) -> Iterator[None]:
    """Hold the lock of the plan's kept copies, while no recovery of the plan runs."""
    with (
        services.catalogue.lock(lock_name(plan), wait_s=_WAIT_S),
        services.row_trust.working(plan.name),
    ):
        dead = {r.id for r in services.catalogue.runs.abandoned(plan.name)}
        for run in services.catalogue.runs.newest(
            plan.name, limit=_LOOKED_AT, kind=RunKind.RECOVERY
        ):
            if not run.state.final and run.id not in dead:
                raise AlreadyRunning(
                    f"process {run.owner_pid} is executing run {run.id} of {run.plan}",
                    run=run.id,
                    hint=f"to see its progress: `drd run show {run.id}`. To end it: `drd cancel "
                    f"{run.id}`",
                )
        yield


def wait_for_exchange(services: Services, plan: Plan) -> None:
    """Wait until an exchange that started earlier has ended, for a recovery that has been
    recorded.
    """
    with services.catalogue.lock(lock_name(plan), wait_s=_WAIT_S):
        pass


def lock_name(plan: Plan) -> str:
    return f"aside {plan.name}"


def give_up(services: Services, plan: Plan, dead: Run, *, why: str) -> bool:
    """End a recovery whose process died, so that it is not resumed: removes unfinished data, here
    and at the destination. False if another process took it over."""
    owned = services.catalogue.runs.adopt(dead, services.clock.now())
    if owned is None:
        return False
    try:
        _clear(services, plan, services.row_trust.known(dead))
        remove_run(services, dead.id)
        note(services, plan, owned)
        now = services.clock.now()
        services.catalogue.runs.finish(owned, RunState.INTERRUPTED, at=now, error=why)
    finally:
        owned.release()
    return True


def _clear(services: Services, plan: Plan, dead: Run) -> None:
    """Remove at the destinations of a recovery what has its mark and not its final name yet."""
    with suppress(UsageError):  # the plan no longer has that target
        part = RecoveryRequest.of_run(dead).part
        if part is not None and not services.row_trust.has_record(dead):
            services.warn(
                f"drd did not remove the unfinished data of run {dead.id} of plan {plan.name}, "
                "because only the catalogue says where this data is, and root does not trust "
                f"the catalogue. Remove the data by hand: its names contain drd_{dead.id}"
            )
            return
        for _, component, settings in places_of(plan, dead):
            place = target_place(services, dead.id, component)
            kind = services.kinds(component.kind)
            with process.shielded():
                kind.target(component, settings, place, RestoreOptions(part=part)).close()
