"""The tasks after a recovery, in order. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from drd.model.down import in_words, start_commands
from drd.model.plan import IN_PLACE
from drd.model.recovery_command import recovery_command
from drd.model.restored import BEFORE_USE, Task, Usage
from drd.model.run_details import RecoveryDetail
from drd.model.text import noun, some

OLDER_POINT = "older-point"
"""The code of the task to recover another point, because the data of this one is damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A recovery that has ended. `back`: everything was restored, and no step has failed; `failed`:
    a check has failed. `started` are the services that steps of its runbook started, `stopped` the
    services that steps stopped and did not start again; the start of the units `not_started`
    failed. `keeps`: there are kept copies of the replaced data. `outlived`: there is a restore
    point with later data than the restored one, and no new point since the recovery; `unbacked`:
    the recovery replaced production, and there is no new point since. `older` is the id of the next
    older restore point, if the data of the restored one is damaged."""

    run: str
    plan: str
    file: str
    detail: RecoveryDetail
    back: bool
    failed: bool
    started: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    not_started: tuple[str, ...] = ()
    keeps: bool = False
    outlived: bool = False
    unbacked: bool = False
    older: str = ""


def tasks(ended: Ended) -> tuple[Task, ...]:
    """Return what a person has to do now, in order."""
    if not ended.back:
        resume = f"drd resume {ended.run}"
        on = Task(code="resume", text="continue the recovery", command=resume)
        if ended.older:
            on = replace(on, text="continue with the same restore point, once its data is repaired")
            return (*map(_see_why, ended.not_started), _choose_older(ended), on)
        return (*map(_see_why, ended.not_started), on)
    return tuple(_tasks(ended))


def _tasks(ended: Ended) -> Iterator[Task]:
    detail, part = ended.detail, ended.detail.part
    if ended.failed:
        yield _failed_check(ended)
    yield from restarts(detail.usage)
    yield from _before_use(ended)
    yield _application(ended)
    if part is None or part.into is None or part.takes_own_name:
        yield from (task for task in detail.tasks if task.code not in BEFORE_USE)
    else:
        text = (
            "delete the copy when nobody needs it any more: the copy also contains personal data "
            "that was erased from the service after the backup"
        )
        yield Task(code="drop", text=text)
    if part is None and (ended.outlived or (ended.unbacked and not ended.failed)):
        yield _backup(ended)
    if part is None:
        yield _kit(ended)
    if ended.keeps:
        yield Task(
            code="done",
            text="when everything works, remove the kept copies for good",
            command=f"drd done {ended.run}",
        )


def _see_why(unit: str) -> Task:
    text = f"find out why {unit} does not start, and correct the cause"
    return Task(code="start", text=text, command=f"journalctl -u {shlex.quote(unit)} -n 20")


def _choose_older(ended: Ended) -> Task:
    command = recovery_command(ended.plan, replace(ended.detail, point=ended.older))
    text = (
        "recover the next older restore point instead, because the data of this one cannot "
        f"be restored. To see all restore points: drd points {ended.plan}"
    )
    return Task(code=OLDER_POINT, text=text, command=command)


def _before_use(ended: Ended) -> Iterator[Task]:
    """The owners of the data and their rights, before its programs start; once for all of their
    components."""
    for code in BEFORE_USE:
        wanted = [replace(t, component=None) for t in ended.detail.tasks if t.code == code]
        yield from dict.fromkeys(wanted)


def _failed_check(ended: Ended) -> Task:
    live = "; ".join(u.words for u in ended.detail.usage if not u.former)
    text = (
        "find out why the check failed, before you keep or undo the restored data. If there is "
        "more data than at the backup, the application has probably written it after the restore"
        f"{f' ({live})' if live else ''}: that is no reason to undo"
    )
    return Task(code="checks", text=text, command=f"drd run show {ended.run}")


def restarts(usages: Iterable[Usage]) -> Iterator[Task]:
    """Return one task for each group of programs that still use replaced data, however many files
    they have open. Runs of drd end by themselves."""
    groups: dict[tuple[str | None, tuple[str, ...]], list[Usage]] = {}
    for one in usages:
        if one.former and not one.runs:
            groups.setdefault((one.component, one.by), []).append(one)
    for same in groups.values():
        yield restart(replace(same[0], what=", ".join(str(one.what) for one in same)))


def restart(usage: Usage) -> Task:
    """Return the task for programs that still use replaced data."""
    command = f"systemctl restart {shlex.join(usage.units)}" if usage.units else None
    text = f"restart {some(usage.by)}, because the replaced data is still in use: {usage.what}"
    return Task(code="restart", component=usage.component, text=text, command=command)


def _application(ended: Ended) -> Task:
    detail, part = ended.detail, ended.detail.part
    if part is not None and part.takes_own_name:
        text = (
            "add the foreign keys and triggers that the notes of this recovery name as left out. "
            "Then check that the application works with the table, which has its own name again"
        )
        return Task(code="application", text=text)
    if part is not None and part.into is not None:
        text = "compare the copy with the live data, and copy from it what you need"
        return Task(code="compare", text=text)
    if part is not None:
        return Task(code="application", text="restart or reload the programs that use this data")
    if ended.stopped:
        command = " && ".join(start_commands(ended.stopped)) or None
        text = "start what the runbook has stopped, and check that it works: "
        text += in_words(ended.stopped)
        return Task(code="application", text=text, command=command)
    if ended.started:
        steps = f"{noun(len(ended.started), 'step')} {some(ended.started)}"
        text = f"check that the application works. The runbook has started it ({steps})"
    elif _is_over_production(detail):
        text = (
            "start the application, if it is stopped, and check that it works. Its data is at "
            "the same place as before"
        )
    else:
        text = "point the application to these places, start it, and check that it works"
    return Task(code="application", text=text)


def _backup(ended: Ended) -> Task:
    text = "back up the restored data, and see that drd can read everything of it"
    if ended.outlived:
        text = (
            "back up the restored data: until then, the newest restore point has the data that "
            "this recovery replaced"
        )
    return Task(code="backup", text=text, command=f"drd backup {ended.plan}")


def _is_over_production(detail: RecoveryDetail) -> bool:
    return detail.target == IN_PLACE or detail.in_place


def _kit(ended: Ended) -> Task:
    """A kit has the plan, its secrets and the addresses of its targets."""
    text = "make a new recovery kit, if a host, an address or a password has changed"
    if not _is_over_production(ended.detail):
        text = (
            f"if the service stays there, write the new places into `components` of {ended.file}; "
            "then make a new recovery kit"
        )
    return Task(code="kit", text=text, command=f"drd kit export {ended.plan} --to FILE")
