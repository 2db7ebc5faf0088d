"""Kept copies: what recoveries replaced. They are noted with the run, and restored by undo or
removed by done.

The places themselves are checked. The note, a step of the run, is for processes that cannot check
them: a reminder, and what to search for when a person has moved something."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from drd import log, process
from drd.errors import AlreadyRunning, DrdError, TargetError, UsageError
from drd.flows.restore.recovery_request import RecoveryRequest, target_of
from drd.flows.services import Services
from drd.flows.state.run_dirs import remove_run, target_place
from drd.model.actor import Actor
from drd.model.plan import Component, Plan
from drd.model.run import SET_ASIDE as STEP
from drd.model.run import (
    Decision,
    Run,
    RunKind,
    RunState,
    StepState,
    about_all,
    last_turn,
)
from drd.model.run_details import RecoveryDetail
from drd.model.step_record import RESTORE
from drd.model.step_results import AsideStepResult
from drd.ports import Ability, Aside, Catalogue, KeptCopies, RestoreOptions, RunLease

_WAIT_S = 60.0
_LOOKED_AT = 200


def noted(catalogue: Catalogue, run: Run) -> list[Aside]:
    """Return the kept copies of the run at the last check."""
    if run.kind is not RunKind.RECOVERY:
        return []
    results = (r.result for r in catalogue.steps.of_run(run.id) if r.name == STEP)
    return [a for r in results if isinstance(r, AsideStepResult) for a in r.aside]


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
            noted_copies = list(_asides_of_run(services, plan, run, before))
            if noted_copies or before:
                now = services.clock.now()
                catalogue.steps.begin(owned, STEP, "aside", now)
                result = AsideStepResult(aside=tuple(noted_copies))
                catalogue.steps.finish(owned, STEP, StepState.SUCCEEDED, at=now, result=result)
        except DrdError as error:
            log.get().warning("aside.not_noted", run=run.id, error=error.message)


def _asides_of_run(
    services: Services, plan: Plan, run: Run, before: Sequence[Aside]
) -> Iterator[Aside]:
    begun = {r.subject for r in services.catalogue.steps.of_run(run.id) if r.kind == RESTORE}
    for name, kept in _copies_by_component(services, plan, run):
        if name not in begun:
            continue
        try:
            with closing(kept):
                yield from kept.held()
        except DrdError as error:
            log.get().warning("aside.not_looked_at", component=name, error=error.message)
            yield from (a for a in before if a.component == name)


def _copies_by_component(
    services: Services, plan: Plan, run: Run
) -> Iterator[tuple[str, KeptCopies]]:
    """Return the kept copies by component, in the order of the plan. Raises NotAsNoted if only a
    row that others can write says where the run worked.
    """
    row_trust = services.row_trust
    if RecoveryRequest.of_run(run).part is not None:
        row_trust.require_record(run)
    try:
        point = row_trust.sees(run, services.catalogue.points.get(plan.name, str(run.detail.point)))
    except DrdError:  # retention has forgotten it
        point = None
    for name, component, settings in _places(plan, run):
        snapshot = point.component(name) if point is not None else None
        kind, part = services.kinds(component.kind), RecoveryRequest.of_run(run).part
        if part is not None and part.tables:
            continue  # a table's replaced version is gone with the transaction
        if Ability.KEEP in kind.spec.can:
            yield name, kind.kept(component, settings, snapshot, run.id, part=part)


def _places(plan: Plan, run: Run) -> Iterator[tuple[str, Component, object]]:
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


# --- undo, and its end ------------------------------------------------------------------------


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
    for name, kept in _copies_by_component(services, plan, run):
        names.append(name)
        if not components or name in components:
            with closing(kept):
                asides += kept.held()
    unknown = [c for c in components if c not in names]
    if unknown:
        raise UsageError(
            f"run {run.id} did not restore {', '.join(unknown)}",
            hint=f"the run restored {', '.join(names)}.",
        )
    present = {(a.component, a.place) for a in asides}
    gone = [
        a
        for a in noted(services.catalogue, run)
        if (a.component, a.place) not in present and (not components or a.component in components)
    ]
    return KeptState(run, tuple(asides), tuple(gone))


def undo(
    services: Services,
    plan: Plan,
    run: Run,
    *,
    by: str,
    back: bool = True,
    components: Sequence[str] = (),
    actor: Actor | None = None,
) -> KeptState:
    """Restore at each place what was there before the recovery (`back`), or what the recovery had
    restored; the other becomes the kept copy. After a kill, the same call finishes it.

    Raises UsageError if there are no kept copies, or a later recovery must be undone first,
    TargetError for kept copies that are missing."""

    def exchange(name: str, kept: KeptCopies) -> None:
        if not components or name in components:
            kept.swap(back=back)

    run = services.row_trust.known(run)
    with _exclusive(services, plan):
        standing = standing_of(services, plan, run, components)
        require_undoable(services, plan, standing)
        action: Literal["undo", "redo"] = "undo" if back else "redo"
        before = last_turn(about_all(services.catalogue.decisions.of_run(run.id)))
        if is_so(standing, back=back) and before in (None, action):
            return standing
        return _settled(
            services,
            plan,
            run,
            action=action,
            by=by,
            deed=exchange,
            actor=actor,
        )


def remove_kept_copies(
    services: Services,
    plan: Plan,
    run: Run,
    *,
    by: str,
    comment: str = "",
    actor: Actor | None = None,
) -> KeptState:
    """Remove the kept copies, because the operator is done; after that there is no undo. Missing
    ones are ignored."""
    run = services.row_trust.known(run)
    with _exclusive(services, plan):
        standing = standing_of(services, plan, run)
        if run.state.final and not standing.held and not standing.gone:
            services.row_trust.over(run)
            return standing
        standing = _settled(
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


def _settled(
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
    """Do it at each place, with a record before and a note afterwards."""
    catalogue = services.catalogue
    gone = standing_of(services, plan, run).gone if action != "done" else ()  # not reported yet
    why = f"the process of this recovery died; afterwards {by} closed it (drd {action})"
    if not run.state.final and not give_up(services, plan, run, why=why):
        raise AlreadyRunning(f"run {run.id} was taken over by another process", run=run.id)
    at = services.clock.now()
    catalogue.decisions.add(run.id, Decision("", action, by, comment, 0, at, actor))
    try:
        for name, kept in _copies_by_component(services, plan, run):
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
def _exclusive(services: Services, plan: Plan) -> Iterator[None]:
    """Hold the lock of the plan's kept copies, while no recovery of the plan runs."""
    with services.catalogue.lock(lock_name(plan), wait_s=_WAIT_S):
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
    _clear(services, plan, services.row_trust.known(dead))
    remove_run(services, dead.id)
    note(services, plan, owned)
    services.catalogue.runs.finish(owned, RunState.INTERRUPTED, at=services.clock.now(), error=why)
    return True


def _clear(services: Services, plan: Plan, dead: Run) -> None:
    """Remove at the destinations of a recovery what has its mark and not its final name yet."""
    with suppress(UsageError):  # the plan no longer has that target
        part = RecoveryRequest.of_run(dead).part
        if part is not None and not services.row_trust.has_record(dead):
            services.warn(
                f"drd did not remove the unfinished data of run {dead.id} of plan {plan.name}, "
                "because only the catalogue says where this data is, and root does not trust it. "
                f"Remove the data by hand: its names contain drd_{dead.id}"
            )
            return
        for _, component, settings in _places(plan, dead):
            place = target_place(services, dead.id, component)
            kind = services.kinds(component.kind)
            with process.shielded():
                kind.target(component, settings, place, RestoreOptions(part=part)).close()


def require_undoable(services: Services, plan: Plan, standing: KeptState) -> None:
    """Raise UsageError if there are no kept copies, or a later recovery must be undone first,
    TargetError for kept copies that are missing.
    """
    _require_something(services, plan, standing)
    _require_last(services.catalogue, standing)


def is_so(standing: KeptState, *, back: bool) -> bool:
    """Return whether each place already has what an undo (`back`) or a redo would put there."""
    return all(a.former is not back for a in standing.held)


def _require_something(services: Services, plan: Plan, standing: KeptState) -> None:
    if standing.gone:
        lost = standing.gone[0]
        raise TargetError(
            f"{lost.kept}, the copy of {lost.component} that run {standing.run.id} kept, "
            "is missing",
            hint="possible reasons: somebody moved or removed the copy; the plan now has another "
            f"place than {lost.place}; or the recovery was on another host{_host(standing.run)}. "
            "To undo only the other components: --component NAME.",
        )
    if not standing.held:
        for _, component, _ in _places(plan, standing.run):
            hint = "there is nothing to undo: recover an older point instead."
            services.kinds(component.kind).spec.require(Ability.KEEP, hint)
        raise UsageError(
            f"run {standing.run.id} of {standing.run.plan} has no kept copies",
            hint="check what the run did, and find out who removed its kept copies: drd run show "
            f"{standing.run.id}",
        )


def _host(run: Run) -> str:
    return f" ({run.owner_host})" if run.owner_host else ""


def _require_last(catalogue: Catalogue, standing: KeptState) -> None:
    """Refuse if a later recovery restored to the same place: its kept copy is what this one would
    exchange."""
    run = standing.run
    places = {(a.component, a.place) for a in standing.held}
    for other, aside in reminders(catalogue, run.plan):
        later = (other.started_at or run.started_at) > run.started_at  # type: ignore[operator]
        if later and aside.former and (aside.component, aside.place) in places:
            raise UsageError(
                f"run {run.id} cannot be undone yet: a later recovery, run {other.id}, also "
                f"restored to {aside.place}",
                hint=f"first undo the later one: drd undo {other.id}",
            )
