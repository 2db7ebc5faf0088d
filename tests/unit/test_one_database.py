"""One database of a copied PostgreSQL server, without a server: how people name it, and what a
restore point says of it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd.errors import NotInPoint, NotSupported, UsageError
from drd.kinds.files import SPEC as FILES
from drd.kinds.mariadb.physical import SPEC as MARIADB_SERVER
from drd.kinds.postgres import SPEC as POSTGRES
from drd.kinds.postgres.physical import SPEC, one_database
from drd.kinds.postgres.physical.narrow import DATABASES, listed, named
from drd.model.plan import IN_PLACE
from drd.model.recovery_command import recovery_command
from drd.model.run_details import RecoveryDetail
from drd.model.single_item import Part
from drd.model.snapshot import DatabaseFingerprint, TableState
from drd.ports import Workplace
from tests.unit.test_postgres_cluster import SNAPSHOT

KNOWN = DatabaseFingerprint(
    "counts",
    tables={
        "shop.public.orders": TableState(300),
        "shop.archive.orders": TableState(1),
        'shop.public."odd.name"': TableState(2),
        '"the shop".public.orders': TableState(7),
        "stock.public.items": TableState(50),
    },
    not_reached={"shop.public.carts": "an unlogged table", "closed": "permission denied"},
    partitioned={"shop.public.all": ("shop.public.orders",)},
    properties={"databases": {"shop": {"owner": "clerk"}}, "roles": {"clerk": []}},
)
POINT = replace(
    SNAPSHOT,
    fingerprint=KNOWN,
    facts={**SNAPSHOT.facts, "databases": ["shop", "the shop", "stock", "closed", "postgres"]},
)


@pytest.mark.parametrize(
    ("table", "database", "found"),
    [
        ("shop.public.orders", None, ("shop", "public.orders")),
        ("orders", "shop", ("shop", "public.orders")),
        ("archive.orders", "shop", ("shop", "archive.orders")),
        ("PUBLIC.Orders", "shop", ("shop", "public.orders")),
        ('shop.public."odd.name"', None, ("shop", 'public."odd.name"')),
        ('"the shop".public.orders', None, ("the shop", "public.orders")),
        ("orders", "the shop", ("the shop", "public.orders")),
        ("shop.public.orders", "shop", ("shop", "public.orders")),
    ],
)
def test_a_table_is_found_in_its_database(
    table: str, database: str | None, found: tuple[str, str]
) -> None:
    part, snapshot = DATABASES.narrow(POINT, Part((table,), into="copy", database=database))
    assert (part.database, *part.tables) == found
    assert isinstance(snapshot.fingerprint, DatabaseFingerprint)
    assert set(snapshot.fingerprint.tables) == {found[1]}
    # A part that was found is not found otherwise when its run goes on.
    assert named(part) == part
    assert Part.from_json(part.to_json()) == part


@pytest.mark.parametrize(
    ("part", "error", "words"),
    [
        (Part(("orders",), into="x"), UsageError, "--database shop or 'the shop'"),
        (Part(("items",), into="x"), UsageError, "--database stock"),
        (Part(("nowhere",), into="x"), UsageError, "add --database NAME"),
        (
            Part(("shop.public.orders", "stock.public.items"), into="x"),
            UsageError,
            "for each database",
        ),
        (
            Part(("shop.public.orders",), into="x", database="stock"),
            UsageError,
            "for each database",
        ),
        (Part(("shop.public.orders",)), UsageError, "give --into NAME"),
        (Part(database="shopp"), NotInPoint, "did you mean shop"),
        (Part(("public.items",), into="x", database="shop"), NotInPoint, ""),
        (Part(database="postgres"), UsageError, "--into NAME"),
        (Part(into="shop", database="shop"), UsageError, "leave out --into"),
        (Part(into="postgres", database="shop"), UsageError, "another name"),
    ],
)
def test_what_is_not_clear_is_refused_with_a_remedy(
    part: Part, error: type[UsageError], words: str
) -> None:
    with pytest.raises(error) as caught:
        DATABASES.narrow(POINT, part)
    assert words in caught.value.hint
    assert caught.value.hint


def test_a_table_that_a_database_has_is_not_called_missing() -> None:
    """Its database has it twice, or has a view of this name: the error says so."""
    twice = replace(
        KNOWN,
        tables={"shop.a.notes": TableState(1), "shop.b.notes": TableState(1)},
        others={"shop.public.report": "view"},
        not_reached={},
    )
    point = replace(POINT, fingerprint=twice)
    with pytest.raises(UsageError, match="notes is in several schemas") as caught:
        DATABASES.narrow(point, Part(("notes",), into="x"))
    assert "a.notes or b.notes" in caught.value.hint
    with pytest.raises(UsageError, match="report is a view"):
        DATABASES.narrow(point, Part(("report",), into="x"))
    with pytest.raises(NotInPoint, match="contains table nowhere"):
        DATABASES.narrow(point, Part(("nowhere",), into="x"))


def test_a_restore_point_says_of_a_database_what_a_dump_would_say() -> None:
    shop = DATABASES.within(KNOWN, "shop")
    assert set(shop.tables) == {"public.orders", "archive.orders", 'public."odd.name"'}
    assert set(shop.not_reached) == {"public.carts"}
    assert shop.partitioned == {"public.all": ("public.orders",)}
    assert shop.properties["databases"] == {"shop": {"owner": "clerk"}}
    assert DATABASES.within(KNOWN, "closed").mode == "off"
    known = DATABASES.alone(KNOWN, "shop")
    assert known is not None
    assert "shop.public.orders" in known.tables
    assert DATABASES.alone(KNOWN, "nowhere") is None
    items = [item.name for item in listed(POINT, "stock").items]
    assert items == ["stock.public.items"]


def test_tables_that_are_younger_than_the_point_are_taken_by_their_words() -> None:
    assert named(Part(("Late",), into="x", database="shop")).tables == ("public.late",)
    assert named(Part(('shop.S."T"',), into="x")) == Part(('s."T"',), (), "x", "shop")


def test_kinds_without_single_databases_say_so() -> None:
    part = Part(database="shop")
    for spec, remedy in ((POSTGRES, "is a single database"), (FILES, "whole component")):
        with pytest.raises(NotSupported, match="cannot restore single databases") as caught:
            spec.require_part(part, "db")
        assert remedy in caught.value.hint
        assert not spec.inside(part)
    for spec in (SPEC, MARIADB_SERVER):
        spec.require_part(part, "server")
        with pytest.raises(NotSupported) as caught:
            spec.require_part(Part(into="x"), "server")
        assert "--database NAME" in caught.value.hint


def test_the_command_of_a_recovery_names_the_database() -> None:
    part = Part(("public.orders",), into="then", database="shop")
    said = RecoveryDetail(target=IN_PLACE, components=("server",), part=part)
    words = "--in-place --component server --database shop --table public.orders --into then"
    assert recovery_command("orders-api", said) == f"drd recover orders-api {words}"


@pytest.mark.parametrize(
    ("free", "known", "severity"),
    [(2500, 1000, "ok"), (1500, 1000, "warning"), (900, 1000, "error"), (2500, 0, "warning")],
)
def test_the_room_for_the_dump_counts_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, free: int, known: int, severity: str
) -> None:
    """The server needs 1,000 bytes. The dump of a database of unknown size may need as many again,
    and a chain more."""
    facts = {**SNAPSHOT.facts, "cluster_bytes": 1000 if known else 2000, "chain": []}
    usage = SimpleNamespace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    place = SimpleNamespace(for_server=Workplace(tmp_path, "run"))
    target = SimpleNamespace(_component="server", _place=place)
    snapshot = replace(SNAPSHOT, facts={**facts, "database_bytes": known})
    found = one_database._OfServer.room(cast("Any", target), snapshot)
    assert found.severity == severity
    assert ("for the dump of the database" in found.text) == (severity == "warning")


def test_a_table_that_no_database_has_is_said_to_be_nowhere() -> None:
    reached = replace(POINT, fingerprint=replace(KNOWN, not_reached={}))
    with pytest.raises(
        NotInPoint, match=r"no database of component server .* table ordres"
    ) as lost:
        DATABASES.narrow(reached, Part(("ordres",), (), "x"))
    assert "--database NAME" in (lost.value.hint or "")
    with pytest.raises(UsageError, match="does not name a database"):
        DATABASES.narrow(POINT, Part(("ordres",), (), "x"))
