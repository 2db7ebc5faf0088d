"""Choose the part of a log that a restore replays, and fetch it after the restore point."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from drd.errors import (
    DrdError,
    NoRestorePoint,
    RepositoryDamaged,
    RepositoryError,
    RepositoryMissing,
    SecretUnavailable,
)
from drd.flows.log.bases import bases, continued, data_time_in, spans, start_of
from drd.flows.log.noted import noted_copy, noted_state
from drd.flows.log.repository import batches_in, log_spec, logged, with_logs
from drd.flows.repository.identity import confirm
from drd.flows.services import Services
from drd.model.log import LogBatch, LogMark, LogRange, LogTarget, ranges, reaching
from drd.model.plan import Plan
from drd.model.snapshot import RestorePoint
from drd.model.units import exact_time, format_span, format_time
from drd.ports import Ability, Repository
from drd.ports.logs import LogReplay, LogStart
from drd.process import rights
from drd.process.rights import Purpose

BRIEF_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class LogOrder:
    """The part of a log that the restore of a component replays: from `start` to `target`."""

    component: str
    start: LogStart
    target: LogTarget
    batches: tuple[LogBatch, ...]
    place: str = ""
    """The position of the target, as people write it; empty without one."""
    repository: str = ""
    """The repository of the plan beside which this log is stored; empty if this is the repository
    of the backups."""
    others: tuple[str, ...] = ()
    """The repositories to try next if this one cannot deliver the log."""
    passed_over: str = ""
    """Why the log is not read from an earlier repository; empty if it is read from the first."""
    doubt: str = ""
    """Why the time of the target names more than one place in the log; empty if it does not."""
    complete_at: datetime | None = None
    """Everything that was committed before this time is in the log, as its receiver has noted: the
    server may have written nothing since the last mark."""

    @property
    def end(self) -> LogMark:
        """Return the end of the log: everything that was committed before its time is there."""
        end, at = self.batches[-1].end, self.complete_at
        return replace(end, at=max(end.at, at)) if at is not None else end

    @property
    def bytes(self) -> int:
        """Return the size of the log that is fetched."""
        return sum(batch.size for batch in self.batches)

    @property
    def data_time(self) -> datetime | None:
        """Return the data time after the replay; None if only the log tells when what the target
        names was written."""
        if self.target.before is not None:
            return min(self.target.before, self.end.at)
        return self.end.at if self.target.is_end else None


def order_for(
    services: Services,
    plan: Plan,
    point: RestorePoint,
    component: str,
    target: LogTarget,
    *,
    only: Collection[str] | None = None,
) -> LogOrder:
    """Return the part of the log between a point and the target, from the first repository of the
    plan, or of those in `only`, that has this part. If none has it, raises NoRestorePoint, which
    names the times to which drd can recover. Raises the errors of the repository."""
    start = start_of(services, plan, point, component)
    if start is None:
        raise NoRestorePoint(
            f"restore point {point.id} does not contain component {component}",
            hint=f"choose another restore point: drd points {plan.name}",
        )
    wanted = _Wanted(services, plan, component, point, start, target)
    return _first(wanted, with_logs(plan, only))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The part of a component's log that leads from `start`, the end of a restore point, to the
    target."""

    services: Services
    plan: Plan
    component: str
    point: RestorePoint
    start: LogStart
    target: LogTarget


def _first(wanted: _Wanted, names: Sequence[str]) -> LogOrder:
    """Return the order in the first of these repositories that has what is wanted. Raises the error
    of the first if none has it."""
    errors: dict[str, DrdError] = {}
    for place, name in enumerate(names):
        try:
            order = _order_in(wanted, name)
        except (RepositoryError, SecretUnavailable, NoRestorePoint) as error:
            errors[name] = error
            continue
        return replace(order, others=tuple(names[place + 1 :]), passed_over=_told(errors))
    if not errors:
        log_spec(wanted.plan)  # which raises why there is no place for it
    first, *others = errors
    problem = errors[first]
    problem.message += "".join(f"; {name}: {errors[name].message}" for name in others)
    raise problem


def _told(errors: Mapping[str, DrdError]) -> str:
    return "; ".join(f"{name}: {error.message}" for name, error in errors.items())


def _order_in(wanted: _Wanted, name: str) -> LogOrder:
    """Return the order in one repository."""
    services, plan, component = wanted.services, wanted.plan, wanted.component
    start, target = wanted.start, wanted.target
    known = known_ranges(services, plan, component, name)
    part = reaching(known, *start)
    if part is None or not part.leads_on(start.position):
        raise _unreachable(wanted, known, name)
    _require_within(wanted, part, known, name)
    needed = part.up_to(start.position, target, start.line)
    position, kind = target.position, services.kinds(plan.components[component].kind)
    place = kind.log_place(position) if position is not None else ""
    order = LogOrder(component, start, target, needed, place, name)
    if needed[-1] is known[-1].batches[-1]:
        end_place = kind.log_place(needed[-1].end.position)
        order = replace(order, complete_at=_complete_at(wanted, name, end_place))
    return replace(order, doubt=_doubt(order, part, kind.log_place))


def _require_within(wanted: _Wanted, part: LogRange, known: Sequence[LogRange], name: str) -> None:
    """Raise NoRestorePoint if the target is not in this part of the log: drd would know it for sure
    only after it has restored everything."""
    services, plan, component = wanted.services, wanted.plan, wanted.component
    point, end, before = wanted.point, part.end, wanted.target.before
    gap = end is not known[-1].end
    if gap and before is not None and before > end.at:
        # drd cannot recover to a time in a gap; a time after the gap needs a later point.
        raise NoRestorePoint(
            f"the log of {component} has a gap after {format_time(end.at, seconds=True)}, "
            f"and {exact_time(before)} is later than the beginning of this gap"
            + _times(services, plan, component, known, name),
            hint="choose another time; or recover to the last time before the gap: --point "
            f"{point.id} --to-last",
        )
    if before is not None and before <= (copied := data_time_in(point, component)):
        raise NoRestorePoint(
            f"the data of {component} in restore point {point.id} is of "
            f"{format_time(copied, seconds=True)}, and {exact_time(before)} is not "
            "later",
            hint="leave out --point: drd then begins with a restore point from before this time.",
        )
    position, place = wanted.target.position, services.kinds(plan.components[component].kind)
    if position is None or wanted.start.position <= position <= end.position:
        return
    asked = place.log_place(position)
    if position < wanted.start.position:
        raise NoRestorePoint(
            f"{asked} is before {place.log_place(wanted.start.position)}, the end of restore point "
            f"{point.id}",
            hint="leave out --point: drd then begins with a restore point from before this place.",
        )
    what = "the beginning of a gap" if gap else "its end"
    raise NoRestorePoint(
        f"the log of {component} in repository {name} leads to {place.log_place(end.position)}, "
        f"{what}, and {asked} comes later",
        hint=f"give an earlier place; or recover to the last one: --point {point.id} --to-last",
    )


def _complete_at(wanted: _Wanted, name: str, end: str) -> datetime | None:
    """Return until when the log beside a repository is complete, as was noted of a log that ends
    at the place `end`; None if that is not known."""
    queue, plan = wanted.services.catalogue.queue, wanted.plan
    if plan.repositories[name].copy_of is not None:
        noted = noted_copy(queue, plan.name, name, wanted.component)
    else:
        noted = noted_state(queue, plan.name, wanted.component)
    if noted is None or noted[1].end != end or noted[1].complete_at is None:
        return None
    return min(noted[1].complete_at, wanted.services.clock.now())


def _doubt(order: LogOrder, part: LogRange, place: Callable[[int], str]) -> str:
    """Return a text if the log contains, after the place at which the replay stops, transactions
    from before the target's time; empty if there are none."""
    before = order.target.before
    earlier = [b for b in part.after(order.batches[-1]) if before is not None and b.end.at < before]
    if before is None or not earlier:
        return ""
    at = exact_time(before)
    last = earlier[-1].end
    return (
        f"the clock of the server of {order.component} was set back after {at}. drd recovers "
        f"{order.component} to the first place in its log that has this time. Transactions up to "
        f"{format_time(last.at, seconds=True)} that were committed after the clock was set back "
        f"come later in the log, and are left out. To include them, add: --before "
        f"{place(last.position)}"
    )


def known_ranges(services: Services, plan: Plan, component: str, name: str) -> list[LogRange]:
    """Return the parts of the log of a component that are beside the repository `name` of the plan.
    Raises NoRestorePoint if nothing was ever stored there."""
    if plan.repositories[name].copy_of is not None:
        missing = f"drd has not copied the log of {component} to repository {name} yet"
        hint = f"copy it there: drd copy {plan.name} --repository {name}"
    else:
        missing = f"drd has not stored the log of {component} yet"
        hint = f"see whether the receiver works: drd status {plan.name}"
    repository = services.open_repository(log_spec(plan, name))
    seen = services.catalogue.repositories.id_of(repository.url) is not None
    try:
        if not seen and repository.identity() is None:
            text = f"{missing}: there is no repository at {repository.url}"
            raise NoRestorePoint(text, hint=hint)
        confirm(services, repository, writing=False)
    except RepositoryMissing:
        if seen:
            raise
        raise NoRestorePoint(missing, hint=hint) from None
    return ranges(batches_in(repository, plan.name, component))


def _unreachable(wanted: _Wanted, known: Sequence[LogRange], name: str) -> NoRestorePoint:
    point, component = wanted.point, wanted.component
    return NoRestorePoint(
        f"repository {name} has no log of {component} that continues restore point {point.id} "
        f"(data of {format_time(point.data_time, seconds=True)})"
        + _times(wanted.services, wanted.plan, component, known, name),
        hint=f"recover this restore point without the log: --point {point.id}",
    )


def _times(
    services: Services, plan: Plan, component: str, known: Sequence[LogRange], name: str
) -> str:
    """Return the end of a message, with the times to which drd can recover the component; empty if
    there are none.
    """
    held_by = continued(plan.repositories[name])
    texts = [
        " to ".join(format_span(begin, end))
        for begin, end in spans(known, bases(services, plan, component, held_by), component)
    ]
    if not texts:
        return ""
    return f"; drd can recover {component} to any time from {', and from '.join(texts)}"


def fetch(
    services: Services,
    plan: Plan,
    point: RestorePoint,
    order: LogOrder,
    into: Path,
    *,
    cache: Path | None = None,
) -> LogReplay:
    """Fetch the batches of an order into the new directory `into`; return what the replay needs. If
    the repository cannot deliver the log, or if the kind finds it damaged, the next one has to; the
    person is told."""

    def elsewhere(error: RepositoryError | SecretUnavailable) -> LogReplay:
        with rights.owners():  # a kind asks for it while it writes with root's rights
            return from_others(error)

    def from_others(error: RepositoryError | SecretUnavailable) -> LogReplay:
        wanted = _Wanted(services, plan, order.component, point, order.start, order.target)
        try:
            other = _first(wanted, order.others) if order.others else None
        except DrdError as also:
            error.message += f"; {also.message}"
            raise error from also
        if other is None:
            raise error
        services.warn(
            f"drd reads the log of {order.component} from repository {other.repository}, where it "
            f"ends at {format_time(other.end.at, seconds=True)}. drd could not use the log in "
            f"repository {order.repository}: {error.message}"
        )
        return fetch(services, plan, point, other, into, cache=cache)

    try:
        fetched = _fetch(services, plan, order, into, cache)
    except (RepositoryError, SecretUnavailable) as error:
        return elsewhere(error)
    return replace(fetched, elsewhere=elsewhere)


def _fetch(
    services: Services, plan: Plan, order: LogOrder, into: Path, cache: Path | None
) -> LogReplay:
    repository = services.open_repository(log_spec(plan, order.repository))
    if cache is not None:
        repository = repository.cold(cache)
    files = into / "files"
    with rights.root(Purpose.OWNERS):
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir(mode=0o700, parents=True)
        files.mkdir(mode=0o700)
        for batch in order.batches:
            _fetch_batch(repository, batch, into / "landing", files)
    return LogReplay(files, order.start.source, order.end, order.target)


def _fetch_batch(repository: Repository, batch: LogBatch, landing: Path, files: Path) -> None:
    """Fetch one batch. If several batches contain the same file, the longest copy counts."""
    landing.mkdir(mode=0o700)
    repository.restore(batch.snapshot, landing, brief=batch.size < BRIEF_BYTES)
    for directory, _, names in os.walk(landing):
        for name in names:
            file = Path(directory, name)
            if not stat.S_ISREG(file.lstat().st_mode):
                raise RepositoryDamaged(
                    f"snapshot {batch.snapshot[:8]} of the log contains {name!r}, which is not a "
                    "file",
                    hint="recover to an earlier time: --before TIME",
                )
            known = files / name
            if not known.exists() or known.stat().st_size <= file.stat().st_size:
                file.replace(known)
    shutil.rmtree(landing)


def able(services: Services, plan: Plan, names: Sequence[str]) -> list[str]:
    """Return which of the components `names` can be recovered to a point in time."""
    kept = set(logged(services, plan))
    return [
        n
        for n in names
        if n in kept
        and Ability.LOG
        in services.kinds(plan.components[n].kind).spec.of(plan.components[n].settings).can
    ]
