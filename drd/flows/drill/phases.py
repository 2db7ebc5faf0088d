"""The phases of a drill. Each hands a frozen value on to the next one, and the value of the last
phase that was reached makes the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime

from drd import process
from drd.flows.components.fence import report
from drd.flows.components.restoration import Restoration
from drd.flows.components.restored_checks import row_of_spread
from drd.flows.drill.coverage import unproven
from drd.flows.drill.instant import WHOLE, Amount, said
from drd.flows.drill.request import DrillRequest
from drd.flows.durable_steps import Runner
from drd.flows.repository.signatures import said_in_evidence
from drd.flows.restore.point_choice import Choice
from drd.flows.runbook.engine import Engine
from drd.flows.runbook.outcome import rehearsed
from drd.flows.services import Services
from drd.model.cause import Cause
from drd.model.consistency import measured
from drd.model.instant import Reading
from drd.model.plan import OPERATOR, Plan
from drd.model.recovery_phases import Span, split
from drd.model.run import PARTIAL_DRILL, CheckResult, DrillResult, Evidence
from drd.model.runbook import SANDBOX
from drd.model.snapshot import RestorePoint, evidence_id


@dataclass(frozen=True, slots=True)
class RunBegun:
    """The run has begun, on this host. `only` are the repositories that it may read, None: all."""

    services: Services
    plan: Plan
    request: DrillRequest
    runner: Runner
    t0: datetime
    only: tuple[str, ...] | None

    def evidence(self, result: DrillResult, why: Cause | None) -> Evidence:
        run, request = self.runner.run.id, self.request
        return Evidence(
            id=f"{run[:4]}-{run}",
            run=run,
            plan=self.plan.name,
            point=None,
            scenario=PARTIAL_DRILL if request.components else str(request.scenario),
            target=SANDBOX if request.components else None,
            result=result,
            plan_digest=self.plan.proof,
            started_at=self.t0,
            finished_at=self.services.clock.now(),
            rpa_s=None,
            rta_s=None,
            judged=False,
            phases={},
            checks=(),
            reason=why.text if why is not None else None,
            remedy=why.remedy if why is not None else "",
            repository=request.repository or "",
        )


@dataclass(frozen=True, slots=True)
class FencesReady:
    """The fences for code that comes with the data are there."""

    begun: RunBegun
    fences: process.Fences

    def evidence(self, result: DrillResult, why: Cause | None) -> Evidence:
        fence = report(self.fences, self.begun.plan)
        return replace(self.begun.evidence(result, why), fence=fence)


@dataclass(frozen=True, slots=True)
class HostReady:
    """The host that restores is ready: this host, or, in a drill of host-loss, a host from the kit.

    `plan` is the plan of that host, `proof` the hash that its evidence carries. `own_services`
    belong to that host: its catalogue knows the points. `work_services` open the same repositories,
    but record in this host's catalogue. `checks` and `spans` are about making the host.
    """

    fenced: FencesReady
    plan: Plan
    proof: str
    work_services: Services
    own_services: Services
    checks: tuple[CheckResult, ...] = ()
    spans: tuple[Span, ...] = ()

    @property
    def begun(self) -> RunBegun:
        return self.fenced.begun

    def evidence(self, result: DrillResult, why: Cause | None) -> Evidence:
        return replace(
            self.fenced.evidence(result, why),
            plan=self.plan.name,
            plan_digest=self.proof,
            fence=report(self.fenced.fences, self.plan),
            checks=self.checks,
        )


@dataclass(frozen=True, slots=True)
class PointChosen:
    """The point is chosen, and how much of it is restored."""

    host: HostReady
    choice: Choice
    amount: Amount = WHOLE

    @property
    def begun(self) -> RunBegun:
        return self.host.begun

    def evidence(self, result: DrillResult, why: Cause | None) -> Evidence:
        point = self.choice.point
        return replace(
            self.host.evidence(result, why),
            id=evidence_id(point, self.begun.runner.run.id),
            point=point.id,
            signature=said_in_evidence(self.host.own_services.catalogue, point),
            judged=self.choice.newest,
            data_time=point.data_time,
            checks=self.checks,
        )

    @property
    def checks(self) -> tuple[CheckResult, ...]:
        """What is known before anything is restored: about the host, and whether the components
        that belong together have data of the same moment."""
        if self.begun.request.components:
            return self.host.checks
        times = {one.component: one.data_time for one in self.choice.point.components}
        spreads = measured(self.host.plan.consistency, times)
        return (*self.host.checks, *map(row_of_spread, spreads))


@dataclass(frozen=True, slots=True)
class RunbookBegun:
    """The runbook is being executed. `tools` are the versions of the programs that take part."""

    chosen: PointChosen
    work: Restoration
    engine: Engine
    tools: Future[Mapping[str, str]]

    @property
    def begun(self) -> RunBegun:
        return self.chosen.begun

    def evidence(self, result: DrillResult, why: Cause | None) -> Evidence:
        by_people = self.engine.around.asks_people
        coverage, left_out = rehearsed(self.engine.steps, self.engine.outcome, grants=not by_people)
        is_part = bool(self.begun.request.components)
        return replace(
            self.chosen.evidence(result, why),
            checks=(*self.chosen.checks, *self.engine.check_results),
            not_rehearsed=left_out,
            coverage=coverage,
            given_by=tuple(self.work.holders.used),
            unproven=() if is_part else unproven(self.work, self.engine),
        )


@dataclass(frozen=True, slots=True)
class RunbookEnded:
    """The runbook has ended, at `ended` by the monotonic clock. `rows` are all that it shows;
    `read` says what an instant drill has read."""

    restoring: RunbookBegun
    ended: float
    rows: tuple[CheckResult, ...]
    read: tuple[Reading, ...] = ()

    @property
    def begun(self) -> RunBegun:
        return self.restoring.begun

    @property
    def checks(self) -> tuple[CheckResult, ...]:
        """The results by which the drill is judged."""
        return (*self.restoring.chosen.checks, *self.rows)

    def evidence(self, result: DrillResult, why: Cause | None) -> Evidence:
        evidence = self.restoring.evidence(result, why)
        if why is None:
            evidence = replace(evidence, checks=self.checks)
        work, point = self.restoring.work, self.restoring.chosen.choice.point
        phases = split(work.spans, work.begun, self.ended, idle="serve")
        if why is not None or work.errors or not self.restoring.engine.outcome.through:
            return replace(evidence, phases={name: s for name, s in phases.items() if s})
        # How long people took says nothing about the machine, which later plans rely on.
        people_s = phases.get("decide_s", 0.0) if self.begun.request.scenario == OPERATOR else 0.0
        measured = replace(
            evidence,
            rpa_s=(self.begun.t0 - _data_time(work, point)).total_seconds(),
            rta_s=round(max(0.0, self.ended - work.begun - people_s), 3),
            phases=phases,
            restored_bytes=point.bytes_of(work.restored),
        )
        return said(measured, self.read, self.restoring.chosen.amount.last)


def _data_time(work: Restoration, point: RestorePoint) -> datetime:
    """Return of when the oldest restored data is: a log that was replayed has newer data."""
    at = point.data_time
    return min((r.data_time or at for r in work.restored.values()), default=at)


Phase = RunBegun | FencesReady | HostReady | PointChosen | RunbookBegun | RunbookEnded
