"""A value in the catalogue that is none is named with its table and column, by whatever reads
it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Boolean, Column, Float, Integer

from drd.catalogue import diagnosis
from drd.catalogue.columns import Json, UtcTime, metadata
from drd.cli.main import main
from drd.flows.incidents.opening import open_incident
from drd.model.holds import Hold
from drd.model.incidents.entries import Author
from drd.process import actor_here
from tests.integration.test_status_command import NOW, Bench, ago

VERBS = (("status", "--json"), ("runs", "--json"), ("points", "orders-api", "--json"))


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """One with points, drills, a failed run and a hold, which nobody has open."""
    bench = Bench(tmp_path)
    (tmp_path / "drd.yaml").write_text(f"state: {bench.url}\nplans: plans\n")
    monkeypatch.setenv("DRD_CONFIG", str(tmp_path / "drd.yaml"))
    bench.load(ago(days=2))
    kept = bench.backup(ago(hours=1))
    bench.backup(ago(minutes=8))
    bench.drill(ago(minutes=5))
    bench.backup(ago(minutes=2), complete=False)
    until = NOW + timedelta(days=400)
    hold = Hold(kept, "orders-api", "audit", ago(minutes=1), by=actor_here(), until=until)
    bench.catalogue.keeping.hold(hold)
    author = Author("anna", ago(minutes=1), actor_here())
    open_incident(bench.catalogue, author, "orders leaked", plans=["orders-api"])
    bench.close()
    with closing(sqlite3.connect(bench.database)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    return bench


def spoiled(bench: Bench) -> Iterator[str]:
    """By table and column each value that is no text gets another one, and is back afterwards."""
    sound = bench.database.read_bytes()
    with closing(sqlite3.connect(bench.database)) as connection:
        kept = "select name from sqlite_master where type = 'trigger' and tbl_name like 'record%'"
        of_records = [name for (name,) in connection.execute(kept)]
    typed = (UtcTime, Json, Integer, BigInteger, Float, Boolean)
    columns: list[Column[object]] = [
        c for t in metadata.sorted_tables for c in t.columns if isinstance(c.type, typed)
    ]
    for column in columns:
        for value in ("garbage", '{"a": 1}') if isinstance(column.type, Json) else ("garbage",):
            with closing(sqlite3.connect(bench.database)) as connection, connection:
                name = f'"{column.table.name}"'
                where = f'where "{column.name}" is not null'
                if column.primary_key and isinstance(column.type, Integer):
                    continue  # a row's number, which SQLite keeps one
                for trigger in of_records:  # a disk that flips bits knows none
                    connection.execute(f"drop trigger if exists {trigger}")
                update = f'update or ignore {name} set "{column.name}" = ? {where}'
                changed = connection.execute(update, [value]).rowcount
            if changed:
                yield f"{column.table.name}.{column.name}"
                bench.database.write_bytes(sound)
                bench.database.with_name("drd.db-wal").unlink(missing_ok=True)


def test_every_reader_names_a_malformed_value(
    full: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    named = set()
    for where in spoiled(full):
        for words in VERBS:
            code = main(list(words))
            told = "".join(capsys.readouterr())
            assert "internal error" not in told, (where, words, told)
            if "drd's catalogue is damaged" in told:
                assert code == 1
                assert f": {where} " in told
                assert "drd catalogue rebuild" in told
                named.add(where)
    assert len(named) > 30
    assert {"points.data_time", "plans.rpo_s", "holds.actor"} <= named
    assert main(["status", "orders-api"]) == 3, "the sound one is read"
    assert "breached" in capsys.readouterr().out, "its points are of long ago"


def test_nothing_is_green_by_an_objective_beyond_all_bounds(
    full: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(full.database)) as connection, connection:
        connection.execute("update plans set rpo_s = 9e999")
    assert main(["status"]) == 1
    told = capsys.readouterr().err
    assert "plans.rpo_s (of name 'orders-api') is inf, which is not a valid number" in told


def test_a_run_detail_of_an_unexpected_form_is_named_with_its_row(
    full: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its form depends on the kind of the run."""
    with closing(sqlite3.connect(full.database)) as connection, connection:
        connection.execute("""update runs set detail = '{"fence": {"held": 1}}'""")
    assert main(["runs"]) == 1
    told = capsys.readouterr().err
    assert "internal error" not in told
    assert ": runs.detail (of id '" in told
    assert "which is JSON of an unexpected form" in told


def test_a_step_result_of_an_unexpected_form_is_named_with_its_row(
    full: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its form depends on the kind of the step."""
    with closing(sqlite3.connect(full.database)) as connection, connection:
        [run] = connection.execute("select id from runs where kind = 'drill'").fetchone()
        values = (run, "restore db", 0, "restore", "succeeded", 1, ago(minutes=5).isoformat())
        connection.execute(
            "insert into steps (run, name, position, kind, state, attempt, started_at, result)"
            """ values (?, ?, ?, ?, ?, ?, ?, '{"notes": 5}')""",
            values,
        )
    assert main(["run", "show", run]) == 1
    told = capsys.readouterr().err
    assert "internal error" not in told
    assert f": steps.result (of run '{run}', name 'restore db') is" in told
    assert "which is JSON of an unexpected form" in told


def test_a_valid_catalogue_has_no_malformed_value(full: Bench) -> None:
    diagnosis.require_sound(full.url)
