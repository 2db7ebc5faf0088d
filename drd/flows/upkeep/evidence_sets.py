"""Sets of preserved evidence that exist: finding, verifying, exporting and releasing them, each
with its entry in the chain of custody."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from drd.errors import (
    DrdError,
    PointGone,
    RepositoryUnreachable,
    TargetError,
    UsageError,
)
from drd.exhaustion import system_reason
from drd.flows.durable_steps import Runner, new_run
from drd.flows.incidents.texts import reason_of
from drd.flows.incidents.writing import Desk
from drd.flows.repository import adopted
from drd.flows.repository.identity import confirm
from drd.flows.services import Services
from drd.flows.state import crash_cleanup
from drd.flows.state.run_dirs import run_directory
from drd.flows.state.run_removal import swept_afterwards
from drd.flows.upkeep.digests import digest_lines, other_lines
from drd.model.incidents import entries as kinds
from drd.model.incidents.entries import draft
from drd.model.incidents.preservation import Act, Preserved, preserved
from drd.model.plan import Plan, RepositorySpec
from drd.model.run import RunKind, RunState
from drd.model.run_details import PreservationDetail
from drd.model.strict import UnexpectedValue, snapshot_id
from drd.model.text import counted, escaped, some
from drd.ports import Repository
from drd.process import rights

TAG = "drd-evidence"
"""Marks these snapshots. They do not have the tag `drd`, which all restore points have."""
DIGESTS = "SHA256SUMS"
TREE = "tree"
"""The item of a set that lists links, empty directories and special files."""
OTHERS = "OTHERS"
"""The file in this item, which is the list."""
_NAMED = 20


def spec_of(plan: Plan, name: str | None) -> RepositorySpec:
    """Return the repository of this name; without a name, the repository of the backups. Raises
    UsageError."""
    adopted.refuse(plan, "preserve evidence in its repository")
    if name is None:
        return plan.primary
    if name not in plan.repositories:
        raise UsageError(
            f"plan {plan.name} has no repository {name!r}",
            hint=f"its repositories: {some(plan.repositories, 10)}",
        )
    return plan.repositories[name]


@contextmanager
def working(
    services: Services, plan: Plan, desk: Desk, spec: RepositorySpec, act: Act
) -> Iterator[tuple[Runner, Repository, Path]]:
    """A run of its own, with the repository and a directory that is removed at the end."""
    with running(services, plan, desk.number, act, spec.name) as (runner, stage):
        repository = services.open_repository(spec)
        confirm(services, repository)
        yield runner, repository, stage


@contextmanager
def running(
    services: Services, plan: Plan, incident: int | None, act: Act, subject: str
) -> Iterator[tuple[Runner, Path]]:
    """A run of its own, with a directory that is removed at the end."""
    crash_cleanup.settle(services, plan)
    detail = PreservationDetail(incident=incident, act=str(act))
    with (
        new_run(
            services,
            plan,
            RunKind.PRESERVATION,
            trigger="manual",
            detail=detail,
            subject=subject,
        ) as runner,
        swept_afterwards(services, runner.run.id),
    ):
        stage = run_directory(services, runner.run.id) / "evidence"
        stage.mkdir(mode=0o700)
        yield runner, stage
        if not services.catalogue.runs.get(runner.run.id).state.final:
            services.catalogue.runs.finish(
                runner.owned, RunState.SUCCEEDED, at=services.clock.now(), detail=detail
            )


def find(desk: Desk, name: str) -> Preserved:
    """Return the set whose id begins with `name`. Raises UsageError."""
    there = preserved(desk.entries())
    matching = [one for one in there if one.id.startswith(name)]
    if len(matching) != 1:
        raise UsageError(
            f"incident {desk.number} has no preserved evidence {name!r}"
            if not matching
            else f"the ids of several sets of preserved evidence begin with {name!r}",
            hint=f"to list them: drd incident preserve {desk.number} --list",
        )
    return matching[0]


def verify(services: Services, plan: Plan, desk: Desk, which: Preserved) -> tuple[str, ...]:
    """Read a whole set again, and record whether each file is as it was taken. Return a sentence
    for each difference."""
    _require_whole(which)
    spec = spec_of(plan, which.repository)
    with working(services, plan, desk, spec, Act.VERIFIED) as (_, repository, stage):
        wrong = _wrong(repository, which, stage, plan.name, keep=False)
        record(services, desk, Act.VERIFIED, which.id, {"wrong": wrong[:_NAMED]})
    return tuple(wrong)


def export(
    services: Services, plan: Plan, desk: Desk, which: Preserved, into: Path
) -> tuple[str, ...]:
    """Write a set into a new directory, with the list of digests, and record the export. Return a
    sentence for each file that has changed since it was taken: then nothing is recorded."""
    _require_whole(which)
    spec = spec_of(plan, which.repository)
    into = into.absolute()  # the programs of root's command begin in another directory
    _make_new(into)
    with working(services, plan, desk, spec, Act.EXPORTED) as (_, repository, _stage):
        wrong = _wrong(repository, which, into, plan.name, keep=True)
        if not wrong:
            where = escaped(str(into.resolve()))
            record(services, desk, Act.EXPORTED, which.id, {"to": where})
    return tuple(wrong)


def _make_new(directory: Path) -> None:
    """Make a directory, which belongs to the owner of the state. Raises UsageError."""
    try:
        if os.path.lexists(directory):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        rights.make_for_owner(directory)
    except OSError as error:
        raise UsageError(
            f"cannot make the directory {escaped(str(directory))}: {system_reason(error)}",
            hint="name a new directory: --output DIR",
        ) from None


def release(services: Services, plan: Plan, desk: Desk, which: Preserved, reason: str) -> int:
    """Record that a set is not held any more, and forget its snapshots; the next prune removes
    their data. Returns the number of forgotten snapshots. After a kill, the same call continues.
    Raises UsageError if nothing is left to do, and PointGone if the snapshots are gone and no
    verification has recorded that."""
    spec, why = spec_of(plan, which.repository), reason_of(reason)
    with working(services, plan, desk, spec, Act.RELEASED) as (_, repository, _stage):
        left = _there(repository, which, plan.name)
        if which.is_released and not left:
            raise UsageError(
                f"preserved evidence {which.id} was released already",
                hint=f"to see its chain of custody: drd incident preserve {desk.number} --list",
            )
        if not left and which.is_whole and not (which.altered or which.is_released):
            raise PointGone(
                f"repository {spec.name} has no snapshot of preserved evidence {which.id}",
                hint="if the repository was moved, write its former URL in the plan, and run the "
                "command again. If the snapshots are gone, record this first: drd incident "
                f"preserve {desk.number} --verify {which.id}",
            )
        if not which.is_released:
            record(services, desk, Act.RELEASED, which.id, {"reason": why})
        repository.forget(left)
        kept = _there(repository, which, plan.name)
        if kept:
            services.warn(
                f"{counted(len(kept), 'snapshot')} of {which.id} are still in {spec.name}: the "
                "repository does not let drd forget snapshots"
            )
    return len(left) - len(kept)


def _require_whole(which: Preserved) -> None:
    if not which.is_whole or which.is_released:
        raise UsageError(
            f"preserved evidence {which.id} is {which.state}",
            hint="preserve the evidence again: drd incident preserve"
            if not which.is_whole
            else "choose another set: after the release, drd does not keep this set.",
        )


def _there(repository: Repository, which: Preserved, plan: str) -> list[str]:
    """Return the snapshots of a set. drd finds them by their tags, because an entry could name
    snapshots of a restore point."""
    tags = [TAG, f"run:{which.id}"]
    return [one.id for one in repository.snapshots(host=plan, tags=tags, fresh=True)]


def _wrong(
    repository: Repository, which: Preserved, stage: Path, plan: str, *, keep: bool
) -> list[str]:
    """Compare a set with its list of digests, and return what differs. With `keep`, its files and
    the list stay in `stage`. Raises TargetError if `stage` has no room for the files."""
    there = set(_there(repository, which, plan))
    data = _read_digests(repository, which, there)
    if data is None:
        return ["the list of digests is missing, or is not the list that drd stored"]
    output: list[bytes] = []
    others: list[bytes] = []
    listed: bytes | None = None
    wrong: list[str] = []
    for item in which.items:
        try:
            _require_there(item.snapshot, there)
            with restored(repository, stage, item.name, item.snapshot, keep=keep) as into:
                output += digest_lines(stage, into)
                others += other_lines(stage, into)
                if item.name == TREE:
                    listed = (into / OTHERS).read_bytes()
        except (TargetError, RepositoryUnreachable):
            raise  # this says nothing about what is stored
        except DrdError as error:
            wrong.append(f"{item.name}: {error.message}")
    if keep:
        (stage / DIGESTS).write_bytes(data)
    expected = set(data.splitlines())
    for line in sorted(expected ^ set(output), key=lambda one: one.partition(b"  ")[2]):
        name = escaped(os.fsdecode(line.partition(b"  ")[2]))
        how = "is missing or has changed" if line in expected else "is new or has changed"
        wrong.append(f"{name} {how}")
    if listed is not None:  # a set of an older drd has no list
        wrong += _differing(set(listed.split(b"\0")) - {b""}, set(others))
    return wrong


def _differing(listed: set[bytes], found: set[bytes]) -> Iterator[str]:
    for line in sorted(listed ^ found):
        how = "is missing or has changed" if line in listed else "is new or has changed"
        kind, _, name = line.partition(b" ")
        words = _KINDS.get(kind, "special file")
        yield f"{words} {escaped(os.fsdecode(name.removesuffix(b' // ')))} {how}"


_KINDS = {b"l": "link", b"d": "empty directory"}


@contextmanager
def restored(
    repository: Repository, stage: Path, item: str, snapshot: str, *, keep: bool = False
) -> Iterator[Path]:
    """Restore a snapshot below `stage`, and yield the new directory. It is removed afterwards,
    unless `keep` is set."""
    into = stage / item
    into.mkdir(mode=0o700)
    try:
        repository.restore(snapshot, into)
        yield into
    finally:
        if not keep:
            shutil.rmtree(into, ignore_errors=True)


def _read_digests(repository: Repository, which: Preserved, there: set[str]) -> bytes | None:
    try:
        _require_there(which.digests, there)
        data = repository.read_file(which.digests, DIGESTS)
    except DrdError:
        return None
    return data if hashlib.sha256(data).hexdigest() == which.sha256 else None


def _require_there(snapshot: str, there: set[str]) -> None:
    try:
        known = snapshot_id(snapshot, "the snapshot") in there
    except UnexpectedValue:
        known = False
    if not known:
        raise PointGone(
            f"snapshot {escaped(snapshot[:8])} is not in the repository any more",
            hint="find out who removed this snapshot.",
        )


def record(services: Services, desk: Desk, act: Act, name: str, body: dict[str, Any]) -> None:
    """Record an act. Its time is now: the command may have begun long ago."""
    author = replace(desk.author, at=services.clock.now())
    said = {"act": str(act), "set": name, **body}
    desk.catalogue.incidents.add(
        desk.number, lambda _: [draft(kinds.PRESERVE, desk.number, author, said)]
    )
