"""Repositories in a bucket: what is wrong is said at once, and outages are waited out or named."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drd import process
from drd.errors import (
    RepositoryError,
    RepositoryMissing,
    RepositoryReadOnly,
    RepositoryRefused,
    RepositoryUnreachable,
)
from drd.ports import Progress
from drd.repositories.restic import ResticRepository
from drd.repositories.restic.stall import Patience
from tests.repository_support import (
    founded,
    new_bucket,
    restic_processes,
    s3_repository,
    shell,
)
from tests.servers import Proxy, S3Server, tcp_proxy

SLOW = "for i in 1 2 3 4 5 6 7 8 9 10; do head -c 2000000 /dev/urandom; sleep 0.5; done"
"""A dump of 20 MB: long enough to lose the server in the middle of it, and more than a pack."""


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[Proxy]:
    with tcp_proxy("127.0.0.1", s3.port) as proxy:
        yield proxy


@pytest.fixture
def nothing_left(tmp_path: Path) -> Iterator[None]:
    yield
    assert restic_processes(tmp_path) == []


def seconds(begun: float) -> float:
    return time.monotonic() - begun


# --- preflight ------------------------------------------------------------------------------


def test_a_missing_bucket_is_named(s3: S3Server, tmp_path: Path) -> None:
    repository = s3_repository(s3, tmp_path, url=s3.repository("no-such-bucket", "p"))
    for attempt in (repository.preflight, repository.identity, repository.snapshots):
        begun = time.monotonic()
        with pytest.raises(RepositoryMissing, match="bucket no-such-bucket does not exist") as it:
            attempt()
        assert "create the bucket" in it.value.hint
        assert seconds(begun) < 10


def test_a_wrong_secret_key_is_reported_at_once(s3: S3Server, tmp_path: Path) -> None:
    repository = s3_repository(s3, tmp_path, secret_key="not the secret key")
    begun = time.monotonic()
    with pytest.raises(RepositoryError, match="does not accept the access key") as caught:
        repository.store(shell("echo data"), host="p", tags=["t"])
    assert "secret_key" in caught.value.hint
    assert "not the secret key" not in str(caught.value)
    assert seconds(begun) < 10


def test_a_refused_connection_is_reported_at_once(s3: S3Server, tmp_path: Path) -> None:
    url = "s3:http://127.0.0.1:1/bucket/prefix"
    with pytest.raises(RepositoryUnreachable, match=r"http://127\.0\.0\.1:1: connection refused"):
        s3_repository(s3, tmp_path, url=url).preflight()


def test_a_host_without_address_is_reported_at_once(s3: S3Server, tmp_path: Path) -> None:
    url = "s3:http://s3.invalid/bucket/prefix"
    with pytest.raises(RepositoryUnreachable, match=r"s3\.invalid: (no such host|its name)"):
        s3_repository(s3, tmp_path, url=url).preflight()


def test_a_server_without_tls_is_reported(s3: S3Server, tmp_path: Path) -> None:
    url = s3.repository(new_bucket(s3)).replace("http://", "https://")
    with pytest.raises(RepositoryError, match="does not speak TLS") as caught:
        s3_repository(s3, tmp_path, url=url).preflight()
    assert "s3:http://" in caught.value.hint


def test_a_silent_server_is_not_an_endless_wait(s3: S3Server, proxy: Proxy, tmp_path: Path) -> None:
    repository = s3_repository(s3, tmp_path, endpoint=proxy.endpoint)
    proxy.stall()
    begun = time.monotonic()
    with pytest.raises(RepositoryUnreachable, match="no answer in time"):
        repository.preflight()
    assert seconds(begun) < 15


LATE: dict[str, tuple[dict[str, str], type[RepositoryError], str]] = {
    "key": (
        {"secret_key": "not the secret key"},
        RepositoryRefused,
        "does not accept the access key",
    ),
    "bucket": ({"url": "no-such-bucket"}, RepositoryMissing, "no-such-bucket does not exist"),
    "nobody": ({"url": "s3:http://127.0.0.1:1/bucket/p"}, RepositoryUnreachable, "refused"),
    "silence": ({"endpoint": "stalled"}, RepositoryUnreachable, "answer"),
}


@pytest.mark.parametrize("trouble", LATE)
def test_a_stalled_restore_reports_the_cause(
    s3: S3Server, proxy: Proxy, tmp_path: Path, nothing_left: None, trouble: str
) -> None:
    """It is begun at once, and the bucket is looked at when restic is silent, or has failed."""
    given, kind, words = LATE[trouble]
    if given.get("endpoint"):
        given = {"endpoint": proxy.endpoint}
    elif given.get("url") == "no-such-bucket":
        given = {"url": s3.repository("no-such-bucket", "p")}
    repository = s3_repository(s3, tmp_path, **given)  # type: ignore[arg-type]
    proxy.stall()
    (tmp_path / "into").mkdir()
    for attempt in (
        lambda: repository.restore("a" * 64, tmp_path / "into"),
        lambda: repository.read_file("a" * 64, "manifest.json"),
    ):
        begun = time.monotonic()
        with pytest.raises(kind, match=words):
            attempt()
        assert seconds(begun) < 60


# --- outages --------------------------------------------------------------------------------


def test_an_outage_within_the_patience_is_waited_out(
    s3: S3Server, proxy: Proxy, tmp_path: Path, nothing_left: None
) -> None:
    repository = founded(s3_repository(s3, tmp_path, endpoint=proxy.endpoint), s3)
    repository.runner.patience = Patience(still_s=1.0, gone_s=60.0, every_s=0.5)
    outage = Outage(proxy, 4.0)
    stored = repository.store(
        shell(SLOW), host="p", tags=["t"], deadline_s=200.0, on_progress=outage.watch
    )
    outage.join()
    assert stored.bytes == 20_000_000
    repository.check(read_subset="100%")
    assert repository.runner.session.place.locks() == frozenset()


def test_a_server_that_stays_away_ends_the_backup(
    s3: S3Server, proxy: Proxy, tmp_path: Path, nothing_left: None
) -> None:
    repository = founded(s3_repository(s3, tmp_path, endpoint=proxy.endpoint), s3)
    outage = Outage(proxy, None)
    with pytest.raises(RepositoryUnreachable, match="cannot reach"):
        repository.store(shell(SLOW + "; sleep 60"), host="p", tags=["t"], on_progress=outage.watch)
    assert seconds(outage.begun) < 40
    assert restic_processes(tmp_path) == []
    proxy.resume()
    assert repository.snapshots(fresh=True) == []
    # restic could not take its lock along; the next one that minds it removes it.
    repository.prune()
    assert repository.runner.session.place.locks() == frozenset()


def test_a_server_that_stays_away_ends_a_listing(
    s3: S3Server, proxy: Proxy, tmp_path: Path, nothing_left: None
) -> None:
    repository = founded(s3_repository(s3, tmp_path, endpoint=proxy.endpoint), s3)
    proxy.cut()
    begun = time.monotonic()
    with pytest.raises(RepositoryUnreachable):
        repository.snapshots(fresh=True)
    assert seconds(begun) < 40


class Outage:
    """Cuts the proxy once 4 MB are on their way, for some seconds or for good."""

    def __init__(self, proxy: Proxy, length_s: float | None) -> None:
        self.begun = 0.0
        self._proxy = proxy
        self._length_s = length_s
        self._thread: threading.Thread | None = None

    def watch(self, progress: Progress) -> None:
        if progress.done_bytes > 4_000_000 and not self.begun:
            self.begun = time.monotonic()
            self._proxy.cut()
            if self._length_s is not None:
                self._thread = threading.Timer(self._length_s, self._proxy.resume)
                self._thread.start()

    def join(self) -> None:
        assert self._thread is not None, "there was no outage"
        self._thread.join()


# --- the bucket -----------------------------------------------------------------------------


def test_an_emptied_bucket_has_no_identity(s3: S3Server, tmp_path: Path) -> None:
    bucket = new_bucket(s3)
    repository = s3_repository(s3, tmp_path, url=s3.repository(bucket))
    made = repository.initialise()
    assert repository.identity() == made
    client = s3.client()
    for item in client.list_objects_v2(Bucket=bucket)["Contents"]:
        client.delete_object(Bucket=bucket, Key=item["Key"])
    assert repository.identity() is None


def test_two_repositories_share_a_bucket_by_their_prefixes(s3: S3Server, tmp_path: Path) -> None:
    bucket = new_bucket(s3)
    one, two = (s3_repository(s3, tmp_path, url=s3.repository(bucket, p)) for p in ("one", "two"))
    founded(one, s3)
    assert two.identity() is None
    founded(two, s3)
    one.store_bytes(b"1", "m", host="p", tags=["t"])
    assert two.snapshots() == []


def test_chunker_parameters_come_from_a_repository_in_another_account(
    s3: S3Server, tmp_path: Path
) -> None:
    first, second = s3_repository(s3, tmp_path), s3_repository(s3, tmp_path, password="another")
    first.initialise()
    second.initialise(chunker_from=first)
    polynomials = {
        r.runner.ask(lambda library: library.cat.config())["chunker_polynomial"]
        for r in (first, second)
    }
    assert len(polynomials) == 1


def test_nothing_of_the_keys_is_in_our_environment(s3: S3Server, tmp_path: Path) -> None:
    assert founded(s3_repository(s3, tmp_path), s3).identity()
    seen = process.run(process.Command(["env"])).stdout
    assert s3.secret_key not in seen
    assert "AWS_" not in seen


# --- doctor ---------------------------------------------------------------------------------


def findings(repository: ResticRepository) -> dict[str, tuple[str, str]]:
    return {f.code: (f.severity, f.text) for f in repository.doctor()}


def test_doctor_says_that_the_first_backup_initialises(s3: S3Server, tmp_path: Path) -> None:
    found = findings(s3_repository(s3, tmp_path))
    assert found["repository-key"] == (
        "ok",
        "there is no repository yet: the first drd backup creates it",
    )
    assert found["repository-clock"][0] == "ok"


def test_doctor_proves_an_object_lock(s3: S3Server, tmp_path: Path) -> None:
    url = s3.repository(new_bucket(s3, object_lock=True))
    found = findings(s3_repository(s3, tmp_path, url=url, protection="object-lock"))
    severity, detail = found["repository-protection"]
    assert severity == "ok"
    assert "GOVERNANCE" in detail


def test_doctor_refutes_an_object_lock_that_is_only_claimed(s3: S3Server, tmp_path: Path) -> None:
    found = findings(s3_repository(s3, tmp_path, protection="object-lock"))
    assert found["repository-protection"][0] == "error"


def test_doctor_stops_where_nothing_answers(s3: S3Server, tmp_path: Path) -> None:
    url = "s3:http://127.0.0.1:1/bucket/prefix"
    found = s3_repository(s3, tmp_path, url=url).doctor()
    assert [(f.name, f.failed) for f in found] == [("restic", False), ("repository primary", True)]
    assert found[1].remedy


def test_doctor_names_a_wrong_password(s3: S3Server, tmp_path: Path) -> None:
    url = s3.repository(new_bucket(s3))
    founded(s3_repository(s3, tmp_path, url=url), s3)
    found = findings(s3_repository(s3, tmp_path, url=url, password="another"))
    assert found["repository-key"][0] == "error"


# --- keys that may only read ------------------------------------------------------------------


def test_a_key_that_may_only_read_reads(s3: S3Server, tmp_path: Path) -> None:
    bucket = new_bucket(s3)
    url = s3.repository(bucket, "r")
    writer = founded(s3_repository(s3, tmp_path, url=url), s3)
    known = writer.identity()
    stored = writer.store(shell("echo data"), host="p", tags=["t"])
    arn = f"arn:aws:s3:::{bucket}/*"
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    s3.client().put_bucket_policy(Bucket=bucket, Policy=policy)
    reader = s3_repository(s3, tmp_path, url=url)
    assert reader.identity() == known
    assert [s.id for s in reader.snapshots(fresh=True)] == [stored.snapshot]
    for number in range(2):
        into = tmp_path / f"into{number}"
        into.mkdir()
        reader.restore(stored.snapshot, into)
        assert [p.read_text() for p in into.rglob("*") if p.is_file()] == ["data\n"]
    with pytest.raises(RepositoryReadOnly, match="is read-only"):
        reader.store(shell("echo more"), host="p", tags=["t"])
