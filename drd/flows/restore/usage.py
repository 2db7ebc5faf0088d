"""Others who use the data that a recovery replaces or has restored, as live applications do."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from drd.extension_faults import attributed
from drd.flows.restore.recovery_plan import RecoveryPlan
from drd.model.finding import Finding
from drd.model.finding_codes import IN_USE
from drd.model.restored import Usage
from drd.model.runbook import before
from drd.model.snapshot import ComponentSnapshot
from drd.model.text import either
from drd.ports import NamedDestination
from drd.registry import KINDS


@contextmanager
def only_informing(kind: str) -> Iterator[None]:
    """Let nothing that a kind fails at stop a recovery: what is asked here only informs, and others
    can change what it looks at."""
    with suppress(Exception), attributed("", KINDS.extension(kind)):
        yield


def in_use(name: str, destination: NamedDestination, snapshot: ComponentSnapshot) -> list[Usage]:
    """Return who else uses the place of a component; nobody if that cannot be found out."""
    found: list[Usage] = []
    with only_informing(snapshot.kind):
        found += [replace(u, component=name) for u in destination.in_use(snapshot)]
    return found


def findings(
    plan: RecoveryPlan, name: str, destination: NamedDestination, snapshot: ComponentSnapshot
) -> Iterator[Finding]:
    """Return the warnings about those who use what the recovery would replace."""
    for usage in in_use(name, destination, snapshot):
        remedy = _remedy(usage, _stopping(plan, name))
        yield Finding(IN_USE, "warning", name, _text(usage), remedy)


def blocking(
    name: str, destination: NamedDestination, snapshot: ComponentSnapshot
) -> Iterator[Finding]:
    """Return the warnings about those who must end before drd replaces anything there."""
    for usage in in_use(name, destination, snapshot):
        if usage.blocks:
            yield Finding(IN_USE, "warning", name, _text(usage), _remedy(usage, ()))


def _text(usage: Usage) -> str:
    return f"{usage.words}: {usage.effect}" if usage.effect else usage.words


def _stopping(plan: RecoveryPlan, name: str) -> tuple[str, ...]:
    """Return the steps of the runbook that stop something before the component is restored."""
    steps = plan.plan.runbook
    earlier = before(steps)
    first = next((s.name for s in steps if s.kind == "restore" and name in s.subjects), None)
    return tuple(
        s.name
        for s in steps
        if s.service is not None
        and s.service.does == "stop"
        and first is not None
        and s.name in earlier[first]
        and plan.left_out(s) is None
    )


def _remedy(usage: Usage, stopping: tuple[str, ...]) -> str:
    if stopping:
        return (
            f"check that step {either(stopping)} of the runbook stops the programs that use the "
            "data, before the restore"
        )
    units = shlex.join(usage.units)
    stop, start = (f"`systemctl {verb} {units}`" if units else "" for verb in ("stop", "start"))
    return (
        f"{stop or 'stop the programs that use the data'} before the recovery, and "
        f"{start or 'start them again'} afterwards. Or add steps `stop` and `start` to the "
        "runbook of the plan, which do both"
    )
