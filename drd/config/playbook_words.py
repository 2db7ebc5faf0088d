"""Describe in a sentence what a step of a playbook does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drd.model.runbook import Ask, Live, Notice, OwnRun, Preserving, Step, Wait
from drd.model.units import format_duration
from drd.registry import ACTIONS


def step_words(step: Step, fill: Callable[[str], str] = str) -> str:
    """Return the name of a step, and what it does. `fill` inserts values."""
    words = [f"{step.name}: {fill(deed(step))}"]
    live = step.live or Live()
    if live.before is not None:
        words.append(f"before this step, drd reads the present state: {fill(deed(live.before))}")
    if live.rollback is not None:
        words.append(f"rollback: {fill(deed(live.rollback))}")
    if live.final:
        words.append(f"no rollback: {live.final}")
    if live.expires_s is not None:
        words.append(f"temporary, at most {format_duration(live.expires_s)}")
    if live.new_secret is not None:
        kept = live.new_secret.keeps
        stays = f", and keeps an existing file as {kept}" if kept else ""
        words.append(f"drd writes the new secret to {live.new_secret.file}{stays}")
    return "; ".join(words)


def deed(step: Step) -> str:
    """Describe what a step does, with `${…}` in its written form."""
    settings: Any = step.settings
    if isinstance(settings, Ask):
        whom = f"{settings.role}" if settings.role else "anybody"
        two = " (not the person who starts the run)" if settings.two_person else ""
        verb = "approves" if step.kind == "approve" else "does"
        return (
            f"{whom}{two} {verb}: {settings.text}" if settings.text else f"{whom} {verb} this step"
        )
    if isinstance(settings, Notice):
        return f"tell people: {settings.text}"
    if isinstance(settings, Wait):
        return f"wait {format_duration(settings.seconds)}"
    if isinstance(settings, Preserving):
        what = [settings.plan or "${plan}", *settings.paths]
        if settings.components:
            what[0] += f" ({', '.join(settings.components)})"
        if settings.volatile:
            what[0] = "what soon disappears"
        return f"preserve evidence of {' and '.join(what)}: {settings.reason}"
    if isinstance(settings, OwnRun):
        plan = settings.plan or "${plan}"
        where = f"into {settings.target}" if settings.target else "to its original places"
        if not settings.recovers:
            return f"make a restore point of {plan}"
        clean = ", from before the first sign of incident ${incident}" if settings.clean else ""
        if settings.clean_if_known:
            clean = (
                " from the newest restore point; in a run with an incident, from the newest one "
                "before its first sign"
            )
        return f"recover {plan} {where}{clean}"
    return ACTIONS[step.kind].in_words(settings)
