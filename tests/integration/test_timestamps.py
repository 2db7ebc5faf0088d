"""Time stamps of the records, by a real authority: `openssl ts`."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import rfc3161_client

from drd import timestamping
from drd.catalogue.records import SqlRecords
from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.config.daemon import load_settings
from drd.errors import ConfigError
from drd.flows.records import timestamps
from drd.flows.records.anchors import Place, found
from drd.flows.records.export import export
from drd.flows.records.noted import NOTED
from drd.flows.records.timestamps import Stamping, for_export, hashes_in, in_export, judged
from drd.model.plan import RepositorySpec, SecretRef
from drd.model.records import Draft
from drd.model.timestamps import Authority, Stamp, is_due
from drd.timestamping import NoStamp
from tests.catalogue_support import Catalogues, at, opened
from tests.fakes_repository import MemoryRepository
from tests.records_support import key
from tests.servers import timestamp_authority

KEY = key()
PLACE = Place(RepositorySpec("primary", "/memory/repository", SecretRef("text", "x")), "shop")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[timestamp_authority.Authority]:
    with timestamp_authority.serving(tmp_path_factory.mktemp("tsa") / "tsa") as authority:
        yield authority


@pytest.fixture
def asked(server: timestamp_authority.Authority) -> Iterator[Authority]:
    yield Authority(server.url, str(server.ca), 3600.0)
    server.status = 200


@pytest.fixture
def host(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlCatalogue]:
    empty = Catalogues(tmp_path_factory.mktemp("catalogues"))
    made = opened(empty.in_file(tmp_path / "state" / "drd.db"), tmp_path)
    assert isinstance(made.records, SqlRecords)
    made.records._find_signer = lambda _: KEY
    add(made, 1)
    yield made
    made.close()


def add(catalogue: SqlCatalogue, minute: float) -> int:
    draft = Draft("evidence", "shop/p1", {"secret": "never leaves"}, at(minute))
    return catalogue.records.append(draft).seq


def stamped(catalogue: SqlCatalogue, asked: Authority, minute: float) -> Stamp:
    stamping = Stamping(catalogue, asked, at(minute))
    assert stamping.made is not None, stamping.error
    return stamping.made


def test_the_newest_entry_is_stamped_kept_and_stored_beside_the_anchors(
    host: SqlCatalogue, asked: Authority, server: timestamp_authority.Authority
) -> None:
    repository = MemoryRepository()
    repository.initialise()
    before = len(server.queries)
    stamping = Stamping(host, asked, at(2))
    for _ in range(2):
        stamping.store([PLACE], lambda _: repository)
    head = host.records.head()
    assert head is not None
    [query] = server.queries[before:]
    assert bytes.fromhex(head.hash) in query
    assert len(query) < 100, "nothing but the hash leaves this host"
    assert stamping.document() == {"entry": head.seq, "error": None}
    hash_of = hashes_in(host)
    [there] = timestamps.found([PLACE], lambda _: repository, hash_of)
    done = judged([*host.stamps.newest(9), there], str(server.ca), hash_of)
    [(one, _)] = done.proven
    assert (one.seq, one.hash, done.count, done.wrong) == (head.seq, head.hash, 1, [])
    assert found(PLACE, repository) == [], "it is no anchor"
    mine = host.stamps.newest(9)
    assert timestamps.found([PLACE], lambda _: repository, hash_of, mine) == []


def test_an_entry_is_stamped_once_and_not_more_often_than_asked_for(
    host: SqlCatalogue, asked: Authority
) -> None:
    first = stamped(host, asked, 2)
    assert Stamping(host, asked, at(90)).document() == {"entry": None, "error": None}
    add(host, 3)
    assert Stamping(host, asked, at(30)).made is None, "too soon"
    assert stamped(host, asked, 63).seq == first.seq + 1
    assert is_due(first, first.seq + 1, 3600.0, first.at - timedelta(days=1)), "the clock was set"


def test_an_authority_that_does_not_answer_is_named_and_asked_again(
    host: SqlCatalogue, asked: Authority, server: timestamp_authority.Authority
) -> None:
    server.status = 503
    stamping = Stamping(host, asked, at(2))
    assert stamping.made is None
    assert (
        stamping.error == f"drd did not get a time stamp from {asked.url}: 127.0.0.1 answered 503"
    )
    noted = stamping.noted([])[asked.url]
    assert noted == {"place": asked.url, "seq": 0, "error": stamping.error, "forked": False}
    assert timestamps.failing(host, asked) == ""
    host.queue.note(NOTED, {"places": stamping.noted([])}, at(2))
    assert timestamps.failing(host, asked) == stamping.error
    server.status = 200
    assert stamped(host, asked, 3)
    gone = Authority("http://127.0.0.1:9/tsr", asked.ca, 3600.0)
    add(host, 4)
    assert "127.0.0.1" in Stamping(host, gone, at(90)).error
    missing = Authority(asked.url, "/no/such/ca.pem", 3600.0)
    assert "records.timestamp.ca names: no such file" in Stamping(host, missing, at(90)).error
    assert Stamping(host, None, at(90)).noted([]) == {}


def test_a_stamp_by_nobody_whom_one_trusts_proves_nothing(
    host: SqlCatalogue, asked: Authority, tmp_path: Path
) -> None:
    made = stamped(host, asked, 2)
    with timestamp_authority.serving(tmp_path / "other") as other:
        done = judged([made], str(other.ca), hashes_in(host))
    assert done.proven == []
    assert "proves nothing" in done.wrong[0]
    cut = Stamp(made.seq, made.hash, made.at, "", made.response[:-9])
    assert "the answer is not a time stamp" in judged([cut], asked.ca, hashes_in(host)).wrong[0]
    roots = Path(asked.ca).read_bytes()
    with pytest.raises(NoStamp, match="Nonce"):
        timestamping.checked(made.response, made.hash, roots, nonce=1)
    assert "--timestamp-ca FILE" in judged([made], None, hashes_in(host)).unchecked


def test_a_chain_that_was_rewritten_after_it_was_stamped_is_found(
    host: SqlCatalogue, asked: Authority
) -> None:
    made = stamped(host, asked, 2)
    done = judged([made], asked.ca, lambda _: hashlib.sha256(b"another").hexdigest())
    [fault] = done.faults
    assert (fault.seq, fault.code) == (made.seq, "timestamp")
    assert f"does not fit entry {made.seq}" in fault.text
    assert judged([made], asked.ca, lambda _: None).faults, "the end was cut off"


def test_an_export_has_the_stamps_and_its_script_checks_them(
    host: SqlCatalogue, asked: Authority, tmp_path: Path
) -> None:
    made = stamped(host, asked, 2)
    files = for_export(host, asked)
    assert {*files} == {f"entry-{made.seq}.tsr", "ca.pem"}
    export(host.records, tmp_path / "x", stamps=files)
    [read] = in_export(tmp_path / "x")
    done = judged([read], str(tmp_path / "x/timestamps/ca.pem"), hashes_in(host))
    assert [s.seq for s, _ in done.proven] == [made.seq]

    def script(**env: str) -> str:
        run = ["sh", "x/verify.sh"]
        env = {"PATH": "/usr/bin:/bin", **env}
        return subprocess.run(run, cwd=tmp_path, env=env, capture_output=True, text=True).stdout  # noqa: PLW1510

    assert f"TIME: entry {made.seq}, and all before it, existed at " in script()
    (tmp_path / "own.pem").write_bytes(Path(asked.ca).read_bytes())
    assert "/own.pem)" in script(CA="own.pem")
    (tmp_path / f"x/timestamps/entry-{made.seq}.tsr").rename(tmp_path / "x/timestamps/entry-1.tsr")
    assert "NOTE: entry 1: its time stamp proves nothing" in script()
    [moved] = in_export(tmp_path / "x")
    assert judged([moved], asked.ca, hashes_in(host)).wrong


def test_drd_yaml_refuses_time_stamps_without_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "drd.yaml"
    file.write_text("records:\n  timestamp: {url: http://tsa/x, ca: ca.pem, every: 2h}\n")
    assert load_settings(file, explicit=True).authority == Authority(
        "http://tsa/x", str(tmp_path / "ca.pem"), 7200
    )
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError) as caught:
        load_settings(file, explicit=True)
    [problem] = caught.value.problems
    assert (problem.line, problem.path) == (2, "records.timestamp")
    assert "pip install 'rfc3161-client>=1.0.6,<2'" in problem.hint
    monkeypatch.setattr(timestamping, "IS_INSTALLED", False)
    one = Stamp(1, "a" * 64, at(0), "", b"")
    assert judged([one], "ca.pem", lambda _: "a" * 64).unchecked == timestamps.MISSING
    assert rfc3161_client.__all__


@pytest.mark.parametrize("wrong", ["url: ftp://x/", "every: 5m", "ca: ''"])
def test_a_wrong_value_of_the_authority_is_refused(tmp_path: Path, wrong: str) -> None:
    given = {"url": "http://tsa/x", "ca": "ca.pem", "every": "2h"}
    name, _, value = wrong.partition(": ")
    given[name] = value
    lines = "".join(f"    {n}: {v}\n" for n, v in given.items())
    file = tmp_path / "drd.yaml"
    file.write_text(f"records:\n  timestamp:\n{lines}")
    with pytest.raises(ConfigError):
        load_settings(file, explicit=True)
