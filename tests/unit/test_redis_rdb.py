"""RDB files that no server has to write: what is counted, and what is refused."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest

from drd.kinds.redis.fingerprint import after_expiry, fingerprint_of
from drd.kinds.redis.rdb import MalformedRdb, RdbContent, made_at, read
from drd.kinds.redis.server_facts import Version
from drd.model.snapshot import TableState

END = b"\xff" + b"\0" * 8


def text(value: bytes) -> bytes:
    return bytes([len(value)]) + value


def key(kind: int, name: bytes, value: bytes) -> bytes:
    return bytes([kind]) + text(name) + value


def until(milliseconds: int) -> bytes:
    return b"\xfc" + milliseconds.to_bytes(8, "little")


MODULE = (
    key(7, b"m", b"\x81" + (int.from_bytes(b"\x24\x92\x49\x24\x92\x49\x24\x00", "big")).to_bytes(8))
    + b"\x02\x05"  # an unsigned number
    + b"\x05"
    + text(b"words")
    + b"\x00"
)


def of(path: Path, *parts: bytes, head: bytes = b"REDIS0011") -> RdbContent:
    file = path / "x.rdb"
    file.write_bytes(head + b"".join(parts))
    return read(file)


def test_keys_are_counted_by_database_type_and_time_to_live(tmp_path: Path) -> None:
    content = of(
        tmp_path,
        b"\xfa" + text(b"redis-ver") + text(b"7.2.0"),
        b"\xf5" + text(b"#!lua name=a"),
        b"\xfe\x00\xfb\x03\x01",
        key(0, b"a", text(b"1")),
        until(5) + key(0, b"b", b"\xc1\x00\x01"),  # a number of two bytes
        key(0, b"c", b"\xc3\x02\x05xx"),  # compressed
        key(2, b"s", b"\x02" + text(b"x") + text(b"y")),
        b"\xfe\x07" + key(4, b"h", b"\x01" + text(b"f") + text(b"v")),
        key(5, b"z", b"\x01" + text(b"m") + b"\0" * 8),
        b"\xf8\x05\xf9\x01" + key(18, b"l", b"\x01\x02" + text(b"packed")),
        MODULE,
        END,
    )
    tables = fingerprint_of(content).tables
    assert {name: state.rows for name, state in tables.items() if "db7 A" not in name} == {
        "db0 set": 1,
        "db0 string": 2,
        "db0 string with a time to live": 1,
        "db7 hash": 1,
        "db7 list": 1,
        "db7 zset": 1,
        f"db7 {next(iter(content.modules))}": 1,
        "functions": 1,
    }
    assert (content.program, content.version, content.databases) == ("redis", 11, 8)
    assert content.unread == ""


def test_what_follows_an_unknown_type_is_not_counted_and_not_called_equal(tmp_path: Path) -> None:
    content = of(tmp_path, key(0, b"a", text(b"1")), key(99, b"b", b"?"), END)
    found = fingerprint_of(content)
    assert found.tables == {"db0 string": TableState(1)}
    why = "drd does not know the type 99 of values in the RDB format"
    assert found.not_reached == {"the rest of the data": why}


@pytest.mark.parametrize(
    "parts",
    [
        (key(0, b"a", text(b"1")),),
        (key(0, b"a", text(b"1")), END, b"more"),
        (key(0, b"a", b"\x81" + b"\xff" * 8), END),
        (key(4, b"h", b"\x81" + b"\xff" * 8), END),
        (key(0, b"a", b"\xc9"), END),
        (b"\xfe\x81" + b"\xff" * 8, END),
    ],
    ids=["no end", "after the end", "huge text", "huge hash", "unknown text", "huge database"],
)
def test_damaged_files_are_refused(tmp_path: Path, parts: tuple[bytes, ...]) -> None:
    with pytest.raises(MalformedRdb):
        of(tmp_path, *parts)


def test_the_file_says_when_the_server_began_it() -> None:
    head = b"REDIS0012\xfa\x09redis-ver\x058.0.2\xfa\x05ctime"
    assert made_at(head + b"\xc2\xca\x65\x0c\x6b\xfa") == 1_795_974_602
    assert made_at(head + b"\x0a2200000000\xfa") == 2_200_000_000
    assert made_at(head + b"\xc1\x01\x02") is None
    assert made_at(b"REDIS0012") is None


def test_another_file_is_no_rdb_file(tmp_path: Path) -> None:
    with pytest.raises(MalformedRdb, match="does not begin as an RDB file does"):
        of(tmp_path, END, head=b"SQLite format 3")


def test_a_file_of_many_small_parts_takes_no_more_memory_and_time_than_allowed(
    tmp_path: Path,
) -> None:
    library = b"\xf5" + text(b"")
    content = of(tmp_path, *[library] * 10_001, END)
    assert len(content.functions) == 10_000
    assert content.unread == "it has more than 10,000 libraries of functions"
    for parts in (library * 5000, key(2, b"s", b"\x53\x88" + text(b"") * 5000)):
        of(tmp_path, parts, END)
        assert "time limit" in read(tmp_path / "x.rdb", 0.0).unread
    many = [key(7, b"m", b"\x81" + (n << 10).to_bytes(8)) + b"\x00" for n in range(50)]
    content = of(tmp_path, *many, END)
    assert content.keys[0, "other modules"] == 30


def ending(*ends: int) -> RdbContent:
    return RdbContent("redis", 11, expiring={(0, "string"): array("Q", ends)})


@pytest.mark.parametrize(
    ("now", "rows"),
    [((9, 20, 30), 3), ((20, 30), 3), ((30,), 1), ((), 0)],
    ids=["all", "one has ended", "one is lost", "all are lost"],
)
def test_keys_that_ended_are_no_difference_and_keys_that_are_lost_are(
    now: tuple[int, ...], rows: int
) -> None:
    found = after_expiry(ending(9, 20, 30), ending(*now) if now else RdbContent("redis", 11), 10)
    assert found.tables == {"db0 string with a time to live": TableState(rows)}


def test_which_server_reads_which_file() -> None:
    redis8, redis72, valkey8 = (
        Version("redis", "8.0.2"),
        Version("redis", "7.2.4"),
        Version("valkey", "8.1.1"),
    )
    assert (redis8.writes, redis72.writes, valkey8.writes) == (12, 11, 11)
    assert redis8.reads("redis", 12)
    assert redis8.reads("redis", 11)
    assert not redis72.reads("redis", 12)
    assert not valkey8.reads("redis", 12)
    assert valkey8.reads("redis", 11)
    assert not redis8.reads("valkey", 80)
    assert Version("valkey", "9.0.0").reads("valkey", 80)


def test_users_alone_are_no_data_that_a_drill_could_prove() -> None:
    found = fingerprint_of(RdbContent("redis", 11), users=3)
    assert found.properties == {"users of the ACLs": 3}
    assert "there was no table at backup" in found.says_nothing(may_be_empty=False)


MIXED = b"".join(
    (
        b"\xfe\x03",
        key(0, b"a", text(b"1")),
        until(5) + key(0, b"b", b"\xc0\x01"),
        key(0, b"long", b"\x40\x50" + b"v" * 80),
        until(7) + key(0, b"c", b"\xc3\x02\x05xx"),
        until(8) + key(16, b"packed hash", text(b"12345")),
        until(9) + key(2, b"s", b"\x02" + text(b"x") + text(b"y")),
        b"\xfe\x04" + key(11, b"numbers", text(b"12")),
        key(0, b"last", b"\xc2\x00\x01\x02\x03"),
        END,
    )
)
"""Keys of common forms between others."""


def told(path: Path, data: bytes) -> RdbContent | str:
    try:
        return of(path, data)
    except MalformedRdb as error:
        return str(error)


def test_the_short_way_through_common_keys_counts_and_refuses_as_the_long_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = [MIXED[:length] for length in range(len(MIXED) + 1)]
    short = [told(tmp_path, data) for data in cut]
    monkeypatch.setattr("drd.kinds.redis.rdb._COMMON", frozenset())
    assert short == [told(tmp_path, data) for data in cut]
    whole = short[-1]
    assert isinstance(whole, RdbContent)
    assert whole.keys == {(3, "string"): 2, (4, "set"): 1, (4, "string"): 1}
    assert whole.expiring == {
        (3, "string"): array("Q", [5, 7]),
        (3, "hash"): array("Q", [8]),
        (3, "set"): array("Q", [9]),
    }
