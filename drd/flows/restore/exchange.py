"""Undo: exchange what a recovery restored and the kept copies of what was there before.

All places are checked before the first one changes. If something stops the exchange after that, the
error says the state of each place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Literal

from drd.errors import Cancelled, DrdError, TargetError, UsageError
from drd.flows.restore.blockers import Blockers
from drd.flows.restore.kept_copies import (
    KeptState,
    copies_by_component,
    exclusive,
    places_of,
    reminders,
    settled,
    standing_of,
)
from drd.flows.restore.recovery_request import RecoveryRequest
from drd.flows.services import Services
from drd.model.actor import Actor
from drd.model.plan import Plan
from drd.model.restored import RestoredPlace
from drd.model.run import SET_ASIDE, Run, StepState, about_all, last_turn
from drd.model.step_record import RESTORE
from drd.model.text import escaped
from drd.ports import Ability, Catalogue, KeptCopies


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
    """Put back at each place what was there before the recovery (`back`), or what the recovery had
    restored; the data that is replaced becomes the kept copy. After a kill, the same call finishes
    the exchange. Raises UsageError if there are no kept copies, or if a later recovery must be
    undone first; TargetError if kept copies are missing, or if places cannot be exchanged now."""

    def exchange(name: str, kept: KeptCopies) -> None:
        if not components or name in components:
            for left in kept.swap(back=back) or ():
                services.warn(f"component {name}: {left}")

    run = services.row_trust.known(run)
    with exclusive(services, plan):
        standing = standing_of(services, plan, run, components)
        require_undoable(services, plan, standing, back=back, components=components)
        action: Literal["undo", "redo"] = "undo" if back else "redo"
        before = last_turn(about_all(services.catalogue.decisions.of_run(run.id)))
        if is_so(standing, back=back) and before in (None, action):
            return standing
        with _telling_what_is_done(services, plan, standing, back=back, components=components):
            return settled(
                services,
                plan,
                run,
                action=action,
                by=by,
                deed=exchange,
                actor=actor,
            )


def require_undoable(
    services: Services,
    plan: Plan,
    standing: KeptState,
    *,
    back: bool,
    components: Sequence[str] = (),
) -> None:
    """Raise UsageError if there are no kept copies, or a later recovery must be undone first,
    TargetError for kept copies that are missing and for all places that cannot be exchanged now.
    """
    _require_something(services, plan, standing)
    _require_last(services.catalogue, standing)
    blockers = Blockers("undo" if back else "redo")
    for name, kept in copies_by_component(services, plan, standing.run):
        if components and name not in components:
            continue
        with closing(kept):
            blockers.kept(lambda k=kept: k.require_exchangeable(back=back), name)  # type: ignore[misc]
    blockers.refuse()


def not_undone(
    services: Services, standing: KeptState, components: Sequence[str] = ()
) -> tuple[RestoredPlace, ...]:
    """Return the components that the recovery restored without keeping a copy of earlier data: an
    undo leaves them as they are. Usually there was no earlier data. The places are left out if only
    a row that other users can write names them."""
    run = standing.run
    kept = {aside.component for aside in (*standing.held, *standing.gone)}
    steps = services.catalogue.steps.of_run(run.id)
    restored = [
        s.subject
        for s in steps
        if s.kind == RESTORE and s.state is StepState.SUCCEEDED and s.subject
    ]
    detail, _ = services.row_trust.ended(run)
    places = {place.component: place for place in detail.places}
    return tuple(
        places.get(name, RestoredPlace(component=name))
        for name in dict.fromkeys(restored)
        if name not in kept and (not components or name in components)
    )


def is_so(standing: KeptState, *, back: bool) -> bool:
    """Return whether each place already has the data that an undo (`back`) or a redo would put
    there."""
    return all(a.former is not back for a in standing.held)


@contextmanager
def _telling_what_is_done(
    services: Services,
    plan: Plan,
    before: KeptState,
    *,
    back: bool,
    components: Sequence[str],
) -> Iterator[None]:
    """Add to an error of the body what each place has now, and the command that finishes it."""
    try:
        yield
    except (DrdError, Cancelled) as error:
        now = standing_of(services, plan, before.run, components)
        if now.held == before.held:
            raise
        facts = [_place_now(a.component, a.place, old=not a.former) for a in now.held]
        again = " ".join(
            [
                f"drd undo {before.run.id}",
                *(() if back else ("--redo",)),
                *(f"--component {name}" for name in components),
            ]
        )
        stopped = f"the {'undo' if back else 'redo'} of run {before.run.id} is only half done"
        raise TargetError(
            "\n  ".join([str(error), f"{stopped}:", *facts]),
            hint="\n".join(filter(None, [error.hint, f"to finish: {again}"])),
            line=f"{error}; {stopped}: {'; '.join(facts)}",
        ) from error


def _place_now(component: str, place: str, *, old: bool) -> str:
    what = "the data from before the recovery" if old else "the data that the recovery restored"
    return f"{component}: {place} has {what}"


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
        for _, component, _ in places_of(plan, standing.run):
            hint = "there is nothing to undo. To get older data, recover an older restore point."
            spec = services.kinds(component.kind).spec.of(component.settings)
            spec.require(Ability.KEEP, hint, component=component.name)
        _require_copies_made(services, standing.run)
        raise UsageError(
            f"the kept copies of run {standing.run.id} of {standing.run.plan} no longer "
            "exist, so drd cannot undo this run",
            hint="`drd done`, or somebody by hand, has removed the kept copies. To see what the "
            f"run did: drd run show {standing.run.id}",
        )


def _require_copies_made(services: Services, run: Run) -> None:
    """Raise UsageError if the recovery never had kept copies: it replaced nothing, or was told to
    keep nothing."""
    steps = services.catalogue.steps.of_run(run.id)
    if not any(s.kind == RESTORE for s in steps):
        raise UsageError(
            f"recovery {run.id} of {run.plan} stopped before it replaced anything: there is "
            "nothing to undo",
            hint=f"to see why it stopped: drd run show {run.id}",
        )
    request = RecoveryRequest.of_run(run)
    if request.overwrite and request.no_undo:
        raise UsageError(
            f"run {run.id} of {run.plan} has no kept copies, because it was a recovery with "
            "--no-undo",
            hint=f"recover an older restore point: drd points {run.plan}",
        )
    if any(s.name == SET_ASIDE for s in steps):
        return
    detail, _ = services.row_trust.ended(run)
    places = ", ".join(escaped(name) for place in detail.places for name in place.places)
    raise UsageError(
        f"recovery {run.id} of {run.plan} replaced nothing, so there is nothing to undo",
        hint=f"if nobody needs the data that the run restored, remove it: {places}"
        if places
        else f"to see what the run did: drd run show {run.id}",
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
                hint=f"first undo the later recovery: drd undo {other.id}",
            )
