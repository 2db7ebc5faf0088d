"""Whole MariaDB servers at a server: the moment of a copy, and what drd refuses to copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from drd.errors import RepositoryDamaged, SourceError
from drd.kinds.mariadb.physical import files_list, landed
from drd.kinds.mariadb.physical.kind import ServerKind
from drd.kinds.mariadb.physical.programs import programs_for
from drd.kinds.mariadb.physical.settings import ServerSettings
from drd.kinds.mariadb.tools import program
from drd.model.plan import Component
from drd.model.snapshot import DatabaseFingerprint
from drd.ports.sources import DatabaseQuery
from tests.restic_support import place
from tests.servers import MariadbServer


@pytest.fixture
def shop(mariadb: MariadbServer) -> Iterator[str]:
    name = f"whole_{uuid4().hex[:8]}"
    mariadb.execute(f"CREATE DATABASE {name}")
    mariadb.execute(
        "CREATE TABLE orders AS SELECT seq AS n FROM seq_1_to_50",
        "CREATE TABLE old (n INT) ENGINE=MyISAM",
        "INSERT INTO old VALUES (1), (2)",
        "CREATE TABLE notes (n INT) ENGINE=Aria",
        "CREATE TABLE seats (n INT) ENGINE=MEMORY",
        database=name,
    )
    yield name
    mariadb.execute(f"DROP DATABASE {name}", "DROP USER IF EXISTS poor@localhost")


def _component(dsn: str, **more: str) -> Component:
    settings = {"kind": "mariadb-server", "dsn": dsn, "fingerprint": "digest", **more}
    return Component("server", "mariadb-server", ServerSettings.model_validate(settings))


def test_what_changes_after_the_moment_is_not_compared_with_the_copy(
    mariadb: MariadbServer, shop: str, short_tmp: Path
) -> None:
    """All tables are described as they are in the copy, however much is written meanwhile."""
    source = ServerKind().source(_component(mariadb.dsn(shop)), place(short_tmp))
    with source.open() as capture:
        mariadb.execute(
            "DELETE FROM orders WHERE n > 10", "DELETE FROM old", "INSERT INTO notes VALUES (1)",
            "CREATE TABLE later (n INT)", database=shop,
        )  # fmt: skip
        known = capture.fingerprint()
        asked = {
            "here": "select count(*) from orders",
            "there": DatabaseQuery.to("mysql", "select count(*) from db"),
        }
        answers = capture.observe(asked)
    assert isinstance(known, DatabaseFingerprint)
    rows = {name: table.rows for name, table in known.tables.items() if name.startswith(shop)}
    assert rows == {f"{shop}.orders": 50, f"{shop}.old": 2, f"{shop}.notes": 0}
    assert "no file contains" in known.not_reached[f"{shop}.seats"]
    assert "mysql.global_priv" in known.tables
    assert "mysql.general_log" not in known.tables
    assert answers["here"] == 50
    assert isinstance(answers["there"], int)


def _findings(component: Component, work: Path) -> dict[str, tuple[str, str]]:
    found = ServerKind().source(component, place(work)).doctor()
    return {f.code: (f.text, f.remedy) for f in found if f.severity != "ok"}


def test_doctor_names_what_a_copy_lacks(mariadb: MariadbServer, shop: str, short_tmp: Path) -> None:
    mariadb.execute("CREATE USER poor@localhost IDENTIFIED BY 'x'", f"GRANT SELECT ON {shop}.* TO "
                    "poor@localhost")  # fmt: skip
    poor = _findings(_component(mariadb.dsn(shop, "poor", "x")), short_tmp / "a")
    assert "RELOAD, PROCESS, BINLOG MONITOR" in poor["rights"][0]
    assert "--grants" in poor["rights"][1]
    mariadb.execute("CREATE TABLE `a``b` (n INT)", database=shop)
    link = mariadb.directory / "data" / shop / "seats.MYD"
    link.symlink_to(short_tmp)
    found = _findings(_component(mariadb.dsn(shop), data_dir="/srv/mysql"), short_tmp / "b")
    link.unlink()
    assert found.keys() == {"names", "data-dir", "outside"}
    assert f"{shop}.a`b" in found["names"][0]
    assert "works in" in found["data-dir"][0]
    assert f"{shop}/seats.MYD -> {short_tmp}" in found["outside"][0]


def test_a_link_out_of_the_data_directory_is_not_followed(
    mariadb: MariadbServer, shop: str, short_tmp: Path
) -> None:
    """Not even one that is made after drd has looked: who runs the server could have files of
    others copied, and get them back by a recovery."""
    (short_tmp / "secret").write_text("secret")
    file = mariadb.directory / "data" / shop / "old.MYD"
    mariadb.execute("FLUSH TABLES")
    kept = file.rename(file.with_name("kept"))
    file.symlink_to(short_tmp / "secret")
    try:
        source = ServerKind().source(_component(mariadb.dsn(shop)), place(short_tmp))
        with pytest.raises(SourceError, match="mariadb-backup failed"), source.open():
            pass
    finally:
        kept.replace(file)


@pytest.mark.parametrize(
    ("page", "is_damage"), [(1, True), (63, True), (64, False), (191, False), (192, True)]
)
def test_pages_in_the_doublewrite_buffer_of_the_source_are_no_damage(
    mariadb: MariadbServer, short_tmp: Path, page: int, is_damage: bool
) -> None:
    """The server writes pages of other files there, also while mariadb-backup copies them."""
    data = short_tmp / "data"
    data.mkdir()
    system = bytearray((mariadb.directory / "data/ibdata1").read_bytes())
    system[page * 16384 : page * 16384 + 64] = b"torn" * 16
    (data / "ibdata1").write_bytes(system)
    programs = programs_for(program("mariadbd", None).version, None)
    ranges = landed._ranges({"ibdata1": files_list.Listed(len(system), "")}, 16384)
    if is_damage:
        with pytest.raises(RepositoryDamaged, match="ibdata1"):
            landed._check_pages(short_tmp, data, ranges, programs, place(short_tmp / "w"))
    else:
        landed._check_pages(short_tmp, data, ranges, programs, place(short_tmp / "w"))


def test_every_page_outside_the_doublewrite_buffer_is_checked() -> None:
    listing = {
        "ibdata1": files_list.Listed(12 << 20, ""),
        "shop/orders.ibd": files_list.Listed(64 << 20, ""),
    }
    large = (0, 0, "shop/orders.ibd")
    assert landed._ranges(listing, 4096) == [large, (0, 255, "ibdata1"), (768, 0, "ibdata1")]
    assert landed._ranges(listing, 16384) == [large, (0, 63, "ibdata1"), (192, 0, "ibdata1")]
    assert landed._ranges(listing, 65536) == [large, (0, 63, "ibdata1")]
