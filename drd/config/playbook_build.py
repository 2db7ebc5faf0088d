"""Make a playbook of a file that was read and checked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

from drd.config.playbook_schema import (
    Acting,
    BackupSettings,
    PlaybookFile,
    PlaybookStep,
    PreserveSettings,
    Reading,
    RecoverSettings,
    RollingBack,
    TaskSettings,
)
from drd.config.runbook import condition_of, free_name, value_of
from drd.config.yaml import Path
from drd.model.down import NO_EFFECT
from drd.model.incidents.due import Due
from drd.model.playbook import Input, Playbook, PlaybookTask
from drd.model.runbook import ROLLBACK, Live, NewSecret, OwnRun, Preserving, Step
from drd.model.snapshot import json_digest
from drd.registry import ACTIONS


def named_steps(file: PlaybookFile) -> Iterator[tuple[TaskSettings, str, PlaybookStep, Path]]:
    """Return each step with its task, its name, given or by its kind, and its place."""
    steps = [
        (task, step, ("tasks", at, "steps", number))
        for at, task in enumerate(file.tasks)
        for number, step in enumerate(task.steps)
    ]
    taken = {step.name for _, step, _ in steps if step.name is not None}
    for task, step, path in steps:
        name = step.name or free_name(step.kind or "step", taken)
        taken.add(name)
        yield task, name, step, path


def build_playbook(file: PlaybookFile, place: str, *, own: bool) -> Playbook:
    """Return the playbook of a sound file."""
    named = list(named_steps(file))
    return Playbook(
        file.playbook,
        file.title,
        file.about.strip(),
        file.use_when.strip(),
        tuple(Input(i.name, i.what, i.secret, i.default) for i in file.inputs),
        tuple(
            PlaybookTask(
                task.name,
                task.text.strip(),
                task.role,
                Due.parse(task.due) if task.due is not None else None,
                tuple(name for of, name, _, _ in named if of is task),
            )
            for task in file.tasks
        ),
        tuple(_step(name, step) for _, name, step, _ in named),
        json_digest(file.model_dump(mode="json", by_alias=True)),
        os.path.abspath(place),  # noqa: PTH100 (keeps symlinks)
        own,
    )


def _step(name: str, step: PlaybookStep) -> Step:
    kind = step.kind
    settings = _own_run(value_of(getattr(step, kind)))
    action = ACTIONS[kind] if kind in ACTIONS.names else None
    return Step(
        name,
        kind,
        settings=settings,
        when=condition_of(step.when) if step.when is not None else None,
        retries=step.retries,
        pause_s=step.pause,
        timeout_s=step.timeout,
        on_failure=step.on_failure or ("continue" if kind == "notify" else "ask"),
        repeat=_may_repeat(step),
        service=action.service(settings) if action is not None else None,
        component=action.component(settings) if action is not None else None,
        effect=action.effect(settings) if action is not None else NO_EFFECT,
        live=_live(name, step),
    )


def _own_run(settings: object) -> object:
    """Return the values of a step that makes a run of its own, in the model's form."""
    if isinstance(settings, BackupSettings):
        return OwnRun(settings.plan or "")
    if isinstance(settings, PreserveSettings):
        what = tuple(settings.components), tuple(settings.paths)
        return Preserving(settings.plan or "", *what, settings.reason, settings.volatile)
    if isinstance(settings, RecoverSettings):
        texts = (settings.plan, settings.target, settings.point, settings.before)
        plan, target, point, before = (text or "" for text in texts)
        return OwnRun(
            *(plan, target, point, before, settings.overwrite),
            recovers=True,
            clean=settings.clean is True,
            clean_if_known=settings.clean == "if-known",
        )
    return settings


def _may_repeat(step: PlaybookStep) -> bool:
    """Return whether a step whose outcome is unknown may run again: after drd has executed its
    `done_when`, or, without `done_when`, at once."""
    if step.repeat is not None:
        return step.repeat == "safe"
    acts = (step.http, step.command, step.sql, step.recover)
    if all(one is None for one in acts) or step.done_when is not None:
        return True  # others look first, or do no harm
    return _only_reads(step)


def _only_reads(step: PlaybookStep) -> bool:
    if step.http is not None:
        return step.http.method in ("GET", "HEAD")
    return step.sql is not None and not step.sql.writes


def _live(name: str, step: PlaybookStep) -> Live:
    before, secret = step.before, step.new_secret
    return Live(
        before=_inner(f"before {name}", before),
        takes=(before.take or "") if before is not None else "",
        rollback=_rollback(name, step.rollback),
        done_when=_inner(f"look {name}", step.done_when),
        final=step.final or "",
        expires_s=step.expires,
        keep=dict(step.keep),
        new_secret=NewSecret(secret.take, secret.file) if secret is not None else None,
        reads=_only_reads(step),
    )


def _rollback(name: str, acting: RollingBack | None) -> Step | None:
    """Return the step that rolls back another step. If nobody knows its outcome, it may run again
    only with `repeat: safe`."""
    step = _inner(f"{ROLLBACK} {name}", acting)
    if step is None or acting is None:
        return None
    check = _inner(f"look {ROLLBACK} {name}", acting.done_when)
    return replace(step, repeat=acting.repeat == "safe", live=Live(done_when=check))


def _inner(name: str, acting: Acting | Reading | None) -> Step | None:
    if acting is None:
        return None
    settings = getattr(acting, acting.kind)
    component = ACTIONS[acting.kind].component(settings)
    return Step(name, acting.kind, settings=settings, timeout_s=acting.timeout, component=component)
