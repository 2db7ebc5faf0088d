"""Runs of drd among the programs that use data: a person waits for them, and does not stop the
service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from drd.model.restored import Usage
from drd.model.run import Run
from drd.model.text import some
from drd.ports import Catalogue
from drd.process.open_files import lineage, unit_of

_MUST_END = "this run must end before drd replaces the file"
_GOES_ON = "this run goes on with the old files"


def with_own_runs(catalogue: Catalogue, usages: Sequence[Usage]) -> list[Usage]:
    """Return the usages, with the runs of drd named as such, each apart from other programs."""
    if not any(usage.pids for usage in usages):
        return list(usages)
    runs = _running(catalogue)
    return [named for usage in usages for named in _named(usage, runs)]


def waiting(usage: Usage) -> str:
    """Return what a person does about runs of drd that use data, without what comes after it."""
    shows = some([f"`drd run show {run}`" for run in usage.runs], len(usage.runs))
    ends = some([f"`drd cancel {run}`" for run in usage.runs], len(usage.runs))
    return f"wait until drd has finished this ({shows}), or end it ({ends}),"


def _running(catalogue: Catalogue) -> Mapping[int, Run]:
    """Return the runs that processes of this host execute, by the process."""
    open_runs = catalogue.queue.open_runs()
    return {pid: run for run in open_runs if (pid := catalogue.runs.process_of(run)) is not None}


def _named(usage: Usage, runs: Mapping[int, Run]) -> Iterator[Usage]:
    of = {pid: next((runs[p] for p in lineage(pid) if p in runs), None) for pid in usage.pids}
    own = {run.id: run for run in of.values() if run is not None}
    if not own:
        yield replace(usage, pids=())
        return
    others = [(by, pid) for by, pid in zip(usage.by, usage.pids, strict=True) if of[pid] is None]
    if others:
        units = dict.fromkeys(filter(None, (unit_of(pid) for _, pid in others)))
        yield replace(usage, by=tuple(by for by, _ in others), units=tuple(units), pids=())
    effect = _MUST_END if usage.blocks else _GOES_ON
    yield replace(
        usage,
        by=tuple(f"drd ({run.kind} run {run.id} of plan {run.plan})" for run in own.values()),
        units=(),
        effect=None if usage.former else effect,
        pids=(),
        runs=tuple(own),
    )
