"""What a restore point has of a database, and how copies of other tools are called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from drd.errors import NotInPoint, UsageError
from drd.model.adopted import (
    Adopted,
    CommandTool,
    Stanza,
    copy_name,
    rolled_forward,
    with_copy,
)
from drd.model.contents import Contents, Item, tables
from drd.model.copy_names import copy_in, is_named, named, short_copy
from drd.model.former_name import left_words
from drd.model.plan import SecretRef
from drd.model.snapshot import (
    ComponentSnapshot,
    DatabaseFingerprint,
    Fingerprint,
    TableState,
    TreeFingerprint,
)
from tests.catalogue_support import T0, captured, point

KNOWN = DatabaseFingerprint(
    "counts",
    {name: TableState(rows) for name, rows in (("b", 3), ("a", 0), ("p1", 2), ("p2", 5), ("m", 7))},
    {"locked": "no right", "": "the time was over"},
    derived=frozenset({"m"}),
    partitioned={"whole": ("p1", "p2"), "torn": ("p1", "gone")},
    others={"v": "view"},
)
ITEMS = {
    "a": Item("a", "table", rows=0),
    "b": Item("b", "table", rows=3),
    "locked": Item("locked", "table", note="no right"),
    "m": Item("m", "materialised view", rows=7),
    "p1": Item("p1", "table", rows=2),
    "p2": Item("p2", "table", rows=5),
    "torn": Item("torn", "partitioned table"),
    "v": Item("v", "view"),
    "whole": Item("whole", "partitioned table", rows=7),
}


def begins(name: str, within: str) -> bool:
    return name.startswith(within)


def contents(
    known: Fingerprint | None,
    within: str | None = None,
    selects: Callable[[str, str], bool] = begins,
) -> Contents:
    snapshot = captured("db", seen=known)
    return tables(snapshot, within, selects=selects, separator=".", lister="pg_restore -l FILE")


def test_tables_of_a_point_stand_in_the_order_of_their_names() -> None:
    assert contents(KNOWN) == Contents("", tuple(ITEMS.values()))
    assert contents(KNOWN, "p") == Contents("", (ITEMS["p1"], ITEMS["p2"]))
    assert contents(DatabaseFingerprint("digest")) == Contents("", ())


def test_a_name_that_the_point_does_not_have_is_refused_with_those_that_are_near() -> None:
    with pytest.raises(NotInPoint, match="component db does not contain whola") as caught:
        contents(KNOWN, "whola")
    assert caught.value.hint == "did you mean whole?"
    with pytest.raises(NotInPoint) as caught:
        contents(DatabaseFingerprint("counts"), "orders")
    assert caught.value.hint == "to list all tables, leave out the name."


@pytest.mark.parametrize(
    "known", [None, TreeFingerprint(), DatabaseFingerprint("off", KNOWN.tables)]
)
def test_tables_that_nobody_noted_are_listed_from_the_stored_file(
    known: Fingerprint | None,
) -> None:
    with pytest.raises(UsageError, match="does not know the tables of component db") as caught:
        contents(known)
    assert "`pg_restore -l FILE`" in caught.value.hint


# --- copies of other tools --------------------------------------------------------------------

ID = "5d1a03be" + "0" * 56


@pytest.mark.parametrize(
    ("facts", "name"), [({}, None), ({"copy": None}, None), ({"copy": 7}, "7"), ({"copy": ""}, "")]
)
def test_the_name_that_a_tool_gave_a_copy(facts: dict[str, object], name: str | None) -> None:
    assert copy_in(facts) == name


def test_restic_shortens_its_ids_and_others_do_not() -> None:
    assert short_copy(ID) == "5d1a03be"
    for other in (ID[:-1], ID + "0", ID.replace("5", "x"), "20261128-120000F"):
        assert short_copy(other) == other
    assert named("restic-1f", ID) == "restic-1f (copy 5d1a03be)"
    assert named("1f0c9d3a", None) == named("1f0c9d3a", "") == "1f0c9d3a"


@pytest.mark.parametrize(
    ("name", "given", "means"),
    [
        (ID, ID, True),
        (ID, "5d1a", True),
        (ID, "d1a0", False),
        ("20261128F", "20261128F", True),
        ("20261128F", "2026", False),
        (ID, ID + "0", False),
    ],
)
def test_only_ids_are_meant_by_their_beginning(name: str, given: str, *, means: bool) -> None:
    assert is_named(name, given) is means


def test_a_point_is_called_after_the_first_copy_that_has_a_name() -> None:
    def of(*facts: dict[str, str]) -> str:
        parts = [replace(captured(f"c{n}"), facts=one) for n, one in enumerate(facts)]
        made = point("restic-1f", T0, components=parts)
        assert with_copy(made).startswith("restic-1f")
        assert (" (copy " in with_copy(made)) is (copy_name(made) != "restic-1f")
        assert rolled_forward(made) is any("rolled_forward_to" in one for one in facts)
        return copy_name(made)

    assert of() == of({}) == "restic-1f"
    assert of({}, {"copy": "two"}, {"copy": "three"}) == "two"
    assert of({}, {"rolled_forward_to": "0001"}) == "restic-1f"


SECRET, CONFIG = SecretRef("file", "/etc/key"), SecretRef("file", "/etc/pgbackrest.conf")


@pytest.mark.parametrize(
    ("given", "verifier", "secrets"),
    [
        ({}, "", None),
        (
            {"command": CommandTool(("l",), ("r",), env=(("KEY", SECRET),))},
            "the plan's command `verify`",
            {"env.KEY": SECRET},
        ),
        ({"stanza": Stanza("main")}, "`pgbackrest verify`", {}),
        (
            {"stanza": Stanza("main", CONFIG, env=(("KEY", SECRET),))},
            "`pgbackrest verify`",
            {"env.KEY": SECRET, "config": CONFIG},
        ),
    ],
)
def test_adopted_copies_name_their_verifier_and_its_secrets(
    given: dict[str, CommandTool | Stanza], verifier: str, secrets: dict[str, SecretRef] | None
) -> None:
    made = Adopted("tool", "shop", **given)  # type: ignore[arg-type]
    assert (made.verifier, made.secrets) == (verifier, secrets)


@pytest.mark.parametrize(
    ("left", "said", "again", "back"),
    [
        (
            {"old": 1},
            "contain 1 restore point of plan old,",
            "or forget it",
            "the file of that plan",
        ),
        (
            {"old": 2},
            "contain 2 restore points of plan old,",
            "or forget them",
            "the file of that plan",
        ),
        (
            {"b": 1, "a": 1},
            "contain 1 restore point of plan b and 1 restore point of plan a,",
            "or forget them",
            "the files of those plans",
        ),
    ],
)
def test_points_of_a_plan_without_a_file(
    left: dict[str, int], said: str, again: str, back: str
) -> None:
    text, remedy = left_words("shop", left)
    assert text.startswith(f"the repositories of plan shop {said}")
    assert f"plan shop does not restore {again}" in text
    assert f"write `plan: {next(iter(left))}` in its file again" in remedy
    assert remedy.endswith(f"restore {back}")


def test_a_component_without_a_fingerprint_is_a_snapshot_all_the_same() -> None:
    assert ComponentSnapshot("db", "files", "failed").to_json()["fingerprint"] is None
