"""Heartbeats for runs, decided by their row: a plan is read only if its row names a watcher."""

from __future__ import annotations

from collections.abc import Sequence

from drd.bootstrap import App
from drd.errors import DrdError
from drd.flows.alerts.heartbeats import HeartbeatPlan
from drd.model.message import ChannelSpec
from drd.model.plan import Heartbeat
from drd.model.run import Run


class RunHeartbeats:
    """Sends heartbeats for runs to the watchers of their plans. Errors of a plan do not affect its
    run.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._heartbeats = app.channels.heartbeats()
        self._known: dict[str, HeartbeatPlan] = {}

    def use(self, channels: Sequence[ChannelSpec]) -> None:
        """Use these channels of drd.yaml from now on."""
        self._heartbeats.use(channels)

    def started(self, run: Run) -> None:
        self._heartbeats.started(self._heartbeat_plan(run), run.kind)

    def finished(self, run: Run) -> None:
        self._heartbeats.finished(self._heartbeat_plan(run), run)

    def alive(self, sentence: str, *, well: bool) -> None:
        self._heartbeats.alive(sentence, well=well)

    def close(self, wait_s: float) -> None:
        self._heartbeats.close(wait_s)

    def _heartbeat_plan(self, run: Run) -> HeartbeatPlan:
        key = f"{run.plan} {run.plan_digest}"
        if key not in self._known:
            self._known = {k: v for k, v in self._known.items() if v.name != run.plan}
            self._known[key] = HeartbeatPlan(run.plan, self._own_heartbeat(run.plan))
        return self._known[key]

    def _own_heartbeat(self, name: str) -> Heartbeat | None:
        rows = self._app.catalogue.queue.plan_rows([name])
        if not rows or not (rows[0].schedule or {}).get("heartbeat"):
            return None
        try:
            return self._app.plans.in_force(name).heartbeat
        except DrdError:
            return None
