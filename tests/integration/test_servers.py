"""The servers that other tests rely on do what their docstrings say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.servers import (
    PostgresServer,
    Proxy,
    S3Server,
    ServerError,
    postgres_server,
    s3_server,
    tcp_proxy,
)


def read(s3: S3Server, bucket: str, key: str) -> bytes:
    return s3.client().get_object(Bucket=bucket, Key=key)["Body"].read()


def test_s3_stores_and_returns_bytes(s3: S3Server) -> None:
    s3.create_bucket("round-trip")
    body = os.urandom(5_000_000)
    s3.client().put_object(Bucket="round-trip", Key="a/b", Body=body)
    assert read(s3, "round-trip", "a/b") == body


def test_s3_refuses_a_wrong_key(s3: S3Server) -> None:
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        s3.client(secret_key="wrong").list_buckets()


def test_s3_refuses_to_delete_a_locked_version(s3: S3Server) -> None:
    s3.create_bucket("locked", object_lock=True)
    client = s3.client()
    version = client.put_object(Bucket="locked", Key="k", Body=b"kept")["VersionId"]
    with pytest.raises(ClientError, match="AccessDenied"):
        client.delete_object(Bucket="locked", Key="k", VersionId=version)
    client.delete_object(Bucket="locked", Key="k")  # only a marker
    kept = client.get_object(Bucket="locked", Key="k", VersionId=version)
    assert kept["Body"].read() == b"kept"
    assert kept["ObjectLockMode"] == "GOVERNANCE"


def test_s3_keeps_its_data_over_stop_and_kill(short_tmp: Path) -> None:
    with s3_server(short_tmp) as s3:
        s3.create_bucket("kept")
        for number, end in enumerate((s3.stop, s3.kill)):
            s3.client().put_object(Bucket="kept", Key=str(number), Body=b"x" * 100_000)
            end()
            with pytest.raises(BotoCoreError):
                s3.client().list_buckets()
            s3.start()
            assert read(s3, "kept", str(number)) == b"x" * 100_000


def test_postgres_answers_and_stops(short_tmp: Path) -> None:
    with postgres_server(short_tmp) as postgres:
        assert postgres.execute("select 1") == [(1,)]
        postgres.execute("create table t as select 7 as seven")
        postgres.stop()
        with pytest.raises(psycopg.OperationalError):
            postgres.execute("select 1")
        postgres.start()
        postgres.kill()
        postgres.start()
        assert postgres.execute("select seven from t") == [(7,)]
        pid = postgres.pid
    assert not Path(f"/proc/{pid}").exists()


def test_postgres_has_a_database_of_any_name(postgres: PostgresServer) -> None:
    postgres.execute('create database "50% off/on?"')
    assert postgres.execute("select current_database()", "50% off/on?") == [("50% off/on?",)]


def test_postgres_with_a_password_refuses_another(short_tmp: Path) -> None:
    with postgres_server(short_tmp, password="p@ss/word", tcp=True) as postgres:
        good = postgres.dsn(host=postgres.host)
        assert psycopg.connect(good).execute("select 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(good, password="wrong")


def test_postgres_of_an_unknown_major_is_refused_with_a_remedy(short_tmp: Path) -> None:
    with (
        pytest.raises(ServerError, match="HINT: apt-get install"),
        postgres_server(short_tmp, major=1),
    ):
        pass


def test_postgres_in_too_deep_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="too long"), postgres_server(tmp_path / ("x" * 100)):
        pass


@pytest.mark.parametrize("kind", ["s3", "postgres"])
def test_a_server_dies_with_its_parent(kind: str, short_tmp: Path) -> None:
    code = (
        "import pathlib, sys, time\n"
        f"from tests.servers import {kind}_server as server\n"
        f"with server(pathlib.Path({str(short_tmp)!r})) as started:\n"
        "    print(started.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}/cwd").is_symlink() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}/cwd").is_symlink()


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[Proxy]:
    with tcp_proxy("127.0.0.1", s3.port) as proxy:
        yield proxy


def test_proxy_forwards(s3: S3Server, proxy: Proxy) -> None:
    s3.create_bucket("forwarded")
    client = s3.client(endpoint=proxy.endpoint)
    body = os.urandom(3_000_000)
    client.put_object(Bucket="forwarded", Key="k", Body=body)
    assert client.get_object(Bucket="forwarded", Key="k")["Body"].read() == body
    deadline = time.monotonic() + 60  # it counts what it has sent
    while proxy.forwarded <= 2 * len(body) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert proxy.forwarded > 2 * len(body)


def test_proxy_cuts_and_resumes(s3: S3Server, proxy: Proxy) -> None:
    client = s3.client(endpoint=proxy.endpoint)
    client.list_buckets()
    proxy.cut()
    with pytest.raises(BotoCoreError):
        client.list_buckets()
    proxy.resume()
    client.list_buckets()


def test_proxy_cuts_in_the_middle_of_an_upload(s3: S3Server, proxy: Proxy) -> None:
    s3.create_bucket("cut")
    proxy.cut_after = 1_000_000
    with pytest.raises(BotoCoreError):
        s3.client(endpoint=proxy.endpoint).put_object(
            Bucket="cut", Key="k", Body=os.urandom(20_000_000)
        )
    with pytest.raises(ClientError, match="NoSuchKey"):
        read(s3, "cut", "k")


def test_proxy_stalls_until_resumed(s3: S3Server, proxy: Proxy) -> None:
    client = s3.client(endpoint=proxy.endpoint)
    client.list_buckets()
    proxy.stall()
    timer = threading.Timer(1.0, proxy.resume)
    timer.start()
    started = time.monotonic()
    client.list_buckets()
    assert time.monotonic() - started > 0.9
    timer.join()


def test_proxy_throttles(s3: S3Server, proxy: Proxy) -> None:
    s3.create_bucket("throttled")
    proxy.throttle_bps = 1_000_000
    started = time.monotonic()
    s3.client(endpoint=proxy.endpoint).put_object(Bucket="throttled", Key="k", Body=b"x" * 10**6)
    assert time.monotonic() - started > 0.8


def test_proxy_corrupts_what_is_read(s3: S3Server, proxy: Proxy) -> None:
    s3.create_bucket("corrupted")
    body = os.urandom(500_000)
    s3.client().put_object(Bucket="corrupted", Key="k", Body=body)
    proxy.corrupt = True
    answer = s3.client(endpoint=proxy.endpoint).get_object(Bucket="corrupted", Key="k")
    assert answer["Body"]._raw_stream.read() != body  # past botocore's own checksum
