"""Commands print what a daemon of the former version answers, and that of a later one."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from drd.api.alert_documents import alert_document
from drd.api.documents import run_document
from drd.api.evidence_document import evidence_document
from drd.api.findings import doctor_document
from drd.api.outcomes import backup_document
from drd.api.values import error_document
from drd.cli import alerts, backup, checks_table, drill, findings, run, runs
from drd.cli.follow import RunSource
from drd.errors import DrdError
from drd.flows.backup.run import BackupOutcome
from drd.model.alerts import Alert
from drd.model.finding import Finding
from drd.model.run import CheckResult, CheckVerdict, DrillResult, Evidence, Run, RunKind, RunState
from drd.model.run_details import BackupDetail
from drd.model.snapshot import ComponentSnapshot

Output = pytest.CaptureFixture[str]
Version = Callable[[Any], Any]

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FAILED = Run(
    "r1",
    "shop",
    RunKind.BACKUP,
    "manual",
    RunState.FAILED,
    AT,
    finished_at=AT + timedelta(seconds=5),
    detail=BackupDetail(remedy="start it."),
    error="cannot connect\nFATAL: no",
)
CHECK = CheckResult("many", "db", CheckVerdict.PASSED, "1,234", "> 0", bound=True, figure="1234")
EVIDENCE = Evidence(
    "e1",
    "r1",
    "shop",
    "p1",
    "database-loss",
    DrillResult.INCONCLUSIVE,
    "",
    AT,
    AT,
    rpa_s=None,
    rta_s=None,
    judged=True,
    phases={},
    checks=(CHECK,),
    reason="no initdb",
    remedy="set bin_dir.",
)


def _as_now(document: Any) -> Any:
    return document


def _as_of_the_former_version(document: Any) -> Any:
    """Return it without the keys that the former version did not write."""
    if isinstance(document, list):
        return [_as_of_the_former_version(one) for one in document]
    if not isinstance(document, dict):
        return document
    new = {"bound", "figure"}
    if "fact" in document:
        new |= {"fact", "remedy", "subject"}
    if "ok" in document:
        new |= {"text"}
    return {k: _as_of_the_former_version(v) for k, v in document.items() if k not in new}


def _as_of_a_later_version(document: Any) -> Any:
    if isinstance(document, list):
        return [_as_of_a_later_version(one) for one in document]
    if not isinstance(document, dict) or not document:
        return document
    return {**{k: _as_of_a_later_version(v) for k, v in document.items()}, "later": {"key": 1}}


@pytest.fixture(params=[_as_now, _as_of_the_former_version, _as_of_a_later_version])
def version(request: pytest.FixtureRequest) -> Version:
    made: Version = request.param
    return made


@pytest.fixture(autouse=True)
def _state_of_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def opened(*_: Any, **__: Any) -> Iterator[Any]:
        yield SimpleNamespace(state=SimpleNamespace(is_ours=False, owner="drd"))

    for module in (run, backup, drill):
        monkeypatch.setattr(module, "session", opened)


def _args(**given: Any) -> Namespace:
    known = {"json": False, "quiet": False, "follow": False, "plan": "shop", "no_color": True}
    known |= {"by": None, "blind": False}
    return Namespace(**{**known, **given})


def _step() -> dict[str, Any]:
    return {
        "name": "capture db",
        "kind": "capture",
        "subject": "db",
        "state": "failed",
        "attempt": 1,
        "started_at": "2026-01-02T03:04:05Z",
        "finished_at": None,
        "waiting_for": None,
        "wanted": None,
        "command": None,
        **error_document("exit 1\nPANIC", "see its log."),
        "reason": None,
        "by": None,
        "comment": None,
        "self_approved": False,
    }


def test_a_run_and_its_steps(
    version: Version, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    document = {
        **run_document(FAILED),
        "detail": FAILED.detail.to_json(),
        "aside": [],
        "phases": {"fetch_s": 1.0},
        "steps": [_step()],
        "decisions": [],
    }
    answer = version(document)
    source = SimpleNamespace(run=lambda _: answer)
    monkeypatch.setattr(RunSource, "of", staticmethod(lambda _: source))
    assert run.show(_args(run="r1")) == 0
    said = capsys.readouterr().out
    assert "  error      cannot connect\n" in said
    assert "             FATAL: no\n             remedy: start it.\n" in said
    assert said.count("start it.") == 1
    assert "exit 1" in said
    assert "PANIC" not in said


def test_the_list_of_runs_of_an_older_server_is_shown(
    version: Version, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    answer = version({"runs": [run_document(FAILED)]})
    monkeypatch.setattr("drd.cli.remote.document", lambda *_, **__: answer)
    assert runs.run(_args(limit=20)) == 0
    said = capsys.readouterr().out
    assert "cannot connect" in said
    assert "FATAL" not in said


def test_alerts_of_an_older_server_are_shown_with_their_remedy(
    version: Version, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    alert = Alert("a1", "shop", "rpo", "", "firing", "warning", AT, "too old", "drd backup shop")
    document = {"watched": True, "alerts": [{**alert_document(alert), "holds": True}]}
    answer = version(document)
    monkeypatch.setattr("drd.cli.remote.document", lambda *_, **__: answer)
    assert alerts.run(_args(all=False)) == 0
    said = capsys.readouterr().out
    assert "shop: too old" in said
    assert "drd backup shop" in said


def test_findings_of_an_older_server_are_shown_with_their_remedy(
    version: Version, capsys: Output
) -> None:
    finding = Finding("drd", "error", "", "no room", "df -h")
    findings.print_findings([version(doctor_document("shop", finding))], width=4, colour=False)
    said = capsys.readouterr().out
    assert "no room" in said
    assert "HINT: df -h" in said


def test_the_evidence_of_a_drill(version: Version, capsys: Output) -> None:
    read = checks_table.evidence_of(version(evidence_document(EVIDENCE)))
    assert (read.reason, read.remedy) == ("no initdb", "set bin_dir.")
    assert read.checks == (CHECK,)
    checks_table.print_checks(read, colour=False)
    assert "many  1,234 > 0  passed" in capsys.readouterr().out


def _outcome(error: str | None, remedy: str, document: Any) -> Mapping[str, Any]:
    return {
        "kind": "backup",
        "state": "failed",
        **error_document(error, remedy),
        "rpo_s": 60.0,
        "rto_s": 60.0,
        "document": document,
        "run": "r1",
        "plan": "shop",
    }


def test_a_component_that_was_not_captured(
    version: Version, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    row = ComponentSnapshot("db", "postgresql", "failed", error="gone", remedy="r.")
    done = BackupOutcome("r1", "shop", RunState.FAILED, None, (row,))
    answer = version(_outcome("db: gone", "r.", backup_document(done)))
    monkeypatch.setattr(backup, "asked", lambda *_, **__: answer)
    assert backup.run(_args(component=[], accept_size=False, dry_run=False)) == 1
    said = capsys.readouterr().err
    assert "drd: db: gone\n" in said
    assert "r." in said
    assert "remedy:" not in said


def test_a_backup_that_failed_as_a_whole(
    version: Version, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    answer = version(_outcome("no such directory", "create it.", None))
    monkeypatch.setattr(backup, "asked", lambda *_, **__: answer)
    assert backup.run(_args(component=[], accept_size=False, dry_run=False)) == 1
    said = capsys.readouterr().err
    assert "drd: shop: no such directory\n" in said
    assert "create it." in said
    assert "remedy:" not in said


@pytest.mark.parametrize(
    ("error", "remedy", "shown"),
    [
        ("no such directory", "create it.", ("no such directory", "create it.")),
        ("cancelled", "", ("cancelled", "check the run: drd run show r1")),
        (None, "", ("the run ended as failed", "check the run: drd run show r1")),
    ],
)
def test_a_drill_that_failed_as_a_whole(
    version: Version,
    monkeypatch: pytest.MonkeyPatch,
    error: str | None,
    remedy: str,
    shown: tuple[str, str],
) -> None:
    answer = version(_outcome(error, remedy, None))
    monkeypatch.setattr(drill, "asked", lambda *_, **__: answer)
    options = {"point": None, "scenario": None, "repository": None, "component": []}
    with pytest.raises(DrdError) as caught:
        drill.run(_args(kit=None, keep=False, **options))
    assert (caught.value.message, caught.value.hint) == shown
