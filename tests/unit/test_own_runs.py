"""Runs of drd that use data which a recovery or an undo replaces."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from drd.errors import TargetError
from drd.flows.restore.own_runs import with_own_runs
from drd.flows.restore.usage import before_exchange
from drd.kinds.sqlite import open_by
from drd.model.recovered import restarts
from drd.model.restored import Usage
from drd.model.run import Run, RunKind, RunState
from drd.ports import Catalogue
from drd.process.open_files import OWN_UNIT, FileUser, lineage

BACKUP = "3f2a1c3e"


class Runs:
    """A catalogue with one run, which this process executes."""

    def __init__(self) -> None:
        self.queue = self.runs = self
        self.asked = 0

    def open_runs(self) -> list[Run]:
        self.asked += 1
        at = datetime(2026, 11, 30, 12, tzinfo=UTC)
        kinds = {BACKUP: RunKind.BACKUP, "deadbeef": RunKind.DRILL}
        return [Run(i, "shop", k, "schedule", RunState.RUNNING, at) for i, k in kinds.items()]

    def process_of(self, run: Run) -> int | None:
        return os.getpid() if run.id == BACKUP else None


@pytest.fixture
def reader() -> Iterator[int]:
    """A program of the run."""
    with subprocess.Popen(["sh", "-c", "cat; exit 0"], stdin=subprocess.PIPE) as shell:
        yield shell.pid
        assert shell.stdin is not None
        shell.stdin.close()


def named(catalogue: Runs, *usages: Usage) -> list[Usage]:
    return with_own_runs(cast(Catalogue, catalogue), usages)


def test_a_run_of_drd_is_named_apart_from_the_programs_to_stop(reader: int) -> None:
    both = Usage(
        component="data",
        what="/srv/x",
        by=("web (process 1)", f"restic (process {reader}, drd.service)"),
        units=("drd.service",),
        pids=(1, reader),
        effect="the effect",
    )
    others, own = named(Runs(), both)
    assert (others.by, others.effect, others.pids) == (("web (process 1)",), "the effect", ())
    assert OWN_UNIT not in others.units
    assert (own.runs, own.units, own.pids) == ((BACKUP,), (), ())
    assert before_exchange(own, "undo") == (
        f"component data: /srv/x is in use by drd (backup run {BACKUP} of plan shop): this run "
        f"goes on with the old files. Wait until drd has finished this (`drd run show {BACKUP}`), "
        f"or end it (`drd cancel {BACKUP}`), before the undo"
    )


def test_nobody_restarts_the_service_because_a_run_still_reads_replaced_files(reader: int) -> None:
    former = Usage(what="/srv/x", by=("restic",), units=(OWN_UNIT,), pids=(reader,), former=True)
    [own] = named(Runs(), former)
    assert own.effect is None
    assert list(restarts([own])) == []
    assert len(list(restarts([former]))) == 1


def test_programs_without_a_process_or_a_run_stay_as_they_are() -> None:
    runs = Runs()
    sessions = Usage(what='database "shop"', by=("2 sessions of app",))
    assert named(runs, sessions) == [sessions]
    assert runs.asked == 0
    web = Usage(what="/srv/x", by=("web (process 1)",), units=("web.service",), pids=(1,))
    assert named(runs, web) == [Usage(what="/srv/x", by=web.by, units=web.units)]


def test_a_process_descends_from_its_parents(reader: int) -> None:
    assert [*lineage(reader)][:2] == [reader, os.getpid()]


def test_a_file_that_a_run_of_the_service_holds_is_not_freed_by_stopping_the_service(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(open_by, "holder", lambda _: 7)
    monkeypatch.setattr(open_by.FileUser, "of", lambda _: FileUser(7, "python3", OWN_UNIT))
    for require in (open_by.require_unused, open_by.require_unused_for_exchange):
        with pytest.raises(TargetError, match=r"python3 \(process 7, drd.service\)") as refused:
            require(tmp_path / "shop.db")
        assert "drd cancel RUN" in refused.value.hint
        assert "systemctl" not in refused.value.hint
