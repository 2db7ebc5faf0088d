"""What a directory of dumps holds, as far as names and first bytes tell."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from drd.kinds.postgres import dump_file
from drd.kinds.postgres.adopted import adopts
from drd.kinds.postgres.settings import PostgresSettings
from drd.model.plan import Component
from drd.ports.adopted import DumpOrigin, FoundFile
from drd.ports.dumps import FoundDump
from drd.repositories.adopted import dumps
from drd.repositories.adopted.cut_off import of_path
from drd.repositories.adopted.pg_archive import origin


def archive(database: str, server: str = "17.2", pg_dump: str = "17.2") -> bytes:
    """The beginning of an archive of `pg_dump -Fc` without an entry."""

    def number(value: int) -> bytes:
        return b"\0" + value.to_bytes(4, "little")

    def text(of: str) -> bytes:
        return number(len(of)) + of.encode()

    head = b"PGDMP\x01\x10\x00\x04\x08\x01\x01" + number(0) * 7
    return head + text(database) + text(server) + text(pg_dump) + number(0)


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
    seen = dumps.look_through(tmp_path)
    assert seen.series == []
    assert (
        "2 databases, shop (db-20261103.dump), crm (db-20261102.dump)" in seen.refused["db-*.dump"]
    )
    (tmp_path / "db-20261102.dump").unlink()
    assert len(dumps.look_through(tmp_path).series) == 1


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
    _, made_by = of_path(path, len(data))
    settings = PostgresSettings.model_validate({"kind": "postgres", "dsn": "postgresql:///shop"})
    component = Component("shop-db", "postgres", settings)
    found = FoundFile(True, len(data), None, 0o600, 0, 0, origin=made_by)
    facts = adopts(component, found).facts
    assert (facts["server_major"], facts["pg_dump_major"], facts["server_version"]) == expected
