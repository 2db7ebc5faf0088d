"""WAL that was received for a base backup: what is wrong with it is found before a server replays
it."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from drd.errors import DrdError, RepositoryDamaged, RepositoryError, TargetError
from drd.kinds.postgres.physical.combine import Landed
from drd.kinds.postgres.physical.kind import ClusterKind
from drd.kinds.postgres.physical.landed import programs_of
from drd.kinds.postgres.physical.settings import ClusterSettings
from drd.kinds.postgres.physical.wal import segments
from drd.kinds.postgres.physical.wal.replay import Roll, arranged
from drd.model.log import LogMark, LogTarget
from drd.model.plan import Component
from drd.model.snapshot import ComponentSnapshot
from drd.ports import Tree, Workplace
from drd.ports.logs import LogReplay
from tests.conftest import _run_directory
from tests.postgres_support import workplace
from tests.servers import postgres_server, short_directory

THE_END = LogTarget()


class Received(NamedTuple):
    """A base backup with the WAL that was received after it."""

    snapshot: ComponentSnapshot
    base: Path
    files: Path
    end: LogMark
    last: int
    slots: int
    """The replication slots that are there after drd has left the server."""


@pytest.fixture(scope="module")
def received() -> Iterator[Received]:
    with (
        short_directory(_run_directory()) as base,
        postgres_server(base / "pg", major=17) as server,
    ):
        server.use_small_segments()
        server.execute("alter system set max_slot_wal_keep_size = '64MB'")
        server.execute("select pg_reload_conf()")
        settings = {"kind": "postgres-cluster", "dsn": server.dsn(), "wal": {"every": "5s"}}
        component = Component(
            "server", "postgres-cluster", ClusterSettings.model_validate(settings)
        )
        kind = ClusterKind()
        with kind.source(component, workplace(base / "w")).open() as capture:
            facts, tree = dict(capture.facts), capture.payload
            assert isinstance(tree, Tree)
            shutil.copytree(Path(tree.below, tree.paths[0]), base / "copy", symlinks=True)
        snapshot = ComponentSnapshot("server", "postgres-cluster", "captured", facts=facts)
        files, came = base / "files", base / "came"
        files.mkdir()
        came.mkdir()
        with kind.log(component).open(came, "drd_wal_test") as receiver:
            receiver.require()
            with (base / "said").open("wb") as said:
                child = receiver.start(said.fileno())
            try:
                server.execute("create table small (n int)")
                server.execute(
                    "create table big as select repeat('x', 900) from generate_series(1, 3000)"
                )
                last = int(server.execute("select pg_current_xact_id()::text")[0][0])
                mark = receiver.mark()
                assert mark is not None
                assert receiver.mark() is None  # nothing has happened since
                end = time.monotonic() + 60
                while not receiver.arrived(mark):
                    assert time.monotonic() < end, (base / "said").read_text()
                    time.sleep(0.05)
                receiver.stage(mark, files)
            finally:
                child.stop()
        kind.leave_log(component, "drd_wal_test")
        [(slots,)] = server.execute("select count(*) from pg_replication_slots")
        yield Received(snapshot, base / "copy", files, mark, last, slots)


@dataclass
class Prepared:
    received: Received
    place: Workplace
    landed: Landed
    files: Path

    def log(self, target: LogTarget = THE_END, end: LogMark | None = None) -> LogReplay:
        source = str(self.received.snapshot.facts["system_identifier"])
        return LogReplay(self.files, source, end or self.received.end, target)

    def arrange(
        self,
        target: LogTarget = THE_END,
        end: LogMark | None = None,
        elsewhere: Callable[[RepositoryError], LogReplay] | None = None,
    ) -> Roll:
        snapshot, log = self.received.snapshot, replace(self.log(target, end), elsewhere=elsewhere)
        return arranged(self.landed, snapshot, log, programs_of(snapshot, None), self.place)

    def wal(self) -> dict[str, bytes]:
        """What is in the data directory."""
        files = (f for f in (self.landed.data / "pg_wal").iterdir() if f.is_file())
        return {f.name: f.read_bytes() for f in files}


@pytest.fixture
def prepared(received: Received, short_tmp: Path) -> Prepared:
    wal = short_tmp / "restored/data/pg_wal"
    wal.mkdir(parents=True)
    shutil.copytree(received.base / "data/pg_wal", wal, dirs_exist_ok=True)
    files = short_tmp / "files"
    shutil.copytree(received.files, files)
    landed = Landed(short_tmp / "restored/data", short_tmp / "restored/tablespaces")
    return Prepared(received, workplace(short_tmp / "w"), landed, files)


def test_whole_wal_leads_to_its_end(prepared: Prepared) -> None:
    roll = prepared.arrange()
    assert prepared.received.last - 1 in roll.commits.transactions
    names = {f.name for f in (prepared.landed.data / "pg_wal").iterdir() if f.is_file()}
    assert len([n for n in names if segments.SEGMENT.fullmatch(n)]) >= 3


def test_the_slot_goes_when_nobody_reads_any_more(received: Received) -> None:
    assert received.slots == 0


def _middle(files: Path) -> Path:
    found = sorted(f for f in files.iterdir() if segments.SEGMENT.fullmatch(f.name))
    assert len(found) >= 4
    return found[len(found) // 2]


def _flip(files: Path) -> str:
    file = _middle(files)
    with file.open("r+b") as opened:
        opened.seek(100_000)
        opened.write(b"\xff" * 50)
    return file.name


def _lose(files: Path) -> str:
    file = _middle(files)
    file.unlink()
    return file.name


def _of_another_server(files: Path) -> str:
    file = _middle(files)
    with file.open("r+b") as opened:
        opened.seek(24)
        opened.write(b"\x01\x02\x03\x04\x05\x06\x07\x01")
    return f"{file.name} is of another server"


def _renamed(files: Path) -> str:
    file = _middle(files)
    file.rename(file.with_name(f"00000002{file.name[8:]}"))
    return ""


def _no_wal(files: Path) -> str:
    (files / "notes.txt").write_text("hello")
    return "notes.txt"


@pytest.mark.parametrize("damage", [_flip, _lose, _of_another_server, _renamed, _no_wal])
def test_damaged_wal_is_refused_by_name(prepared: Prepared, damage: Callable[[Path], str]) -> None:
    name = damage(prepared.files)
    with pytest.raises(RepositoryDamaged) as raised:
        prepared.arrange()
    assert name in raised.value.message


def _targets(roll: Roll) -> list[LogTarget]:
    """A transaction that is committed before the damage, its position, and its time."""
    at, transaction = roll.commits.positions[0], roll.commits.transactions[0]
    placed = LogTarget(position=at)
    long_ago = LogTarget(before=datetime(2020, 1, 1, tzinfo=UTC))
    return [placed, LogTarget(transaction=transaction), long_ago]


@pytest.mark.parametrize("damage", [_flip, _lose, _of_another_server])
def test_damage_behind_the_place_where_the_replay_stops_does_not_matter(
    prepared: Prepared, short_tmp: Path, damage: Callable[[Path], str]
) -> None:
    sound = prepared.arrange()
    for n, target in enumerate(_targets(sound)):
        again = shutil.copytree(prepared.received.files, short_tmp / f"again{n}")
        name = damage(again)
        roll = replace(prepared, files=again).arrange(target)
        assert roll.damage is not None
        assert name in roll.damage.message


@pytest.mark.parametrize("damage", [_flip, _lose, _of_another_server])
def test_the_remedy_of_damaged_wal_names_the_last_place_that_works(
    prepared: Prepared, short_tmp: Path, damage: Callable[[Path], str]
) -> None:
    for once in ("damaged", "again"):
        damage(shutil.copytree(prepared.received.files, short_tmp / once))
    with pytest.raises(RepositoryDamaged) as raised:
        replace(prepared, files=short_tmp / "damaged").arrange()
    named = re.search(r"--before (\S+) is the latest", str(raised.value.hint))
    assert named is not None
    target = LogTarget(position=segments.position(named[1]))
    roll = replace(prepared, files=short_tmp / "again").arrange(target)
    assert roll.stop_at["recovery_target_lsn"] == named[1]


@pytest.mark.parametrize("damage", [_flip, _lose, _of_another_server])
def test_wal_that_proves_damaged_is_taken_from_another_repository(
    prepared: Prepared, short_tmp: Path, damage: Callable[[Path], str]
) -> None:
    name, before, told = damage(prepared.files), prepared.wal(), list[RepositoryError]()

    def elsewhere(error: RepositoryError) -> LogReplay:
        told.append(error)
        assert prepared.wal() == before  # nothing of the damaged WAL is there
        return replace(prepared.log(), directory=shutil.copytree(sound, short_tmp / "other"))

    sound = prepared.received.files
    roll = prepared.arrange(elsewhere=elsewhere)
    assert prepared.received.last - 1 in roll.commits.transactions
    assert [name in error.message for error in told] == [True]


def _first(files: Path) -> Path:
    return min(f for f in files.iterdir() if segments.SEGMENT.fullmatch(f.name))


def test_wal_of_a_twin_of_the_server_is_refused(prepared: Prepared) -> None:
    """A twin that wrote something else before the end of the base backup: no record after that
    shows it."""
    file = _first(prepared.files)
    end = segments.position(prepared.received.snapshot.facts["end_lsn"])
    with file.open("r+b") as opened:
        opened.seek((end - 1) % (1 << 20))
        last = opened.read(1)
        opened.seek(-1, 1)
        opened.write(bytes([last[0] ^ 1]))
    with pytest.raises(RepositoryDamaged, match=f"{file.name} differs from that of the base"):
        prepared.arrange()


def test_the_wal_before_the_end_of_the_base_backup_is_its_own(prepared: Prepared) -> None:
    """A damaged segment from before that place replaces nothing."""
    own, first = prepared.wal(), _first(prepared.files)
    page = segments.first_page(first)
    assert page is not None
    older = segments.Segment(page.line, page.begin // page.size - 1).name(page.size)
    data = bytearray(first.read_bytes())
    data[8:16] = (page.begin - page.size).to_bytes(8, "little")
    (prepared.files / older).write_bytes(data)
    prepared.arrange()
    assert prepared.wal().get(older) == own.get(older)


def test_a_timeline_without_its_history_is_refused(prepared: Prepared) -> None:
    with pytest.raises(RepositoryDamaged, match=r"00000002\.history is missing"):
        prepared.arrange(end=replace(prepared.received.end, line=2))
    end = segments.show(prepared.received.end.position - 1)
    (prepared.files / "00000002.history").write_text(f"1\t0/100\t{end}\n")
    with pytest.raises(RepositoryDamaged, match="did not come from timeline 1"):
        prepared.arrange(end=replace(prepared.received.end, line=2))


def test_the_end_of_a_timeline_comes_from_the_next_one(prepared: Prepared) -> None:
    """The server was lost before the last of its WAL had arrived, and a standby went on."""
    end, wal = prepared.received.end, prepared.files
    last = max(f.name for f in prepared.files.iterdir() if segments.SEGMENT.fullmatch(f.name))
    shutil.copy(prepared.files / last, prepared.files / f"00000002{last[8:]}")
    with (prepared.files / last).open("r+b") as file:
        file.truncate(file.seek(0, 2) - 200)
    (wal / "00000002.history").write_text(f"1\t{segments.show(end.position)}\tby hand\n")
    roll = prepared.arrange(end=replace(end, line=2))
    assert prepared.received.last - 1 in roll.commits.transactions


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (LogTarget(transaction=3), "transaction 3 was not committed between"),
        (LogTarget(position=1), "0/1 is not between"),
        (LogTarget(position=1 << 40), "100/0 is not between"),
    ],
)
def test_a_place_that_the_wal_does_not_have_is_refused(
    prepared: Prepared, target: LogTarget, says: str
) -> None:
    with pytest.raises(DrdError, match=says) as raised:
        prepared.arrange(target)
    assert isinstance(raised.value, TargetError)
