"""Whose a state is, and how a copy of it shows."""

from __future__ import annotations

import pytest

from drd.model.actor import Actor
from drd.model.custody import Custody, token_of
from drd.model.state_place import StatePlace, differs
from tests.catalogue_support import T0

HERE = StatePlace("0123456789abcdef", "db1", "/var/lib/drd/drd.db", 7)


def test_the_same_place_is_not_a_copy() -> None:
    assert differs(HERE, HERE._replace()) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"machine": "fedcba9876543210"}, "on another machine (db1, machine id fedcba98)"),
        ({"machine": "", "host": "db2", "path": "/b"}, "another machine (db2, machine id unknown)"),
        ({"host": "db2", "path": "/b"}, "on host db2, but this is host db1"),
        ({"path": "/b", "inode": 8}, "at /b, but is at /var/lib/drd/drd.db now"),
        ({"inode": 8}, "/var/lib/drd/drd.db is a copy"),
    ],
)
def test_a_copy_says_by_what_it_is_known(change: dict[str, object], words: str) -> None:
    assert words in str(differs(HERE._replace(**change), HERE))  # type: ignore[arg-type]


def test_each_place_has_a_token_of_its_own() -> None:
    others = [HERE._replace(machine="x"), HERE._replace(inode=8), HERE._replace(host="x")]
    assert len({token_of(HERE), *map(token_of, others)}) == 4
    assert len(token_of(HERE)) == 16


def test_custody_comes_back_from_json_unchanged() -> None:
    ann = Actor(uid=1000, user="ann", login_uid=1000, host="db1", came="cli")
    for custody in (Custody(HERE, T0), Custody(HERE, T0, "two of them", ann, "we moved")):
        assert Custody.from_json(custody.to_json()) == custody
