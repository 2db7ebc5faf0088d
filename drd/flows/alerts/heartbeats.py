"""Send heartbeats to watchers elsewhere, which report missing ones. Heartbeats are sent beside the
work: they do not delay a run, and an error of one does not make a run fail. Their results are
recorded with the channels."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from drd import log
from drd.errors import CatalogueError, DrdError, NotifyError
from drd.flows.durable_steps import describe
from drd.model.cause import with_remedy
from drd.model.message import ChannelSpec
from drd.model.plan import Heartbeat
from drd.model.run import DrillResult, Run, RunKind, RunState
from drd.model.run_details import DrillDetail, RecoveryDetail
from drd.model.units import format_duration
from drd.ports import Catalogue, Clock
from drd.ports.notify import OF_A_PLAN, OpenWatcher, Signal

TRIES = 3
PAUSE_S = 2.0
"""A failed heartbeat is tried again: a missing one raises an alarm."""

_SIGNALS: dict[RunState, Signal] = {
    RunState.SUCCEEDED: "success",
    RunState.PAUSED: "success",  # it came in time and is not a failure; an alert says the rest
    RunState.INCOMPLETE: "fail",
    RunState.FAILED: "fail",
}
"""No heartbeat for a run that was cancelled or interrupted: another one follows, and if not, the
silence shows it."""


@dataclass(frozen=True, slots=True)
class HeartbeatPlan:
    """The part of a plan that heartbeats need: its name, and its own watcher."""

    name: str
    heartbeat: Heartbeat | None = None


class Heartbeats:
    """Sends in order, each address in its own thread. Safe in several threads; call `close` at the
    end."""

    def __init__(
        self,
        catalogue: Catalogue,
        channels: Sequence[ChannelSpec],
        open_watcher: OpenWatcher,
        clock: Clock,
    ) -> None:
        self._catalogue = catalogue
        self.use(channels)
        self._open = open_watcher
        self._clock = clock
        self._mutex = threading.Lock()
        self._addresses: dict[str, _AddressQueue] = {}
        self._alive_at: dict[str, float] = {}

    def use(self, channels: Sequence[ChannelSpec]) -> None:
        """Use these channels of drd.yaml from now on."""
        self._channels = [c for c in channels if c.is_heartbeat]

    def started(self, plan: HeartbeatPlan, kind: RunKind) -> None:
        """A run of the plan has begun."""
        self._send_signal(plan, kind, "start", f"{kind} of {plan.name} started")

    def finished(self, plan: HeartbeatPlan, run: Run, output: Sequence[str] = ()) -> None:
        """A run is over. `output` are the last lines of its output; the last is ours."""
        signal = _SIGNALS.get(run.state)
        if signal is None:
            return
        detail = run.detail
        result: str = DrillResult.PASSED
        if isinstance(detail, DrillDetail | RecoveryDetail) and detail.result is not None:
            result = detail.result
        if result != DrillResult.PASSED:
            signal = "fail"
        took = f" after {format_duration(run.duration_s)}" if run.duration_s is not None else ""
        state = run.state if result == DrillResult.PASSED else result
        error_lines = [with_remedy(run.error, run.detail.remedy)] if run.error else []
        lines = [*output, *error_lines]
        lines.append(f"{run.kind} {run.id} of {plan.name}: {state}{took}")
        self._send_signal(plan, run.kind, signal, "\n".join(lines))

    def alive(self, sentence: str, *, well: bool = True) -> None:
        """Send the daemon's own heartbeats that are due by each address's `every`; call this at
        each tick. While a heartbeat is being sent, the next one to this address is not begun: a
        slow watcher gets fewer."""
        now = self._clock.monotonic()
        for channel in (c for c in self._channels if not c.plans):
            spec = cast("Heartbeat", channel.settings)
            last = self._alive_at.get(channel.name)
            if last is not None and now - last < spec.every_s:
                continue
            address = self._address(channel.name, spec)
            if not address.busy:
                self._alive_at[channel.name] = now
                address.send("success" if well else "fail", sentence)

    def close(self, wait_s: float) -> None:
        """Let current heartbeats end; unsent ones after `wait_s` are dropped."""
        limit = self._clock.monotonic() + wait_s
        for address in list(self._addresses.values()):
            address.join(max(0.0, limit - self._clock.monotonic()))

    def _send_signal(self, plan: HeartbeatPlan, kind: RunKind, signal: Signal, text: str) -> None:
        for name, spec in self._addresses_of(plan):
            if kind in spec.on:
                self._address(name, spec).send(signal, text)

    def _addresses_of(self, plan: HeartbeatPlan) -> list[tuple[str, Heartbeat]]:
        """Return the addresses of drd.yaml that name the plan, and its own."""
        lines = [
            (c.name, cast("Heartbeat", c.settings))
            for c in self._channels
            if c.plans and c.is_for(plan.name)
        ]
        if plan.heartbeat is not None:
            lines.append((f"{OF_A_PLAN}{plan.name}", plan.heartbeat))
        return lines

    def _address(self, name: str, spec: Heartbeat) -> _AddressQueue:
        with self._mutex:
            address = self._addresses.get(name)
            if address is None or address.spec != spec:
                address = _AddressQueue(self._catalogue, name, spec, self._open, self._clock)
                self._addresses[name] = address
            return address


class _AddressQueue:
    """One address: its queue, and a thread while that is not empty."""

    def __init__(
        self,
        catalogue: Catalogue,
        name: str,
        spec: Heartbeat,
        open_watcher: OpenWatcher,
        clock: Clock,
    ) -> None:
        self.spec = spec
        self._catalogue = catalogue
        self._name = name
        self._open = open_watcher
        self._clock = clock
        self._mutex = threading.Lock()
        self._waiting: deque[tuple[Signal, str]] = deque(maxlen=100)
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        return self._thread is not None

    def send(self, signal: Signal, text: str) -> None:
        """Send in the order of the calls; for a slow watcher, the oldest are dropped."""
        with self._mutex:
            self._waiting.append((signal, text))
            if self._thread is None:
                name = f"drd-{self._name}"
                self._thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._thread.start()

    def join(self, timeout_s: float) -> None:
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)

    def _work(self) -> None:
        while True:
            with self._mutex:
                if not self._waiting:
                    self._thread = None
                    return
                signal, text = self._waiting.popleft()
            error = self._send(signal, text)
            self._record(error)

    def _send(self, signal: Signal, text: str) -> DrdError | None:
        """Up to three tries; returns the error of the last, None if one succeeded."""
        error: DrdError | None = None
        for number in range(TRIES):
            if number:
                threading.Event().wait(PAUSE_S)
            error = self._try(signal, text)
            if error is None or error.permanent:
                break
        return error

    def _try(self, signal: Signal, text: str) -> DrdError | None:
        try:
            self._open(self.spec).ping(signal, text)
        except DrdError as error:
            return error
        except Exception as error:  # noqa: BLE001 (a thread has nobody above it)
            return NotifyError(f"{type(error).__name__}: {error}", permanent=True)
        return None

    def _record(self, error: DrdError | None) -> None:
        journal = log.get(channel=self._name)
        why = describe(error) if error is not None else None
        if why is not None:
            journal.warning("heartbeat.failed", error=why.line)
        else:
            journal.debug("heartbeat.sent")
        try:
            self._catalogue.outbox.tried(
                self._name,
                "heartbeat",
                at=self._clock.now(),
                error=why.text if why is not None else None,
                remedy=why.remedy if why is not None else "",
            )
        except CatalogueError as trouble:
            journal.warning("heartbeat.unrecorded", error=describe(trouble).line)
