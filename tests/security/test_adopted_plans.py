"""Attack: whoever can write a dump into the directory of another tool waits until a person lets drd
write a plan for the dumps there (`drd plan new --adopt`), and root recovers by that plan.

The plan gave SQL to the program sqlite3, which executes `.shell` in it: as root, in a recovery. The
name of a database became part of an address, where it could name another host, and the name of a
file part of a rule of tar's.
"""

from __future__ import annotations

import sqlite3
import subprocess
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from drd.kinds.command import dump_file as command
from drd.kinds.files import dump_file as files
from drd.kinds.postgres import dump_file as postgres
from drd.kinds.postgres.address import address_of
from drd.model.plan import SecretRef
from drd.ports.dumps import FILE, DumpFile

_BEGIN = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE t(a);\n"


def restored(place: Path, sql: str) -> subprocess.CompletedProcess[bytes]:
    """Restore SQL with the command that drd writes into a plan."""
    data = sql.encode()
    found = command.recognise(DumpFile(Path("/dumps/shop-1.sql"), data, "", data))
    assert found is not None
    words = dict(found.keys)["restore"]
    assert isinstance(words, list)
    return subprocess.run(words, input=data, cwd=place, capture_output=True, check=False)


@pytest.mark.parametrize(
    "line",
    [
        ".shell touch {victim}",
        ".system touch {victim}",
        ".trace {victim}",
        ".output {victim}",
        ".import '|touch {victim}' t",
        "ATTACH '{victim}' AS x; CREATE TABLE x.t(a);",
        "ATTACH '{victim}' AS x;",
        "VACUUM INTO '{victim}';",
        "SELECT writefile('{victim}', 'x');",
        "SELECT load_extension('{victim}');",
    ],
)
def test_sql_of_a_dump_changes_nothing_but_its_database(tmp_path: Path, line: str) -> None:
    (tmp_path / "in").mkdir()
    victim = tmp_path / "victim"
    done = restored(tmp_path / "in", f"{_BEGIN}{line.format(victim=victim)}\nCOMMIT;\n")
    assert done.returncode != 0
    assert not victim.exists()
    assert {p.name.partition("-")[0] for p in (tmp_path / "in").iterdir()} <= {"data.db"}


def test_sql_of_a_dump_comes_back_whole(tmp_path: Path) -> None:
    texts = ["a;\n.shell x\nb;", "it's", "\r\n", "é", ""]
    with closing(sqlite3.connect(tmp_path / "was.db")) as made:
        made.execute("create table t (a text)")
        made.execute("create table log (a text)")
        made.executemany("insert into t values (?)", [(t,) for t in texts])
        made.execute(
            "create trigger g after insert on t begin insert into log values (new.a); select 1; end"
        )
        made.commit()
        was = list(made.iterdump())
    done = restored(tmp_path, "\n".join(["PRAGMA foreign_keys=OFF;", *was]) + "\n")
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(tmp_path / "data.db")) as made:
        assert list(made.iterdump()) == was


def test_sql_that_ends_early_is_not_a_restored_database(tmp_path: Path) -> None:
    assert restored(tmp_path, f"{_BEGIN}INSERT INTO t VALUES('x").returncode != 0


def test_the_name_of_a_database_in_a_dump_leads_to_no_other_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "shop?host=198.51.100.7&user=root#x/@"
    monkeypatch.setattr(postgres, "_asked", lambda *_: f";     dbname: {name}\n")
    monkeypatch.setattr(postgres, "_require_whole", lambda _: None)
    found = postgres.recognise(DumpFile(Path("/dumps/shop-1.dump"), b"PGDMP", "", b"PGDMP"))
    assert found is not None
    address = address_of(SecretRef("text", str(dict(found.keys)["dsn"])))
    assert (address.dbname, address.params.get("host")) == (name, None)


def test_the_name_of_an_archive_is_not_a_rule_of_tar(tmp_path: Path) -> None:
    file = tmp_path / "a,x,b-1.tar"
    (tmp_path / "conf").write_text("listen 80\n")
    with tarfile.open(file, "w") as made:
        made.add(tmp_path / "conf", "conf")
    head = file.read_bytes()[:1024]
    found = files.recognise(DumpFile(file, head, "", head))
    assert found is not None
    into = tmp_path / "into"
    into.mkdir()
    words = [w.replace(FILE, str(file)).replace("${into}", str(into)) for w in found.unpack]
    subprocess.run(words, check=True)
    assert (into / "srv/a,x,b/conf").read_text() == "listen 80\n"
