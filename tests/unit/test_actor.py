"""Who stands behind a process or a peer, and whether two of them are one person."""

from __future__ import annotations

import os
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drd.cli.decide import who
from drd.config.daemon import DaemonSettings
from drd.errors import UsageError
from drd.model.actor import Actor, Sameness, compare, compare_all
from drd.process import UNKNOWN_LOGIN, Login, actor_here, actor_of_peer


def actor(uid: int, login_uid: int | None, *, known: bool = True) -> Actor:
    return Actor(uid, f"u{uid}", login_uid, "db1", "terminal", login_known=known)


def own_user(login_uid: int | None) -> Actor:
    return replace(actor(38, login_uid), service=True)


SAME, OTHER, UNKNOWN = Sameness.SAME, Sameness.OTHER, Sameness.UNKNOWN


@pytest.mark.parametrize(
    ("one", "another", "expected"),
    [
        (actor(1000, 1000), actor(1001, 1001), OTHER),
        (actor(1000, 1000), actor(1000, 1000), SAME),
        (actor(0, 1000), actor(1000, 1000), SAME),  # sudo in between
        (actor(0, 1000), actor(0, 1001), OTHER),  # two people, both by sudo
        (actor(0, 1000), actor(1001, 1000), SAME),  # sudo -u of the other one
        (actor(1000, None), actor(1001, 1001), OTHER),  # no audit: the users are all there is
        (actor(1000, None), actor(1000, 1000), SAME),
        (actor(1000, 1002), actor(1000, 1001), SAME),  # two logins, one shared user
        (actor(0, None), actor(1001, 1001), UNKNOWN),
        (actor(0, None), actor(0, None), UNKNOWN),
        (own_user(None), actor(1001, 1001), UNKNOWN),
        (own_user(None), own_user(None), SAME),
        (own_user(1000), actor(1001, 1001), OTHER),  # sudo -u drd after a login
        (actor(0, 0), actor(0, 0), SAME),  # a login as root
        (actor(0, 0), actor(1001, 1001), OTHER),
        (None, actor(1001, 1001), UNKNOWN),  # recorded by an older drd
        (actor(1000, None, known=False), actor(1001, 1001), UNKNOWN),  # could not be read
        (actor(1000, None, known=False), actor(1000, 1000), SAME),
    ],
)
def test_persons_by_login_then_by_user(
    one: Actor | None, another: Actor | None, expected: Sameness
) -> None:
    assert compare(one, another) is expected
    assert compare(another, one) is expected


def test_one_of_several_operators_is_enough() -> None:
    anna, bert, nobody = actor(1000, 1000), actor(1001, 1001), actor(0, None)
    assert compare_all([anna, bert], bert) is SAME
    assert compare_all([anna, nobody], bert) is UNKNOWN
    assert compare_all([anna], bert) is OTHER
    assert compare_all([], bert) is OTHER
    assert compare_all([nobody, bert], bert) is SAME
    assert compare_all([None], bert) is UNKNOWN


def test_claims_are_kept_beside_the_kernels_facts() -> None:
    here = actor_here({"SUDO_USER": "eve"}, by="the boss")
    assert (here.uid, here.came) == (os.getuid(), "terminal")
    assert (here.claimed_user, here.claimed_by) == ("eve", "the boss")
    assert here.words().endswith("; claimed: SUDO_USER eve and --by the boss")
    assert here.user != "eve"
    assert Actor.from_json(here.to_json()) == here


def test_own_user_is_no_person_without_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here works root, or the user whose state it is: others ask the daemon."""
    monkeypatch.setattr("os.getuid", lambda: 38)
    monkeypatch.setattr("drd.process.actors.login_of", lambda _: Login(None))
    here = actor_here({}, by="carla")
    assert (here.service, here.person) == (True, None)
    assert ", drd's own user, without a login, by a command on" in here.words()
    assert Actor.from_json(here.to_json()) == here
    peer = actor_of_peer(38, Login(None))
    assert (peer.service, peer.person, actor_of_peer(39, Login(None)).person) == (True, None, 39)
    settings = DaemonSettings("", Path(), Path(), Path(), users={"eve": "Carla"})
    with pytest.raises(UsageError, match="maps carla to the user eve, but you are the"):
        who(Namespace(by="carla"), settings)
    assert who(Namespace(by="dora"), settings)["by"] == "dora"
    monkeypatch.setattr("os.getuid", lambda: 0)
    assert who(Namespace(by="carla"), settings)["actor"].service is False


def test_who_may_be_anybody_is_named_by_what_the_kernel_says() -> None:
    assert actor(0, None).anybody() == "root without a login"
    assert own_user(None).anybody() == "drd's own user u38 without a login"
    unread = replace(own_user(None), login_known=False)
    assert unread.anybody() == "a user whose login cannot be read"


def test_process_of_the_daemon_works_by_the_schedule() -> None:
    assert actor_here({"DRD_DAEMON": "1"}).came == "schedule"


def test_login_that_could_not_be_read_is_not_taken_for_none() -> None:
    peer = actor_of_peer(1001, UNKNOWN_LOGIN)
    assert (peer.login_uid, peer.person) == (None, None)
    assert ", whose login could not be read, through" in peer.words()
    assert Actor.from_json(peer.to_json()) == peer
    older = {k: v for k, v in peer.to_json().items() if k != "login_known"}
    assert Actor.from_json(older) == peer, "as an older drd recorded it"


def test_words_name_the_login_behind_root() -> None:
    anna = Actor(0, "root", 1000, "db1", "terminal", login_user="anna")
    assert anna.words() == "root (uid 0), logged in as anna (uid 1000), by a command on db1"
    assert anna.short() == "root, logged in as anna"
    alone = Actor(0, "root", None, "db1", "socket")
    assert alone.words() == "root (uid 0), without a login, through the socket of db1"


@pytest.mark.parametrize(
    ("changes", "words", "short"),
    [
        ({}, "anna (uid 1000), by a command on db1", "anna"),
        ({"login_uid": None}, "anna (uid 1000), without a login, by a command on db1", "anna"),
        (
            {"login_uid": 7},
            "anna (uid 1000), logged in as somebody (uid 7), by a command on db1",
            "anna",
        ),
        (
            {"login_uid": 7, "login_user": "bert"},
            "anna (uid 1000), logged in as bert (uid 7), by a command on db1",
            "anna, logged in as bert",
        ),
        ({"login_user": "anna"}, "anna (uid 1000), by a command on db1", "anna"),
        ({"came": "schedule", "login_uid": 7}, "anna (uid 1000), by the schedule of db1", "anna"),
        (
            {"claimed_by": "x\ny"},
            "anna (uid 1000), by a command on db1; claimed: --by x\\ny",
            "anna",
        ),
        ({"user": "a\x1bb"}, "a\\x1bb (uid 1000), by a command on db1", "a\\x1bb"),
        (
            {"login_uid": 7, "login_user": "b\x1b"},
            "anna (uid 1000), logged in as b\\x1b (uid 7), by a command on db1",
            "anna, logged in as b\\x1b",
        ),
    ],
)
def test_an_actor_is_named_by_facts_and_apart_from_them_by_claims(
    changes: dict[str, Any], words: str, short: str
) -> None:
    someone = replace(Actor(1000, "anna", 1000, "db1", "terminal"), **changes)
    assert (someone.words(), someone.short()) == (words, short)


@pytest.mark.parametrize(
    ("someone", "person"),
    [
        (actor(1000, 1001), 1001),
        (actor(0, 0), 0),
        (actor(1000, None), 1000),
        (actor(0, None), None),
        (actor(1000, None, known=False), None),
    ],
)
def test_a_person_is_the_login_or_a_user_that_is_not_root(
    someone: Actor, person: int | None
) -> None:
    assert someone.person == person


def test_rows_of_older_versions_know_less_of_an_actor() -> None:
    assert Actor.from_json(None) is None
    assert Actor.from_json({}) is None
    bare = {"uid": "7", "user": "u", "host": "h", "came": "terminal"}
    assert Actor.from_json(bare) == Actor(7, "u", None, "h", "terminal")
    by_socket = Actor.from_json({**bare, "came": "socket"})
    assert by_socket == Actor(7, "u", None, "h", "socket", login_known=False)
    logged_in = Actor.from_json({**bare, "came": "socket", "login_uid": 7})
    assert logged_in == Actor(7, "u", 7, "h", "socket")
    said = Actor.from_json({**bare, "claimed": {"sudo_user": "eve"}, "login_known": False})
    assert said == Actor(7, "u", None, "h", "terminal", claimed_user="eve", login_known=False)
