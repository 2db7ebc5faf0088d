"""`drd plan new --adopt DIRECTORY`: dumps that somebody else's script has left there."""

from __future__ import annotations

import errno
import gzip
import json
import os
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import pytest

from drd.catalogue.summary import read_facts
from drd.cli.main import main
from drd.flows.drill.request import DrillRequest
from drd.flows.drill.run import drill
from drd.flows.repository.adopted import list_copies
from drd.flows.restore.point_choice import choose
from drd.model.run import CheckVerdict, Evidence
from drd.ports.adopted import ReadToEnd
from drd.repositories.adopted import one_database, packers
from drd.repositories.adopted.cut_off import why_cut_off
from drd.repositories.adopted.dump_sources import DirectoryDumps
from drd.repositories.adopted.dumps import recognised, search_dumps
from drd.repositories.adopted.pg_archive import judged
from drd.repositories.adopted.repository import AdoptedRepository
from tests.integration.test_adopted import Site
from tests.servers import PostgresServer

DAY_S = 86400.0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def written(site: Site, name: str, data: bytes = b"", *, days: float = 1.0) -> Path:
    """Write a file into the directory of the dumps, `days` ago."""
    path = site.base / "dumps" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if data:
        path.write_bytes(data)
    at = time.time() - days * DAY_S
    os.utime(path, (at, at))
    return path


def database(site: Site, name: str, days: float) -> None:
    path = site.base / "dumps" / name
    with closing(sqlite3.connect(path)) as made:
        made.execute("create table orders (id integer primary key, created_at text)")
        made.execute("create table empty (x)")
        made.execute("insert into orders values (1, '2026-11-25')")
        made.commit()
    written(site, name, days=days)


def how_cut_off(data: bytes) -> str:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return judged(file) or ""


def archive(site: Site, name: str, *words: str) -> None:
    tree = site.base / "tree/etc/shop"
    tree.mkdir(parents=True, exist_ok=True)
    for conf in ("app", "db", "log"):
        (tree / f"{conf}.conf").write_text("listen 80\n")
    file = site.base / "dumps" / name
    subprocess.run(["tar", "-c", *words, "-f", file], check=True, cwd=site.base / "tree")
    written(site, name)


def plan_new(site: Site, place: str, *words: str) -> int:
    return main(["--config", f"{site.base}/drd.yaml", "plan", "new", "--adopt", place, *words])


def adopt(site: Site, where: str, name: str) -> int:
    return plan_new(site, f"{site.base}/{where}", "--name", name)


def drilled(site: Site, name: str) -> Evidence:
    plan = site.app.plans.load(name)
    return drill(site.app.services(plan), plan, DrillRequest()).evidence


def last_drill(site: Site) -> str | None:
    """The result of the drill that counts."""
    [facts] = read_facts(site.app.settings.state_url)
    last = facts.scenarios[0].last
    return last.result if last is not None else None


def test_a_directory_of_dumps_becomes_plans_that_drill_as_they_are_written(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    (site.base / "dumps/orders.db").unlink()
    for day in (3, 2, 1):
        database(site, f"shop-2026-11-2{day}.bin", 4.0 - day)
    archive(site, "conf-1.backup", "--gzip", "etc")
    archive(site, "own-1", "-C", "etc", "shop")
    written(site, "notes.txt", b"call home\n")
    plain = b"--\n-- PostgreSQL database dump\n--\n-- PostgreSQL database dump complete\n--\n"
    written(site, "full-1.sql", plain)
    written(site, "a b-1.db", (site.base / "dumps/shop-2026-11-21.bin").read_bytes())
    (site.base / "dumps/latest").symlink_to("shop-2026-11-21.bin")

    assert adopt(site, "dumps", "shop") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "3 copies, the newest from" in said
    assert "2 tables: orders, empty" in said
    assert "full-1.sql: a dump of PostgreSQL in plain SQL: let the other tool dump with" in said
    assert (
        "'a b-1.db': drd does not use these files, because a name may only contain letters" in said
    )
    for name in ("conf-1.backup", "own-1"):
        assert f"drd plan new --adopt {site.base}/dumps/{name}" in said
    assert "notes" not in said
    text = (site.base / "plans/shop.yaml").read_text()
    assert "objectives: {rpo: 27h, rto: 1h}" in text
    assert "orders has rows" in text
    assert "empty has rows" not in text
    assert "select max(created_at) from orders" in text
    evidence = drilled(site, "shop")
    assert evidence.result == "passed"
    assert len(evidence.checks) == 2

    for name, where in (("conf", "/etc/shop"), ("own", "/srv/own")):
        assert adopt(site, f"dumps/{name}-*", name) == 0
        text = (site.base / f"plans/{name}.yaml").read_text()
        assert f"paths: [{where}]" in text
        assert f"$(find .{where} -type f | wc -l)" in text.replace("\\", "")
        assert [c.verdict for c in drilled(site, name).checks] == [CheckVerdict.PASSED] * 2


def test_the_list_of_a_series_has_no_dump_of_another_database_now_or_later(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    (site.base / "dumps/orders.db").unlink()
    odd = site.base / "dumps/a+b [c]"
    odd.mkdir()
    for day in (1, 2):
        database(site, f"a+b [c]/shop-2026-11-2{day}.db", day)
    for name in ("shop-test-2026-11-27.db", "shop-test-2026-11-26.db", "shop-test-1.db"):
        database(site, f"a+b [c]/{name}", 0.5)
    assert adopt(site, "dumps/a+b [c]/shop-*-*-*.db", "shop") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"drd plan new --adopt '{odd}/shop-test-*-*-*.db'" in said
    (odd / "below-1").mkdir()
    later = ("shop-test-2.db", "below-1/shop-3.db", "shop-4.db.gz", "shop-4-old.db", "shop-.db")
    for name in later:
        database(site, f"a+b [c]/{name}", 0.1)
    database(site, "a+b [c]/shop-2-2026-11-28.db", 0.1)
    plan = site.app.plans.load("shop")
    listed = subprocess.check_output(plan.primary.adopted.command.list, text=True)
    assert sorted(json.loads(line)["name"] for line in listed.splitlines()) == [
        "shop-2026-11-21.db",
        "shop-2026-11-22.db",
    ]
    assert drilled(site, "shop").result == "passed"
    assert adopt(site, "dumps/a+b [c]/shop-test-*-*-*.db", "test") == 0
    assert "Seen: 2 copies" in capsys.readouterr().out


def test_dumps_named_by_the_day_of_the_week_are_one_series_and_the_others_are_told(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    (site.base / "dumps/orders.db").unlink()
    database(site, "shop-Mon.db", 3.0)
    for name, days in (("shop-Tue.db", 2.0), ("shop-Wed.db", 1.0), ("shop-test-Wed.db", 0.5)):
        database(site, name, days)
    written(site, "shop-notes.txt", b"call home\n")
    assert adopt(site, "dumps/shop-*", "shop") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Seen: 3 copies" in said
    assert "2 series of dumps match --adopt, but the plan contains only one, shop-[A-Z]*.db" in said
    assert f"drd plan new --adopt '{site.base}/dumps/shop-test-[A-Z]*.db'" in said
    assert "shop-notes.txt: drd does not recognise the newest file as a dump" in said
    plan = site.app.plans.load("shop")
    assert "shop" in plan.components
    database(site, "shop-Sun.db", 0.2)
    listed = subprocess.check_output(plan.primary.adopted.command.list, text=True)
    assert sorted(json.loads(line)["name"] for line in listed.splitlines()) == [
        f"shop-{day}.db" for day in ("Mon", "Sun", "Tue", "Wed")
    ]
    assert adopt(site, "dumps/shop-M*", "again") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "3 of these copies do not match --adopt, but the plan contains all dumps of a series"
        in said
    )


def test_a_dump_that_was_just_written_counts_after_a_minute(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adopt(site, "dumps/orders.db", "orders") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "drd counts it when it has not changed for 1 min" in said
    text = (site.base / "plans/orders.yaml").read_text()
    assert "-mmin, '+1'" in text
    assert "# The other tool overwrites this one file" in text
    assert "\nretention: {last: 1}\n" in text
    written(site, "orders.db", days=1.0)
    (site.base / "plans/orders.yaml").unlink()
    assert adopt(site, "dumps", "orders") == 0
    assert "-mmin, '+10'" in (site.base / "plans/orders.yaml").read_text()


def test_one_empty_dump_of_a_daily_series_does_not_double_the_rpo(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    for day in (1, 2, 4, 5):
        database(site, f"shop-{day}.db", day)
    (site.base / "dumps/shop-3.db").touch()
    assert adopt(site, "dumps/shop-*.db", "shop") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "shop-3.db: 0 bytes. This is not a copy" in said
    assert "no dump that counts was made for 2d, between" in said
    text = (site.base / "plans/shop.yaml").read_text()
    assert "objectives: {rpo: 27h, rto: 1h}" in text
    assert "If this is intended, raise `rpo`" in text.replace("\n#", "")


def test_a_dump_that_is_dated_in_the_future_is_reported_and_not_used(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    database(site, "orders-20261128.db", 1.0)
    database(site, "orders-20261129.db", -2.0)
    assert adopt(site, "dumps/orders-*.db", "orders") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Seen: 1 copy," in said
    assert "orders-20261129.db (" in said
    assert (
        "the time of the file is in the future, so drd does not use the file before that time"
        in said
    )
    plan = site.app.plans.load("orders")
    copies = site.app.services(plan).open_repository(plan.primary).doctor()[-1]
    assert copies.text.endswith("1 other not used: orders-20261129.db: it is dated in the future")
    assert adopt(site, "dumps/orders-20261129.db", "later") == 2
    assert "orders-20261129.db (" in capsys.readouterr().err


def test_a_directory_without_a_dump_is_refused_with_the_reason_of_each_file(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    (site.base / "dumps/orders.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 4000)
    written(site, "bad-1.tar", b"x" * 257 + b"ustar\0" + b"y" * 500 + bytes(1024))
    (site.base / "dumps/empty-1.dump").touch()
    assert adopt(site, "dumps", "x") == 2
    said = capsys.readouterr().err
    assert "does not contain a dump that drd can adopt" in said
    assert "a SQLite file that cannot be read" in said
    assert "an archive that tar cannot read" in said
    assert "empty-1.dump: 0 bytes. This is not a copy" in said
    assert adopt(site, "nowhere", "x") == 2
    assert f"there is no directory {site.base}/nowhere" in capsys.readouterr().err
    assert plan_new(site, f"{site.base}/dumps", "--host", "web1") == 2
    assert "--host works only for copies made by restic" in capsys.readouterr().err
    assert plan_new(site, f"{site.base}/dumps", "--tag", "shop") == 2
    assert "--tag works only for copies made by restic" in capsys.readouterr().err
    (site.base / "borg/data").mkdir(parents=True)
    (site.base / "borg/config").write_text("[repository]\nversion = 1\n")
    assert adopt(site, "borg", "x") == 2
    said = capsys.readouterr().err
    assert "/borg is a repository of Borg, and --adopt cannot read these" in said
    assert "Borg and borgmatic" in said
    assert list((site.base / "plans").iterdir()) == []


def test_a_dump_of_postgresql_is_checked_for_each_table_that_has_rows(
    site: Site, postgres: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    postgres.execute("create database adopted_dump")
    postgres.execute(
        "create table orders as select n as id, now() as made_at from generate_series(1, 5) n;"
        'create schema s; create table s."Odd ""Name" as select 1 as x;'
        "create table empty (x int); select lo_from_bytea(0, 'large');",
        "adopted_dump",
    )
    made = site.base / "dumps/shop-202601"
    dsn = postgres.dsn("adopted_dump")
    subprocess.run([postgres.bin_dir / "pg_dump", "-Fc", "-f", made, dsn], check=True)
    piped = subprocess.check_output([postgres.bin_dir / "pg_dump", "-Fc", dsn])
    for archive_ in (made.read_bytes(), piped):
        assert how_cut_off(archive_) == ""
        for size in range(100, len(archive_), 7):
            assert how_cut_off(archive_[:size]).startswith("the archive of PostgreSQL "), size
    written(site, "shop-202601")
    assert adopt(site, "dumps/shop-*", "shop") == 0
    assert "3 tables" in capsys.readouterr().out
    text = (site.base / "plans/shop.yaml").read_text()
    assert "dsn: postgresql:///adopted_dump" in text
    assert 'select max("made_at") from orders' in text
    evidence = drilled(site, "shop")
    assert evidence.result == "passed"
    assert [c.name for c in evidence.checks] == [
        "all 3 tables are restored",
        "orders has rows",
        's."Odd ""Name" has rows',
    ]
    whole = made.read_bytes()
    (site.base / "dumps/shop-202602").write_bytes(
        whole[:-12] + bytes(n ^ 0xFF for n in whole[-12:-6]) + whole[-6:]
    )
    written(site, "shop-202602", days=0.1)
    (row, *_) = drilled(site, "shop").checks
    assert row.observed.startswith("the dump of adopted-dump is cut off or damaged: pg_restore: ")
    plan = site.app.plans.load("shop")
    cut, whole_point = site.app.catalogue.points.of_plan("shop")
    assert site.app.catalogue.evidence.unrestorable("shop").keys() == {cut.id}
    assert choose(site.app.services(plan), plan).point.id == whole_point.id
    assert adopt(site, "dumps/shop-*", "again") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "2 copies, the newest from" in said
    assert "- shop-202602 is a dump of PostgreSQL that is cut off or damaged: pg_restore: " in said
    assert "A drill of this copy fails" in said
    assert "orders has rows" in (site.base / "plans/again.yaml").read_text()
    (site.base / "dumps/shop-202601").unlink()
    (site.base / "dumps/shop-202603").write_bytes(whole[:-40])
    written(site, "shop-202603", days=0.05)
    gone = list_copies(site.app.services(plan), plan)
    newest = site.app.catalogue.points.of_plan("shop")[0]
    assert (newest.complete, "is cut off: the archive of" in str(newest.components[0].error)) == (
        False,
        True,
    )
    assert (gone.expired, gone.missing) == ((), (whole_point.id,)), (
        "the cut one does not replace it"
    )
    assert adopt(site, "dumps/shop-*", "third") == 2
    assert "a dump of PostgreSQL that is cut off or damaged" in capsys.readouterr().err


def test_no_drill_passes_because_the_tables_of_an_empty_database_are_restored(
    site: Site, postgres: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    postgres.execute("create database adopted_empty")
    postgres.execute("create table orders (id int); create table items (x int)", "adopted_empty")
    dsn = postgres.dsn("adopted_empty")
    made = site.base / "dumps/shop-202601"
    subprocess.run([postgres.bin_dir / "pg_dump", "-Fc", "-f", made, dsn], check=True)
    written(site, "shop-202601")
    site.dump(0)
    written(site, "orders.db")
    packed = site.base / "dumps/packed-1.db.gz"
    packed.write_bytes(gzip.compress((site.base / "dumps/orders.db").read_bytes()))
    written(site, "packed-1.db.gz")
    sql = b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE a (x);\nCOMMIT;\n"
    (site.base / "dumps/people-1.sql.gz").write_bytes(gzip.compress(sql))
    written(site, "people-1.sql.gz")
    for series, result in (
        ("shop-*", "failed"),
        ("packed-*", "failed"),
        ("orders*", "failed"),
        ("people-*", "inconclusive"),
    ):
        name = series.strip("-*")
        assert adopt(site, f"dumps/{series}", name) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "Not proven by drills of this plan: - " in said
        assert "has a row" in said or "does not contain any rows" in said
        evidence = drilled(site, name)
        assert evidence.result == result
        rows = [c for c in evidence.checks if c.name == "there are rows"]
        assert [c.observed for c in rows] == ["0"] * len(rows)


def test_a_dump_that_is_cut_off_is_an_incomplete_copy_and_no_new_plan_begins_with_it(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    (site.base / "dumps/orders.db").unlink()
    for day in (3, 2, 1):
        database(site, f"shop-20260{day}.db", day)
    newest = site.base / "dumps/shop-202601.db"
    newest.write_bytes(newest.read_bytes()[:8000])
    written(site, "shop-202601.db", days=1.0)
    assert adopt(site, "dumps", "shop") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "2 tables: orders, empty" in said
    assert "shop-202601.db is cut off: the SQLite file has only 8,000 of 12,288 bytes" in said
    assert drilled(site, "shop").result == "passed"
    points = site.app.catalogue.points.of_plan("shop")
    assert [p.complete for p in points] == [False, True, True]
    assert points[0].components[0].error == (
        "the dump is cut off: the SQLite file has only 8,000 of 12,288 bytes"
    )
    (site.base / "dumps/shop-202602.db").unlink()
    (site.base / "dumps/shop-202603.db").unlink()
    assert adopt(site, "dumps", "again") == 2
    assert "shop-*.db: shop-202601.db is cut off: the SQLite" in capsys.readouterr().err


def test_a_packed_dump_that_is_cut_off_fails_its_drill_with_that_reason(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packers, "SMALL", 0)  # too large to be read to its end when it is listed
    (site.base / "dumps/orders.db").unlink()
    sql = b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE a (x);\n"
    rows = b"".join(b"INSERT INTO a VALUES(%d);\n" % n for n in range(2000))
    (site.base / "dumps/shop-202601.sql.gz").write_bytes(gzip.compress(sql + rows + b"COMMIT;\n"))
    written(site, "shop-202601.sql.gz", days=2.0)
    assert adopt(site, "dumps", "shop") == 0
    assert drilled(site, "shop").result == "passed"
    file = site.base / "plans/shop.yaml"
    text = file.read_text()
    file.write_text(text.replace("    kind: command\n", "    kind: command\n    ends_with: x\n", 1))
    (row, *_) = drilled(site, "shop").checks
    assert row.observed.startswith("copy shop-202601.sql.gz is cut off: it does not end with 'x'")
    file.write_text(text)
    (site.base / "dumps/shop-202602.sql.gz").write_bytes(gzip.compress(sql + rows))
    written(site, "shop-202602.sql.gz")
    monkeypatch.setattr(AdoptedRepository, "read_to_end", lambda *_: ReadToEnd("too-large", "so"))
    evidence = drilled(site, "shop")
    assert evidence.result == "failed"
    assert evidence.checks[0].observed == (
        "copy shop-202602.sql.gz is cut off: a dump of SQLite ends with the line 'COMMIT;', which "
        "is missing; remedy: find out in the log of the other tool why the dump stopped, or "
        "whether the copy was made before the dump was complete. Choose another restore point: "
        "drd points shop"
    )
    assert last_drill(site) == "failed"
    [facts] = read_facts(site.app.settings.state_url)
    [place] = facts.repositories
    assert (place.damage, place.sound) == (None, None), "one dump, not the repository"
    written(site, "shop-202603.sql.gz", gzip.compress(sql + rows + b"COMMIT;\n"), days=0.5)
    (site.base / "dumps/shop-202602.sql.gz").unlink()
    assert drilled(site, "shop").result == "passed"
    (site.base / "dumps/shop-202603.sql.gz").unlink()
    written(site, "shop-202604.sql.gz", gzip.compress(sql + rows), days=0.4)
    assert drilled(site, "shop").result == "failed"
    (site.base / "dumps/shop-202604.sql.gz").unlink()
    assert drilled(site, "shop").result == "passed", "of the only one that is left"
    assert last_drill(site) == "passed"
    file.write_text(text + "retention: {last: 2}\n")
    written(site, "shop-202605.sql.gz", gzip.compress(sql + rows), days=0.3)
    assert drilled(site, "shop").result == "failed"
    written(site, "shop-202606.sql.gz", gzip.compress(sql + rows + b"COMMIT;\n"), days=0.2)
    (site.base / "dumps/shop-202601.sql.gz").unlink()
    plan = site.app.plans.load("shop")
    assert len(list_copies(site.services(plan), plan).expired) == 1, "by the count of the tool"
    [warned] = [w for w in site.warnings if "counts copies that cannot be restored" in w]
    assert "(copy shop-202601.sql.gz)" in warned


def test_a_damaged_packed_file_does_not_keep_the_others_from_being_adopted(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    database(site, "good-2026-01-01.db", 2)
    data = bytearray(gzip.compress((site.base / "dumps/good-2026-01-01.db").read_bytes()))
    data[len(data) // 2] ^= 0xFF
    written(site, "shop-2026-01-01.db.gz", bytes(data))
    assert adopt(site, "dumps", "good") == 0
    said = capsys.readouterr().out
    assert "good-*-*-*.db" in said
    assert "shop-*-*-*.db.gz" in said
    assert "cannot be unpacked" in said


def test_a_damaged_newest_dump_does_not_keep_the_older_ones_from_being_adopted(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plan begins with the newest sound dump, and says which ones are damaged, and how."""
    for day in (4, 3, 2):
        archive(site, f"conf-2026-11-2{day}.tar", "etc")
        written(site, f"conf-2026-11-2{day}.tar", days=7.0 - day)
    nothing = ["tar", "-c", "-T", "/dev/null", "-f", site.base / "dumps/conf-2026-11-25.tar"]
    subprocess.run(nothing, check=True)
    with (site.base / "dumps/conf-2026-11-25.tar").open("r+b") as file:
        file.write((site.base / "dumps/conf-2026-11-24.tar").read_bytes()[:512])  # a directory
    written(site, "conf-2026-11-25.tar", days=2.0)
    whole = (site.base / "dumps/conf-2026-11-24.tar").read_bytes()
    written(site, "conf-2026-11-26.tar", whole, days=1.0)

    def read(file: IO[bytes], **options: Any) -> str:
        if Path(file.name).name == "conf-2026-11-26.tar":
            raise OSError(errno.EIO, "Input/output error")
        return why_cut_off(file, **options)

    monkeypatch.setattr("drd.repositories.adopted.dumps.why_cut_off", read)
    assert adopt(site, "dumps/conf-*", "conf") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "3 files" in said
    assert "conf-2026-11-26.tar is a file that drd cannot read: " in said
    assert "conf-2026-11-25.tar is a tar archive that does not contain any files" in said
    assert (site.base / "plans/conf.yaml").exists()


def test_the_header_of_a_damaged_dump_is_no_other_database(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (3, 2, 1):
        database(site, f"shop-2026-11-2{4 - day}.db", day)
    newest = site.base / "dumps/shop-2026-11-23.db"
    written(site, newest.name, newest.read_bytes()[:4096])
    of = {newest.name: "sh\x00p"}
    monkeypatch.setattr(one_database, "database_in", lambda path: of.get(path.name, "shop"))
    (series,) = search_dumps(DirectoryDumps(newest.parent), "shop-*").series
    assert list(series.cut_off) == [newest.name]


def test_a_line_of_sql_takes_no_more_memory_than_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drd.kinds.command.dump_file._MEMORY_KB", 48 << 10)
    path = tmp_path / "shop.sql.gz"
    start = b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nINSERT INTO first VALUES(1);\n"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(start + b"INSERT INTO wide VALUES('")
        for _ in range(64):
            file.write(bytes(1 << 20))
        file.write(b"');\nINSERT INTO last VALUES(1);\nCOMMIT;\n")
    known = recognised(path)
    assert known is not None
    assert [check["name"] for check in known[1].checks][1:] == [
        "first has rows",
        "wide has rows",
        "last has rows",
    ]
