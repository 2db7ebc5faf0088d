"""Messages, which channels carry them, and what one digest says instead of many."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from drd.model.cause import STOPPED
from drd.model.digest import ENTRIES, SHOWN, digest
from drd.model.instant import InstantDrill, Reading
from drd.model.message import DIGEST, SEVERITIES, Message, is_told, route
from drd.model.run import CheckResult, CheckVerdict, DrillResult, Run, RunKind, RunState
from drd.model.run_details import BackupDetail, DrillDetail
from drd.model.run_message import message_of_run
from tests.catalogue_support import evidence
from tests.notify_support import NOON, channel, message


def test_a_message_comes_back_from_json_as_it_was() -> None:
    whole = message(
        "caf\udce9 \0 東京", alert="a1", run="4f2a", details={"a": [1, None, {"b": 2.5}]}
    )
    assert Message.from_json(json.loads(json.dumps(whole.to_json()))) == whole
    assert Message.from_json(message().to_json()) == message()


def test_the_same_message_has_the_same_id_and_another_has_another() -> None:
    assert message().id == Message.from_json(message().to_json()).id
    later = message(at=NOON + timedelta(microseconds=1))
    others = {m.id for m in (message(), later, message("x"), message(details={"a": 1}))}
    assert len(others) == 4


# --- routing ------------------------------------------------------------------------------------


def names(what: Message, *channels: object) -> list[str]:
    return [name for name, _ in route(what, channels)]  # type: ignore[arg-type]


def test_a_channel_gets_the_events_severities_and_plans_that_it_asked_for() -> None:
    everything = channel("everything")
    grave = channel("grave", severities=("critical",))
    resolved = channel("resolved", on=("resolved",))
    payments = channel("payments", plans=("orders-*", "billing"))
    channels = everything, grave, resolved, payments
    assert names(message(), *channels) == ["everything", "grave", "payments"]
    assert names(message(severity="info"), *channels) == ["everything", "payments"]
    assert names(message(event="resolved"), *channels) == [
        "everything",
        "grave",
        "resolved",
        "payments",
    ]
    assert names(message(plan="shop"), *channels) == ["everything", "grave"]
    assert names(message(plan="billing", severity="warning"), payments) == ["payments"]
    assert names(message(event="backup"), *channels) == []


def test_messages_about_the_daemon_reach_some_channel() -> None:
    for_all, payments = channel("for-all"), channel("payments", plans=("orders-*",))
    assert names(message(plan=""), for_all, payments) == ["for-all"]
    assert names(message(plan=""), payments) == ["payments"]


def test_heartbeats_carry_no_messages() -> None:
    assert (
        names(message(), channel("beat", kind="heartbeat", is_heartbeat=True, on=("firing",))) == []
    )


@pytest.mark.parametrize(
    ("alert", "severity", "expected"),
    [
        ({}, "critical", True),
        ({"severity": "warning"}, "warning", True),
        ({"severity": "info"}, "warning", True),
        ({"severity": "warning"}, "critical", False),
        ({"event": "resolved"}, "warning", True),
        ({"details": {"runs": ["other"]}}, "warning", False),
        ({"details": {}}, "warning", False),
    ],
)
def test_an_alert_that_fires_or_ends_tells_the_end_of_its_run_unless_that_is_graver(
    alert: dict[str, Any], severity: str, expected: bool
) -> None:
    by = message(**{"details": {"runs": ["r1"]}, **alert})
    assert is_told(message(event="drill", run="r1", severity=severity), by) is expected


# --- runs ---------------------------------------------------------------------------------------


def run(
    state: RunState = RunState.SUCCEEDED, kind: RunKind = RunKind.BACKUP, **more: object
) -> Run:
    of_all: dict[str, Any] = {"started_at": NOON - timedelta(seconds=93), "finished_at": NOON}
    return Run(
        id="4f2a0001",
        plan="orders-api",
        kind=kind,
        trigger="schedule",
        state=state,
        **(of_all | more),
    )


def test_a_run_that_never_began_has_no_duration() -> None:
    told = message_of_run(run(RunState.CANCELLED, started_at=None))
    assert told.title == "orders-api: backup cancelled"


def test_a_run_that_succeeded_is_reported_with_its_duration() -> None:
    told = message_of_run(run(detail=BackupDetail(point="p1")))
    assert (told.event, told.plan, told.severity, told.run) == (
        "backup",
        "orders-api",
        "info",
        "4f2a0001",
    )
    assert told.title == "orders-api: backup succeeded after 1m 33s"
    assert (told.at, told.details["duration_s"], told.details["point"]) == (NOON, 93.0, "p1")
    assert told.text == ""


@pytest.mark.parametrize(
    ("state", "kind", "severity"),
    [
        (RunState.FAILED, RunKind.BACKUP, "warning"),
        (RunState.INCOMPLETE, RunKind.BACKUP, "warning"),
        (RunState.INTERRUPTED, RunKind.DRILL, "warning"),
        (RunState.CANCELLED, RunKind.BACKUP, "info"),
        (RunState.FAILED, RunKind.DRILL, "critical"),
        (RunState.FAILED, RunKind.RECOVERY, "critical"),
        (RunState.FAILED, RunKind.PRUNE, "warning"),
    ],
)
def test_the_severity_of_each_outcome(state: RunState, kind: RunKind, severity: str) -> None:
    told = message_of_run(run(state, kind, error="pg_dump cannot connect", subject="offsite"))
    assert told.severity == severity
    assert told.title == f"orders-api: {kind} of offsite {state} after 1m 33s"
    assert told.text == "pg_dump cannot connect"
    assert told.details["error"] == "pg_dump cannot connect"


def test_a_drill_is_reported_with_what_it_measured_and_which_check_failed() -> None:
    bad = CheckResult("orders is populated", "orders-db", CheckVerdict.FAILED, "0", "> 0")
    found = evidence(result=DrillResult.FAILED, checks=(bad,))
    told = message_of_run(run(RunState.FAILED, RunKind.DRILL), found)
    assert told.title == 'orders-api: drill failed: check "orders is populated"'
    assert told.text.splitlines() == [
        'failed: check "orders is populated": 0 (expected > 0)',
        "recovered in 9.6s",
        "the data was 1m 03s old",
    ]
    assert (told.details["rta_s"], told.details["rpa_s"]) == (9.6, 63.0)
    assert told.details["result"] == "failed"


def test_a_drill_that_a_restart_hit_is_not_a_warning_where_drd_repeats_it() -> None:
    def told(trigger: str, code: str = STOPPED.code) -> tuple[str, list[str]]:
        ended = run(RunState.INTERRUPTED, RunKind.DRILL, error=STOPPED.text, error_code=code)
        message = message_of_run(replace(ended, trigger=trigger))
        return message.severity, message.text.splitlines()

    again = "drd repeats this run by itself when the service runs again"
    for trigger in ("schedule", "retry", "catch-up"):
        assert told(trigger) == ("info", [STOPPED.text, again])
    assert told("manual") == ("warning", [STOPPED.text])
    assert told("schedule", "") == ("warning", [STOPPED.text])


def test_the_title_of_a_run_is_shorter_than_80_characters() -> None:
    long = replace(run(RunState.FAILED, RunKind.VERIFICATION, subject="r" * 40), plan="p" * 40)
    title = message_of_run(long).title
    assert len(title) < 80
    assert title.startswith(f"{'p' * 40}: verification of")


def test_a_run_that_waits_on_purpose_is_not_a_failure() -> None:
    told = message_of_run(run(RunState.PAUSED, RunKind.PRUNE))
    assert (told.severity, told.title) == ("info", "orders-api: prune paused after 1m 33s")


def test_a_recovery_that_was_cancelled_is_reported_by_its_state_and_not_by_its_evidence() -> None:
    found = evidence(result=DrillResult.FAILED, rta_s=None, rpa_s=None, checks=())
    told = message_of_run(run(RunState.CANCELLED, RunKind.RECOVERY), found)
    assert told.title == "orders-api: recovery cancelled after 1m 33s"
    assert (told.severity, told.text) == ("info", "")
    assert told.details["point"] == found.point


@pytest.mark.parametrize(
    ("state", "result", "outcome", "severity"),
    [
        (RunState.SUCCEEDED, DrillResult.PASSED, "done, and checks passed", "info"),
        (
            RunState.SUCCEEDED,
            DrillResult.INCONCLUSIVE,
            "done, but no check proved the data",
            "warning",
        ),
        (RunState.FAILED, DrillResult.INCONCLUSIVE, "failed", "critical"),
        (RunState.FAILED, DrillResult.PASSED, "failed", "critical"),
    ],
)
def test_a_recovery_is_reported_by_what_came_back(
    state: RunState, result: DrillResult, outcome: str, severity: str
) -> None:
    """One that stopped before any check failed, whatever the checks can say."""
    told = message_of_run(run(state, RunKind.RECOVERY), evidence(result=result, checks=()))
    assert told.title == f"orders-api: recovery {outcome} after 1m 33s"
    assert (told.severity, told.details["result"]) == (severity, str(result))


def test_a_measured_zero_is_reported_as_well() -> None:
    found = evidence(result=DrillResult.PASSED, rta_s=0.0, rpa_s=0.0, checks=())
    told = message_of_run(run(kind=RunKind.DRILL), found)
    assert told.text.splitlines() == ["recovered in 0s", "the data was 0s old"]


def test_a_recovery_is_reported_with_the_data_that_it_lost() -> None:
    found = evidence(result=DrillResult.PASSED, rta_s=60.0, rpa_s=63.0, checks=())
    told = message_of_run(run(kind=RunKind.RECOVERY), found)
    assert told.text.splitlines() == ["recovered in 1m", "lost: the data of the last 1m 03s"]


def test_a_failed_drill_that_proved_nothing_is_a_warning() -> None:
    found = evidence(result=DrillResult.INCONCLUSIVE, checks=())
    assert message_of_run(run(RunState.FAILED, RunKind.DRILL), found).severity == "warning"


def test_an_instant_drill_is_reported_with_what_it_read_of_each_component() -> None:
    reading = Reading("orders-db", 10, 1000, 1, 7)
    instant = InstantDrill((reading,), 1.0, 2.0)
    found = evidence(result=DrillResult.PASSED, checks=(), instant=instant)
    told = message_of_run(run(kind=RunKind.DRILL), found)
    assert told.text.splitlines()[1] == f"instant drill: orders-db: {reading.words}"


def test_the_reason_of_a_drill_without_a_result_is_reported_with_its_remedy() -> None:
    found = evidence(
        result=DrillResult.INCONCLUSIVE, reason="no room", remedy="free 1 GiB", checks=()
    )
    died = message_of_run(run(RunState.FAILED, RunKind.DRILL, error="it broke"), found)
    assert died.text.splitlines()[0] == "it broke"
    assert died.text.splitlines()[-2:] == ["no room", "remedy: free 1 GiB"]


def test_programs_get_the_facts_of_a_run() -> None:
    detail = BackupDetail(point="p1", remedy="start it")
    told = message_of_run(run(RunState.FAILED, error="it is down", detail=detail))
    assert told.details["fact"] == "it is down"
    assert told.details["remedy"] == "start it"
    assert "start it" in told.details["error"]
    assert (told.details["state"], told.details["subject"]) == ("failed", None)
    assert (told.details["result"], told.details["rta_s"], told.details["rpa_s"]) == (None,) * 3
    fine = message_of_run(run(subject="offsite"))
    assert (fine.details["error"], fine.details["subject"]) == (None, "offsite")


def test_an_inconclusive_drill_is_not_good_news() -> None:
    found = evidence(result=DrillResult.INCONCLUSIVE, reason="no check looked at data")
    told = message_of_run(run(RunState.SUCCEEDED, RunKind.DRILL), found)
    assert told.severity == "warning"
    assert told.title == "orders-api: drill proved nothing after 1m 33s"
    assert "no check looked at data" in told.text


@pytest.mark.parametrize("recorded", [True, False])
def test_the_reason_of_a_drill_is_reported_once(recorded: bool) -> None:
    """Its run has the reason as its error, unless the process died before that was recorded."""
    why = "no space left for the sandbox"
    found = evidence(result=DrillResult.INCONCLUSIVE, reason=why, rta_s=None, rpa_s=None)
    detail = DrillDetail(result="inconclusive" if recorded else None)
    error = why if recorded else "its process died"
    told = message_of_run(run(RunState.FAILED, RunKind.DRILL, error=error, detail=detail), found)
    assert told.text.splitlines() == ([why] if recorded else ["its process died", why])


# --- digests ------------------------------------------------------------------------------------


def alert(number: int, event: str, minutes: float, **more: object) -> Message:
    return message(
        f"alert {number} {event}",
        event=event,
        alert=f"a{number}",
        at=NOON + timedelta(minutes=minutes),
        **more,
    )


def test_a_digest_has_each_alert_in_its_last_state() -> None:
    told = digest(
        [alert(1, "firing", 0), alert(2, "firing", 1), alert(1, "resolved", 5)],
        NOON + timedelta(hours=1),
    )
    assert told.event == DIGEST
    assert told.title == "orders-api: 3 messages in one: 1 firing, 1 resolved meanwhile"
    about = [alert(n, "firing", n, plan=plan) for n, plan in enumerate(("", "a", "b" * 40))]
    assert digest(about, NOON).title == "drd, a and 1 more: 3 messages in one: 3 firing"
    assert told.severity == "critical"
    assert [(e["alert"], e["event"]) for e in told.details["entries"]] == [
        ("a2", "firing"),
        ("a1", "resolved"),
    ]
    assert "alert 2 firing" in told.text
    assert "alert 1 firing" not in told.text
    assert "2026-11-25 12:00 UTC" in told.text


def test_a_digest_says_of_each_open_alert_what_is_wrong() -> None:
    said = {"details": {"message": "RPO exceeded. Cause: " + "no route " * 100}}
    told = digest([alert(1, "firing", 0, **said), alert(2, "resolved", 1, **said)], NOON)
    [line] = [line for line in told.text.splitlines() if "Cause" in line]
    assert line.startswith("  RPO exceeded. Cause: no route no")
    assert len(line) <= 302
    assert line.endswith("…")
    assert [len(e["message"]) <= 300 for e in told.details["entries"]] == [True, True]


def test_a_digest_of_resolved_alerts_is_info() -> None:
    told = digest([alert(1, "firing", 0), alert(1, "resolved", 5)], NOON)
    assert (told.severity, told.title, told.plan) == ("info", "alert 1 resolved", "orders-api")


def test_a_digest_takes_up_the_one_before_without_loss() -> None:
    first = [alert(n, "firing", n) for n in range(4)]
    second = [alert(1, "resolved", 10), alert(5, "firing", 11, severity="warning")]
    at_once = digest([*first, *second], NOON)
    in_two = digest([digest(first, NOON), *second], NOON)
    assert in_two == at_once


def test_runs_are_counted_and_those_that_failed_are_named() -> None:
    good = [
        replace(message_of_run(run()), run=f"r{n}", at=NOON + timedelta(minutes=n))
        for n in range(2000)
    ]
    bad = message_of_run(run(RunState.FAILED, error="no route to host"))
    told = digest([digest(good, NOON), bad], NOON)
    assert told.details["runs"] == {"backup failed": 1, "backup succeeded": 2000}
    assert told.details["messages"] == 2001
    assert [e["title"] for e in told.details["entries"]] == [bad.title]
    assert told.severity == "warning"


def test_however_much_was_missed_a_digest_stays_small_and_keeps_what_matters() -> None:
    told = digest([], NOON)
    for day in range(30):
        fired = [alert(day * 100 + n, "firing", day * 1440 + n) for n in range(100)]
        over = [alert(day * 100 + n, "resolved", day * 1440 + n) for n in range(1, 100)]
        told = digest([told, *fired, *over], NOON + timedelta(days=day))
    assert told.details["messages"] == 30 * 199
    assert len(told.details["entries"]) == ENTRIES
    assert told.details["left_out"] + len(told.details["entries"]) == 3000
    standing = {e["alert"] for e in told.details["entries"] if e["event"] == "firing"}
    assert standing == {f"a{day * 100}" for day in range(30)}
    assert len(json.dumps(told.to_json())) < 100_000
    assert len(told.text.splitlines()) < 50


def test_a_digest_lists_two_hundred_alerts_and_shows_thirty() -> None:
    assert (ENTRIES, SHOWN) == (200, 30)
    told = digest([alert(n, "firing", n) for n in range(SHOWN)], NOON)
    assert told.text.splitlines()[2].endswith(f"firing: alert {SHOWN - 1} firing")
    assert len(told.text.splitlines()) == 2 + SHOWN
    more = digest([alert(n, "firing", n) for n in range(SHOWN + 1)], NOON)
    assert more.text.splitlines()[-1] == "and 1 more; see `drd alerts` and `drd runs`"
    full = digest([alert(n, "firing", n) for n in range(ENTRIES)], NOON)
    assert (len(full.details["entries"]), full.details["left_out"]) == (ENTRIES, 0)
    over = digest([alert(n, "firing", n) for n in range(ENTRIES + 1)], NOON)
    assert (len(over.details["entries"]), over.details["left_out"]) == (ENTRIES, 1)
    assert over.text.splitlines()[-1].startswith(f"and {ENTRIES + 1 - SHOWN} more; ")


def test_a_digest_drops_what_is_over_first_and_what_is_critical_last() -> None:
    many = [alert(n, "firing", n, severity="warning") for n in range(ENTRIES)]
    grave = alert(500, "firing", -2, severity="critical")
    over = alert(501, "resolved", -1, severity="critical")
    kept = {e["alert"] for e in digest([grave, over, *many], NOON).details["entries"]}
    assert "a500" in kept
    assert not kept & {"a501", "a0"}
    assert len(kept) == ENTRIES


def test_a_digest_shows_what_lasts_before_what_is_over_and_the_newest_first() -> None:
    told = digest(
        [alert(1, "firing", 0), alert(2, "resolved", 1), alert(3, "firing", 2)],
        NOON + timedelta(hours=1),
    )
    assert told.text.splitlines()[2:] == [
        "2026-11-25 12:02 UTC  firing: alert 3 firing",
        "2026-11-25 12:00 UTC  firing: alert 1 firing",
        "2026-11-25 12:01 UTC  resolved: alert 2 resolved",
    ]
    assert told.details["since"] == "2026-11-25T12:00:00Z"


def test_a_digest_belongs_to_a_plan_if_all_of_it_does() -> None:
    one, other = alert(1, "firing", 0), alert(2, "firing", 1, plan="billing")
    assert digest([one], NOON).plan == "orders-api"
    assert digest([one, other], NOON).plan == ""


def test_messages_of_neither_an_alert_nor_a_run_stay_apart_in_a_digest() -> None:
    tests = [message(f"test {n}", event="test", severity="info") for n in range(2)]
    told = digest(tests, NOON)
    assert [e["title"] for e in told.details["entries"]] == ["test 0", "test 1"]
    assert (told.title, told.details["runs"]) == ("orders-api: 2 messages in one", {})
    again = digest([digest(tests, NOON), tests[0]], NOON)
    assert [e["title"] for e in again.details["entries"]] == ["test 1", "test 0"]
    assert digest([told], NOON).details["entries"] == told.details["entries"]
    assert again.details["messages"] == 3


def test_a_digest_counts_runs_by_their_result_or_their_state() -> None:
    passed = message_of_run(run(kind=RunKind.DRILL), evidence(result=DrillResult.PASSED))
    stopped = message_of_run(run(RunState.CANCELLED))
    strange = message("copied", event="copy", run="r9", severity="info")
    told = digest([replace(passed, run="r8"), stopped, strange], NOON)
    assert told.details["runs"] == {"backup cancelled": 1, "copy over": 1, "drill passed": 1}
    assert told.details["entries"] == []
    assert (told.severity, told.title) == ("info", "drd: 3 messages in one")
    assert told.text.splitlines()[-4:] == [
        "runs:",
        "  1 backup cancelled",
        "  1 copy over",
        "  1 drill passed",
    ]


def test_severities_go_from_the_worst_down() -> None:
    assert SEVERITIES == ("critical", "warning", "info")
