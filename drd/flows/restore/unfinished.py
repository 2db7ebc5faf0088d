"""What a recovery that stopped in the middle has done so far, and the commands that lead out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drd.flows.restore.kept_copies import noted
from drd.flows.restore.recovery_request import RecoveryRequest
from drd.model.down import NO_EFFECT, in_words, start_commands
from drd.model.plan import Plan
from drd.model.run import Run, StepState
from drd.model.run_details import RecoveryDetail
from drd.model.step_record import RESTORE
from drd.ports import Catalogue


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The components by what has happened to them, and what the run stopped and did not start
    again. The process died while it restored the components `perhaps`. `over` says that it restores
    over production, `undoable` that there are kept copies of what it replaced.
    """

    run: str
    plan: str
    replaced: tuple[str, ...]
    partly: tuple[str, ...]
    perhaps: tuple[str, ...]
    untouched: tuple[str, ...]
    stopped: tuple[str, ...]
    over: bool
    undoable: bool

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Unfinished:
        fields: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in data.items()
        }
        return cls(**fields)

    def words(self) -> str:
        """Return what was already replaced, what was not, and what is stopped."""
        done = "replaced" if self.over else "restored"
        if not self.replaced and not self.partly and not self.perhaps:
            said = [f"nothing was {done}"]
        else:
            said = [f"already {done}: {', '.join(self.replaced)}"] if self.replaced else []
            said += [f"partly {done}: {', '.join(self.partly)}"] if self.partly else []
            said += [f"perhaps {done}: {', '.join(self.perhaps)}"] if self.perhaps else []
            said += [f"not {done}: {', '.join(self.untouched)}"] if self.untouched else []
        said += [f"stopped and not started again: {in_words(self.stopped)}"] * bool(self.stopped)
        return "; ".join(said)

    def ways_out(self) -> str:
        """Return the commands that finish the recovery, or leave it."""
        resume = f"drd resume {self.run}"
        if not self.undoable and not self.stopped:
            return f"resume it: {resume}"
        then = "".join(f", then `{command}`" for command in start_commands(self.stopped))
        if self.undoable:
            return (
                f"to finish it: `{resume}`. To put the old data back: `drd undo {self.run}`{then}"
            )
        return f"to finish it: `{resume}`. To leave it as it is: `drd done {self.run}`{then}"

    def mixture(self) -> str | None:
        """Return what production is now, if it holds data of two times; None otherwise."""
        changed = self.replaced or self.partly or self.perhaps
        if not self.over or not changed or not (self.untouched or self.partly or self.perhaps):
            return None
        return f"recovery {self.run} was not finished: {self.words()}"


def unfinished(catalogue: Catalogue, plan: Plan, run: Run) -> Unfinished:
    """Return how far the recovery came, by its steps and its kept copies. No process carries it
    out now."""
    records = catalogue.steps.of_run(run.id)
    begun = [r for r in records if r.kind == RESTORE and r.subject]
    replaced = {r.subject for r in begun if r.state is StepState.SUCCEEDED}
    partly = {aside.component for aside in noted(catalogue, run) if aside.former}
    died = run.finished_at is None
    perhaps = {r.subject for r in begun if died and r.state is StepState.RUNNING} - partly
    all_of_it = run.detail.begun if isinstance(run.detail, RecoveryDetail) else ()
    names = [n for n in plan.components if n in all_of_it or n in replaced]
    over = RecoveryRequest.of_run(run).over_production
    return Unfinished(
        run.id,
        plan.name,
        replaced=tuple(n for n in names if n in replaced),
        partly=tuple(n for n in names if n in partly - replaced),
        perhaps=tuple(n for n in names if n in perhaps),
        untouched=tuple(n for n in names if n not in partly | replaced | perhaps),
        stopped=stopped_services(catalogue, plan, run),
        over=over,
        undoable=bool(partly) or (died and over and bool(replaced | perhaps)),
    )


def stopped_services(catalogue: Catalogue, plan: Plan, run: Run) -> tuple[str, ...]:
    """Return what steps of the run stopped, and no later step started, by the words of the plan:
    units of the host, and commands."""
    effects = {step.name: step.effect for step in plan.runbook}
    stopped: tuple[str, ...] = ()
    done = [r for r in catalogue.steps.of_run(run.id) if r.state is StepState.SUCCEEDED]
    for record in sorted(done, key=lambda r: r.started_at):
        # a unit that the host does not have was not stopped
        if record.result.to_json().get("down") != []:
            stopped = effects.get(record.name, NO_EFFECT).after(stopped)
    return stopped
