"""Names of single things, and SQL that is changed in one thing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from drd.errors import NotInPoint, NotSupported, UsageError
from drd.flows.restore.single_items import component_of
from drd.kinds import files, sqlite
from drd.kinds.files.narrow import narrow as narrow_files
from drd.kinds.postgres.detach_tables import variants
from drd.kinds.postgres.extract import foreign_key
from drd.kinds.postgres.naming import database_name, parts
from drd.kinds.sqlite.definition import renamed_index, without_foreign_keys
from drd.kinds.sqlite.tables import narrow as narrow_sqlite
from drd.model.single_item import Part, as_named, hint_of_names, near
from drd.model.snapshot import (
    ComponentSnapshot,
    DatabaseFingerprint,
    FileEntry,
    Fingerprint,
    TableState,
    TreeFingerprint,
)


def snapshot(kind: str, fingerprint: Fingerprint | None) -> ComponentSnapshot:
    return ComponentSnapshot(
        "c", kind, "captured", snapshot="s", facts={"paths": ["/etc"]}, fingerprint=fingerprint
    )


@pytest.mark.parametrize(
    ("sql", "without"),
    [
        ("CREATE TABLE t (a int REFERENCES o)", "CREATE TABLE t (a int )"),
        (
            "CREATE TABLE t (a int CONSTRAINT f REFERENCES o(id) ON DELETE SET NULL ON UPDATE NO "  # noqa: ISC004
            "ACTION MATCH FULL NOT DEFERRABLE INITIALLY DEFERRED NOT NULL, b)",
            "CREATE TABLE t (a int NOT NULL, b)",
        ),
        ("CREATE TABLE t (a, b, FOREIGN KEY (a, b) REFERENCES o (x, y))", "CREATE TABLE t (a, b)"),
        (("CREATE TABLE t (a, CONSTRAINT k FOREIGN KEY (a) REFERENCES o) "
         "STRICT"), "CREATE TABLE t (a) STRICT"),
        (
            ("CREATE TABLE t (a text DEFAULT 'x REFERENCES y(z', [REFERENCES] int, b /* REFERENCES "
            "c */)"),
            ("CREATE TABLE t (a text DEFAULT 'x REFERENCES y(z', [REFERENCES] int, b /* REFERENCES "
            "c */)"),
        ),
        ("CREATE TABLE t (a REFERENCES \"o (\" DEFERRABLE UNIQUE)", "CREATE TABLE t (a UNIQUE)"),
    ],
)  # fmt: skip
def test_foreign_keys_and_nothing_else_are_taken_out(sql: str, without: str) -> None:
    assert without_foreign_keys(sql) == without


def test_an_index_gets_another_name_and_nothing_else() -> None:
    sql = 'CREATE UNIQUE INDEX IF NOT EXISTS "on" ON t("on") WHERE x = \'on\''
    assert (
        renamed_index(sql, 'a "b"')
        == 'CREATE UNIQUE INDEX IF NOT EXISTS "a ""b""" ON t("on") WHERE x = \'on\''
    )


def test_the_script_of_a_foreign_key_says_whose_it_is() -> None:
    script = (
        '--\n\nALTER TABLE ONLY public."a ""b"" REFERENCES x"\n    ADD CONSTRAINT "k (" FOREIGN '
        'KEY ("c, d", e) REFERENCES "s.t".orders(id, "x)") ON DELETE CASCADE;\n'
    )
    found = foreign_key(script)
    assert found is not None
    assert (found.table, found.name, found.refers_to) == (
        'public."a ""b"" REFERENCES x"',
        '"k ("',
        '"s.t".orders',
    )


def test_names_are_read_as_sql_writes_them() -> None:
    assert parts('"a.b"."c ""d"""') == [("a.b", True), ('c "d"', True)]
    assert parts("Public.Orders") == [("Public", False), ("Orders", False)]
    assert [parts(t) for t in ("", ".", "a.", ".a", 'a"b', '"a"b')] == [[]] * 6
    for wrong in ("", "ü" * 32, "postgres", "a\0"):
        with pytest.raises(UsageError):
            database_name(wrong)


def test_names_that_are_too_long_stay_apart() -> None:
    first, second = (next(variants("ü" * 40 + end)) for end in ("a", "b"))
    assert first != second
    assert all(len(n.encode()) <= 63 for n in (first, second))
    assert next(variants("short")) == "short"


def test_similar_names_are_suggested() -> None:
    known = ["/etc/nginx/nginx.conf", "/etc/nginx", "/etc/app/limits.conf"]
    assert near("/etc/nginx.conf", known, separator="/") == ["/etc/nginx/nginx.conf"]
    assert near("/etc/ngnix", known, separator="/")[0] == "/etc/nginx"
    assert near("/quite/else", known, separator="/") == []
    assert near("/usr/share/of/another/tree/limts.conf", known, separator="/")[0] == (
        "/etc/app/limits.conf"
    )


def test_a_part_of_a_tree_is_complete_by_itself() -> None:
    file = FileEntry("file", 0o644, 0, 0, 3, "d1")
    tree = TreeFingerprint(
        {
            "/etc/a": file,
            "/etc/b": FileEntry("directory", 0o755, 0, 0),
            "/etc/b/one": FileEntry("file", 0o644, 0, 0, 3, link="/etc/a"),
            "/etc/b/two": FileEntry("file", 0o644, 0, 0, 3, link="/etc/a"),
            "/etc/bc": file,
        }
    )
    part, found = narrow_files(snapshot("files", tree), Part((), ("etc//b/",)))
    assert part.paths == ("/etc/b",)
    assert isinstance(found.fingerprint, TreeFingerprint)
    links = {p: (e.link, e.digest) for p, e in found.fingerprint.entries.items()}
    assert links == {
        "/etc/b": (None, None),
        "/etc/b/one": (None, "d1"),
        "/etc/b/two": ("/etc/b/one", None),
    }
    with pytest.raises(UsageError, match="--path /etc/b/one is inside --path /etc/b"):
        narrow_files(snapshot("files", tree), Part((), ("/etc/b", "/etc/b/one")))
    with pytest.raises(UsageError) as caught:
        narrow_files(snapshot("files", tree), Part((), ("/srv",)))
    assert caught.value.hint == "give a path below /etc, or choose another restore point."
    with pytest.raises(NotSupported, match="kind files cannot restore single tables"):
        files.SPEC.require_part(Part(("t",)))


def test_a_table_of_sqlite_is_found_however_it_is_written() -> None:
    known = DatabaseFingerprint("counts", {"Orders": TableState(1)}, others={"v": "view"})
    of = snapshot("sqlite", known)
    part, found = narrow_sqlite(of, Part(("ORDERS",), (), "x"))
    assert part.tables == ("Orders",)
    assert found.fingerprint == DatabaseFingerprint("counts", {"Orders": TableState(1)})
    for tables, into, said in (
        (("v",), "x", "is a view"),
        (("Orders",), None, "the copy of table Orders needs a name"),
        (("Orders",), "sqlite_x", "is reserved by SQLite"),
        (("a", "b"), "x", "no schemas"),
    ):
        with pytest.raises(UsageError, match=said):
            narrow_sqlite(of, Part(tables, (), into))
    with pytest.raises(NotSupported, match="kind sqlite cannot restore single paths"):
        sqlite.SPEC.require_part(Part((), ("/etc",)))


def test_names_that_are_alike_are_proposed_by_their_last_part_first() -> None:
    known = ["public.orders", "old.orders", 'x."Orders"', "z.orders", "public.order_lines"]
    assert near("orders", known, separator=".") == ["old.orders", "public.orders", 'x."Orders"']
    assert near('s."ORDERS"', known, separator=".") == near("orders", known, separator=".")
    assert near("public.ordrs", known, separator=".")[0] == "public.orders"
    assert near("s.ordr_lines", ["a_long_schema.order_lines"], separator=".") == [
        "a_long_schema.order_lines"
    ]
    assert near("nothing", known, separator=".") == []


def test_of_very_many_names_only_the_last_part_is_compared() -> None:
    many = [f"t.n{n}" for n in range(20_000)]
    assert near("t.n12x", many, separator=".")
    assert near("t.n12x", [*many, "t.more"], separator=".") == []
    assert near("x.n12", [*many, "t.more"], separator=".") == ["t.n12"]


def test_a_hint_names_what_somebody_may_have_meant() -> None:
    assert hint_of_names([]) == ""
    assert hint_of_names(["a", "b"]) == "did you mean a or b?"


def test_a_part_is_whole_without_tables_and_paths() -> None:
    assert Part().is_whole
    assert Part(into="copy").is_whole
    assert not Part(tables=("t",)).is_whole
    assert not Part(paths=("/p",)).is_whole
    assert not Part(database="shop").is_whole
    assert Part(tables=("t",), paths=("/p",)).names == ("t", "/p")


def test_a_name_that_is_no_utf_8_is_typed_as_it_is_shown() -> None:
    known = ("/etc/bad\udcff.txt", "/etc/good.txt", "/etc/a\\b")
    assert as_named(r"/etc/bad\xff.txt", known) == "/etc/bad\udcff.txt"
    assert as_named(r"/etc/a\b", known) == r"/etc/a\b"
    assert as_named(r"/etc/other\xff", known) == r"/etc/other\xff"
    assert hint_of_names(known[:1]) == r"did you mean /etc/bad\xff.txt?"
    tree = TreeFingerprint({known[0]: FileEntry("file", 0o600, 0, 0, 1)})
    part, _ = narrow_files(snapshot("files", tree), Part(paths=(r"/etc/bad\xff.txt",)))
    assert part.paths == known[:1]


def test_a_name_that_is_known_as_it_was_typed_is_that_one() -> None:
    known = ("/etc/bad\udcff.txt", r"/etc/bad\xff.txt")
    assert as_named(known[1], known) == known[1]


@pytest.mark.parametrize(
    ("part", "names"),
    [
        (Part(database="shop"), ("shop",)),
        (Part(database="shop", tables=("public.a", "b")), ("shop.public.a", "shop.b")),
        (Part(database='My "db"', tables=("a",)), ('"My ""db""".a',)),
    ],
)
def test_things_of_a_database_of_a_server_are_named_with_the_database(
    part: Part, names: tuple[str, ...]
) -> None:
    assert part.names == names
    assert Part.from_json(part.to_json()) == part
    assert "database" not in Part(tables=part.tables).to_json(), "as former versions wrote it"


@pytest.mark.parametrize(
    ("tables", "into", "own"),
    [
        (("orders",), "orders", True),
        (("orders",), "public.orders", True),
        (("orders",), "sales.orders", False),
        (("sales.orders",), "orders", True),
        (("sales.orders",), "sales.orders", True),
        (("sales.orders",), "public.orders", False),
        (("orders",), "copy", False),
        (("items", "orders"), "orders", False),
        ((), "orders", False),
        (("orders",), None, False),
    ],
)
def test_a_table_that_was_dropped_may_get_its_own_name_again(
    tables: tuple[str, ...], into: str | None, *, own: bool
) -> None:
    assert Part(tables=tables, into=into).takes_own_name is own


def test_a_table_that_no_component_has_is_said_to_be_nowhere() -> None:
    """A wrong name is no missing --component."""
    tables = {"a": {"orders": TableState(3)}, "b": {"lines": TableState(1)}}
    known = {
        n: snapshot("sqlite", DatabaseFingerprint("counts", tables=t)) for n, t in tables.items()
    }
    kind = SimpleNamespace(spec=sqlite.SPEC, narrow=narrow_sqlite)
    services: Any = SimpleNamespace(kinds=lambda _: kind)
    plan: Any = SimpleNamespace(components=dict.fromkeys(known, SimpleNamespace(kind="sqlite")))
    point: Any = SimpleNamespace(component=known.get)

    def found(table: str, *names: str) -> str:
        return component_of(services, plan, point, names, Part((table,), (), "x"))

    assert found("lines", "a", "b") == "b"
    with pytest.raises(NotInPoint) as lost:
        found("ordres", "a", "b")
    assert lost.value.message == "no component of this restore point contains --table ordres"
    assert (lost.value.hint or "").startswith("a: did you mean orders?\nb: ")
    known["b"] = known["a"]
    with pytest.raises(UsageError, match="--component is missing"):
        found("orders", "a", "b")
