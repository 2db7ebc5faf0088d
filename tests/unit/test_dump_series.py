"""What a directory of dumps holds, as far as names and first bytes tell."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drd.kinds.postgres import dump_file
from drd.kinds.postgres.adopted import adopts
from drd.model.adopted import Adopted, CommandTool
from drd.model.plan import Component, RepositorySpec, SecretRef
from drd.ports.adopted import DumpOrigin, ForeignCopies, ForeignCopy, FoundFile
from drd.ports.dumps import FoundDump
from drd.registry import KINDS
from drd.repositories.adopted import dumps
from drd.repositories.adopted.command import CommandCopies
from drd.repositories.adopted.cut_off import of_path
from drd.repositories.adopted.dump_sources import DirectoryDumps
from drd.repositories.adopted.manifest import describe
from drd.repositories.adopted.one_database import of_one_database
from drd.repositories.adopted.pg_archive import origin


def archive(database: str, server: str = "17.2", pg_dump: str = "17.2") -> bytes:
    """The beginning of an archive of `pg_dump -Fc` without an entry."""

    def number(value: int) -> bytes:
        return b"\0" + value.to_bytes(4, "little")

    def text(of: str) -> bytes:
        return number(len(of)) + of.encode()

    head = b"PGDMP\x01\x10\x00\x04\x08\x01\x01" + number(0) * 7
    return head + text(database) + text(server) + text(pg_dump) + number(0)


def of_kind(kind: str, database: str = "shop") -> Component:
    given = {
        "postgres": {"dsn": f"postgresql:///{database}"},
        "sqlite": {"path": "/srv/shop.db"},
        "command": {"restore": ["cat"]},
    }[kind]
    settings = KINDS[kind].settings.model_validate({"kind": kind, **given})
    return Component("shop-db", kind, settings)


def printing(file: str, program: str = "/bin/cat") -> CommandCopies:
    spec = RepositorySpec(
        "theirs", "command:theirs", SecretRef("text", ""), adopted=Adopted("command", "shop")
    )
    told = CommandTool(("true",), (program, file), (), (), 5.0)
    return CommandCopies(spec, told, lambda ref: str(ref.value))


def copy_of(size: int, name: str) -> ForeignCopy:
    at = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
    return ForeignCopy("0" * 64, name, at, at, size)


def written(path: Path, data: bytes, hours_ago: float) -> Path:
    path.write_bytes(data)
    at = time.time() - hours_ago * 3600
    os.utime(path, (at, at))
    return path


def test_an_archive_says_of_which_database_and_by_which_versions_it_is(tmp_path: Path) -> None:
    for data, expected in (
        (
            archive("shop", "15.10 (Debian 15.10-1)", "17.2"),
            ("shop", "15.10 (Debian 15.10-1)", "17.2"),
        ),
        (archive("shop")[:45], None),
        (b"SQLite format 3\0", None),
        (b"PGDMP\x02\x00\x00\x04\x08\x01", None),
    ):
        with written(tmp_path / "x", data, 1).open("rb") as file:
            assert origin(file) == (expected and DumpOrigin(*expected))


def test_a_series_whose_dumps_name_several_databases_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        dump_file, "_found", lambda _: FoundDump("shop", "", (("kind", "postgres"),), [])
    )
    for day, database in ((1, "shop"), (2, "crm"), (3, "shop")):
        written(tmp_path / f"db-2026110{day}.dump", archive(database), 100 - 24 * day)
    seen = dumps.search_dumps(DirectoryDumps(tmp_path))
    assert seen.series == []
    assert (
        "2 databases, shop (db-20261103.dump), crm (db-20261102.dump)" in seen.refused["db-*.dump"]
    )
    (tmp_path / "db-20261102.dump").unlink()
    assert len(dumps.search_dumps(DirectoryDumps(tmp_path)).series) == 1


@pytest.mark.parametrize(
    ("wanted", "left", "why"),
    [
        ("shop", ["1.dump"], "copy 2.dump: it is a dump of database crm, but the plan's `dsn`"),
        ("other", [], "copy 1.dump: it is a dump of database shop, but the list has dumps of 2"),
    ],
)
def test_a_later_dump_of_another_database_is_no_copy(
    tmp_path: Path, wanted: str, left: list[str], why: str
) -> None:
    for number, database in enumerate(("shop", "crm"), start=1):
        written(tmp_path / f"{number}.dump", archive(database), 9)
    listed = ForeignCopies([copy_of(9, "1.dump"), replace(copy_of(9, "2.dump"), id="1")])
    found = of_one_database(listed, lambda copy: tmp_path / copy.name, wanted)
    assert [copy.name for copy in found.copies] == left
    assert any(f"{name}: {said}".startswith(why) for name, said in found.refused.items())
    alone = of_one_database(
        ForeignCopies([copy_of(9, "2.dump")]), lambda copy: tmp_path / copy.name, wanted
    )
    assert not alone.refused  # the copy is incomplete, with that reason


@pytest.mark.parametrize(
    ("wanted", "dumped", "why"),
    [
        ("crm", "shop", "the dump is of database shop, but the plan's `dsn` names crm"),
        ("crm", "a\nb", "the dump is of database a\\nb, but the plan's `dsn` names crm"),
        ("shop", "shop", ""),
        (None, "shop", ""),  # the dsn is a secret: drd does not know the name in it
    ],
)
def test_a_copy_of_another_database_alone_is_incomplete(
    tmp_path: Path, wanted: str | None, dumped: str, why: str
) -> None:
    data = archive(dumped)
    written(tmp_path / "1.dump", data, 9)
    component = of_kind("postgres", database=wanted or "shop")
    if wanted is None:
        secret = SecretRef("credential", "shop-dsn")
        component = replace(
            component, settings=component.settings.model_copy(update={"dsn": secret})
        )
    described = describe(printing(f"{tmp_path}/${{copy}}"), copy_of(len(data), "1.dump"), component)
    assert (described.snapshot.error or "") == why
    assert (described.part is None) is bool(why)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (archive("shop", "15.10 (Debian 15.10-1)", "17.2"), (15, 17, "15.10 (Debian 15.10-1)")),
        (archive("shop", "9.6.24", "13devel"), (9, 13, "9.6.24")),
        (archive("shop", "\x1b[31m17", "x" * 200), (0, 0, "unknown")),
        (b"plain", (0, 0, "unknown")),
    ],
)
def test_a_point_says_by_which_versions_its_dump_was_made(
    tmp_path: Path, data: bytes, expected: tuple[int, int, str]
) -> None:
    path = written(tmp_path / "shop.dump", data, 1)
    made_by = of_path(path, len(data)).origin
    found = FoundFile(True, len(data), None, 0o600, 0, 0, origin=made_by)
    facts = adopts(of_kind("postgres"), found).facts
    assert (facts["server_major"], facts["pg_dump_major"], facts["server_version"]) == expected


@pytest.mark.parametrize(
    ("kind", "name", "data", "why"),
    [
        ("postgres", "shop.dump", bytes(4096), "its first 1,024 bytes are zeros"),
        ("postgres", "shop.dump", b"<html>" * 99, "it does not begin with 'PGDMP'"),
        ("sqlite", "shop.db", b"x" * 4096, "it does not begin with 'SQLite format 3'"),
        ("command", "shop.sql.gz", b"-- SQL" * 99, "it does not begin like a file of gzip"),
        ("command", "shop.sql", bytes(4096), "its first 1,024 bytes are zeros"),
        ("command", "shop.sql", b"-- SQL" * 99, ""),
        ("postgres", "shop.dump", archive("shop"), ""),
        ("sqlite", "shop.db", b"SQLite format 3\0" + bytes(4096), ""),
    ],
)
def test_a_file_that_is_no_dump_is_an_incomplete_copy_with_its_name(
    tmp_path: Path, kind: str, name: str, data: bytes, why: str
) -> None:
    written(tmp_path / name, data, 1)
    described = describe(printing(f"{tmp_path}/${{copy}}"), copy_of(len(data), name), of_kind(kind))
    assert (described.snapshot.error or "") == (why and f"{name} is not a dump: {why}")
    assert described.snapshot.facts["copy"] == name


def test_zeros_in_place_of_a_packed_archive_are_no_copy(tmp_path: Path) -> None:
    for data, expected in ((bytes(4096), False), (b"\x1f\x8b" + bytes(99), True)):
        written(tmp_path / "etc.tgz", data, 1)
        tool = printing(f"--file={tmp_path}/${{copy}}", program="tar")
        described = describe(tool, copy_of(len(data), "etc.tgz"), of_kind("command"))
        assert (described.part is not None) is expected


def test_a_newest_file_that_is_no_dump_does_not_hide_the_older_ones(tmp_path: Path) -> None:
    for day in (1, 2):
        with closing(sqlite3.connect(tmp_path / f"shop-2026110{day}.db")) as made:
            made.execute("create table orders (id)")
            made.commit()
        written(path := tmp_path / f"shop-2026110{day}.db", path.read_bytes(), 100 - 24 * day)
    written(tmp_path / "shop-20261103.db", bytes(8192), 2)
    written(tmp_path / "notes.txt", b"call home", 2)
    seen = dumps.search_dumps(DirectoryDumps(tmp_path))
    [series] = seen.series
    assert (series.kind, len(series.dumps)) == ("sqlite", 3)
    assert series.cut_off == {"shop-20261103.db": "is not a dump that drd recognises"}
    assert seen.unknown == ["notes.txt"]


def test_a_format_that_drd_does_not_load_is_told_with_the_command_for_another(
    tmp_path: Path,
) -> None:
    head = archive("shop")
    (tmp_path / "shop-20261101").mkdir()
    written(tmp_path / "shop-20261101/toc.dat", head[:10] + b"\x03" + head[11:], 30)
    written(
        tmp_path / "all.sql",
        b"--\n-- PostgreSQL database cluster dump\n--\n\n"
        b"-- PostgreSQL database cluster dump complete\n",
        30,
    )
    refused = dumps.search_dumps(DirectoryDumps(tmp_path)).refused
    assert refused["shop-*/toc.dat"] == (
        "a dump of PostgreSQL in the directory format: let the other tool dump with "
        "`pg_dump --format=custom`, which compresses by itself"
    )
    assert "--globals-only" in refused["all.sql"]
