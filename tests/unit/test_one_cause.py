"""One alert for one cause: what is told of a failed backup until the RPO is kept again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drd.errors import (
    RepositoryDamaged,
    RepositoryMissing,
    RepositoryRefused,
    RepositorySecretUnavailable,
    RepositoryUnreachable,
    SecretUnavailable,
    WrongKey,
)
from drd.model.alert_facts import GoneSecret, PlanMore
from drd.model.alerts import AlertChange, Condition, acknowledged
from drd.model.compliance import assess
from drd.model.conditions import conditions
from drd.model.facts import RepositoryFacts
from drd.model.host_conditions import missing_secret
from drd.model.one_cause import (
    OTHERS_TELL,
    SOURCE_FAILS,
    is_over,
    one_for_each_cause,
    with_logs,
)
from tests.alert_support import NOON, World, after, bad
from tests.status_support import NOW, ago, healthy, repository

FAILED = bad("backup-failing", severity="warning", message="backup failed: no route")
INCOMPLETE = bad(
    "point-incomplete", message="the newest restore point 9b0d is incomplete: db: no route"
)


def rpo(severity: str = "warning", why: str = "backup-failing") -> Condition:
    told = bad("rpo", severity=severity, message="RPO exceeded. Cause: no route")  # type: ignore[arg-type]
    return replace(told, why=why)


def place(kind: str, subject: str, severity: str = "warning") -> Condition:
    return bad(kind, subject=subject, severity=severity)  # type: ignore[arg-type]


def told(*conditions: Condition) -> list[tuple[str, str, str]]:
    return [(c.kind, c.subject, c.severity) for c in one_for_each_cause(conditions)]


@pytest.mark.parametrize("cause", [FAILED, INCOMPLETE])
def test_an_rpo_alert_with_the_same_cause_replaces_the_alert_of_the_cause(cause: Condition) -> None:
    [only] = one_for_each_cause([cause, rpo("critical", cause.kind)])
    assert (only.kind, only.severity, only.also) == ("rpo", "critical", (cause.key,))
    assert told(cause, rpo("critical", "other")) == [
        (cause.kind, "", "warning"),
        ("rpo", "", "critical"),
    ], "with another cause"


def test_the_one_that_tells_is_as_severe_as_the_worst() -> None:
    none = replace(bad("no-point", severity="info"), why="backup-failing")
    assert told(FAILED, none) == [("no-point", "", "warning")]


@pytest.mark.parametrize("severity", ["info", "critical"])
def test_a_repository_that_is_gone_tells_that_there_is_no_point_because_of_it(
    severity: str,
) -> None:
    none = replace(bad("no-point", severity=severity), why="backup-failing")  # type: ignore[arg-type]
    gone = place("repository-gone", "primary", "critical")
    failed = replace(FAILED, why=WrongKey.code)
    [only] = one_for_each_cause([failed, none, gone])
    assert (only.kind, only.severity) == ("repository-gone", "critical")
    assert set(only.also) == {failed.key, none.key}
    other = replace(gone, subject="offsite")
    assert len(one_for_each_cause([none, replace(failed, why="other"), other])) == 2


@pytest.mark.parametrize(
    ("code", "kind", "subject"),
    [
        (RepositoryMissing.code, "repository-gone", "primary"),
        (WrongKey.code, "repository-gone", "primary"),
        (RepositoryDamaged.code, "repository-damaged", "primary"),
        (RepositoryUnreachable.code, "repository-unreachable", "repository primary"),
        (RepositoryRefused.code, "repository-unreachable", "repository primary"),
        (RepositorySecretUnavailable.code, "repository-unreachable", "repository primary"),
    ],
)
def test_a_repository_tells_which_runs_fail_because_of_it(
    code: str, kind: str, subject: str
) -> None:
    there = place(kind, subject)
    backup, prune = replace(FAILED, why=code), replace(place("prune-failing", "primary"), why=code)
    [only] = one_for_each_cause([backup, prune, there])
    assert (only.kind, only.also) == (kind, (backup.key, prune.key))
    other = replace(prune, subject="offsite")
    assert told(other, there) == [
        ("prune-failing", "offsite", "warning"),
        (kind, subject, "warning"),
    ], "another repository"


def test_a_repository_tells_which_copies_from_it_fail_because_of_it() -> None:
    there = place("repository-unreachable", "repository primary")
    failing = replace(
        place("copy-failing", "offsite", "info"),
        why=RepositoryRefused.code,
        places=("offsite", "primary"),
    )
    [only] = one_for_each_cause([failing, there])
    assert (only.subject, only.also) == ("repository primary", (failing.key,))
    own = place("repository-unreachable", "repository offsite")
    [first, second] = one_for_each_cause([failing, there, own])
    assert (first.also, second.also) == ((), (failing.key,)), "the copy itself comes first"
    other = replace(failing, places=("offsite", "archive"))
    assert len(one_for_each_cause([other, there])) == 2


def log_of(subject: str, why: str, *places: str) -> Condition:
    return replace(place("log", subject), why=why, places=places)


def test_a_repository_that_refuses_the_login_has_one_alert_for_all_that_fails() -> None:
    """Of backups, of two copies, of the log and of its copy."""
    code = RepositoryRefused.code
    there = place("repository-unreachable", "repository primary")
    backup = replace(FAILED, why=code)
    copies = [
        replace(place("copy-failing", n, "info"), why=code, places=(n, "primary")) for n in "ab"
    ]
    logs = [log_of("db", code, "primary"), log_of("db in a", code)]
    of_plan = one_for_each_cause([backup, *copies, there])
    [only] = with_logs([*of_plan, *logs])
    assert only.subject == "repository primary"
    assert only.also == tuple(c.key for c in (backup, *copies, *logs))
    late = with_logs([*one_for_each_cause([backup, *copies, there, rpo("critical")]), *logs])
    assert [(c.kind, c.severity) for c in late] == [("rpo", "critical")]
    assert set(late[0].also) == {c.key for c in (backup, *copies, there, *logs)}


def test_a_log_that_fails_for_another_reason_has_its_own_alert() -> None:
    there = place("repository-unreachable", "repository primary")
    for log in (
        log_of("db", "", "primary"),
        log_of("db", RepositoryMissing.code, "primary"),
        log_of("db", RepositoryRefused.code, "other"),
        replace(log_of("db", RepositoryRefused.code, "primary"), plan="another"),
    ):
        assert with_logs([there, log]) == [there, log]


def test_a_secret_of_the_source_is_not_a_fault_of_the_repository() -> None:
    backup = replace(FAILED, why=SecretUnavailable.code)
    assert len(told(backup, place("repository-unreachable", "repository primary"))) == 2


@pytest.mark.parametrize("code", [RepositorySecretUnavailable.code, SecretUnavailable.code])
def test_a_missing_secret_and_what_fails_without_it_are_one_alert(code: str) -> None:
    secret = missing_secret(GoneSecret("/k/restic", NOW, plan=FAILED.plan))
    backup = replace(FAILED, why=code)
    silent = place("repository-unreachable", "repository primary")
    effects = (backup, silent) if code == RepositorySecretUnavailable.code else (backup,)
    teller = effects[-1]
    world = World()
    [(_, _, alert)] = look(world, 0, secret)
    assert look(world, 15, secret, *effects) == []
    assert (world.one.id, world.one.kind) == (alert, teller.kind)
    assert world.one.remedy == f"{secret.remedy}\n{teller.remedy}"
    late = rpo("critical")
    assert look(world, 30, secret, *effects, late) == [("escalated", "rpo", alert)]
    assert world.one.remedy == f"{secret.remedy}\n{late.remedy}"
    assert look(world, 31, *effects, late) == [], "the file is back, and no backup has run yet"
    assert look(world, 32) == []
    assert look(world, 40) == [("resolved", "rpo", alert)]


def test_a_finding_about_a_secret_tells_that_its_file_is_missing() -> None:
    secret = missing_secret(GoneSecret("/k/restic", NOW, plan=FAILED.plan))
    found = place("repository-unreachable", "repository primary: password")
    assert told(secret, replace(found, code="repository-password")) == [
        ("repository-unreachable", "repository primary: password", "warning")
    ]
    with_fact = replace(found, code="repository-password", fact="the file is not there")
    [only] = one_for_each_cause([secret, with_fact])
    assert only.text == found.text, "its own fact belongs to no other name"
    assert len(told(secret, FAILED, found)) == 3, "nothing failed for a secret"


def test_the_alert_of_the_cause_replaces_the_alert_that_retention_waits() -> None:
    paused = replace(bad("retention-paused", severity="info"), why=OTHERS_TELL)
    assert told(paused, FAILED) == [("backup-failing", "", "warning")]
    assert told(paused, FAILED, rpo()) == [("rpo", "", "warning")]
    gone = place("repository-gone", "primary", "critical")
    lost = replace(FAILED, why=WrongKey.code)
    assert told(paused, lost, gone) == [("repository-gone", "primary", "critical")]
    assert told(paused) == [("retention-paused", "", "info")]
    own = replace(paused, why="")
    assert len(told(own, FAILED)) == 2, "it has another reason as well"


def test_failed_backups_tell_that_their_source_cannot_be_read() -> None:
    finding = replace(place("not-ready", "db: reachable"), why=SOURCE_FAILS)
    assert told(finding, FAILED) == [("backup-failing", "", "warning")]
    assert told(finding, INCOMPLETE, rpo("critical", "point-incomplete")) == [
        ("rpo", "", "critical")
    ]
    assert told(finding) == [("not-ready", "db: reachable", "warning")], "no backup was tried"
    unreachable = replace(FAILED, why=RepositoryUnreachable.code)
    assert len(told(finding, unreachable)) == 2, "they fail for another reason"


def test_a_late_backup_tells_that_the_repository_does_not_answer_but_not_that_it_is_gone() -> None:
    silent = place("repository-unreachable", "repository primary")
    backup = replace(FAILED, why=RepositoryUnreachable.code)
    [only] = one_for_each_cause([backup, silent, rpo("critical")])
    assert (only.kind, only.also) == ("rpo", (backup.key, silent.key))
    gone = place("repository-gone", "primary", "critical")
    lost = replace(FAILED, why=RepositoryMissing.code)
    assert told(lost, gone, rpo("critical")) == [
        ("repository-gone", "primary", "critical"),
        ("rpo", "", "critical"),
    ]


def look(world: World, minutes: float, *conditions: Condition) -> list[tuple[str, str, str]]:
    """What is sent, with the kind and the id of the alert."""
    found = world.transitions(after(minutes=minutes), *one_for_each_cause(conditions))
    return [(t.change.value, t.after.kind, t.after.id) for t in found if t.change.event]


def test_a_failed_backup_is_one_alert_until_the_rpo_is_kept_again() -> None:
    world = World()
    note = replace(FAILED, severity="info")
    assert look(world, 0, note) == [("fired", "backup-failing", "a1")]
    assert look(world, 1, FAILED) == [("escalated", "backup-failing", "a1")]
    assert look(world, 2, FAILED, rpo()) == [], "no worse than before"
    assert (world.one.kind, world.one.text) == ("rpo", "RPO exceeded. Cause: no route")
    assert look(world, 3, FAILED, rpo("critical")) == [("escalated", "rpo", "a1")]
    assert look(world, 4, FAILED, rpo("critical")) == []
    assert look(world, 5) == []
    assert look(world, 11) == [("resolved", "rpo", "a1")]
    assert world.alerts == {}


def test_an_acknowledgement_of_a_failed_backup_ends_when_the_rpo_is_exceeded() -> None:
    world = World()
    look(world, 0, INCOMPLETE)
    world.take(acknowledged(world.one, by="anna", until=None, why=None, now=NOON))
    assert look(world, 1, INCOMPLETE, rpo(why="point-incomplete")) == []
    assert world.one.state == "acknowledged"
    assert look(world, 2, INCOMPLETE, rpo("critical", "point-incomplete")) == [
        ("escalated", "rpo", "a1")
    ]
    assert world.one.state == "firing"


def test_while_both_have_alerts_only_the_one_that_tells_is_sent() -> None:
    world = World()
    look(world, 0, FAILED, rpo("critical"))
    assert look(world, 1) == []
    assert look(world, 2, FAILED) == [("fired", "backup-failing", "a2")]
    assert look(world, 3, FAILED, rpo("critical")) == [], "it is open still"
    late = [look(world, 3 + 30 * n, FAILED, rpo("critical")) for n in range(1, 20)]
    assert {kind for sent in late for _, kind, _ in sent} == {"rpo"}, "reminders"
    look(world, 600)
    assert sorted(look(world, 606)) == [
        ("resolved", "backup-failing", "a2"),
        ("resolved", "rpo", "a1"),
    ]


def test_a_cause_that_outlasts_the_rpo_has_an_alert_of_its_own_again() -> None:
    world = World()
    look(world, 0, FAILED, rpo("critical"))
    assert look(world, 1, FAILED) == [("fired", "backup-failing", "a2")]
    assert look(world, 7, FAILED) == [("resolved", "rpo", "a1")]


def test_a_change_of_the_kind_is_recorded_at_once_and_silently() -> None:
    world = World()
    look(world, 0, FAILED)
    [kept] = world.transitions(after(seconds=1), *one_for_each_cause([FAILED, rpo()]))
    assert (kept.change, kept.before and kept.before.kind, kept.after.kind) == (
        AlertChange.KEPT,
        "backup-failing",
        "rpo",
    )


@pytest.mark.parametrize(
    ("lost", "brief"),
    [
        ("gone", "it is gone"),
        ("emptied", "it is empty"),
        ("replaced", "another repository is there"),
        ("shut", "wrong password"),
    ],
)
def test_the_title_of_a_lost_repository_says_in_which_way(lost: str, brief: str) -> None:
    facts = healthy(repositories=(repository(lost=lost, lost_since=ago(60)),))
    found = conditions(assess(facts, NOW), facts, PlanMore(), NOW)
    [gone] = [c for c in found if c.kind == "repository-gone"]
    assert (gone.brief, gone.severity) == (brief, "critical")


# --- the same finding about several subjects ---


def missing(component: str, fact: str, *, target: str = "standby") -> Condition:
    name = f"target {target}: {component}: target"
    made = bad("not-ready", subject=name, message=f"{name}: {fact}")
    return replace(made, code="target", fact=fact)


NOWHERE = "directory /mnt/standby does not exist"


def test_a_directory_that_is_missing_for_three_components_is_one_alert_that_names_them() -> None:
    three = [missing(name, NOWHERE) for name in ("app", "sessions", "conf")]
    other = missing("db", "database shop is not empty")
    first, second = one_for_each_cause([*three, other])
    assert first.subject == "target standby: app: target"
    assert first.text == f"target standby: app, sessions, conf: target: {NOWHERE}"
    assert first.also == tuple(c.key for c in three[1:])
    assert second == other


@pytest.mark.parametrize(
    ("names", "together"),
    [
        (("a", "b"), "a, b"),
        (("drill database-loss", "drill host-loss"), "drill database-loss, drill host-loss"),
        (("t: a: target", "t: a: room"), "t: a: target, room"),
        (("t: a: target", "u: a: target"), "t, u: a: target"),
        (("t: a: x", "u: b: y"), "t: a: x, u: b: y"),
        (("a: x", "t: a: x"), "a, t: a: x"),
        (("t: t", "t: t: t"), "t: t, t: t"),
    ],
)
def test_names_of_findings_are_joined_by_what_differs(
    names: tuple[str, str], together: str
) -> None:
    one, two = (
        replace(bad("not-ready", subject=name, message=f"{name}: {NOWHERE}"), fact=NOWHERE)
        for name in names
    )
    [only] = one_for_each_cause([one, two])
    assert only.text == f"{together}: {NOWHERE}"


def test_what_tells_no_other_keeps_its_text_and_what_it_told_before() -> None:
    alone = replace(FAILED, also=(INCOMPLETE.key,))
    assert one_for_each_cause([alone]) == [alone]


PRIMARY = repository(newest=None, sound=None)
SHUT, AWAY = PRIMARY._replace(lost="shut"), PRIMARY._replace(unreachable="no answer")
COPY = PRIMARY._replace(repository="offsite", copy_of="primary")


@pytest.mark.parametrize(
    ("subject", "repositories", "over"),
    [
        ("", (), False),
        ("", (PRIMARY,), True),
        ("", (SHUT,), False),
        ("", (AWAY,), False),
        ("", (PRIMARY._replace(met=False),), False),
        ("", (COPY,), False),
        ("", (PRIMARY, COPY._replace(lost="gone")), True),
        ("offsite", (SHUT, COPY), True),
        ("offsite", (PRIMARY, COPY._replace(unreachable="no answer")), False),
        ("former", (PRIMARY, COPY._replace(lost="gone")), True),
    ],
)
def test_a_failure_by_a_key_is_over_when_the_repository_that_it_names_opens(
    subject: str, repositories: tuple[RepositoryFacts, ...], *, over: bool
) -> None:
    assert is_over(WrongKey.code, subject, NOON, repositories) is over
    assert not is_over(RepositoryUnreachable.code, subject, NOON, repositories)
    assert not is_over(RepositoryDamaged.code, subject, NOON, repositories)
