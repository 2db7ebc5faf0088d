"""Live SQLite databases as sources: consistent under writers, and honest about what is wrong."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from drd.errors import SourceError, SourceMissing, SourceUnreachable
from drd.kinds.sqlite import copy as copying
from drd.kinds.sqlite.unwritable import copy_files
from drd.model.single_item import Part
from drd.model.snapshot import DatabaseFingerprint, StoredSnapshot
from drd.ports import Stream, Workplace
from tests.integration.sqlite.support import KIND, ask, component, make, source, steady_writer, take
from tests.repository_support import until
from tests.restic_support import place
from tests.user_support import NOBODY, acting_as, as_root

_HOLDS_ON = """
import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("BEGIN EXCLUSIVE")
c.execute("INSERT INTO t VALUES (1)")
print("held", flush=True)
time.sleep(0.5)
c.execute("COMMIT")
"""
_DIES_WRITING = """
import os, sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("PRAGMA cache_size = 1")
c.execute("BEGIN")
for _ in range(4000):
    c.execute("INSERT INTO t VALUES (randomblob(200))")
os._exit(0)
"""


@pytest.fixture
def work(short_tmp: Path) -> Workplace:
    return place(short_tmp / "w")


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_copy_under_a_steady_writer_is_one_committed_state(
    journal: str, short_tmp: Path, work: Workplace
) -> None:
    path = make(
        short_tmp / "live.db",
        "CREATE TABLE a (n, filler)",
        "CREATE TABLE b (n)",
        "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 8000) "
        "INSERT INTO a SELECT -1, randomblob(2000) FROM s",
        journal=journal,
    )
    with steady_writer(path):
        snapshot, data = take(path, work)
        later = ask(path, "SELECT count(*) FROM b") if journal == "wal" else None
    copied = short_tmp / "copied.db"
    copied.write_bytes(data)
    assert ask(copied, "PRAGMA integrity_check") == "ok"
    rows = ask(copied, "SELECT count(*) FROM b")
    assert rows > 20
    assert ask(copied, "SELECT count(*) FROM a WHERE n >= 0") == rows
    assert later is None or later > rows
    assert isinstance(snapshot.fingerprint, DatabaseFingerprint)
    assert snapshot.fingerprint.tables["b"].rows == rows
    assert snapshot.facts["journal_mode"] == journal


def test_the_copy_is_never_readable_to_others(short_tmp: Path, work: Workplace) -> None:
    path = make(short_tmp / "live.db", "CREATE TABLE t (x)")
    path.chmod(0o644)
    before = os.umask(0)
    try:
        with source(path, work).open():
            (copy,) = work.directory.iterdir()
            assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_a_copy_left_by_a_killed_attempt_is_replaced_and_swept(
    short_tmp: Path, work: Workplace
) -> None:
    path = make(short_tmp / "live.db", "CREATE TABLE t (x)")
    (work.directory / "copy.sqlite").write_bytes(b"half")
    snapshot, _ = take(path, work)
    assert snapshot.bytes == path.stat().st_size
    (work.directory / "copy.sqlite").write_bytes(b"half")
    (work.directory / "copy.sqlite-wal").write_bytes(b"half")
    (said,) = KIND.sweep(work.directory)
    assert "temporary copy" in said
    assert list(work.directory.iterdir()) == []


def test_an_exclusive_writer_is_waited_for_but_not_for_ever(
    short_tmp: Path, work: Workplace
) -> None:
    path = make(short_tmp / "live.db", "CREATE TABLE t (x)")
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        begun = time.monotonic()
        with pytest.raises(SourceUnreachable) as caught:
            copying.consistent_copy(path, work.directory / "c", wait_s=0.3)
        assert 0.3 <= time.monotonic() - begun < 30
        assert not caught.value.permanent
        assert "locked" in str(caught.value)
        writer.execute("ROLLBACK")
    take(path, work)


def test_a_writer_that_lets_go_in_time_is_not_an_error(short_tmp: Path, work: Workplace) -> None:
    path = make(short_tmp / "live.db", "CREATE TABLE t (x)")
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            _HOLDS_ON,
            str(path),
        ],
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        snapshot, _ = take(path, work)
    finally:
        holder.communicate()
    assert isinstance(snapshot.fingerprint, DatabaseFingerprint)
    assert snapshot.fingerprint.tables["t"].rows == 1


def test_a_missing_file_is_named_and_not_created(short_tmp: Path, work: Workplace) -> None:
    path = short_tmp / "nowhere.db"
    with pytest.raises(SourceMissing, match=r"nowhere\.db does not exist"):
        source(path, work).probe()
    assert not path.exists()


@pytest.mark.parametrize("what", ["directory", "text"])
def test_something_else_than_a_database_is_refused(
    what: str, short_tmp: Path, work: Workplace
) -> None:
    path = short_tmp / "odd"
    if what == "directory":
        path.mkdir()
    else:
        path.write_text("not a database" * 500)
    with pytest.raises(SourceError) as caught:
        source(path, work).probe()
    assert caught.value.hint
    assert "not a" in str(caught.value)


def test_a_damaged_source_makes_no_snapshot_and_says_where(
    short_tmp: Path, work: Workplace
) -> None:
    path = make(
        short_tmp / "live.db",
        "CREATE TABLE t (x)",
        "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 4000) "
        "INSERT INTO t SELECT randomblob(100) FROM s",
    )
    data = bytearray(path.read_bytes())
    data[40960:45056] = b"\xee" * 4096
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"live\.db.*(damaged|malformed)") as caught:
        take(path, work)
    assert "integrity_check" in caught.value.hint
    with source(path, work, mode="off").open() as capture:
        assert capture.fingerprint is not None
        with pytest.raises(SourceError):
            capture.verify(StoredSnapshot("s", len(data), 0), None)


def test_a_stored_size_that_is_not_the_copys_is_refused(short_tmp: Path, work: Workplace) -> None:
    path = make(short_tmp / "live.db", "CREATE TABLE t (x)")
    with (
        source(path, work).open() as capture,
        pytest.raises(SourceError, match="restic stored"),
    ):
        capture.verify(StoredSnapshot("s", 17, 0), None)


def test_an_empty_file_is_a_database_without_tables(short_tmp: Path, work: Workplace) -> None:
    path = short_tmp / "empty.db"
    path.touch()
    snapshot, data = take(path, work)
    assert data.startswith(b"SQLite format 3")
    assert isinstance(snapshot.fingerprint, DatabaseFingerprint)
    assert dict(snapshot.fingerprint.tables) == {}
    assert path.stat().st_size == 0


def test_a_transaction_that_its_writer_never_finished_is_reported_with_a_remedy(
    short_tmp: Path, work: Workplace
) -> None:
    path = make(short_tmp / "live.db", "CREATE TABLE t (x)")
    subprocess.run(
        [
            sys.executable,
            "-c",
            _DIES_WRITING,
            str(path),
        ],
        check=True,
    )
    before = path.stat().st_mtime_ns
    with pytest.raises(SourceError) as caught:
        source(path, work).probe()
    assert "undoes the interrupted transaction" in caught.value.hint
    assert path.stat().st_mtime_ns == before


@as_root
def test_a_user_who_may_only_read_backs_up_a_closed_wal_database(
    short_tmp: Path, work: Workplace
) -> None:
    path = make(short_tmp / "live.db", "CREATE TABLE t (x)", journal="wal")
    work.directory.chmod(0o777)
    short_tmp.chmod(0o755)
    with acting_as(NOBODY):
        assert source(path, work).probe().size_bytes
        snapshot, _ = take(path, work)
    assert isinstance(snapshot.fingerprint, DatabaseFingerprint)
    assert list(snapshot.fingerprint.tables) == ["t"]
    assert [p.name for p in short_tmp.glob("live.db*")] == ["live.db"]


def test_files_of_a_wal_database_are_copied_as_one_committed_state(short_tmp: Path) -> None:
    """Where SQLite may not write its -shm file, beside a writer whose -wal begins anew all the
    time."""
    path = make(short_tmp / "live.db", "CREATE TABLE a (n, x)", "CREATE TABLE b (n)", journal="wal")
    copy, before = short_tmp / "copy.db", 0
    with steady_writer(path), closing(sqlite3.connect(path, timeout=0.05)) as checkpointer:
        for mode in ("PASSIVE", "TRUNCATE", "RESTART", "FULL") * 3:
            checkpointer.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
            # On a busy machine the writer may have had no turn since the last copy.
            count = "SELECT count(*) FROM b"
            until(lambda: checkpointer.execute(count).fetchone()[0] > before, patience_s=60)  # noqa: B023
            copy.write_bytes(b"")
            copy_files(path, copy, wait_s=60)
            assert [p.name for p in short_tmp.glob("copy.db*")] == ["copy.db"]
            assert ask(copy, "PRAGMA integrity_check") == "ok"
            rows = ask(copy, "SELECT count(*) FROM b")
            assert ask(copy, "SELECT count(*) FROM a") == rows > before
            before = rows


def test_a_copy_of_the_files_has_the_rows_that_a_dead_writer_left_in_the_wal(
    short_tmp: Path,
) -> None:
    path = make(short_tmp / "live.db", "CREATE TABLE a (n, x)", "CREATE TABLE b (n)", journal="wal")
    with steady_writer(path):
        pass
    (short_tmp / "live.db-shm").unlink()  # as after a reboot, where it was in memory
    wal = (short_tmp / "live.db-wal").read_bytes()
    copy = short_tmp / "copy.db"
    copy.write_bytes(b"")
    copy_files(path, copy, wait_s=5)
    assert ask(copy, "SELECT count(*) FROM b") >= 25
    assert (short_tmp / "live.db-wal").read_bytes() == wal
    assert not (short_tmp / "live.db-shm").exists()


@as_root
def test_unreadable_side_files_of_an_open_wal_database_are_reported(
    short_tmp: Path, work: Workplace
) -> None:
    path = make(short_tmp / "live.db", "CREATE TABLE t (x)", journal="wal")
    work.directory.chmod(0o777)
    short_tmp.chmod(0o755)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("INSERT INTO t VALUES (1)")
        (short_tmp / "live.db-shm").chmod(0o600)
        (short_tmp / "live.db-wal").chmod(0o600)
        with acting_as(NOBODY), pytest.raises(SourceError) as caught:
            take(path, work)
    assert "-shm" in caught.value.hint


@as_root
def test_a_user_who_may_not_read_at_all_is_told_so(short_tmp: Path, work: Workplace) -> None:
    path = make(short_tmp / "live.db", "CREATE TABLE t (x)")
    path.chmod(0o600)
    short_tmp.chmod(0o755)
    with acting_as(NOBODY), pytest.raises(SourceError) as caught:
        source(path, work).probe()
    assert "let this user read the file" in caught.value.hint


def test_names_and_values_of_every_kind_are_counted_and_digested(
    short_tmp: Path, work: Workplace
) -> None:
    path = make(
        short_tmp / "we ird?#%.db",
        'CREATE TABLE "two ""words""" (x)',
        "CREATE TABLE заказы (rowid, _rowid_, oid)",
        'CREATE TABLE "sqlite\'" (x)',
        "CREATE TABLE keyed (b TEXT, a INT, PRIMARY KEY (a, b)) WITHOUT ROWID",
        "CREATE VIRTUAL TABLE words USING fts5(text)",
        "INSERT INTO words VALUES ('hello')",
        "CREATE VIEW v AS SELECT 1",
        "INSERT INTO keyed VALUES ('x', 2), ('y', 1)",
        "INSERT INTO заказы VALUES (1, 2.5, NULL), (x'00ff', 'тест', -1)",
        'INSERT INTO "two ""words""" VALUES (CAST(x\'ff41\' AS TEXT))',
    )
    snapshot, _ = take(path, work, mode="digest")
    found = snapshot.fingerprint
    assert isinstance(found, DatabaseFingerprint)
    assert found.not_reached == {}
    counts = {name: state.rows for name, state in found.tables.items()}
    assert counts['two "words"'] == 1
    assert counts["заказы"] == 2
    assert counts["keyed"] == 2
    assert counts["words_content"] == 1
    assert not {"v", "words", "sqlite_sequence"} & counts.keys()
    assert all(state.digest for state in found.tables.values())


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE t SET x = '1' WHERE x = 1",
        "UPDATE t SET x = 1.0 WHERE x = 1",
        "UPDATE t SET x = x'61' WHERE x = 'a'",
        "UPDATE t SET y = NULL",
        "DELETE FROM t WHERE x = 1",
        "INSERT INTO t VALUES (NULL, NULL)",
    ],
)
def test_a_digest_sees_every_change_of_a_value_or_of_its_type(
    change: str, short_tmp: Path, work: Workplace
) -> None:
    rows = ("CREATE TABLE t (x, y)", "INSERT INTO t VALUES (1, ''), ('a', 0)")
    digests = []
    for name, more in (("a.db", ()), ("b.db", (change,)), ("c.db", ())):
        snapshot, _ = take(make(short_tmp / name, *rows, *more), work, mode="digest")
        assert isinstance(snapshot.fingerprint, DatabaseFingerprint)
        digests.append(snapshot.fingerprint.tables["t"].digest)
    assert digests[0] != digests[1]
    assert digests[0] == digests[2]


def test_tables_beyond_the_budget_are_named_and_have_no_count(
    short_tmp: Path, work: Workplace
) -> None:
    path = make(
        short_tmp / "live.db",
        "CREATE TABLE big (x)",
        "CREATE TABLE later (x)",
        "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 300000) "
        "INSERT INTO big SELECT n FROM s",
    )
    snapshot, _ = take(path, work, mode="digest", budget="0.01s")
    found = snapshot.fingerprint
    assert isinstance(found, DatabaseFingerprint)
    assert dict(found.tables) == {}
    assert set(found.not_reached) == {"big", "later"}
    assert all("budget" in why for why in found.not_reached.values())


def test_a_disabled_fingerprint_is_empty(short_tmp: Path, work: Workplace) -> None:
    path = make(short_tmp / "live.db", "CREATE TABLE t (x)")
    assert take(path, work, mode="off")[0].fingerprint is None


def test_the_stream_is_one_file_named_after_the_component(short_tmp: Path, work: Workplace) -> None:
    path = make(short_tmp / "live.db", "CREATE TABLE t (x)")
    with source(path, work).open() as capture:
        assert isinstance(capture.payload, Stream)
        assert capture.payload.filename == "db.sqlite"
        assert capture.payload.expected_bytes == path.stat().st_size


@as_root
def test_a_backup_leaves_no_files_of_its_own_beside_a_database_at_rest(
    short_tmp: Path, work: Workplace
) -> None:
    """A user of the application's group may make files there, which the application could not
    write to."""
    path = make(short_tmp / "live.db", "CREATE TABLE t (x)", journal="wal")
    path.chmod(0o644)
    work.directory.chmod(0o777)
    short_tmp.chmod(0o777)
    with acting_as(NOBODY):
        assert source(path, work).probe().size_bytes
        snapshot, _ = take(path, work)
        assert snapshot.fingerprint is not None
        KIND.live(component(path), Part(), snapshot.fingerprint, 60)
    assert [p.name for p in short_tmp.glob("live.db*")] == ["live.db"]
