"""Receive the log of one component for as long as the daemon runs, and store it regularly.

A program for the component's kind writes the log to a directory. After each interval, drd marks the
end of the log, and stores a snapshot of the received log up to this mark. Each snapshot of a batch
contains the whole batch up to its mark. If a batch is large or old, drd begins a new batch.
Only the last snapshot of a batch is needed: `upkeep` removes the others."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from drd import log
from drd.errors import CatalogueError, DrdError, RepositoryError
from drd.flows.log.base_request import BaseRequest
from drd.flows.log.bases import Base, bases, leading
from drd.flows.log.copiers import Copiers
from drd.flows.log.copying import Stored
from drd.flows.log.events import Events
from drd.flows.log.left import note as note_kept
from drd.flows.log.repository import batches_in, log_spec
from drd.flows.log.session import Session, Stalled, wait
from drd.flows.log.states import every_s, state_of, with_problem
from drd.flows.log.upkeep import Upkeep
from drd.flows.repository.identity import confirm_or_initialise
from drd.flows.services import Services
from drd.model.log import LogBatch, LogMark, LogState, newest_of_each, noted_as, ranges
from drd.model.log_conditions import GAP
from drd.model.plan import Component, Plan
from drd.model.text import counted
from drd.ports import OnProgress, Tree, no_progress
from drd.ports.logs import LogLost, LogReceiver

_log = log.get()

BATCH_BYTES = 512 << 20
BATCH_S = 3600.0
"""The size and the age, in seconds, at which drd begins a new batch: each snapshot of a batch lists
all files of the batch, so large batches make large snapshots."""
AGAIN_S = 2.0
LONGEST_PAUSE_S = 60.0
LIST_S = 600.0
"""How often, in seconds, drd lists the repository again: other programs can change it."""
LEAST_FREE = 1 << 30
LEAST_SHARE = 0.05
"""If less than this is free on the disk, drd stops receiving until it has stored the received
log."""

RECEIVES = "receives"
WAITS = "waits"
STALLED, NO_BASE, UNSTORED, UNREACHABLE = (
    "log-stalled", "log-no-base", "log-unstored", "log-unreachable",
)  # fmt: skip


class Keeper:
    """Receives and stores the log of one component until the process is cancelled."""

    def __init__(self, services: Services, plan: Plan, component: Component) -> None:
        self._services = services
        self._plan = plan
        self._component = component
        self.every_s = every_s(services, component)
        self._kind = services.kinds(component.kind)
        self._repository = services.open_repository(log_spec(plan))
        self._place = services.work_dir / "logs" / plan.name / component.name
        self._batches: list[LogBatch] = []
        self._number = 0
        self._batch_began = time.monotonic()
        self._complete_at: datetime | None = None
        self._base = BaseRequest(services, plan, component.name)
        self._upkeep = Upkeep(services, plan, component.name, self._repository, plan.primary)
        self._state: LogState | None = None
        self._lost = False
        self._gap: LogLost | None = None
        """Why the newest part of the log begins with a gap; None if there is a base backup from
        which this part continues."""
        self._events = Events(services, plan, component)
        self._listed_at = 0.0
        self._copiers = Copiers(services, plan, component)
        self._anew = 0
        """The number of the batch that begins after a gap: it does not continue the batches before
        it."""
        self._begins_anew = self._place / "anew"
        """A file that exists from a gap until the first snapshot after it is stored. So drd also
        knows of the gap after a restart."""
        self._unstored: tuple[LogMark, datetime] | None = None

    def now(self) -> datetime:
        return self._services.clock.now()

    def run(self) -> None:
        """Receive and store the log; connect again after an error. Ends only with Cancelled."""
        with self._copiers:
            self._receive()

    def _receive(self) -> None:
        pause_s = AGAIN_S
        while True:
            began = time.monotonic()
            try:
                self._session()
            except CatalogueError:
                raise
            except LogLost as lost:
                self._gap = self._events.gap(lost, self._known_until())
                self._note(WAITS, self._gap, GAP)
                self._lost = True
            except DrdError as error:
                code = UNSTORED if isinstance(error, RepositoryError) else UNREACHABLE
                self._note(WAITS, error, STALLED if isinstance(error, Stalled) else code)
            if time.monotonic() - began > LONGEST_PAUSE_S:
                pause_s = AGAIN_S
            wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _known_until(self) -> datetime | None:
        """Return up to when drd knows that this log has no gap; None if none is stored."""
        end = self._batches[-1].end.at if self._batches else None
        return self._complete_at or end

    def _session(self) -> None:
        """Connect to the server; receive and store its log until this connection fails."""
        identity = self._list()
        self._number = self._next_number()
        self._batch_began = time.monotonic()
        received = self._place / "received"
        received.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = slot_name(self._plan.name, self._component.name, identity)
        with self._kind.log(self._component).open(received, name) as receiver:
            note_kept(self._services, self._plan, self._component, name)
            if self._lost:
                self._begins_anew.touch(mode=0o600)
                receiver.begin_anew()
                self._lost, self._unstored = False, None
            receiver.require()
            if self._unstored is not None and not self.has_room():
                # Store the received log before more of the log arrives.
                self.push(receiver, *self._unstored)
            Session(self, receiver, received).run()

    def _next_number(self) -> int:
        """Return the number of the next batch. It is at least the time in seconds: so it is larger
        than the numbers of batches that the repository has lost, and that a copy still has."""
        known = 1 + max((b.number for b in self._batches), default=0)
        return max(known, int(self.now().timestamp()))

    def _list(self) -> str:
        """List the snapshots of the log in the repository; return the id of the repository."""
        identity = confirm_or_initialise(self._services, self._repository)
        self._batches = batches_in(self._repository, self._plan.name, self._component.name)
        self._listed_at = time.monotonic()
        return identity

    def check_snapshots(self) -> None:
        """Check from time to time that the repository still has the snapshots that drd has stored.
        Raises RepositoryError if some are gone, or if it is another repository."""
        if time.monotonic() - self._listed_at < LIST_S:
            return
        known = {b.snapshot for b in newest_of_each(self._batches)}
        self._list()
        if gone := known - {b.snapshot for b in self._batches}:
            self._complete_at = None
            _log.warning("log.snapshots_gone", plan=self._plan.name, snapshots=sorted(gone)[:20])
            self._number = self._next_number()
            raise RepositoryError(
                f"repository {self._repository.url} has lost {counted(len(gone), 'snapshot')} with "
                f"the log of {self._component.name}",
                hint="find out who removed the snapshots. drd stores the part of the log again "
                "that it still has, and makes a new base backup if the log needs one.",
            )

    def push(
        self,
        receiver: LogReceiver,
        mark: LogMark,
        now: datetime,
        on_progress: OnProgress = no_progress,
    ) -> None:
        """Store the log up to `mark`: it contains everything that was committed before `now`."""
        self._unstored = mark, now
        # The directory keeps its files between pushes, so that restic reads only new ones.
        stage = self._place / "push"
        stage.mkdir(mode=0o700, exist_ok=True)
        batch = self._staged(receiver, mark, stage)
        stored = self._repository.store(
            Tree((str(stage),)),
            host=self._plan.name,
            tags=batch.tags(self._plan.name),
            limits=self._component.limits,
            on_progress=on_progress,
        )
        self._batches.append(replace(batch, snapshot=stored.snapshot, stored_at=now))
        self._unstored = None
        self._begins_anew.unlink(missing_ok=True)
        self._complete_at = now
        if (
            receiver.received_bytes() >= BATCH_BYTES
            or time.monotonic() - self._batch_began >= BATCH_S
            or not self.has_room()
        ):
            receiver.drop(mark)
            shutil.rmtree(stage)
            self._number += 1
            self._batch_began = time.monotonic()
        self._batches = self._upkeep.turn(self._batches, self._number)

    def _staged(self, receiver: LogReceiver, mark: LogMark, stage: Path) -> LogBatch:
        """Put the log up to `mark` into the directory `stage`, and return its batch. This is the
        newest batch, or a new one if the directory does not contain all of the newest batch."""
        begin = receiver.stage(mark, stage)
        before = self._batches[-1] if self._batches else None
        lines = receiver.lines(mark.line)
        anew = self._begins_anew.exists()
        if before is not None and before.end.line < mark.line and not receiver.dated:
            self._events.switched(before, mark, lines, anew=anew)
        if before is not None and not anew:
            self._events.clock(before, mark)
        if before is not None and (before.end.line != mark.line or begin > before.begin):
            self._number += 1  # this snapshot does not contain all of the snapshot before it
        if anew:
            self._number += before is not None and before.number == self._number
            self._anew = self._number
        return LogBatch(
            "",
            self._component.name,
            receiver.source,
            self._number,
            begin,
            mark,
            lines=lines,
            anew=self._anew == self._number,
            dated=receiver.dated,
            bytes=_bytes_below(stage),
        )

    def idle(self, now: datetime) -> None:
        """Note that the server has written nothing since the last mark: so the repository has the
        whole log up to `now`.
        """
        if self._complete_at is not None:
            self._complete_at = now

    def tell(self, receiver: LogReceiver) -> None:
        """Note the state of the log. Request a base backup if there is none from which the newest
        part of the log continues. If the stored log ends before the newest base backup, let the
        receiver mark the log again, so that the next snapshot reaches this backup."""
        self._copiers.has(self._plan.primary.name, Stored(tuple(self._batches), self._complete_at))
        known = ranges(self._batches)
        points = bases(self._services, self._plan, self._component.name)
        start = leading(known, points)
        leads = bool(known) and start is not None and known[-1].holds(*start)
        if any(known and known[-1].is_behind(*start) for _, start in points[:1]):
            receiver.forget_mark()
        elif known and not leads:
            self._base.ask()
        else:
            self._base.was_made()
        if known and not leads:
            self._note_unusable(points)
            return
        self._gap = None
        self._note(RECEIVES, points=points)

    def _note_unusable(self, points: Sequence[Base]) -> None:
        """Note that a recovery cannot use the log yet; after a gap, also why there is one."""
        text = (
            "a recovery cannot use the log that drd receives now, because there is no base backup "
            "from which the log continues"
        )
        error = DrdError(
            f"{self._gap.message}; {text}" if self._gap is not None else text,
            hint=f"drd makes a base backup at once. To see this backup: drd runs {self._plan.name}",
        )
        self._note(RECEIVES, error, NO_BASE if self._gap is None else GAP, points=points)

    def unstored(self, error: RepositoryError) -> None:
        """Note that the received log could not be stored. The receiver itself still works."""
        self._note(RECEIVES, error, UNSTORED)

    def _note(
        self,
        doing: str,
        error: DrdError | None = None,
        code: str = "",
        *,
        points: Sequence[Base] | None = None,
    ) -> None:
        """Note the state of the log; `points` are the base backups, if they were just read."""
        now, before, primary = self._services.clock.now(), self._state, self._plan.primary
        if points is None:
            points = bases(self._services, self._plan, self._component.name)
        state = state_of(self._services, self._component, primary, self._batches, points,
                         doing=doing, complete_at=self._complete_at, now=now)  # fmt: skip
        state = replace(state, event=self._events.text, event_at=self._events.at)
        self._state = with_problem(state, before, error, code, now)
        if before is None or before.code != code:
            level = _log.warning if code else _log.info
            level("log.state", plan=self._plan.name, component=self._component.name,
                  doing=doing, code=code or None, error=self._state.trouble or None)  # fmt: skip
        key = noted_as(self._plan.name, self._component.name)
        self._services.catalogue.queue.note(
            key, dict(self._state.to_json()), now, plan=self._plan.name
        )

    def has_room(self) -> bool:
        usage = shutil.disk_usage(self._place)
        return usage.free > max(LEAST_FREE, LEAST_SHARE * usage.total)


def slot_name(plan: str, component: str, repository: str) -> str:
    """Return the name of the replication slot for a component whose log is stored in this
    repository.
    """
    plain = f"{plan[:20]}_{component[:20]}".replace("-", "_").lower()
    return f"drd_wal_{plain}_{repository[:8]}"


def _bytes_below(stage: Path) -> int:
    return sum(file.stat().st_size for file in stage.rglob("*") if file.is_file())
