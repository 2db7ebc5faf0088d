"""Whole PostgreSQL servers, without a server: settings, facts and names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from drd.config.resolved import _settings
from drd.kinds.postgres.physical import SPEC
from drd.kinds.postgres.physical.chain import base, made, room
from drd.kinds.postgres.physical.contents import differences
from drd.kinds.postgres.physical.directory_server import DirectoryServer, harmless
from drd.kinds.postgres.physical.discovery import wishes
from drd.kinds.postgres.physical.grants import grants
from drd.kinds.postgres.physical.increments import _Laid, _Unusable
from drd.kinds.postgres.physical.manifest import require_written
from drd.kinds.postgres.physical.settings import (
    ClusterSettings,
    ClusterTarget,
    IncrementalSettings,
)
from drd.kinds.postgres.restored_server import make_way
from drd.kinds.postgres.tools import PostgresPrograms
from drd.model.plan import Component
from drd.model.snapshot import ComponentSnapshot, TreeFingerprint
from drd.model.strict import UnexpectedValue
from drd.ports import Entry, Workplace
from drd.ports.grants import Logins
from drd.ports.kinds import Ability

FACTS: dict[str, Any] = {
    "place": "/var/lib/drd/work/run-1/server.postgres-cluster/cluster",
    "system_identifier": "7440000000000000000",
    "timeline": 1,
    "start_lsn": "0/2000028",
    "end_lsn": "0/2000158",
    "manifest_digest": "0" * 64,
    "cluster_bytes": 40 << 20,
    "server_version": "17.2",
    "server_major": 17,
    "pg_basebackup_version": "17.2",
    "bootstrap_role": "postgres",
    "database": "shop",
    "databases": ["postgres", "shop"],
    "tablespaces": {"16400": "fast"},
    "libraries": ["auto_explain"],
    "standby": False,
    "oldest_transaction": 744,
    "next_transaction": (3 << 32) + 900,
}

SNAPSHOT = ComponentSnapshot("server", "postgres-cluster", "captured", facts=FACTS)


def test_what_the_source_writes_is_accepted() -> None:
    require_written(SNAPSHOT, {"settings": {"max_connections": "100"}})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("place", "/var/../etc"),
        ("place", "etc"),
        ("tablespaces", {"../../etc": "fast"}),
        ("tablespaces", {"16400": ""}),
        ("timeline", -1),
        ("end_lsn", "0/2; rm -rf /"),
        ("server_version", "17\n"),
        ("system_identifier", "x"),
        ("manifest_digest", "0"),
        ("libraries", ["a\x1b[0m"]),
        ("bootstrap_role", 1),
        ("standby", "no"),
        ("oldest_transaction", "744"),
        ("next_transaction", -1),
    ],
)
def test_forged_facts_are_refused(key: str, value: Any) -> None:
    with pytest.raises(UnexpectedValue):
        require_written(replace(SNAPSHOT, facts={**FACTS, key: value}), {})


def test_a_forged_private_part_or_fingerprint_is_refused() -> None:
    for private in ({"sql": "drop"}, {"settings": {"a": 1}}, {"settings": []}):
        with pytest.raises(UnexpectedValue):
            require_written(SNAPSHOT, private)
    with pytest.raises(UnexpectedValue):
        require_written(replace(SNAPSHOT, fingerprint=TreeFingerprint()), {})


def test_a_restored_server_keeps_its_settings_but_reaches_nobody() -> None:
    said = harmless(
        "# Do not edit\n"
        "work_mem = '7MB'\n"
        "search_path = 'a''b\\\\c\x85include'\n"
        "archive_command = 'cp %p /archive'\n"
        "Primary_ConnInfo = 'host=db1'\n"
        "shared_preload_libraries = 'evil'\n"
        "plperl.on_init = 'evil'\n"
        "dynamic_library_path = 'evil'\n"
        "jit_provider = 'evil'\n"
        "include 'evil.conf'\n"
        "Include_If_Exists = 'evil.conf'\n"
        "work_mem = '1MB' include 'evil.conf'\n"
        "?? not a setting\n"
    )
    lines = said.split("\n")
    assert "work_mem = '7MB'" in lines
    assert "search_path = 'a''b\\\\c\x85include'" in lines
    assert "archive_mode = 'off'" in lines
    assert "primary_conninfo = ''" in lines
    for word in ("cp %p", "db1", "evil", "??"):
        assert word not in said


def test_a_configuration_that_comes_with_the_copy_makes_the_server_load_nothing(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    programs = PostgresPrograms(Path("/usr/lib/postgresql/17/bin"), "17.2")
    server = DirectoryServer(Workplace(tmp_path, "run"), programs, timeline=1)
    server._base.mkdir()
    data.rename(server._data)
    (server._data / "postgresql.conf").write_text("session_preload_libraries = 'evil'\n")
    server._configure()
    kept = (server._base / "configuration/postgresql.auto.conf").read_text()
    for line in ("session_preload_libraries = ''", "jit_provider = 'llvmjit'"):
        assert line in kept.splitlines()  # read after postgresql.conf, so it has the last word


def test_places_of_former_tablespaces_make_way_for_those_of_the_copy(tmp_path: Path) -> None:
    place = tmp_path / "drd_tablespaces"
    (place / "16384/PG_17").mkdir(parents=True)
    make_way(place)
    assert not place.exists()
    (place / "16384").mkdir(parents=True)
    (place / "16385").mkdir()
    (place / "16385/file").write_text("of a person")
    make_way(place)
    assert not place.exists()
    assert [p.name for p in (tmp_path / "drd_tablespaces.unused.1").iterdir()] == ["16385"]


def test_in_place_needs_the_data_directory() -> None:
    bare = ClusterSettings.model_validate({"kind": "postgres-cluster", "dsn": "postgresql:///x"})
    of = SPEC.of(bare)
    assert Ability.IN_PLACE not in of.can
    assert "`data_dir`" in of.remedies[Ability.IN_PLACE]
    whole = bare.model_copy(update={"data_dir": "/var/lib/postgresql/17/main"})
    assert Ability.IN_PLACE in SPEC.of(whole).can
    here = ClusterTarget.model_validate({"data_dir": "/var/lib/postgresql/17/main/"})
    assert SPEC.is_source(whole, here)
    assert not SPEC.is_source(bare, here)


def test_a_wish_names_the_host_and_hides_a_password() -> None:
    plain, secret = wishes(["postgresql://drd@db1.example.com/shop", "host=db2 password=x"])
    assert (plain.name, secret.name) == ("db1", "db2")
    assert ("dsn", "postgresql://drd@db1.example.com/shop") in list(plain.keys([], ""))
    assert ("dsn", {"credential": "c"}) in list(secret.keys([], "c"))
    assert "password=x" not in secret.where
    assert plain.target is not None
    assert ("data_dir", "/srv/standby/db1") in list(plain.target("db1"))


def test_the_script_of_rights_makes_a_role_for_copies() -> None:
    settings = {"kind": "postgres-cluster", "dsn": "postgresql://saver@db1/shop"}
    component = Component("server", "postgres-cluster", ClusterSettings.model_validate(settings))
    script = grants([component], {}, Logins("drd", "root"))
    assert 'CREATE ROLE "saver" LOGIN;' in script.sql
    assert "ALTER ROLE %I REPLICATION" in script.sql
    assert "--   host  replication  saver  ADDRESS/32  scram-sha-256" in script.sql
    assert "-h db1" in script.program


def test_differences_of_a_server_are_sentences() -> None:
    saved = {"databases": {"shop": {}}, "roles": {"a": [False] * 6 + [""], "b": []}}
    now = {"databases": {}, "roles": {"a": [True] + [False] * 5 + [""], "c": []}}
    assert differences(saved, now) == [
        "database shop is missing, or refuses connections",
        "role a has the right superuser, unlike at backup",
        "role b is missing",
        "role c did not exist at backup",
    ]


PART = {
    "point": "20261129t120000-abcd",
    "snapshot": "1" * 64,
    "repository": "local",
    "at": "2026-11-29T12:00:00.5Z",
    "label": "drd_20261129t120000-abcd",
    "system_identifier": FACTS["system_identifier"],
    "timeline": 1,
    "start_lsn": "0/1000028",
    "end_lsn": "0/1000158",
    "manifest_digest": "2" * 64,
}
CHAINED = {**FACTS, "chain": [PART], "parts_bytes": 50 << 20}


def _read(facts: dict[str, Any]) -> None:
    require_written(replace(SNAPSHOT, facts=facts), {})


def test_the_chain_of_an_incremental_copy_is_read_strictly() -> None:
    _read(CHAINED)
    _read({**FACTS, "full_because": "summarize_wal of the server is off"})
    wrong: list[dict[str, Any]] = [
        {**PART, "system_identifier": "7"},
        {**PART, "timeline": 2},
        {**PART, "end_lsn": "1/0"},
        {**PART, "start_lsn": "0/1; ls"},
        {**PART, "manifest_digest": "x"},
        {**PART, "snapshot": "latest"},
        {**PART, "point": "\x1b[2J"},
        {**PART, "more": 1},
        {k: v for k, v in PART.items() if k != "label"},
    ]
    for part in wrong:
        with pytest.raises(UnexpectedValue):
            _read({**CHAINED, "chain": [part]})
    for facts in (
        {**CHAINED, "chain": {}},
        {**FACTS, "chain": [PART]},
        {**FACTS, "full_because": 1},
    ):
        with pytest.raises(UnexpectedValue):
            _read(facts)
    later = {**PART, "end_lsn": "0/1000200"}
    with pytest.raises(UnexpectedValue, match="not in order"):
        _read({**CHAINED, "chain": [later, PART]})


def test_a_snapshot_says_how_it_was_made_and_what_room_it_needs() -> None:
    assert made(FACTS) == "full copy"
    assert made({**FACTS, "full_because": "it\x1b[2J is  so"}) == "full copy, because it [2J is so"
    assert made(CHAINED) == "incremental copy 1 after the full copy of 20261129t120000-abcd"
    assert room(FACTS) == 40 << 20
    assert room(CHAINED) == 90 << 20
    assert base(FACTS) == {"incremental": False}
    assert base(CHAINED)["chain"][0]["point"] == PART["point"]


def _entry(path: str, form: Any = "file", size: int = 9) -> Entry:
    return Entry(path, form, size, 1_700_000_000_123_456_789, 0o600)


def test_files_of_earlier_copies_are_laid_out_without_their_data(tmp_path: Path) -> None:
    laid = _Laid(tmp_path)
    for directory in ("data", "data/pg_tblspc", "data/pg_wal", "increments", "increments/1"):
        laid.take(_entry(f"/cluster/{directory}", "dir"))
    laid.take(_entry("/cluster/data/PG_VERSION", size=1 << 30))
    laid.take(_entry("/cluster/data/pg_tblspc/16400", "symlink"))
    laid.take(_entry("/cluster/data/pg_wal/000000010000000000000001"))
    laid.finish()
    file = tmp_path / "data/PG_VERSION"
    assert (laid.files, laid.bytes) == (1, 1 << 30)
    assert file.stat().st_size == 1 << 30
    assert file.stat().st_blocks == 0
    assert file.stat().st_mtime_ns == 1_700_000_000_123_456_789
    assert list((tmp_path / "data/pg_wal").iterdir()) == []
    assert (tmp_path / "data/pg_tblspc/16400").is_symlink()


@pytest.mark.parametrize(
    "entry",
    [
        _entry("/etc/passwd"),
        _entry("/cluster/../../etc/passwd"),
        _entry("/cluster/data/./x"),
        _entry("/cluster//x"),
        _entry("/cluster/a\nb"),
        _entry("/cluster/\ufffd"),
        _entry("/cluster/pipe", "other"),
        _entry("/cluster/huge", size=1 << 62),
        _entry("/cluster/negative", size=-1),
        _entry("/cluster/not/there/yet"),
    ],
)
def test_a_forged_listing_of_an_earlier_copy_is_refused(tmp_path: Path, entry: Entry) -> None:
    with pytest.raises(_Unusable):
        _Laid(tmp_path).take(entry)


def test_a_link_is_made_only_for_a_tablespace(tmp_path: Path) -> None:
    laid = _Laid(tmp_path)
    laid.take(_entry("/cluster/file"))
    laid.take(_entry("/cluster/data", "symlink"))
    with pytest.raises(_Unusable):
        laid.finish()


def test_the_plan_reads_when_copies_are_incremental() -> None:
    def read(value: Any) -> IncrementalSettings:
        settings = {"kind": "postgres-cluster", "dsn": "postgresql:///x", "incremental": value}
        return ClusterSettings.model_validate(settings).incremental

    assert read(False).mode == read("off").mode == "off"
    assert read("auto") == IncrementalSettings()
    assert read({"full_every": "1d"}).full_every == 86400.0
    for wrong in ("on", {"at_most": 0}, {"full_every": "x"}):
        with pytest.raises(ValidationError):
            read(wrong)


def test_a_plan_that_was_proven_before_incremental_copies_keeps_its_hash() -> None:
    def hashed(**more: Any) -> dict[str, Any]:
        settings = {"kind": "postgres-cluster", "dsn": "postgresql:///x", **more}
        return _settings(ClusterSettings.model_validate(settings), "seconds")

    assert "incremental" not in hashed()
    assert hashed(incremental="auto") == hashed()
    assert hashed(incremental="off") != hashed()
