"""Others who use the data that a recovery replaces or has restored, as live applications do."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace

from drd import process
from drd.extension_faults import attributed
from drd.flows.restore.kept_copies import copies_by_component
from drd.flows.restore.own_runs import waiting, with_own_runs
from drd.flows.restore.recovery_plan import RecoveryPlan
from drd.flows.services import Services
from drd.model.finding import Finding, Severity
from drd.model.finding_codes import IN_USE
from drd.model.plan import Plan
from drd.model.restored import Usage
from drd.model.run import Run
from drd.model.runbook import LOOKING, before
from drd.model.snapshot import ComponentSnapshot
from drd.model.text import either, some
from drd.ports import KnowsUsers, NamedDestination
from drd.registry import KINDS

_STOPS_WITH = ("--property=PartOf", "--property=BindsTo", "--property=Requires")


@contextmanager
def only_informing(kind: str) -> Iterator[None]:
    """Suppress every error of a kind in the body: its answers only inform, and others can change
    what it reads, so they must not stop a recovery."""
    with suppress(Exception), attributed("", KINDS.extension(kind)):
        yield


def in_use(
    services: Services, name: str, destination: NamedDestination, snapshot: ComponentSnapshot
) -> list[Usage]:
    """Return the other programs that use the place of a component; empty if drd cannot find out."""
    usages: list[Usage] = []
    with only_informing(snapshot.kind):
        usages += [replace(u, component=name) for u in destination.in_use(snapshot)]
    return with_own_runs(services.catalogue, usages)


def of_kept_copies(
    services: Services, plan: Plan, run: Run, components: Sequence[str] = ()
) -> list[Usage]:
    """Return the programs that use what an undo or redo of the run exchanges: its kept copies, and
    the data at their places."""
    usages: list[Usage] = []
    for name, kept in copies_by_component(services, plan, run):
        with closing(kept), only_informing(plan.components[name].kind):
            if (not components or name in components) and isinstance(kept, KnowsUsers):
                usages += [replace(u, component=name) for u in kept.in_use()]
    return with_own_runs(services.catalogue, usages)


def before_exchange(usage: Usage, what: str) -> str:
    """Return the warning about programs that use what an undo or a redo (`what`) would exchange."""
    if usage.runs:
        wait = waiting(usage)
        wait = f"{wait[0].upper()}{wait[1:]} before the {what}"
        return f"component {usage.component}: {_text(usage)}. {wait}"
    stop, start = _by_hand(usage)
    return f"component {usage.component}: {_text(usage)}. {stop} before the {what}, and {start}"


def findings(
    services: Services,
    plan: RecoveryPlan,
    name: str,
    destination: NamedDestination,
    snapshot: ComponentSnapshot,
) -> Iterator[Finding]:
    """Return findings about programs that use the data that the recovery would replace: an error
    for programs that must end first, unless an earlier step of the runbook could end them."""
    earlier = _earlier(plan, name)
    for usage in in_use(services, name, destination, snapshot):
        missed = earlier.missed(usage) if usage.blocks else ()
        ends = earlier.can_end and not missed and not usage.runs
        severity: Severity = "error" if usage.blocks and not ends else "warning"
        yield Finding(IN_USE, severity, name, _text(usage), _remedy(usage, earlier, missed))


def blocking(
    services: Services, name: str, destination: NamedDestination, snapshot: ComponentSnapshot
) -> Iterator[Finding]:
    """Return the warnings about programs that must end before drd replaces anything at the
    destination."""
    for usage in in_use(services, name, destination, snapshot):
        if usage.blocks:
            yield Finding(IN_USE, "warning", name, _text(usage), _remedy(usage, _Earlier()))


def _text(usage: Usage) -> str:
    return f"{usage.words}: {usage.effect}" if usage.effect else usage.words


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What the runbook does before it restores a component: its steps `stopping` services, whether
    any step `can_end` programs, and the steps that are `left_out`, with the reason `why`. `units`
    are the units that the steps stop, None if drd does not know what one of the steps stops."""

    stopping: tuple[str, ...] = ()
    can_end: bool = False
    left_out: tuple[str, ...] = ()
    why: str = ""
    units: frozenset[str] | None = None

    def missed(self, usage: Usage) -> tuple[str, ...]:
        """Return the units of these programs that no step stops."""
        if not self.units or shutil.which("systemctl") is None:
            return ()
        return tuple(unit for unit in usage.units if not _stops_with(unit, self.units))


def _stops_with(unit: str, stopped: frozenset[str]) -> bool:
    """Return whether systemd stops a unit when it stops one of the `stopped` units."""
    seen, ahead = set[str](), [unit]
    while ahead:
        if (one := ahead.pop()) in stopped:
            return True
        if one not in seen:
            seen.add(one)
            words = ("systemctl", "show", "--value", *_STOPS_WITH, "--", one)
            ahead += process.run(process.Command(words, deadline_s=30.0)).stdout.split()
    return False


def _earlier(plan: RecoveryPlan, name: str) -> _Earlier:
    steps = plan.plan.runbook
    first = next((s.name for s in steps if s.kind == "restore" and name in s.subjects), None)
    names = before(steps)[first] if first is not None else frozenset()
    others = [s for s in steps if s.name in names and s.kind not in LOOKING]
    absent = {s.name: why for s in others if (why := plan.left_out(s)) is not None}
    stops = [s.name for s in others if s.service is not None and s.service.does == "stop"]
    present = [s for s in others if s.name not in absent]
    units = [s.service.unit if s.service and s.service.does == "stop" else None for s in present]
    return _Earlier(
        units=None if None in units else frozenset(_full(unit) for unit in units if unit),
        stopping=tuple(n for n in stops if n not in absent),
        can_end=len(absent) < len(others),
        left_out=tuple(n for n in stops if n in absent),
        why=next((absent[n] for n in stops if n in absent), ""),
    )


def _full(unit: str) -> str:
    return unit if "." in unit else f"{unit}.service"  # as systemctl reads it


def _remedy(usage: Usage, earlier: _Earlier, missed: Sequence[str] = ()) -> str:
    if usage.runs:
        return f"{waiting(usage)} before the recovery"
    if missed:
        stop, start = _by_hand(replace(usage, units=tuple(missed)))
        return (
            f"{stop} before the recovery, and {start}: step {either(earlier.stopping)} of the "
            f"runbook stops only {some(sorted(earlier.units or ()))}. Or add steps `stop` and "
            f"`start` for {some(missed)} to the runbook, which do this"
        )
    if earlier.stopping:
        return (
            f"check that step {either(earlier.stopping)} of the runbook, which comes before "
            "the restore, stops the programs that use the data"
        )
    stop, start = _by_hand(usage)
    by_hand = f"{stop} before the recovery, and {start}"
    if earlier.left_out:
        return (
            f"{by_hand}. This recovery leaves out step {some(earlier.left_out)} of the runbook: "
            f"{earlier.why}"
        )
    return f"{by_hand}. Or add steps `stop` and `start` to the runbook of the plan, which do this"


def _by_hand(usage: Usage) -> tuple[str, str]:
    """Return how a person stops those who use the data, and how they start them afterwards."""
    units = shlex.join(usage.units)
    stop, start = (f"`systemctl {verb} {units}`" if units else "" for verb in ("stop", "start"))
    return (
        stop or "stop the programs that use the data",
        f"{start or 'start them again'} afterwards",
    )
