"""Manifests, listings and kits that drd did not write: truncated, changed at any place, of another
schema, of any shape. Whatever they are, the reader refuses them by an error of drd's, and what it
takes holds no word that begins with `-` where an id stands, and no path that leads out."""

from __future__ import annotations

import io
import json
import sqlite3
import struct
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from drd.errors import DrdError, KitDamaged, ManifestRefused, ManifestTooNew, RepositoryDamaged
from drd.flows.repository.manifests import written_rule
from drd.kinds.mariadb.physical.binlog.files import LogReader, split
from drd.kit.archive import unpack
from drd.model import strict
from drd.model.kit import INDEX, ROOT
from drd.model.kit_index import index_from_json
from drd.model.manifest import manifest_from_bytes
from drd.model.snapshot import Manifest
from drd.repositories.restic.maintenance import _info
from tests.e2e.site import Site
from tests.unit.test_kit import FILES, pack
from tests.unit.test_kit import INDEX as KIT

NOW = datetime(2026, 11, 26, tzinfo=UTC)
ID = "cd" * 32

TODAY: dict[str, Any] = {
    "schema": 1, "point": "7c1e04ab", "plan": "shop", "data_time": "2026-11-25T00:31:00.000005Z",
    "complete": True, "plan_digest": "0f" * 32,
    "components": [
        {"component": "db", "kind": "postgres", "state": "captured",
        "data_time": "2026-11-25T00:31:00Z",
         "snapshot": "ab" * 32, "bytes": 100, "added_bytes": 10, "duration_s": 1.5, "error": None,
         "facts": {
             "standby": False, "clock_skew_s": -0.1, "filename": "db.dump",
             "server_version": "17.12",
             "server_major": 17, "pg_dump_version": "17.12 (Debian)", "pg_dump_major": 17,
             "compression": "none", "database": "-odd\" name", "database_bytes": 9000,
             "locale": {"encoding": "UTF8", "provider": "libc", "collate": "C", "ctype": "C",
                        "locale": None, "icu_rules": None},
             "tablespace": "pg_default", "tablespaces": [], "extensions": {"plpgsql": "1.0"},
             "bootstrap_role": "postgres", "roles": ["shop", "-x"],
             "settings": {"TimeZone": "Etc/UTC", "DateStyle": "ISO, MDY"}},
         "observations": {"orders": 7, "newest": "2026-11-25T00:30:00Z"},
         "fingerprint": {
             "type": "database", "mode": "digest", "tables": {"public.orders": [7, "12ab"]},
             "not_reached": {"public.big": "the time budget was used "
                                           "up"}, "properties": {"owner": "shop"},
             "derived": [], "partitioned": {"public.p": ["public.p1"]},
             "others": {"public.v": "view"}}},
        {"component": "conf", "kind": "files", "state": "captured",
        "data_time": "2026-11-25T00:31:01Z",
         "snapshot": "ef" * 32, "bytes": 5, "added_bytes": 5, "duration_s": 0, "error": None,
         "facts": {"paths": ["/etc/app"], "files": 1, "excluded": 0}, "observations": {},
         "fingerprint": {
             "type": "tree", "not_reached": {},
             "entries": {
                 "/etc/app": {"kind": "directory", "mode": 493, "uid": 0, "gid": 0, "size": 0},
                 "/etc/app/-x\udce9": {"kind": "file", "mode": 420, "uid": 0, "gid": 0, "size": 5,
                                       "digest": "0a" * 32, "xattrs": ":aa"}}}},
        {"component": "cache", "kind": "sqlite", "state": "captured",
        "data_time": "2026-11-25T00:31:00Z",
         "snapshot": "0a" * 32, "bytes": 8192, "added_bytes": 1, "duration_s": 0.1, "error": None,
         "facts": {"journal_mode": "wal", "path": "/srv/cache.db", "filename": "cache.sqlite",
                   "mode": 416, "uid": 33, "gid": 33, "page_size": 4096},
         "observations": {}, "fingerprint": None},
        {"component": "late", "kind": "sqlite", "state": "failed", "data_time": None,
        "snapshot": None,
         "bytes": 0, "added_bytes": 0, "duration_s": 0.0, "error": "it is locked", "facts": {},
         "observations": {}, "fingerprint": None},
    ],
    "resolved_plan": {"plan": "shop", "components": {"conf": {"paths": ["/etc/app"]}}},
    "versions": {"drd": "0.1"},
    "private": {"db": {
        "database": {
            "name": "shop", "owner": "shop", "encoding": "UTF8", "collate": "C", "ctype": "C",
            "provider": "libc", "locale": None, "icu_rules": None, "connection_limit": -1,
            "is_template": False, "tablespace": "pg_default", "comment": "",
            "acl": [["", "CONNECT", False, "shop"]], "settings": [["", "search_path=public"]],
            "has_public": True, "extensions": {"plpgsql": "1.0"}},
        "globals": {
            "version": 170012, "passwords": True, "bootstrap": "postgres",
            "roles": [{"name": "shop", "superuser": False, "inherit": True, "createrole": False,
                       "createdb": False, "login": True, "replication": False, "bypassrls": False,
                       "connection_limit": -1, "valid_until": None, "password": "SCRAM-SHA-256$x",
                       "comment": "", "settings": ["work_mem=1MB"]}],
            "memberships": [{"role": "a", "member": "shop", "admin": False, "inherit": True,
                             "set": None, "grantor": ""}],
            "parameters": [{"parameter": "x.y", "grantee": "", "privilege": "SET",
            "grantable": False}],
            "everyone": ["search_path=public"],
            "tablespaces": [{"name": "fast", "owner": "shop", "location": "/mnt/fast"}]},
        "globals_sql": "CREATE ROLE shop;", "database_sql": "CREATE DATABASE shop;"}},
}  # fmt: skip
"""As drd of today and of before writes them, with every kind in it."""


@cache
def require_written() -> Any:
    from drd.kinds.registry import kind_for

    return written_rule(kind_for)


def read(data: bytes) -> Manifest:
    return manifest_from_bytes(
        data, repository="primary", snapshot=ID, available_at=NOW, require_written=require_written()
    )


def require_harmless(manifest: Manifest) -> None:
    """What the rest of drd makes of it: argv, names of files, paths."""
    point = manifest.point
    assert strict._POINT.fullmatch(point.id)
    assert not point.plan.startswith(("/", "."))
    assert "/" not in point.plan
    for row in point.components:
        assert "/" not in row.component
        assert "." not in row.component
        assert row.snapshot is None or strict.is_snapshot_id(row.snapshot)
        if row.state != "captured":
            continue
        for path in row.facts.get("paths", ()):
            assert path.startswith("/")
            assert ".." not in path.split("/")
        name = row.facts.get("filename", f"{row.component}.x")
        assert name.startswith(f"{row.component}.")
        assert "/" not in name
        for setting in row.facts.get("settings", {}):
            assert setting in {"DateStyle", "IntervalStyle", "TimeZone",
            "default_text_search_config",
                               "lc_monetary", "lc_numeric", "lc_time"}  # fmt: skip


@contextmanager
def refused_at_most(*kinds: type[DrdError]) -> Iterator[None]:
    try:
        yield
    except kinds:
        assume(True)


def test_the_manifests_of_today_are_read() -> None:
    manifest = read(json.dumps(TODAY).encode())
    require_harmless(manifest)
    assert [c.component for c in manifest.point.components] == ["db", "conf", "cache", "late"]
    # What an older drd left away, and what a newer one may add.
    older = deepcopy(TODAY)
    for key in ("derived", "partitioned", "others"):
        del older["components"][0]["fingerprint"][key]
    newer = deepcopy(TODAY) | {"signature": "x"}
    newer["components"][1]["tree"] = "0" * 64
    for other in (older, newer):
        require_harmless(read(json.dumps(other).encode()))


@pytest.mark.parametrize("schema", [2, 17, 1 << 40])
def test_a_manifest_of_the_future_is_refused_by_its_number(schema: int) -> None:
    with pytest.raises(ManifestTooNew, match=f"has schema {schema}, but this drd reads schema 1"):
        read(json.dumps(TODAY | {"schema": schema}).encode())


EVIL = st.sampled_from([
    ("--password-command=sh -c "
    "id"), "-x", "../../x", "/etc/../root", "/", "", ".", "a\0b", "latest", "\udcff",
    "x" * 5000, "9999-12-31T23:59:59Z", "-1", "\n", "%n", "drd", "'; drop table x; --",
])  # fmt: skip
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | EVIL | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(EVIL | st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _places(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _places(item, (*path, number))


PLACES = list(_places(TODAY))[1:]


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    found = deepcopy(document)
    at = found
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return found


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (json.dumps(TODAY)[:-1] + ', "point": "ffffffff"}', "a key is given twice"),
        (json.dumps(TODAY).encode("utf-16"), "not JSON"),
        (b"\xef\xbb\xbf" + json.dumps(TODAY).encode(), "not JSON"),
        ("[" * 200_000, "nested too deeply"),
        (json.dumps(TODAY).replace('"bytes": 100', '"bytes": 1' + "0" * 5000), "too many digits"),
        (json.dumps(TODAY).replace("1.5", "NaN"), "out of range"),
        (json.dumps(TODAY).replace('"shop"', '"sh\u202eop"'), "not a valid name"),
    ],
)
def test_a_manifest_that_programs_may_read_in_two_ways_is_refused(
    data: str | bytes, said: str
) -> None:
    raw = data if isinstance(data, bytes) else data.encode()
    with pytest.raises(ManifestRefused, match=said):
        read(raw)


FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@FUZZ
@given(st.sampled_from(PLACES), ANY)
def test_a_manifest_that_was_changed_anywhere(path: tuple[Any, ...], value: Any) -> None:
    data = json.dumps(changed(TODAY, path, value)).encode()
    with refused_at_most(ManifestRefused):
        require_harmless(read(data))


@FUZZ
@given(st.integers(0, len(json.dumps(TODAY))), st.binary(max_size=4))
def test_a_manifest_that_was_cut_or_scribbled_on(at: int, scribble: bytes) -> None:
    data = json.dumps(TODAY).encode()
    for damaged in (data[:at], data[:at] + scribble + data[at + len(scribble) :]):
        with refused_at_most(ManifestRefused):
            require_harmless(read(damaged))


@settings(FUZZ, max_examples=80)
@given(st.binary(max_size=200) | ANY.map(lambda v: json.dumps(v).encode()))
def test_bytes_that_are_not_a_manifest_are_refused(data: bytes) -> None:
    with refused_at_most(ManifestRefused):
        read(data)


def test_depth_and_size_are_bounded() -> None:
    deep: Any = "x"
    for _ in range(strict.MOST_DEPTH + 2):
        deep = [deep]
    with pytest.raises(ManifestRefused, match="nested"):
        read(json.dumps(changed(TODAY, ("resolved_plan", "x"), deep)).encode())
    with pytest.raises(ManifestRefused, match="nested too deeply"):
        read(b'{"schema": ' + b"[" * 500_000 + b"]" * 500_000 + b"}")
    with pytest.raises(ManifestRefused, match="too many digits"):
        read(b'{"schema": ' + b"9" * 10_000 + b"}")


LISTED: dict[str, Any] = {
    "id": "ab" * 32, "time": "2026-11-25T00:31:00.123456789Z", "hostname": "shop",
    "username": "root",
    "tags": ["drd", "plan:shop", "run:7c1e04ab", "manifest"], "paths": ["/manifest.json"],
    "tree": "cd" * 32, "original": "ef" * 32,
}  # fmt: skip


@FUZZ
@given(st.sampled_from(list(_places(LISTED))[1:]), ANY)
def test_a_listing_that_was_changed_anywhere(path: tuple[Any, ...], value: Any) -> None:
    try:
        found = _info(changed(LISTED, path, value))
    except strict.UnexpectedValue:
        return
    assert strict.is_snapshot_id(found.id)
    assert found.original is None or strict.is_snapshot_id(found.original)


@FUZZ
@given(st.sampled_from(list(_places(KIT.to_json()))[1:]), ANY)
def test_an_index_of_a_kit_that_was_changed_anywhere(path: tuple[Any, ...], value: Any) -> None:
    document = json.loads(json.dumps(changed(KIT.to_json(), path, value)))
    try:
        index = index_from_json(document)
    except strict.UnexpectedValue:
        return
    for name in (*index.digests, *index.files.values(), *(s.file for s in index.secrets)):
        assert not name.startswith("/")
        assert ".." not in name.split("/")
    for place in (*index.files, *(p.path for p in index.programs)):
        assert place.startswith("/")
        assert ".." not in place.split("/")


@settings(FUZZ, max_examples=80)
@given(st.data())
def test_an_archive_of_a_kit_that_was_damaged(data: st.DataObject) -> None:
    whole = bytearray(pack(KIT, FILES))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with refused_at_most(KitDamaged):
        kit = unpack(bytes(whole[: data.draw(st.integers(0, len(whole)))]), name="k")
        assert set(kit.files) == set(kit.index.digests)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
@pytest.mark.parametrize("name", [f"{ROOT}/etc/drd.yaml", f"{ROOT}/../x", "/etc/passwd", INDEX])
def test_a_kit_holds_plain_files_below_its_directory(kind: bytes, name: str) -> None:
    buffer = io.BytesIO(pack(KIT, FILES))
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, "/etc/passwd"
        tar.addfile(entry)
    with pytest.raises(KitDamaged):
        unpack(buffer.getvalue(), name="k")


_EVENT = st.tuples(st.sampled_from([2, 15, 162, 163]), st.binary(max_size=60))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_EVENT, max_size=4))
def test_a_binary_log_with_any_events(tmp_path: Path, events: list[tuple[int, bytes]]) -> None:
    """Of a server, or of somebody with the password of the repository: each event has the length
    that it says, and no checksum."""
    log = b"\xfebin"
    for kind, body in [(15, bytes(76)), *events]:
        log += struct.pack("<IBIIIH", 1, kind, 7, 19 + len(body), 0, 0) + body
    (tmp_path / "log").write_bytes(log)
    with suppress(RepositoryDamaged):
        for one in LogReader().transactions(tmp_path / "log", 1):
            assert 0 < split(one.position)[1] < len(log)


def test_the_corpus_is_what_drd_writes_today(stored: Site) -> None:
    """The corpus is kept true by the real thing: what a backup stores is read, and has its keys."""
    from tests.security.forging import manifest_of

    (point,) = stored.points()
    real = manifest_of(stored, str(point["point"]))
    assert set(real) == set(TODAY)
    rows = {c["kind"]: c for c in real["components"]}
    for known in TODAY["components"][1:3]:
        assert set(rows[known["kind"]]) == set(known)
        assert set(rows[known["kind"]]["facts"]) >= set(known["facts"]) - {"page_size"}
    require_harmless(read(json.dumps(real).encode()))
    with sqlite3.connect(f"file:{stored.base}/state/drd.db?mode=ro", uri=True) as catalogue:
        (digest,) = catalogue.execute("select digest from seals").fetchone()
    assert len(digest) == 64
