"""What the values of a plan mean: secrets, times, policies, shares of a kit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drd.model.adopted import Adopted, Stanza
from drd.model.plan import (
    NAME,
    DrillPolicy,
    KitPolicy,
    KitWatch,
    RepositorySpec,
    S3Access,
    SecretRef,
    Sharing,
)
from drd.model.policies import CopyPolicy, RetentionPolicy, Times
from drd.model.proof import plan_hash
from tests.schedule_support import DAY, HOUR, plan, repository


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        (SecretRef("credential", "orders-dsn"), "credential orders-dsn"),
        (SecretRef("file", "/etc/pw"), "file /etc/pw"),
        (SecretRef("command", ("pass", "show", "drd")), "command pass …"),
        (SecretRef("text", "postgresql://u:hunter2@h/db"), "text in the plan"),
    ],
)
def test_a_secret_is_described_by_where_it_is_and_never_by_itself(
    reference: SecretRef, words: str
) -> None:
    assert reference.describe() == words


@pytest.mark.parametrize("name", ["a", "orders-api", "0", "a" * 40])
def test_a_name_of_a_plan_has_at_most_40_plain_characters(name: str) -> None:
    assert NAME.fullmatch(name)
    for wrong in ("", "a" * 41, name + "_", name.upper() + "A", name + "\n"):
        assert NAME.fullmatch(wrong) is None


def test_times_are_regular_with_an_interval_or_a_cron_line() -> None:
    assert (Times().interval_s, Times().is_regular) == (None, False)
    every = Times(every_s=HOUR, longest_gap_s=DAY)
    assert (every.interval_s, every.is_regular) == (HOUR, True)
    cron = Times(cron="0 3 * * *", longest_gap_s=DAY)
    assert (cron.interval_s, cron.is_regular) == (DAY, True)
    assert Times(longest_gap_s=DAY).is_regular is False


def test_a_copy_follows_each_backup_unless_it_has_its_own_times() -> None:
    assert CopyPolicy().follows
    assert not CopyPolicy(by_hand=True).follows
    assert not CopyPolicy(every_s=DAY).follows
    assert not CopyPolicy(cron="0 3 * * *").follows
    assert not CopyPolicy(by_hand=True, every_s=DAY).follows


@pytest.mark.parametrize(
    "rule",
    [{"keep_within_s": 0.0}, *({n: 1} for n in ("last", "hourly", "daily", "weekly", "yearly"))],
)
def test_without_a_rule_everything_is_kept(rule: dict[str, float]) -> None:
    assert RetentionPolicy(every_s=DAY, max_repack_bytes=1).keeps_everything
    assert not RetentionPolicy(**rule).keeps_everything  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "sharing"),
    [("3/5", Sharing(3, 5)), (" 2 / 2 ", Sharing(2, 2)), ("10/12", Sharing(10, 12))],
)
def test_shares_are_those_that_are_needed_of_those_there_are(text: str, sharing: Sharing) -> None:
    assert Sharing.parse(text) == sharing


@pytest.mark.parametrize("text", ["", "3", "1/5", "6/5", "0/0", "3/100", "3/5/7", "-3/5"])
def test_a_split_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a valid number of shares"):
        Sharing.parse(text)


def test_the_kit_of_a_plan_is_watched_before_that_of_the_host() -> None:
    own, hosts = KitWatch("/own", DAY), KitWatch("/hosts", DAY)
    assert KitPolicy(watch=own).watched(hosts) == own
    assert KitPolicy(watch=own, shares=Sharing(2, 3)).watched(hosts) == own
    assert KitPolicy().watched(hosts) == hosts
    assert KitPolicy(shares=Sharing(2, 3)).watched(hosts) is None
    assert KitPolicy().watched(None) is None


def test_settings_about_people_and_notices_do_not_change_the_hash_of_a_plan() -> None:
    keys = ("heartbeat", "kit", "readiness", "training", "review")
    whole = {"components": {"db": 1}, **dict.fromkeys(keys, 1)}
    assert plan_hash(whole) == plan_hash({"components": {"db": 1}})
    for key in keys:
        assert plan_hash({**whole, key: 2}) == plan_hash(whole)
    assert plan_hash({**whole, "components": {"db": 2}}) != plan_hash(whole)


def test_the_primary_is_the_repository_that_is_not_a_copy() -> None:
    copies = {n: repository(n, copy_of="primary") for n in ("offsite", "third")}
    found = plan(repositories={"offsite": copies["offsite"], "primary": repository("primary")})
    assert found.primary.name == "primary"
    assert found.copies == (copies["offsite"],)
    more = replace(found, repositories={**found.repositories, "third": copies["third"]})
    assert [c.name for c in more.copies] == ["offsite", "third"]


def test_a_drill_by_hand_has_no_interval() -> None:
    assert DrillPolicy().interval_s is None
    assert DrillPolicy(every_s=DAY).interval_s == DAY


PASSWORD, KEY = SecretRef("file", "/etc/pw"), SecretRef("env", "KEY")


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({}, None),
        ({"s3": S3Access(ca_cert="/etc/s3.pem")}, "/etc/s3.pem"),
        ({"access": (("ca_cert", "/etc/ca.pem"), ("user", "u"))}, "/etc/ca.pem"),
        ({"access": (("ca_cert", KEY),)}, None),
    ],
)
def test_the_certificates_of_a_server_are_at_its_ca_cert_setting(
    spec: dict[str, S3Access | tuple[tuple[str, SecretRef | str], ...]], path: str | None
) -> None:
    made = RepositorySpec("primary", "rest:https://h/", PASSWORD, **spec)  # type: ignore[arg-type]
    assert made.ca_cert == path


def test_another_file_of_certificates_changes_nothing_else() -> None:
    rest = RepositorySpec(
        "p", "rest:https://h/", PASSWORD, access=(("user", "u"), ("ca_cert", "a"))
    )
    assert rest.trusting("/b").access == (("user", "u"), ("ca_cert", "/b"))
    assert replace(rest.trusting("/b"), access=rest.access) == rest
    s3 = RepositorySpec("p", "s3:https://h/b", PASSWORD, S3Access(access_key=KEY))
    assert s3.trusting("/b").s3 == S3Access(access_key=KEY, ca_cert="/b")
    assert (s3.trusting("/b").ca_cert, s3.trusting("/b").access) == ("/b", ())


@pytest.mark.parametrize(
    ("spec", "secrets"),
    [
        ({}, {"password": PASSWORD}),
        ({"s3": S3Access(access_key=KEY)}, {"password": PASSWORD, "access_key": KEY}),
        (
            {"access": (("key", KEY), ("user", "u"))},
            {"password": PASSWORD, "sftp.key": KEY},
        ),
        ({"adopted": Adopted("restic", "shop")}, {"password": PASSWORD}),
        ({"adopted": Adopted("pgbackrest", "shop", stanza=Stanza("main"))}, {}),
        (
            {"adopted": Adopted("pgbackrest", "shop", stanza=Stanza("main", env=(("K", KEY),)))},
            {"env.K": KEY},
        ),
    ],
)
def test_a_repository_names_the_secrets_that_open_it(
    spec: dict[str, object], secrets: dict[str, SecretRef]
) -> None:
    made = RepositorySpec("primary", "sftp:u@h:/r", PASSWORD, **spec)  # type: ignore[arg-type]
    assert made.secrets() == secrets
    assert made.has_password is ("password" in secrets)
