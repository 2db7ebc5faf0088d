"""The checks of a step share what their questions have opened, and programs find it closed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd.errors import (
    DrdError,
    RepositoryDamaged,
    TargetError,
    TargetNotEmpty,
    TargetUnwritable,
    ToolMissing,
)
from drd.flows.components import restored_checks
from drd.flows.components.restored_checks import restore_failures, run_checks
from drd.model.run import CheckResult, CheckVerdict
from drd.ports.destinations import DumpUnusable


class _Inspector:
    def __init__(self, events: list[str]) -> None:
        self.events = events

    @contextmanager
    def kept(self) -> Iterator[None]:
        self.events.append("open")
        yield
        self.events.append("closed")


class _Check:
    def __init__(self, events: list[str]) -> None:
        self.events = events

    def run(self, spec: Any, context: Any) -> list[CheckResult]:
        self.events.append(spec.name)
        return [CheckResult(spec.name, spec.component, CheckVerdict.PASSED, "1", "1")]


def test_programs_of_the_plan_find_no_server_of_drds_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(restored_checks, "believed_directory", lambda *_: tmp_path)
    events: list[str] = []
    kinds = {"a": "sql", "b": "rows", "c": "command", "d": "command", "e": "sql", "f": "sql"}
    checks = [SimpleNamespace(name=n, kind=k, component="it") for n, k in kinds.items()]
    inspector = _Inspector(events)
    work = SimpleNamespace(
        services=SimpleNamespace(
            clock=SimpleNamespace(now=lambda: datetime.now(UTC)),
            is_root=False,
            run_as=None,
            checks=lambda _: _Check(events),
            kinds=lambda _: SimpleNamespace(spec=SimpleNamespace(properties="")),
            catalogue=SimpleNamespace(evidence=SimpleNamespace(newest=lambda _: [])),
        ),
        plan=SimpleNamespace(
            name="shop", checks=checks, components={"it": SimpleNamespace(kind="postgres")}
        ),
        point=SimpleNamespace(id="0" * 8),
        runner=SimpleNamespace(run=SimpleNamespace(id="0" * 8)),
        destinations={"it": SimpleNamespace(inspector=lambda: inspector)},
        restored={"it": SimpleNamespace(overtaken=False, differences=(), reached="")},
        errors={},
        fences=None,
        part=None,
    )
    rows = run_checks(cast("Any", work), [c.name for c in checks if c.name != "f"]).checks
    assert [row.name for row in rows] == ["a", "b", "c", "d", "e"]
    assert events == ["open", "a", "b", "closed", "c", "d", "open", "e", "closed"]


def test_checks_know_the_data_time_after_a_replay() -> None:
    noon, later, end = (datetime(2026, 11, 27, hour, tzinfo=UTC) for hour in (12, 13, 14))

    def restored(**more: Any) -> SimpleNamespace:
        return SimpleNamespace(**{"overtaken": True, "data_time": None, **more})

    work = SimpleNamespace(
        restored={
            "plain": restored(overtaken=False, data_time=noon),
            "whole": restored(),
            "short": restored(data_time=later),
            "to a transaction": restored(),
        },
        logs={
            "whole": SimpleNamespace(data_time=end),
            "short": SimpleNamespace(data_time=end),
            "to a transaction": SimpleNamespace(data_time=None),
        },
    )
    assert restored_checks._replayed(cast("Any", work)) == {
        "whole": end,
        "short": later,
        "to a transaction": None,
    }


@pytest.mark.parametrize(
    ("error", "of_a_drill", "of_a_recovery"),
    [
        (TargetError("a server works in this directory"), True, False),
        (TargetNotEmpty("the target is not empty"), True, False),
        (DumpUnusable("the dump is cut off"), True, True),
        (RepositoryDamaged("the file does not have its sha256"), True, True),
        (TargetUnwritable("no right to write"), False, False),
        (ToolMissing("psql is not installed"), False, False),
    ],
)
def test_a_target_that_refuses_a_recovery_is_no_fault_of_the_data(
    error: DrdError, *, of_a_drill: bool, of_a_recovery: bool
) -> None:
    """Else the recovery proposes an older point, which the same target would refuse as well."""
    for fences, about_the_data in ((object(), of_a_drill), (None, of_a_recovery)):
        work = SimpleNamespace(errors={"it": error}, landed={"it"}, fences=fences)
        [row] = restore_failures(cast("Any", work))
        assert (row.verdict, row.looked_at_data) == (CheckVerdict.FAILED, about_the_data)


def test_a_restore_that_did_not_read_all_data_is_no_fault_of_the_data() -> None:
    work = SimpleNamespace(errors={"it": RepositoryDamaged("x")}, landed=set(), fences=None)
    [row] = restore_failures(cast("Any", work))
    assert not row.looked_at_data
