"""Which WAL segments follow each other, and what `pgbackrest info` may say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from drd.errors import (
    PointGone,
    RepositoryDamaged,
    RepositoryError,
    RepositoryUnreachable,
    WrongKey,
)
from drd.log import masked
from drd.model.adopted import Stanza
from drd.model.plan import SecretRef
from drd.repositories.adopted.stanza_info import databases, parsed
from drd.repositories.adopted.stanza_program import StanzaProgram
from drd.repositories.adopted.wal import Archive, ancestors, archive, segment_size

AT = datetime(2026, 11, 25, tzinfo=UTC)


def seg(number: int, timeline: int = 1, log: int = 0) -> str:
    return f"{timeline:08X}{log:08X}{number:08X}"


def of(*names: str, histories: tuple[int, ...] = (), size: int = 16 << 20) -> Archive:
    return Archive(dict.fromkeys(names, AT), frozenset(histories), size)


def test_a_chain_ends_before_a_gap_and_is_empty_without_its_beginning() -> None:
    there = of(seg(1), seg(2), seg(4))
    assert there.chain(seg(1)) == (seg(1), seg(2))
    assert there.beyond(seg(2)) == [seg(4)]
    assert there.chain(seg(3)) == ()


def test_a_chain_goes_on_in_the_next_log_after_as_many_segments_as_their_size_allows() -> None:
    assert of(seg(255), seg(0, log=1)).chain(seg(255)) == (seg(255), seg(0, log=1))
    large = of(seg(63), seg(0, log=1), size=64 << 20)
    assert large.chain(seg(63)) == (seg(63), seg(0, log=1))


def test_a_chain_follows_the_timelines_of_the_newest_and_leaves_a_dead_one_out() -> None:
    dead, living = seg(3, 2), seg(3)
    there = of(seg(2), living, dead, seg(4), seg(4, 3), seg(5, 3), histories=(2, 3))
    line = ancestors("1\t0/4000000\tno recovery target specified\n", 3)
    assert line == {1, 3}
    assert there.chain(seg(2), "", line) == (seg(2), living, seg(4, 3), seg(5, 3))
    assert there.chain(seg(2), seg(4), line) == (seg(2), living, seg(4))


def test_a_listing_counts_segments_alone_and_each_once() -> None:
    entries = {
        f"17-1/00000001/{seg(1)}-{'a' * 40}.gz": {"type": "file", "size": 9, "time": 100},
        f"17-1/00000001/{seg(1)}.00000028.backup": {"type": "file", "size": 1, "time": 100},
        f"17-1/00000001/{seg(2)}-{'a' * 40}.gz.pgbackrest.tmp": {"type": "file", "size": 1},
        f"17-1/00000001/{seg(3)}.partial-{'a' * 40}": {"type": "file", "size": 1},
        "17-1/00000002.history": {"type": "file", "size": 1, "time": 100},
    }
    with pytest.raises(RepositoryDamaged, match="is not a plausible time"):
        archive(json.dumps(entries).encode(), 16 << 20)
    for entry in entries.values():
        entry["time"] = 1_790_000_000
    found = archive(json.dumps(entries).encode(), 16 << 20)
    assert (list(found.segments), found.histories) == ([seg(1)], {2})


def test_an_empty_segment_and_one_that_is_there_with_two_contents_are_gaps() -> None:
    entry = {"type": "file", "size": 9, "time": 1_790_000_000}
    entries = {
        f"17-1/00000001/{seg(1)}-{'a' * 40}.gz": entry,
        f"17-1/00000001/{seg(2)}-{'a' * 40}.gz": {**entry, "size": 0},
        f"17-1/00000001/{seg(3)}-{'a' * 40}.gz": entry,
        f"17-1/00000001/{seg(3)}-{'b' * 40}.gz": entry,
        f"17-1/00000001/{seg(4)}-{'a' * 40}.gz": entry,
    }
    found = archive(json.dumps(entries).encode(), 16 << 20)
    assert sorted(found.segments) == [seg(1), seg(4)]
    assert found.chain(seg(1)) == (seg(1),)
    assert found.ends_at(seg(1)) == (seg(2), "is empty or cut off")
    assert found.ends_at(seg(2)) == (
        seg(3),
        "is in the archive twice with different contents, and pgBackRest uses neither",
    )
    assert found.ends_at(seg(3)) is None


def test_a_segment_counts_if_one_file_of_its_only_content_is_sound() -> None:
    entry = {"type": "file", "size": 9, "time": 1_790_000_100}
    entries = {
        f"17-1/00000001/{seg(1)}-{'a' * 40}.gz": entry,
        f"17-1/00000001/{seg(1)}-{'a' * 40}.zst": {**entry, "time": 1_790_000_000},
        f"17-1/00000001/{seg(2)}-{'a' * 40}.gz": {**entry, "size": 0},
        f"17-1/00000001/{seg(2)}-{'a' * 40}.zst": entry,
        f"17-1/00000001/{seg(3)}-{'a' * 40}": {**entry, "size": 16 << 20},
        f"17-1/00000001/{seg(4)}-{'a' * 40}": {**entry, "size": 9},
    }
    found = archive(json.dumps(entries).encode(), 16 << 20)
    assert found.chain(seg(1)) == (seg(1), seg(2), seg(3))
    assert found.segments[seg(1)].timestamp() == 1_790_000_000
    assert found.ends_at(seg(3)) == (seg(4), "is empty or cut off")


def test_a_chain_does_not_go_around_an_unusable_segment_on_an_older_timeline() -> None:
    there = Archive(
        dict.fromkeys((seg(1), seg(2), seg(3)), AT),
        frozenset({2}),
        unusable={seg(2, 2): "is empty"},
    )
    assert there.chain(seg(1), "", {1, 2}) == (seg(1),)
    assert there.ends_at(seg(1)) == (seg(2, 2), "is empty")


def info(**changes: Any) -> dict[str, Any]:
    backup = {
        "archive": {"start": seg(2), "stop": seg(2)},
        "database": {"id": 1, "repo-key": 1},
        "error": False,
        "info": {"size": 38701269, "repository": {"delta": 4659920}},
        "label": "20261125-073247F",
        "lsn": {"start": "0/2000028", "stop": "0/2000120"},
        "timestamp": {"start": 1795851167, "stop": 1795851173},
    }
    return {
        "name": "main",
        "status": {"code": 0, "message": "ok"},
        "repo": [{"key": 1, "status": {"code": 0, "message": "ok"}}],
        "db": [{"id": 1, "repo-key": 1, "system-id": 7713122027497963515, "version": "17"}],
        "backup": [{**backup, **changes}],
    }


def read(document: object) -> Any:
    return parsed(json.dumps(document).encode(), "main", 1)


def test_a_backup_is_read_with_the_size_of_its_segments() -> None:
    (backup,) = read([info()]).backups
    assert (backup.archive, backup.version, backup.first) == ("17-1", "17", seg(2))
    assert segment_size([backup]) == 16 << 20
    (large,) = read([info(lsn={"start": "0/8000028"})]).backups
    assert segment_size([large]) == 64 << 20


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"error": True}, "found damaged pages"),
        ({"label": "../../etc"}, "is not a valid label"),
        ({"archive": {"start": "x", "stop": seg(2)}}, "is not a valid WAL"),
        ({"archive": {"start": None, "stop": None}}, "is not text"),
        ({"timestamp": {"stop": -5}}, "is out of range"),
        ({"info": {"size": "much", "repository": {}}}, "is not a whole number"),
        ({"database": {"id": 9, "repo-key": 1}}, "is not a server of the stanza"),
    ],
)
def test_a_backup_that_pgbackrest_would_not_list_so_is_refused_alone(
    changes: dict[str, Any], why: str
) -> None:
    found = read([info(**changes)])
    assert found.backups == []
    assert why in next(iter((found.refused or {}).values()))


@pytest.mark.parametrize(
    ("printed", "why"),
    [
        (b"", "is not JSON"),
        (b"[]", "contains 0 stanzas"),
        (b"{}", "is not a JSON array"),
        (b"[[[[[" * 100_000, "nested too deeply"),
        (json.dumps([{**info(), "name": "other"}]).encode(), "is not main"),
        (json.dumps([{**info(), "repo": []}]).encode(), "does not have repository 1"),
        (json.dumps([{**info(), "backup": {}}]).encode(), "backup is not a JSON array"),
    ],
)
def test_unexpected_output_of_pgbackrest_is_refused_with_its_place_and_a_remedy(
    printed: bytes, why: str
) -> None:
    with pytest.raises(RepositoryDamaged, match="drd cannot read what pgBackRest prints") as caught:
        parsed(printed, "main", 1)
    assert why in caught.value.message
    assert caught.value.hint == "to see what pgBackRest prints, run: pgbackrest info --output=json"


def test_the_databases_of_another_backup_than_the_one_asked_for_are_refused() -> None:
    printed = json.dumps([info()]).encode()
    assert databases(printed, "main", "20261125-073247F") == {}
    with pytest.raises(RepositoryDamaged, match="is not 20261126-073247F"):
        databases(printed, "main", "20261126-073247F")


@pytest.mark.parametrize(
    ("verb", "said", "error"),
    [
        ("info", "ERROR: [041]: unable to open '/srv/x': [13] Permission denied", RepositoryError),
        ("info", "ERROR: [049]: unable to get address for 'x'", RepositoryUnreachable),
        ("info", "ERROR: [095]: CryptoError: unable to flush", WrongKey),
        (
            "restore",
            "ERROR: [095]: raised from local-1 protocol: unable to flush",
            RepositoryDamaged,
        ),
        ("restore", "ERROR: [055]: unable to load backup manifest file", PointGone),
        ("archive-get", "ERROR: [026]: checksum \x1b[31m does not match", RepositoryDamaged),
        ("restore", "", RepositoryError),
        ("info", "P00  ERROR: [037]: info command requires option: pg1-path", RepositoryError),
        (
            "info",
            "ERROR: [125]: remote-0 process on 'nas' terminated unexpectedly [255]: ssh: no route",
            RepositoryUnreachable,
        ),
    ],
)
def test_a_message_of_pgbackrest_is_an_error_with_a_remedy_and_without_control_characters(
    tmp_path: Path, verb: str, said: str, error: type[RepositoryError]
) -> None:
    program = StanzaProgram("theirs", Stanza("main"), lambda _: "", tmp_path)
    with pytest.raises(error) as caught:
        program.fail(verb, said)
    assert type(caught.value) is error
    assert caught.value.hint
    assert caught.value.message.isprintable()


def test_secrets_and_configuration_reach_pgbackrest_neither_in_words_nor_in_a_file(
    tmp_path: Path,
) -> None:
    stanza = Stanza(
        "main",
        config=SecretRef("file", "config"),
        options=(("PGBACKREST_REPO1_PATH", "/srv/x"),),
        env=(("PGBACKREST_REPO1_CIPHER_PASS", SecretRef("file", "pass")),),
    )
    values = {"config": "[global]\nrepo1-s3-key-secret=t0psecret\n", "pass": "s3cret pass"}
    program = StanzaProgram("theirs", stanza, lambda ref: values[str(ref.value)], tmp_path)
    command = program._command(["pgbackrest", "info"], tmp_path, 1.0)
    assert list(command.argv) == ["pgbackrest", "info"]
    assert command.env["PGBACKREST_REPO1_CIPHER_PASS"] == "s3cret pass"
    assert list(command.files) == ["PGBACKREST_CONFIG"]
    assert "t0psecret" not in masked("said t0psecret")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("config", "leash"),
    [
        ("[global]\nrepo1-path=/srv/x\n", ""),
        ("[global]\nrepo1-host=nas\n", "on-stop"),
        ("[global]\ncmd=/usr/local/bin/wrapper\n", "on-stop"),
    ],
)
def test_programs_that_pgbackrest_starts_through_others_end_with_it(
    tmp_path: Path, config: str, leash: str
) -> None:
    stanza = Stanza("main", config=SecretRef("file", "config"))
    program = StanzaProgram("theirs", stanza, lambda _: config, tmp_path)
    assert program._command(["pgbackrest", "info"], tmp_path, 1.0).leash == leash
