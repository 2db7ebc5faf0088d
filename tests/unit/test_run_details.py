"""What a run's row has of its kind, as values with types."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import drd
from drd.model import run_details
from drd.model.malformed import Malformed
from drd.model.pauses import Pause
from drd.model.run import RunKind
from drd.model.run_details import (
    AskedOptions,
    BackupDetail,
    DrillDetail,
    KitDetail,
    ReadinessDetail,
    RecoveryDetail,
    RetentionDetail,
    RunDetail,
    VerificationDetail,
)
from drd.model.single_item import Part
from tests.source import parsed

DRD = Path(drd.__file__).parent
_HELD = frozenset({"detail", "result"})
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


def test_each_type_of_value_is_read() -> None:
    found = BackupDetail.from_json(
        {"why": "", "timeout_s": 60, "took_s": 0.5, "permanent": True, "components": ["a", "b"]}
    )
    assert (found.why, found.timeout_s, found.took_s) == ("", 60.0, 0.5)
    assert isinstance(found.timeout_s, float)
    assert (found.permanent, found.components) == (True, ("a", "b"))
    assert RunDetail.from_json({"bytes": 0, "permanent": False}).bytes == 0
    drilled = DrillDetail.from_json({"tools": {"restic": "0.18"}})
    assert drilled.tools == {"restic": "0.18"}
    kit = KitDetail.from_json({"made_at": "2026-11-27T12:00:00Z"})
    assert kit.made_at == NOON


@pytest.mark.parametrize("kind", RunKind)
def test_each_kind_of_run_has_a_class(kind: RunKind) -> None:
    assert run_details.read(kind, {}).kind == kind


def test_only_given_fields_of_a_detail_are_written() -> None:
    assert BackupDetail(components=("a",)).to_json() == {"components": ["a"]}
    assert BackupDetail(point=None, bytes=0).to_json() == {"point": None, "bytes": 0}
    assert RunDetail().to_json() == {}


def test_the_end_of_a_recovery_changes_nothing_of_its_request() -> None:
    asked = RecoveryDetail(target="spare", point="p1", asked_at=NOON)
    end = RecoveryDetail(
        result="failed",
        bytes=1,
        permanent=True,
        untouched=True,
        took_s=2.0,
        rolled_back=("a",),
        remedy="b",
        error_code="tool-missing",
    )
    assert asked.merged(end).request() == asked
    assert asked.merged(end).outcome() == end


def test_sparse_fields_are_not_written_when_they_say_nothing() -> None:
    said = RecoveryDetail(target="spare", before=None, in_place=False, part=None, repository=None)
    assert said.to_json() == {"target": "spare", "before": None}
    assert DrillDetail(components=(), fence=None).to_json() == {"fence": None}
    assert RunDetail(error_code="").to_json() == {"error_code": ""}
    assert RunDetail(error_code=None).to_json() == {}


def test_only_these_fields_of_details_are_left_out_when_empty() -> None:
    classes = [type(run_details.read(kind, {})) for kind in RunKind]
    sparse = {
        f"{cls.__name__}.{field.name}"
        for cls in (RunDetail, AskedOptions, *classes)
        for field in fields(cls)
        if field.init and not cls(**{field.name: default_of(field)}).to_json()
    }
    shared = {
        f"{cls.__name__}.{name}"
        for cls in (RunDetail, *classes)
        for name in ("error_code", "untouched")
    }
    assert sparse == shared | {
        "AskedOptions.blind",
        "BackupDetail.consistency",
        "PlaybookDetail.rehearsal",
        *(f"DrillDetail.{name}" for name in ("components", "by", "blind", "operator")),
        *(
            f"RecoveryDetail.{name}"
            for name in (
                "repository",
                "scenario",
                "in_place",
                "part",
                "clean_for",
                "log",
                "proof",
            )
        ),
        *(f"RetentionDetail.{name}" for name in ("force", "clock_is_right", "by")),
        *(f"KitDetail.{name}" for name in ("file", "sha256", "away", "proof")),
    }


def default_of(field: Any) -> Any:
    return field.default if field.default is not MISSING else field.default_factory()


def test_unknown_keys_of_a_read_detail_do_not_count_in_its_equality() -> None:
    written, read = RunDetail(point="ab"), RunDetail.from_json({"point": "ab", "x": 1})
    assert written == read
    assert "json" not in repr(read)


def test_values_come_back_as_they_were() -> None:
    said = RecoveryDetail(
        target="spare", lost_at=NOON, components=("a",), part=Part(tables=("t",)), bytes=7
    )
    row = said.to_json()
    assert row["lost_at"] == "2026-11-27T12:00:00Z"
    assert run_details.read("recovery", row) == said


def test_a_row_is_shown_as_it_is_with_unknown_keys() -> None:
    row = {"point": "ab", "from a later version": [1], "components": ["a"], "permanent": None}
    read = run_details.read("backup", row)
    assert read.to_json() == row
    assert (read.point, read.permanent) == ("ab", False)


def test_the_end_adds_to_the_beginning() -> None:
    begun = run_details.read("drill", {"point": "ab", "scenario": "host-loss", "x": 1})
    over = begun.merged(DrillDetail(result="passed", point=None))
    assert over.to_json() == {"point": None, "scenario": "host-loss", "x": 1, "result": "passed"}
    failed = begun.merged(RunDetail(permanent=True, error_code="bug", remedy=None))
    assert isinstance(failed, DrillDetail)
    assert (failed.scenario, failed.permanent, failed.remedy) == ("host-loss", True, None)


def test_null_is_not_known_and_no_points_are_none() -> None:
    assert run_details.read("verification", {"affected": None}) == VerificationDetail(affected=None)
    assert run_details.read("verification", {"affected": []}) == VerificationDetail(affected=())


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("backup", {"bytes": "many"}),
        ("backup", {"bytes": True}),
        ("backup", {"components": "a"}),
        ("backup", {"components": [1]}),
        ("backup", {"timeout_s": "long"}),
        ("backup", {"permanent": "no"}),
        ("backup", {"asked": "by the schedule"}),
        ("backup", {"asked": {"components": {"a": 1}}}),
        ("drill", {"point": 5}),
        ("drill", {"fence": {"held": []}}),
        ("drill", {"tools": ["restic"]}),
        ("recovery", {"lost_at": "yesterday"}),
        ("recovery", {"part": {"tables": []}}),
        ("retention", {"pauses": [{"code": "rpo"}]}),
        ("readiness", {"findings": [{}]}),
        ("readiness", {"findings": {"a": 1}}),
        ("kit", {"made_at": 5}),
    ],
)
def test_a_value_of_another_type_is_named(kind: str, row: dict[str, Any]) -> None:
    [key] = row
    with pytest.raises(Malformed, match=f"^{key} cannot be "):
        run_details.read(kind, row)


def test_rows_of_older_versions_are_read() -> None:
    rekey = run_details.read("rekey", {"to": {"source": "file", "value": "/key"}})
    assert rekey.to_json() == {"to": {"source": "file", "value": "/key"}}
    kit = run_details.read("kit", {"sha256": "ab"})
    assert isinstance(kit, KitDetail)
    assert kit.made_at is None
    found = {"name": "repository primary", "ok": False, "detail": "it is gone", "hint": "look"}
    looked = run_details.read("readiness", {"findings": [found], "readiness": "not ready"})
    assert isinstance(looked, ReadinessDetail)
    [judged] = looked.findings
    assert (judged.finding.text, judged.finding.failed) == ("it is gone", True)
    assert looked.to_json()["findings"] == [found]


def test_options_that_were_asked_for_are_written_as_they_were_given() -> None:
    asked = AskedOptions.from_json({"components": ["a"], "accept_size": True})
    assert asked == AskedOptions(components=("a",), accept_size=True)
    assert RunDetail(asked=asked).to_json() == {"asked": {"components": ["a"], "accept_size": True}}


def test_pauses_are_written_in_full() -> None:
    pause = Pause("rpo", "warning", "", "too old", "back up")
    row = RetentionDetail(pauses=(pause,)).to_json()
    assert row == {
        "pauses": [
            {
                "code": "rpo",
                "severity": "warning",
                "subject": "",
                "text": "too old",
                "remedy": "back up",
                "hint": "back up",
            }
        ]
    }
    older = {"pauses": [{"code": "rpo", "text": "too old", "hint": "back up"}]}
    assert run_details.read("retention", older) == RetentionDetail(pauses=(pause,))
    assert run_details.read("retention", row) == RetentionDetail(pauses=(pause,))


def _reads_by_key(source: str, names: frozenset[str] = _HELD) -> Iterator[str]:
    """Every place that takes something out of a `detail` or a `result` by its key. `names` are
    those that a variable of that kind has."""
    for node in ast.walk(parsed(source if any(n in source for n in names) else "")):
        match node:
            case ast.Subscript(value=of) if _is_held(of, names):
                yield ast.unparse(node)
            case ast.Call(func=ast.Attribute(value=of, attr="get" | "items" | "keys" | "pop")) if (
                _is_held(of, names)
            ):
                yield ast.unparse(node)
            case ast.Compare(ops=[ast.In() | ast.NotIn()], comparators=[of]) if _is_held(of, names):
                yield ast.unparse(node)
            case ast.Dict(keys=keys, values=values):
                yield from (
                    ast.unparse(node)
                    for key, value in zip(keys, values, strict=True)
                    if key is None and _is_held(value, names)
                )


def _is_held(node: ast.AST, names: frozenset[str]) -> bool:
    match node:
        case ast.Name(id=name):
            return name in names
        case ast.Attribute(attr="detail" | "result"):
            return True
        case ast.Subscript(slice=ast.Constant(value="detail" | "result")):
            return True
    return False


def _variables(module: Path) -> frozenset[str]:
    """In plans and tables for the terminal, `result` is something else."""
    return _HELD - {"result"} if module.parts[0] in ("config", "cli") else _HELD


def test_only_the_classes_read_what_a_run_or_a_step_holds_by_key() -> None:
    tables = {  # where rows are merged, and where old ones are made new
        "catalogue/runs.py: {**row.detail, **run.detail.to_json()}",
        "catalogue/runs.py: {**row.detail, **detail.to_json()}",
    }
    found = {
        f"{module.relative_to(DRD)}: {place}"
        for module in DRD.rglob("*.py")
        if "migrations" not in module.parts
        for place in _reads_by_key(module.read_text(), _variables(module.relative_to(DRD)))
    }
    assert found == tables


@pytest.mark.parametrize(
    "source",
    [
        'run.detail["point"]',
        'detail.get("point")',
        'run["detail"]["point"]',
        '"point" in run.detail',
        '"point" not in detail',
        "{**run.detail, 'a': 1}",
        "[k for k in run.detail.items()]",
        'record.result["notes"]',
        'step.result.get("point")',
        'result["checks"]',
        '"fetch_s" in record.result',
        "{**record.result, 'a': 1}",
    ],
)
def test_reading_by_key_is_seen_in_every_form(source: str) -> None:
    assert list(_reads_by_key(source))
