"""`drd alerts` and `drd ack`, as people and machines use them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from drd.catalogue.sql_catalogue import SqlCatalogue, open_catalogue
from drd.cli.main import main
from drd.model.alerts import Condition, Rules, reconcile
from drd.model.drd_facts import SIGN_OF_LIFE
from drd.model.units import from_rfc3339
from drd.process import actor_here
from tests.catalogue_support import plan

Output = pytest.CaptureFixture[str]
LATE = Condition(
    "backup-overdue", "warning", "", "last backup 13m ago", "drd run show 4f2a", plan="orders-api"
)
DISK = Condition("disk", "critical", "/var", "/var is about to fill", "df -h /var")


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlCatalogue]:
    (tmp_path / "drd.yaml").write_text(
        "state: sqlite:///state/drd.db\nplans: plans\nwork_dir: work\ncache_dir: cache\n"
        "notify: [{kind: webhook, name: hook, url: {env: HOOK}}]\n"
    )
    (tmp_path / "plans").mkdir()
    monkeypatch.setenv("DRD_CONFIG", str(tmp_path / "drd.yaml"))
    made = open_catalogue(f"sqlite:///{tmp_path}/state/drd.db", create=True)
    made.plans.load(plan(), file_digest="f", at=ago(days=1))
    yield made
    made.close()


def ago(**span: float) -> datetime:
    return datetime.now(UTC) - timedelta(**span)


def shown(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def look(
    catalogue: SqlCatalogue,
    at: datetime,
    *conditions: Condition,
    id: str = "a1b2c3d4",  # noqa: A002
) -> None:
    ids = iter((id, "99999999"))
    open_ones = catalogue.alerts.open()
    found = reconcile(conditions, open_ones, at, Rules(), new_id=lambda: next(ids))
    catalogue.alerts.apply(found, at)


@pytest.fixture
def drd(capsys: Output) -> Callable[..., str]:
    """Runs a command; what it said, on either stream, or both of a failed one."""

    def run(*words: str, code: int = 0) -> str:
        assert main(list(words)) == code
        out, err = capsys.readouterr()
        return err if code else out

    return run


@pytest.fixture
def as_json(drd: Callable[..., str]) -> Callable[..., Any]:
    return lambda *words: json.loads(drd(*words, "--json"))


def test_without_alerts_it_says_so(catalogue: SqlCatalogue, drd: Any, as_json: Any) -> None:
    assert drd("alerts") == "no alert is open\n"
    assert drd("alerts", "--all") == "there has been no alert yet\n"
    assert as_json("alerts") == {"schema": 1, "watched": False, "alerts": []}


def test_alerts_without_a_daemon_says_that_nobody_checks(
    catalogue: SqlCatalogue, capsys: Output
) -> None:
    assert main(["alerts"]) == 0
    told = capsys.readouterr().err
    assert "no daemon runs" in told
    assert "systemctl start drd" in told
    catalogue.queue.note(SIGN_OF_LIFE, {"pid": 1}, datetime.now(UTC))
    assert main(["alerts"]) == 0
    assert not capsys.readouterr().err


def test_the_most_severe_alert_is_first_with_its_command(catalogue: SqlCatalogue, drd: Any) -> None:
    late, full = ago(hours=2, seconds=1), ago(minutes=5, seconds=1)
    look(catalogue, late, LATE)
    look(catalogue, full, LATE, DISK, id="e5f60718")
    assert drd("alerts").splitlines() == [
        "2 alerts: 1 critical, 1 warning",
        "",
        "e5f60718  drd: /var is about to fill                                  df -h /var",
        f"          critical, firing since {shown(full)}, 5m 01s ago",
        "a1b2c3d4  orders-api: last backup 13m ago                             drd run show 4f2a",
        f"          warning, firing since {shown(late)}, 2h ago",
    ]


def test_alerts_of_one_plan_leave_out_those_of_others(
    catalogue: SqlCatalogue, drd: Any, as_json: Any
) -> None:
    look(catalogue, ago(minutes=5), LATE, DISK)
    assert [a["kind"] for a in as_json("alerts", "orders-api")["alerts"]] == ["backup-overdue"]
    assert 'there is no plan "order-api"' in drd("alerts", "order-api", code=2)


def test_alerts_as_json_has_every_key_of_an_alert(catalogue: SqlCatalogue, as_json: Any) -> None:
    at = ago(minutes=5)
    look(catalogue, at, LATE)
    document = as_json("alerts")
    assert list(document) == ["schema", "watched", "alerts"]
    [alert] = document["alerts"]
    assert from_rfc3339(alert.pop("since")) == at
    assert alert == {
        "alert": "a1b2c3d4",
        "plan": "orders-api",
        "kind": "backup-overdue",
        "code": "backup-overdue",
        "subject": "",
        "severity": "warning",
        "state": "firing",
        "message": "last backup 13m ago",
        "command": "drd run show 4f2a",
        "text": "last backup 13m ago",
        "remedy": "drd run show 4f2a",
        "acknowledged_by": None,
        "acknowledged_until": None,
        "acknowledged_why": None,
        "acknowledged_actor": None,
        "gone_at": None,
        "resolved_at": None,
        "holds": True,
    }


def test_resolved_alerts_are_shown_on_request(
    catalogue: SqlCatalogue, drd: Any, as_json: Any
) -> None:
    began, gone = ago(minutes=30), ago(minutes=20, seconds=1)
    look(catalogue, began, LATE)
    look(catalogue, gone)
    look(catalogue, ago(minutes=10, seconds=1))
    assert drd("alerts") == "no alert is open\n"
    told = drd("alerts", "--all")
    over = f"the problem ended at {shown(gone)}, 20m 01s ago"
    assert f"a1b2c3d4  orders-api: {over}: last backup 13m ago" in told
    assert f"warning, since {shown(began)}, lasted 9m 59s, resolved" in told
    assert "drd run show" not in told
    [alert] = as_json("alerts", "--all")["alerts"]
    assert (alert["state"], alert["resolved_at"] is None) == ("resolved", False)


def test_an_alert_without_its_condition_is_in_the_past_tense(
    catalogue: SqlCatalogue, drd: Any, as_json: Any
) -> None:
    gone = Condition("repository-gone", "critical", "primary", "primary is gone", plan="orders-api")
    began = ago(minutes=5)
    look(catalogue, began, gone)
    told = drd("alerts")
    assert "orders-api: the problem has ended: primary is gone" in told
    stays = "the daemon resolves the alert if the problem does not return"
    assert f"critical, since {shown(began)}; {stays}" in told
    assert not as_json("alerts")["alerts"][0]["holds"]
    assert "primary is gone" not in drd("status", code=3)

    look(catalogue, ago(minutes=4), LATE, gone, id="e5f60718")
    assert [a["holds"] for a in as_json("alerts")["alerts"]] == [False, True]


@pytest.mark.parametrize("asked", [(), ("orders-api",)])
def test_an_alert_about_a_missing_plan_file_holds_until_the_file_is_back(
    catalogue: SqlCatalogue, drd: Any, tmp_path: Path, asked: tuple[str, ...]
) -> None:
    """What the catalogue knows of the plan does not change when its file goes."""
    file = tmp_path / "plans/orders-api.yaml"
    text = "plan: orders-api\n"
    catalogue.plans.load(
        plan(file=str(file)), file_digest=hashlib.sha256(text.encode()).hexdigest(), at=ago(days=1)
    )
    why = "the plan's file is gone"
    gone = Condition("plan-not-loaded", "warning", "", why, plan="orders-api")
    look(catalogue, ago(minutes=5), gone)
    assert f"orders-api: {why}" in drd("alerts", *asked)
    file.write_text(text)
    assert f"orders-api: the problem has ended: {why}" in drd("alerts", *asked)
    file.with_name("another.yaml").write_text(text)  # drd loads neither
    assert f"orders-api: {why}" in drd("alerts", *asked)


# --- drd ack --------------------------------------------------------------------------------


def test_an_alert_that_somebody_takes_care_of_says_who_and_until_when(
    catalogue: SqlCatalogue, drd: Any, as_json: Any
) -> None:
    look(catalogue, ago(minutes=5), LATE)
    said = drd("ack", "a1", "--by", "anna", "--until", "8h", "--why", "disk ordered")
    user = actor_here().short()  # what the kernel says, beside the name that was claimed
    assert said.startswith(
        f"a1b2c3d4 (orders-api: last backup 13m ago)\nacknowledged by anna ({user}) until"
    )
    [alert] = as_json("alerts")["alerts"]
    assert (alert["state"], alert["acknowledged_by"], alert["acknowledged_why"]) == (
        "acknowledged",
        "anna",
        "disk ordered",
    )
    left = from_rfc3339(alert["acknowledged_until"]) - datetime.now(UTC)
    assert timedelta(hours=7, minutes=59) < left <= timedelta(hours=8)
    shown = drd("alerts")
    assert shown.startswith("1 alert: 1 warning, 1 of them acknowledged\n")
    assert f"acknowledged by anna ({user}) until" in shown
    [told] = catalogue.outbox.waiting("hook")
    assert (told.message.event, told.message.alert) == ("acknowledged", "a1b2c3d4")


def test_ack_as_json_has_the_state_and_its_end(catalogue: SqlCatalogue, as_json: Any) -> None:
    look(catalogue, ago(minutes=5), LATE)
    document = as_json("ack", "a1b2c3d4", "--by", "anna", "--until", "2999-01-01T00:00:00Z")
    assert document["state"] == "acknowledged"
    assert document["acknowledged_until"] == "2999-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("words", "fact", "hint"),
    [
        (["zz", "--by", "anna"], "there is no alert 'zz'", "`drd alerts` lists"),
        (["a1", "--by", " "], "--by is empty", "--by NAME"),
        (
            ["a1", "--by", "a", "--until", "soon"],
            "--until 'soon' is neither a duration nor a time",
            "8h",
        ),
        (
            ["a1", "--by", "a", "--until", "2026-11-25T08:00"],
            "is neither a duration nor a time",
            "08:00:00Z",
        ),
        (["a1", "--by", "a", "--until", "2020-01-01T00:00:00Z"], "Z is in the past", "8h"),
        (["a1", "--by", "a", "--until", "99999999w"], "is too far in the future", "8h"),
        (
            ["a1", "--by", "a", "--until", "9999-12-31T23:59:59-23:59"],
            "is neither a duration nor a time",
            "8h",
        ),
        ([], "the following arguments are required: alert", "drd ack --help"),
    ],
)
def test_a_wrong_option_of_ack_is_refused_with_a_remedy(
    catalogue: SqlCatalogue, drd: Any, words: list[str], fact: str, hint: str
) -> None:
    look(catalogue, ago(minutes=5), LATE)
    said, remedy = drd("ack", *words, code=2).splitlines()
    assert fact in said
    assert hint in remedy
    assert [a.state for a in catalogue.alerts.open()] == ["firing"]


def test_only_people_of_drd_yaml_acknowledge_where_it_names_any(
    catalogue: SqlCatalogue, drd: Any, tmp_path: Path
) -> None:
    look(catalogue, ago(minutes=5), LATE)
    with (tmp_path / "drd.yaml").open("a") as file:
        file.write("people: [{name: anna}, {name: first on call}]\n")
    assert 'did you mean "anna"?' in drd("ack", "a1", "--by", "ana", code=2)
    assert "use one of these names: anna, first on call." in drd("ack", "a1", "--by", "zoe", code=2)
    drd("ack", "a1", "--by", "first on call")


def test_names_and_reasons_cannot_move_the_cursor(catalogue: SqlCatalogue, drd: Any) -> None:
    look(catalogue, ago(minutes=5), LATE)
    said = drd("ack", "a1b2", "--by", "an\x1bna", "--why", "\x1b[2Jgone\x07")
    assert "gone" in said
    assert said.replace("\n", "").isprintable()
