"""The log of a server in a repository: what leads where, and what of it can go."""

from __future__ import annotations

import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd.flows.log.bases import reaches
from drd.flows.log.keeper import slot_name
from drd.flows.log.upkeep import superfluous
from drd.kinds.postgres.physical.kind import ClusterKind
from drd.kinds.postgres.physical.wal import segments, transactions
from drd.kinds.postgres.physical.wal.receiver import WalReceiver
from drd.kinds.postgres.physical.wal.replay import Commits
from drd.model.log import (
    LogBatch,
    LogMark,
    LogState,
    LogTarget,
    batch_of,
    newest_of_each,
    ranges,
    reaching,
)
from drd.model.log_conditions import log_condition
from drd.ports.logs import LogStart

T0 = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
MB = 1 << 20


def stored(
    number: int,
    begin: int,
    end: int,
    *,
    line: int = 1,
    source: str = "77",
    lines: tuple[tuple[int, int], ...] = (),
    anew: bool = False,
    ahead_s: int = 0,
) -> LogBatch:
    at = T0 + timedelta(seconds=end + ahead_s)
    snapshot = f"{number:04x}{end:04x}" * 8
    mark = LogMark(end, line, at)
    return LogBatch(snapshot, "server", source, number, begin, mark, lines=lines, anew=anew)


def test_the_tags_of_a_snapshot_say_all_of_a_batch() -> None:
    batch = stored(3, 16, 40, line=3, lines=((1, 12), (2, 15)), anew=True)
    assert batch_of(batch.snapshot, batch.tags("shop")) == batch
    assert not any("," in tag for tag in batch.tags("shop"))


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("log-end", "1"),  # before its beginning
        ("log-end", "x"),
        ("log-begin", "f" * 17),
        ("log-source", "../../etc"),
        ("log-at", "yesterday"),
        ("log-number", "-1"),
        ("log-left", "1"),
    ],
)
def test_tags_that_drd_does_not_write_are_refused(tag: str, value: str) -> None:
    tags = [t for t in stored(3, 16, 40).tags("shop") if not t.startswith(f"{tag}:")]
    with pytest.raises(ValueError, match=r".+"):
        batch_of("ab" * 32, [*tags, f"{tag}:{value}"])
    if tag == "log-left":
        return  # a server without earlier timelines has none
    with pytest.raises(ValueError, match=r".+"):
        batch_of("ab" * 32, tags)


def test_the_last_snapshot_of_a_batch_counts() -> None:
    small, large, next_one = stored(1, 0, 20), stored(1, 0, 30), stored(2, 28, 50)
    assert newest_of_each([large, next_one, small]) == [large, next_one]


def test_a_gap_divides_the_log() -> None:
    parts = ranges([stored(1, 0, 30), stored(2, 28, 50), stored(3, 60, 80)])
    assert [(p.begin, p.end.position) for p in parts] == [(0, 50), (60, 80)]
    first = reaching(parts, "77", 10)
    assert first is not None
    assert first.end.position == 50
    assert reaching(parts, "77", 55) is None
    assert reaching(parts, "78", 10) is None
    assert first.is_behind("77", 51)
    assert not first.is_behind("77", 50)
    assert not first.is_behind("78", 51)


def test_a_later_timeline_goes_on_and_an_earlier_one_does_not() -> None:
    on = ranges([stored(1, 0, 30), stored(2, 24, 50, line=2, lines=((1, 30),))])
    assert [(p.begin, p.end.line) for p in on] == [(0, 2)]
    back = ranges([stored(1, 0, 30, line=2), stored(2, 24, 50, line=1)])
    assert len(back) == 2


def test_a_dated_timeline_has_the_copies_of_its_time_alone() -> None:
    """The numbers of a binary log begin again after RESET MASTER: position 30 exists twice."""
    t0 = int(T0.timestamp())
    first = [replace(stored(n, 10 * n, 10 * n + 10, line=t0 - 9), dated=True) for n in (1, 2, 3)]
    after = replace(stored(9, 0, 60, line=t0 + 45, anew=True), dated=True, bytes=7)
    assert batch_of(after.snapshot, after.tags("shop")) == after
    old, new = ranges([*first, after])
    assert [old.begin, old.end.position, new.begin] == [10, 40, 0]
    assert reaching([old, new], "77", 30, t0 + 25) is old
    assert reaching([old, new], "77", 30, t0 + 50) is new
    assert reaching([old, new], "77", 30, t0 - 10) is None  # of a server before both
    assert reaching([old], "77", 30, t0 + 50) is None
    assert reaching([old], "77", 40, t0 + 50) is old  # nothing was written since its end
    assert new.is_behind("77", 61, t0 + 61)
    assert new.is_behind("77", 60, t0 + 70)  # its mark is older than a copy of the same state
    assert not new.is_behind("77", 60, t0 + 50)
    assert new.leads_on(60)
    assert (after.size, old.batches[0].size) == (7, 10)
    assert [b.number for b in old.up_to(25, LogTarget(), t0 + 25)] == [2, 3]


def test_a_copy_from_after_the_place_at_which_the_server_went_on_does_not_lead_there() -> None:
    """The server was recovered to 25, or a standby took over without the last of the old one."""
    batches = [
        stored(1, 0, 20),
        stored(2, 18, 40),
        stored(3, 24, 60, line=2, lines=((1, 25),)),
    ]
    old, new = ranges(batches)
    assert [b.number for b in old.batches] == [1, 2]
    assert [b.number for b in new.batches] == [1, 2, 3]
    assert not new.holds("77", 30, 1)
    assert new.holds("77", 25, 1)
    assert new.holds("77", 30, 2)
    assert not new.holds("77", 30, 3)
    assert reaching([old, new], "77", 30, 1) is old
    assert reaching([old, new], "77", 10, 1) is new
    assert [b.number for b in new.up_to(30, LogTarget(position=35), 2)] == [3]
    assert [b.number for b in new.up_to(10, LogTarget(position=35), 1)] == [1, 2, 3]
    assert [b.number for b in new.up_to(10, LogTarget(position=22), 1)] == [1, 2]


@pytest.mark.parametrize(
    "batch",
    [
        stored(2, 27, 60, line=2, lines=((1, 25),)),  # from 25 to 27 there is nothing
        stored(2, 24, 60, line=2),  # it did not come from timeline 1
        stored(2, 24, 60, anew=True),  # the server was set back, without another timeline
    ],
)
def test_positions_that_overlap_do_not_make_one_log_of_two(batch: LogBatch) -> None:
    parts = ranges([stored(1, 0, 40), batch])
    assert [[b.number for b in p.batches] for p in parts] == [[1], [2]]
    assert not parts[1].holds("77", 10, 1)


def test_only_what_leads_to_the_target_is_fetched() -> None:
    [part] = ranges([stored(1, 0, 30), stored(2, 28, 50), stored(3, 48, 80)])

    def numbers(start: int, target: LogTarget) -> list[int]:
        return [b.number for b in part.up_to(start, target)]

    assert numbers(35, LogTarget()) == [2, 3]
    assert numbers(10, LogTarget(before=T0 + timedelta(seconds=29))) == [1]
    assert numbers(10, LogTarget(before=T0 + timedelta(seconds=30))) == [1, 2]
    assert numbers(10, LogTarget(position=50)) == [1, 2]
    assert numbers(10, LogTarget(transaction=7)) == [1, 2, 3]


def test_what_a_later_snapshot_has_and_what_no_point_needs_can_go() -> None:
    batches = [stored(1, 0, 20), stored(1, 0, 30), stored(2, 28, 50), stored(3, 48, 60)]
    assert superfluous(batches, {}, 4) == [batches[0]]
    assert superfluous(batches, {"77": 40}, 4) == batches[:2]
    assert superfluous(batches, {"77": 90}, 4) == batches[:3]  # the newest always stays
    assert superfluous(batches, {"78": 90}, 4) == [batches[0]]


def test_positions_are_written_as_postgresql_does() -> None:
    assert segments.position("1/3000028") == (1 << 32) + 0x3000028
    assert segments.show(segments.position("1/3000028")) == "1/3000028"
    with pytest.raises(ValueError, match="not a position"):
        segments.position("12h")
    position = (1 << 32) + 0x3000028
    for text, target in {
        "1/3000028": LogTarget(position=position),
        "744": LogTarget(transaction=744),
        "12884902788": LogTarget(transaction=(3 << 32) + 900),  # as pg_current_xact_id() says it
        "2h": None,
        "0-1-2": None,
    }.items():
        assert ClusterKind().log_target(text) == target


def test_a_transaction_is_given_with_its_epoch_or_without() -> None:
    epoch = 3 << 32
    for given, near, is_ in [
        (744, 900, 744),
        (epoch + 744, 900, epoch + 744),
        (744, epoch + 900, epoch + 744),
        (4294967290, epoch + 5, epoch - 6),
        (5, epoch - 6, epoch + 5),
        (4294967290, 900, 4294967290),  # there is nothing before the first epoch
    ]:
        assert transactions.whole(given, near) == is_
    assert transactions.in_wal(epoch + 744) == 744


def test_a_copy_knows_which_transactions_come_after_it() -> None:
    epoch = 3 << 32
    known = transactions.facts(epoch + 700, epoch + 750)
    for given, after in [(750, True), (epoch + 750, True), (749, None), (700, None), (699, False)]:
        assert transactions.comes_after(known, given) is after
    assert transactions.comes_after({}, 750) is None  # a copy of an earlier version of drd
    assert transactions.facts(700, None) == {}


def test_names_of_segments_depend_on_their_size() -> None:
    at = segments.position("1/2000000")
    assert segments.ending_at(at, 3, MB).name(MB) == "00000003000000010000001F"
    assert segments.ending_at(at + 1, 3, MB).name(MB) == "000000030000000100000020"
    assert segments.ending_at(at, 3, 16 * MB).name(16 * MB) == "000000030000000100000001"
    assert segments.segment_of("00000003000000010000001F.partial", MB) == (3, (1 << 12) + 0x1F)
    assert segments.segment_of("00000003.history", MB) is None
    assert segments.contiguous({1, 2, 4, 5, 6}, 6) == 4


def _page(line: int, number: int, source: int = 77, magic: int = 0xD116) -> bytes:
    return struct.pack("<HHIQII QII", magic, 2, line, number * MB, 0, 0, source, MB, 8192)


@pytest.mark.parametrize(
    ("page", "says"),
    [
        (_page(1, 3), None),
        (_page(1, 3, source=78), "of another server: its system identifier is 78"),
        (_page(1, 4), "contains the WAL from 0/400000"),
        (_page(2, 3), "contains WAL of timeline 2"),
        (_page(1, 3, magic=1), "its first page is not one of a segment"),
        (bytes(40), "its first page is not one of a segment"),
        (b"", "its first page is not one of a segment"),
    ],
)
def test_a_segment_says_of_which_server_and_place_it_is(
    tmp_path: Path, page: bytes, says: str | None
) -> None:
    file = tmp_path / "segment"
    file.write_bytes(page)
    found = segments.wrong(file, "000000010000000000000003", "77")
    assert (found is None) if says is None else (says in str(found))


def test_the_history_of_a_timeline_names_where_the_ones_before_ended() -> None:
    text = "1\t0/3000000\tno recovery target specified\n\n2\t0/5000148\tbefore 2026-11-29\n"
    assert segments.switches(text) == [(1, 0x3000000), (2, 0x5000148)]


def test_the_transactions_on_both_sides_of_a_place_are_known() -> None:
    commits = Commits()
    for xid, lsn in ((744, "0/3000098"), (745, "0/3000110")):
        commits.note(
            f"rmgr: Transaction len (rec/tot):     34/    34, tx:        {xid}, lsn: {lsn}, "
            "prev 0/03000060, desc: COMMIT 2026-11-29 16:00:00.123456 UTC"
        )
    commits.note("rmgr: Transaction len: 34/34, tx: 746, lsn: 0/3000200, desc: ABORT 2026")
    assert commits.around(0x3000110) == (744, 745)
    assert commits.around(0x3000098) == (None, 744)
    assert commits.around(0x4000000) == (745, None)
    commits.note(
        "rmgr: Transaction len (rec/tot):     62/    62, tx:          0, lsn: 0/5000000, prev 0/1, "
        "desc: COMMIT_PREPARED 747: 2026-11-29 16:00:00.123456 UTC"
    )
    assert commits.around(0x6000000) == (747, None)


def test_transactions_that_come_later_but_have_an_earlier_time_are_counted() -> None:
    """The clock of the server was set back."""
    commits = Commits(before="2026-11-29 16:00:00.500000")
    for xid, second in ((1, "00.400000"), (2, "00.500000"), (3, "00.499999"), (4, "01.000000")):
        commits.note(
            f"rmgr: Transaction len (rec/tot): 34/34, tx: {xid}, lsn: 0/{xid}000, prev 0/0, "
            f"desc: COMMIT 2026-11-29 16:00:{second} UTC"
        )
    assert commits.earlier == 1
    assert list(commits.transactions) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("target", "second"),
    [
        (LogTarget(position=0x2000), 2),
        (LogTarget(position=0x2001), 3),
        (LogTarget(transaction=2), 2),
        (LogTarget(transaction=(3 << 32) + 3), 3),
        (LogTarget(position=0x4000), None),
        (LogTarget(), None),
    ],
)
def test_the_time_of_the_first_transaction_that_is_left_out_is_known(
    target: LogTarget, second: int | None
) -> None:
    commits = Commits(target)
    for xid in (1, 2, 3):
        commits.note(
            f"rmgr: Transaction len (rec/tot): 34/34, tx: {xid}, lsn: 0/{xid}000, prev 0/0, "
            f"desc: COMMIT 2026-11-29 16:00:0{xid}.250000 UTC"
        )
    known = datetime(2026, 11, 29, 16, 0, second, 250000, UTC) if second is not None else None
    assert commits.left_out_at == known


def test_the_name_of_a_slot_is_one_that_the_server_accepts() -> None:
    name = slot_name("a-plan-" + "x" * 40, "the-server", "0123456789abcdef")
    assert name == "drd_wal_a_plan_xxxxxxxxxxxxx_the_server_01234567"
    assert len(name) < 64


STATE = LogState("receives", T0, 30.0, complete_at=T0, spans=((T0 - timedelta(hours=1), T0),))


def test_the_state_comes_back_from_the_catalogue() -> None:
    assert LogState.from_json(dict(STATE.to_json())) == STATE


def test_an_idle_server_can_be_recovered_to_the_last_time_at_which_everything_was_stored() -> None:
    hour = timedelta(hours=1)
    gap = replace(STATE, spans=((T0 - 4 * hour, T0 - 3 * hour), *STATE.spans))
    assert gap.reachable == gap.spans
    idle = replace(gap, reaches=T0 + hour)
    assert idle.reachable == ((T0 - 4 * hour, T0 - 3 * hour), (T0 - hour, T0 + hour))
    assert replace(gap, reaches=T0 - 2 * hour).reachable == gap.spans
    assert replace(idle, spans=()).reachable == ()


@pytest.mark.parametrize(
    ("code", "after_s", "severity"),
    [
        ("", 5, None),
        ("log-unreachable", 5, None),
        ("log-unreachable", 70, "warning"),
        ("log-unstored", 70, "warning"),
        ("log-stalled", 70, "warning"),
        ("log-gap", 5, "critical"),
        ("log-no-base", 5, "critical"),
        ("", 300, "critical"),  # nothing was heard of the receiver
    ],
)
def test_what_is_wrong_with_a_log_is_told(code: str, after_s: float, severity: str | None) -> None:
    state = replace(STATE, code=code, trouble="it is so" if code else "")
    noted_at = T0 + timedelta(seconds=after_s if after_s < 100 else 0)
    found = log_condition("shop", "server", state, noted_at, T0 + timedelta(seconds=after_s))
    assert (found.severity if found is not None else None) == severity
    if found is not None:
        assert (found.plan, found.subject) == ("shop", "server")
        assert "The repository has everything up to 2026-11-29 12:00:00 UTC" in found.text


@pytest.mark.parametrize(("after_s", "told"), [(5, True), (3500, True), (3700, False), (-5, False)])
def test_a_change_of_the_log_is_told_for_an_hour(after_s: float, told: bool) -> None:
    now = T0 + timedelta(seconds=after_s)
    state = replace(STATE, event="the server has changed to timeline 2", event_at=T0)
    assert LogState.from_json(dict(state.to_json())) == state
    found = log_condition("shop", "server", state, now, now)
    assert (found is not None) is told
    if found is not None:
        assert (found.severity, found.remedy) == ("warning", "drd points shop")
        assert "timeline 2 (noticed at 2026-11-29 12:00:00 UTC)" in found.text
    gap = replace(state, code="log-gap", trouble="WAL is gone")
    found = log_condition("shop", "server", gap, now, now)
    assert found is not None
    assert found.severity == "critical"


def _reaches(batches: list[LogBatch], *starts: LogStart, complete: int | None) -> int | None:
    """Reach by base backups, newest first; in seconds, long afterwards."""
    points: Any = [(SimpleNamespace(data_time=T0), start) for start in starts]
    at = T0 + timedelta(seconds=complete) if complete is not None else None
    found = reaches(ranges(batches), points, at, T0 + timedelta(days=1))
    return round((found - T0).total_seconds()) if found is not None else None


def test_the_wal_counts_as_far_as_the_newest_base_backup_leads() -> None:
    old, newer = LogStart("77", 10, 1), LogStart("77", 35, 1)
    batches = [stored(1, 0, 40)]
    assert _reaches(batches, newer, old, complete=900) == 900
    assert _reaches(batches, LogStart("77", 50, 1), old, complete=900) == 900  # next mark leads
    assert _reaches(batches, LogStart("78", 10, 1), complete=900) is None
    assert _reaches([], old, complete=900) is None
    # The server was recovered to 25: a recovery begins with a backup from after that place.
    batches.append(stored(2, 24, 60, line=2, lines=((1, 25),)))
    assert _reaches(batches, newer, old, complete=900) == 40
    assert _reaches(batches, old, complete=900) == 900


def test_a_server_whose_clock_is_ahead_makes_nothing_newer() -> None:
    batch = replace(stored(1, 0, 40), stored_at=T0 + timedelta(seconds=9))
    assert _reaches([batch], LogStart("77", 10, 1), complete=None) == 9


def test_what_had_arrived_of_a_server_that_is_lost_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WalReceiver, "_ask", lambda *_: ("77", MB))
    there, nothing = tmp_path / "received", cast(Any, None)
    there.mkdir()
    receiver = WalReceiver(nothing, nothing, there, "drd_wal_x", programs=nothing, environment={})
    (there / "000000010000000000000003.partial").write_bytes(_page(1, 3))
    receiver.begin_anew()
    receiver.begin_anew()  # there is nothing to keep this time
    assert [f.name for f in (tmp_path / "received-before").iterdir()] == [
        "000000010000000000000003.partial"
    ]
    assert not list(there.iterdir())


def test_nothing_is_told_of_a_receiver_that_has_just_begun() -> None:
    assert log_condition("shop", "server", None, None, T0) is None
