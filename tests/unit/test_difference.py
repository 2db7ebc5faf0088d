"""What differs between two states of a component."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest

from drd.errors import SourceError, SourceUnreachable
from drd.flows.restore.difference import _warn_of_source
from drd.flows.services import Services
from drd.model.difference import FileChange, PropertyChange, RelationChange, TableChange, difference
from drd.model.plan import Component
from drd.model.snapshot import DatabaseFingerprint, FileEntry, TableState, TreeFingerprint
from drd.ports import Source
from drd.ports.sources import Probe


def database(**rows: int | tuple[int, str]) -> DatabaseFingerprint:
    tables = {n: TableState(*(r if isinstance(r, tuple) else (r,))) for n, r in rows.items()}
    return DatabaseFingerprint("digest", tables)


def test_added_removed_grown_and_changed_tables_are_listed() -> None:
    a = database(gone=3, grown=(10, "x"), same=(5, "s"), edited=(7, "a"))
    b = database(new=1, grown=(12, "y"), same=(5, "s"), edited=(7, "b"))
    found = difference(a, b, owners=True)
    assert found.tables == (
        TableChange("edited", "contents", 7, 7),
        TableChange("gone", "removed", 3, None),
        TableChange("grown", "rows", 10, 12),
        TableChange("new", "added", None, 1),
    )
    assert (found.compared, found.equal, found.unknown) == (3, False, ())


def test_as_many_rows_is_not_the_same_rows() -> None:
    for a, b in (
        (database(t=5), database(t=(5, "d"))),
        (database(t=(5, "d")), database(t=5)),
        (database(t=5), database(t=5)),
    ):
        found = difference(a, b, owners=True)
        assert (found.only_counted, found.compared, found.equal) == (1, 1, None)
    assert difference(database(t=(5, "d")), database(t=(5, "d")), owners=True).equal is True


@pytest.mark.parametrize("side", ["a", "b"])
def test_unread_tables_are_unknown(side: str) -> None:
    whole = database(t=5)
    partial = DatabaseFingerprint("counts", {}, {"t": "no time was left"})
    a, b = (partial, whole) if side == "a" else (whole, partial)
    found = difference(a, b, owners=True)
    assert (found.unknown, found.equal) == ((("t", "no time was left"),), None)
    assert found.tables == ()


def test_the_owner_of_a_database_is_a_property() -> None:
    a, b = (replace(database(), properties={"owner": owner, "x": 1}) for owner in ("shop", "root"))
    found = difference(a, b, owners=True)
    assert found.properties == (PropertyChange("owner", "shop", "root"),)
    assert found.equal is False


def test_views_and_partitioned_tables_that_one_side_does_not_have_are_differences() -> None:
    a = replace(database(), others={"s.v": "view", "s.same": "view"}, partitioned={"s.p": ()})
    b = replace(database(), others={"s.same": "view", "s.v": "foreign table"})
    found = difference(a, b, owners=True)
    assert found.relations == (
        RelationChange("s.p", "partitioned table", "removed"),
        RelationChange("s.v", "view", "removed"),
        RelationChange("s.v", "foreign table", "added"),
    )
    assert found.equal is False


def test_a_table_that_one_side_does_not_have_is_no_unread_one() -> None:
    unread = DatabaseFingerprint("counts", {}, {"t": "no time was left"})
    gone = difference(unread, database(), owners=True)
    assert gone.tables == (TableChange("t", "removed", None, None),)
    new = difference(database(), unread, owners=True)
    assert new.tables == (TableChange("t", "added", None, None),)
    assert (gone.unknown, new.unknown, new.equal) == ((), (), False)
    both = difference(unread, replace(unread, not_reached={"t": "no right"}), owners=True)
    assert both.unknown == (("t", "no time was left"),)


FILE = FileEntry("file", 0o644, 0, 0, size=4, digest="d")


def test_added_removed_and_changed_entries_are_listed() -> None:
    a = TreeFingerprint({"/a": FILE, "/b": FILE, "/c": FILE})
    b = TreeFingerprint({"/b": replace(FILE, mode=0o600, digest="e"), "/c": FILE, "/d": FILE})
    found = difference(a, b, owners=True)
    assert found.files == (
        FileChange("/a", "removed"),
        FileChange("/b", "changed", ("contents", "mode 0600 (was 0644)")),
        FileChange("/d", "added"),
    )
    assert (found.compared, found.equal) == (2, False)


def test_owners_are_compared_only_if_both_sides_recorded_them() -> None:
    a, b = TreeFingerprint({"/a": FILE}), TreeFingerprint({"/a": replace(FILE, uid=7)})
    assert difference(a, b, owners=False).equal is True
    assert difference(a, b, owners=True).files == (
        FileChange("/a", "changed", ("owner 7:0 (was 0:0)",)),
    )


def test_entries_that_moved_or_could_not_be_read_are_unknown() -> None:
    a = TreeFingerprint({"/log": replace(FILE, volatile=True)}, {"/shut": "permission denied"})
    b = TreeFingerprint({"/log": replace(FILE, size=9), "/shut": FILE})
    found = difference(a, b, owners=True)
    assert dict(found.unknown) == {
        "/log": "the file changed during the capture",
        "/shut": "permission denied",
    }
    assert (found.files, found.equal) == ((), None)
    moved = {"/log": replace(FILE, volatile=True)}
    for one, other in (({}, moved), (moved, {}), ({"/log": FILE}, moved)):
        found = difference(TreeFingerprint(one), TreeFingerprint(other), owners=True)
        assert dict(found.unknown) == {"/log": "the file changed during the capture"}
    shut = TreeFingerprint({}, {"/shut": "permission denied"})
    found = difference(TreeFingerprint({"/shut": FILE}), shut, owners=True)
    assert (dict(found.unknown), found.files) == ({"/shut": "permission denied"}, ())


def test_tables_and_entries_are_counted_by_their_names() -> None:
    assert difference(database(), database(), owners=True).counted == ("table", "tables")
    trees = TreeFingerprint({}), TreeFingerprint({})
    assert difference(*trees, owners=True).counted == ("entry", "entries")


class _Unreadable:
    """A source with a file that a backup cannot read."""

    def __init__(self, error: SourceError) -> None:
        self.error = error

    def probe(self) -> Probe:
        raise self.error


class _AskedThroughItsServer(_Unreadable):
    def now(self) -> tuple[datetime, None]:
        return datetime.now(UTC), None


def test_what_only_a_backup_needs_is_a_warning_for_a_comparison_through_the_server() -> None:
    told: list[str] = []
    services = cast(Services, SimpleNamespace(warn=told.append))
    component = Component("server", "mariadb-server", None)
    error = SourceError(
        "user drd may not read 1 file of the server, for example /var/lib/mysql/x.ibd",
        hint="as root: chmod --recursive g+rX /var/lib/mysql.",
    )
    _warn_of_source(services, component, cast(Source, _AskedThroughItsServer(error)))
    [warning] = told
    assert warning.startswith("server: a backup would fail: user drd may not read 1 file of the ")
    assert "for example /var/lib/mysql/x.ibd (HINT: as root: chmod --recursive g+rX /" in warning
    with pytest.raises(SourceError, match="may not read"):
        _warn_of_source(services, component, cast(Source, _Unreadable(error)))
    away = SourceUnreachable("cannot connect")
    with pytest.raises(SourceUnreachable):
        _warn_of_source(services, component, cast(Source, _AskedThroughItsServer(away)))
