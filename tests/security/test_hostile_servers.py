"""Whoever holds the S3 server answers what he likes: without end, by drops, with a time that is
none. It filled the daemon's memory, held doctor, backups and recoveries for ever, also against a
Ctrl-C, and was an internal error."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from drd import process
from drd.errors import Cancelled, DrdError, RepositoryError, RepositoryUnreachable
from drd.model.location import parse_s3
from drd.model.plan import S3Access, SecretRef
from drd.repositories import s3_requests
from drd.repositories.probing import Prober
from drd.repositories.s3 import S3Place
from drd.repositories.s3_access import S3Keys
from tests.servers.hostile import Hostile, Manner, hostile_server

MANY = ["f" * 64] * 9
"""So many snapshots are looked for in a listing."""


@pytest.fixture
def server() -> Iterator[Hostile]:
    with hostile_server() as server:
        yield server


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_requests.RequestTimes, "all_s", 2.0)
    monkeypatch.setattr(s3_requests.RequestTimes, "again_s", 1.0)


def place(server: Hostile) -> S3Place:
    keys = S3Keys(access_key="id", secret_key="key", region="us-east-1")
    return S3Place(parse_s3(f"s3:{server.endpoint}/bucket/p"), lambda: keys)


def test_a_server_that_answers_well_is_used(server: Hostile) -> None:
    """The healthy twin of all that follows."""
    looked = place(server)
    looked.preflight()
    assert looked.missing(MANY) == MANY
    assert looked.lock_files() == {}
    ahead_s = looked.clock_ahead_s()
    assert ahead_s is not None
    assert abs(ahead_s) < 30
    assert looked.probe() is not None


@pytest.mark.parametrize("status", [200, 403, 500])
def test_an_answer_without_end_is_not_read(server: Hostile, status: int) -> None:
    server.manner, server.status = "endless", status
    looked = place(server)
    for look in (looked.lock_files, looked.locks, looked.unfinished_keys, looked.preflight):
        with pytest.raises(RepositoryError):
            look()
    assert server.sent < 64 << 20


@pytest.mark.parametrize("status", [200, 403])
def test_a_probe_of_the_daemon_reads_no_more_than_a_config_has(
    server: Hostile, status: int
) -> None:
    server.manner, server.status = "endless", status
    access = S3Access(
        access_key=SecretRef("env", "A"), secret_key=SecretRef("env", "B"), region="us-east-1"
    )
    prober = Prober(lambda ref: "secret")
    try:
        prober.probe(f"s3:{server.endpoint}/bucket/p", access)
    except RepositoryError:
        assert status == 403
    assert server.sent < 32 << 20


@pytest.mark.parametrize("manner", ["drips", "drips headers"])
def test_a_dripping_server_is_abandoned_in_time(
    server: Hostile, brief: None, manner: Manner
) -> None:
    server.manner = manner
    looked = place(server)
    begun = time.monotonic()
    for seconds in (2, 1, 1):  # the first, and those who ask soon after
        with pytest.raises(RepositoryUnreachable, match=f"no complete answer within {seconds}s$"):
            looked.lock_files()
    assert time.monotonic() - begun < 15, "the answer would take a day"
    until = time.monotonic() + 30
    while server.open or any(t.name == "drd-s3" for t in threading.enumerate()):
        assert time.monotonic() < until, "a thread that goes on reading"
        time.sleep(0.05)
    server.manner = "well"
    assert looked.lock_files() == {}


def test_a_cancel_ends_a_request_at_once(server: Hostile) -> None:
    server.manner = "drips"
    before = signal.signal(signal.SIGALRM, lambda *_: process.cancel())
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    begun = time.monotonic()
    try:
        with pytest.raises(Cancelled):
            place(server).preflight()
    finally:
        signal.signal(signal.SIGALRM, before)
        process.reset_cancel()
    assert time.monotonic() - begun < s3_requests.RequestTimes.all_s


@pytest.mark.parametrize(
    "date",
    ["", "garbage", "Thu, 01 Jan 1970 00:00:00 -0000", "Thu, 99 Foo 99999 00:00:00 GMT", "\udcff"],
)
def test_an_invalid_server_time_is_unknown(server: Hostile, date: str) -> None:
    server.date = date.encode("utf-8", "surrogateescape").decode("latin-1")
    looked = place(server)
    assert looked.clock_ahead_s() is None
    assert looked.lock_files() == {}
    assert not any(f.failed for f in looked.findings(None))


def test_a_wrong_server_time_is_reported(server: Hostile) -> None:
    server.date = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    ahead_s = place(server).clock_ahead_s()
    assert ahead_s is not None
    assert 3500 < ahead_s < 3700


@pytest.mark.parametrize("manner", ["loops", "loses its place"])
def test_a_listing_that_does_not_end_is_a_broken_answer(server: Hostile, manner: Manner) -> None:
    server.manner = manner
    with pytest.raises(RepositoryError, match="sends an endless listing"):
        place(server).missing(MANY)
    assert server.requests <= 3


def test_local_places_are_not_asked_by_requests(tmp_path: Path) -> None:
    """What the bound is about cannot happen there: nothing but a file is read."""
    from drd.repositories.local import LocalPlace

    (tmp_path / "config").write_bytes(b"x" * (1 << 20))
    assert LocalPlace(tmp_path).probe() is not None
    with pytest.raises(DrdError):
        LocalPlace(tmp_path / "nowhere").probe()
