"""The main job on real PostgreSQL and a real S3 server, whole and with what breaks them."""

from __future__ import annotations

import re
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import light_repository
from tests.e2e.site import PASSWORD, Site
from tests.servers import PostgresServer, S3Server, postgres_server, s3_server, tcp_proxy

ORDERS = """
create role app login password 'app-secret-verifier' createdb;
create role readers;
grant readers to app;
create table customers(id bigint generated always as identity primary key, name text not null);
create table "odd ""name"" Заказы"(id int primary key, note jsonb);
create table orders(id serial primary key, customer bigint references customers, total numeric,
                    created_at timestamptz not null default now());
alter table orders owner to app;
grant select on orders to readers;
insert into customers(name) select 'customer ' || i from generate_series(1, 500) i;
insert into "odd ""name"" Заказы" select i, jsonb_build_object('n', i) from generate_series(1,
    50) i;
insert into orders(customer, total) select 1 + i % 500, i from generate_series(1, {rows}) i;
create view totals as select customer, sum(total) from orders group by 1;
"""

CHECKS = """
checks:
  - {{name: orders are there, kind: sql, component: db, query: "select count(*) from orders",
      expect: "== {rows}"}}
  - {{name: newest is recent, kind: sql, component: db,
      query: "select max(created_at) from orders", expect: "within 1h"}}
  - {{name: about as many as there were, kind: sql, component: db,
      query: "select count(*) from customers", expect: "within 10%"}}
  - {{name: row counts, kind: rows, component: db}}
"""


def fill(server: PostgresServer, database: str, rows: int = 5000) -> None:
    server.execute(f'create database "{database}"')
    try:
        server.execute(ORDERS.format(rows=rows), database)
    except Exception as error:
        if "already exists" not in str(error):
            raise
        server.execute(ORDERS.format(rows=rows).split("grant readers to app;")[1], database)


def plan_body(source: str, target: str = "", *, rows: int = 5000, more: str = "") -> str:
    body = f"components:\n  db: {{kind: postgres, dsn: '{source}'{more}}}\n"
    body += CHECKS.format(rows=rows)
    if target:
        body += f"targets:\n  standby: {{db: {{dsn: '{target}'}}}}\n"
    return body + "drill: {every: 7d}\n"


def s3_access(site: Site, server: S3Server, *, secret: str | None = None) -> str:
    key = site.secret("s3-id", server.access_key)
    hidden = site.secret("s3-key", secret or server.secret_key)
    return f"    s3: {{access_key: {key}, secret_key: {hidden}, region: {server.region}}}\n"


@pytest.fixture
def own_postgres(short_tmp: Path) -> Iterator[PostgresServer]:
    (short_tmp / "pg").mkdir()
    with postgres_server(short_tmp / "pg") as server:
        yield server


def dump(server: PostgresServer, database: str) -> str:
    words = [f"{server.bin_dir}/pg_dump", "--dbname", server.dsn(database)]
    text = subprocess.run(words, capture_output=True, check=True).stdout.decode()
    return re.sub(r"^\\(un)?restrict .*$", "", text, flags=re.MULTILINE)


def test_orders_api_goes_to_s3_and_comes_back_in_an_empty_cluster(
    short_tmp: Path, s3: S3Server, own_postgres: PostgresServer
) -> None:
    fill(own_postgres, "orders")
    before = dump(own_postgres, "orders")
    s3.create_bucket("e2e-orders", object_lock=True)
    (short_tmp / "other").mkdir()
    with postgres_server(short_tmp / "other") as empty:
        site = Site(short_tmp / "site", repository=s3.repository("e2e-orders", "api"))
        target = empty.dsn("orders")
        site.plan(plan_body(own_postgres.dsn("orders"), target), s3=s3_access(site, s3))
        site.drd("plan", "check", "shop")
        assert site.drd("doctor", "shop", "--json").json["ok"]
        assert site.drd("backup", "shop", "--json").json["state"] == "succeeded"
        drilled = site.drd("drill", "shop", "--json").json
        assert drilled["result"] == "passed", drilled
        assert {c["verdict"] for c in drilled["checks"]} == {"passed"}
        own_postgres.execute("drop table orders cascade", "orders")
        assert site.drd("recover", "shop", "--target", "standby", "--yes", "--json").json["result"]
        assert dump(empty, "orders") == before
        roles = (
            "select rolname, rolcreatedb, rolpassword from pg_authid where rolname !~ '^pg_' "
            "order by 1"
        )
        assert empty.execute(roles) == own_postgres.execute(roles)
        databases = [row[0] for row in empty.execute("select datname from pg_database")]
        assert not [name for name in databases if name.startswith("drd_")]
        assert site.drd("status", "--json").json["verdict"] == "met"
        site.assert_clean()


def test_server_stopped_in_the_middle_of_a_dump(
    short_tmp: Path, own_postgres: PostgresServer
) -> None:
    fill(own_postgres, "orders", rows=5000)
    own_postgres.execute(
        "create table bulk as select i, repeat(md5(i::text), 40) t from generate_series(1, "
        "300000) i",
        "orders",
    )
    site = Site(short_tmp / "site")
    site.plan(plan_body(own_postgres.dsn("orders")))
    child = site.start("backup", "shop", "--json")
    _until(lambda: any("pg_dump" in w and "--snapshot" in w for w in site.processes().values()))
    time.sleep(0.3)
    own_postgres.stop("immediate")
    out, err = child.communicate(timeout=60)
    assert child.returncode == 1, (out, err)
    assert site.runs()[0]["state"] == "failed"
    assert not site.points()
    assert '"short_id"' not in site.restic("snapshots", "--json")
    site.assert_clean()


def test_dump_tool_too_old_or_missing_is_named_before_anything_is_stored(
    short_tmp: Path, own_postgres: PostgresServer
) -> None:
    fill(own_postgres, "orders", rows=10)
    site = Site(short_tmp / "site")
    tools = short_tmp / "tools"
    tools.mkdir()
    site.plan(plan_body(own_postgres.dsn("orders"), rows=10, more=f", bin_dir: {tools}"))
    missing = site.drd("backup", "shop", "--json", code=1).json
    assert "pg_dump" in missing["components"][0]["error"]
    _fake(tools / "pg_dump", "echo 'pg_dump (PostgreSQL) 9.6.1'")
    old = site.drd("backup", "shop", "--json", code=1).json
    assert "9.6" in old["components"][0]["error"]
    assert str(own_postgres.major) in old["components"][0]["error"]
    assert not site.points()
    assert '"short_id"' not in site.restic("snapshots", "--json")
    assert [r["state"] for r in site.runs()] == ["failed", "failed"]
    site.assert_clean()


@pytest.mark.parametrize("lie", ["exit 0", "echo x; exit 1", "echo half; kill -9 $$"])
def test_dump_that_is_empty_or_died_never_becomes_a_restore_point(
    short_tmp: Path, own_postgres: PostgresServer, lie: str
) -> None:
    fill(own_postgres, "orders", rows=10)
    site = Site(short_tmp / "site")
    tools = short_tmp / "tools"
    tools.mkdir()
    version = f"echo 'pg_dump (PostgreSQL) {own_postgres.major}.99'"
    _fake(tools / "pg_dump", f'case "$*" in *--version*) {version};; *) {lie};; esac')
    site.plan(plan_body(own_postgres.dsn("orders"), rows=10, more=f", bin_dir: {tools}"))
    told = site.drd("backup", "shop", "--json", code=1).json
    assert told["components"][0]["state"] == "failed"
    assert not site.points()
    assert site.drd("status", "--json", code=3).json["plans"][0]["rpo"]["verdict"] == "unknown"
    site.assert_clean()


def _fake(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_database_without_tables_and_with_an_odd_name(
    short_tmp: Path, own_postgres: PostgresServer
) -> None:
    name = '--help "it\'s"'
    own_postgres.execute('create database "--help ""it\'s"""')
    site = Site(short_tmp / "site")
    dsn = own_postgres.dsn("X").replace("/X?", "/" + name.replace("%", "%25").replace(" ", "%20")
                                        .replace('"', "%22").replace("'", "%27") + "?")  # fmt: skip
    secret = site.secret("dsn", dsn)
    site.plan(
        f"components:\n  db: {{kind: postgres, dsn: {secret}, may_be_empty: true}}\n"
        "checks:\n  - {name: row counts, kind: rows, component: db}\n"
    )
    site.drd("backup", "shop")
    assert site.drd("drill", "shop", "--json").json["result"] == "passed"
    site.assert_clean()


@pytest.fixture
def s3_site(short_tmp: Path, s3: S3Server, request: pytest.FixtureRequest) -> Site:
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:50].strip("-")
    bucket = f"{name}-{secrets.token_hex(4)}"
    s3.create_bucket(bucket)
    (short_tmp / "etc").mkdir()
    (short_tmp / "etc/app.conf").write_text("listen 8080;\n")
    site = Site(short_tmp / "site", repository=s3.repository(bucket, "p"))
    site.plan(conf_body(short_tmp), s3=s3_access(site, s3))
    return site


def conf_body(base: Path) -> str:
    return (
        f"components:\n  conf: {{kind: files, paths: [{base}/etc]}}\n"
        "checks:\n  - {name: configuration, kind: files, component: conf}\n"
    )


def test_wrong_s3_key_missing_bucket_and_dead_endpoint_are_reported_within_seconds(
    s3_site: Site, s3: S3Server, short_tmp: Path
) -> None:
    site = s3_site
    begun = time.monotonic()
    site.plan(conf_body(short_tmp), s3=s3_access(site, s3, secret="wrong-secret-key"))
    wrong = site.drd("backup", "shop", "--json", code=1).json["error"]
    assert "key" in wrong["message"]
    site.repository = s3.repository("no-such-bucket", "p")
    site.plan(conf_body(short_tmp), s3=s3_access(site, s3))
    missing = site.drd("backup", "shop", "--json", code=10).json["error"]
    assert "no-such-bucket" in missing["message"]
    site.repository = s3.repository("any", "p", endpoint="http://127.0.0.1:1")
    site.plan(conf_body(short_tmp), s3=s3_access(site, s3))
    dead = site.drd("backup", "shop", "--json", code=1).json["error"]
    assert "127.0.0.1:1" in dead["message"]
    assert dead["hint"]
    assert time.monotonic() - begun < 90
    assert [r["state"] for r in site.runs()] == ["failed"] * 3
    site.assert_clean()


def test_emptied_bucket_is_not_a_fresh_one(s3_site: Site, s3: S3Server) -> None:
    s3_site.drd("backup", "shop")
    client, bucket = s3.client(), s3_site.repository.split("/")[3]
    for entry in client.list_objects_v2(Bucket=bucket)["Contents"]:
        client.delete_object(Bucket=bucket, Key=entry["Key"])
    told = s3_site.drd("backup", "shop", "--json", code=10).json
    assert "there is no repository at" in told["error"]["message"]
    assert not client.list_objects_v2(Bucket=bucket).get("Contents")
    s3_site.assert_clean()


def test_init_that_was_killed_half_way_on_s3_is_finished(s3_site: Site, s3: S3Server) -> None:
    bucket = s3_site.repository.split("/")[3]
    s3.client().put_object(Bucket=bucket, Key=f"p/keys/{'a' * 64}", Body=b"of a killed init")
    assert s3_site.drd("backup", "shop", "--json").json["state"] == "succeeded"
    s3_site.assert_clean()


def test_first_backups_at_once_on_s3(s3_site: Site, s3: S3Server, short_tmp: Path) -> None:
    """Of one host, and of another that shares nothing with it but the bucket."""
    other = Site(short_tmp / "other", repository=s3_site.repository)
    other.plan(conf_body(short_tmp), s3=s3_access(other, s3))
    children = [site.start("backup", "shop") for site in (s3_site, other, s3_site)]
    codes = [child.wait(timeout=240) for child in children]
    assert codes[1] == min(codes) == 0
    assert set(codes) <= {0, 11}
    for site in (s3_site, other):
        assert site.drd("drill", "shop", "--json").json["result"] == "passed"
        site.assert_clean()
    client, bucket = s3.client(), s3_site.repository.split("/")[3]
    names = [entry["Key"] for entry in client.list_objects_v2(Bucket=bucket)["Contents"]]
    assert not [name for name in names if name.startswith("p/locks/")]
    assert len([name for name in names if name.startswith("p/keys/")]) == 1


def test_s3_away_in_the_middle_and_back(short_tmp: Path) -> None:
    (short_tmp / "etc").mkdir()
    (short_tmp / "s3").mkdir()
    with s3_server(short_tmp / "s3") as server:
        server.create_bucket("away")
        site = Site(short_tmp / "site", repository=server.repository("away", "p"))
        light_repository.begin_in_bucket(server, site.repository, PASSWORD)
        site.plan(conf_body(short_tmp), s3=s3_access(site, server))
        site.slow_down(short_tmp / "etc")
        child = site.start("backup", "shop", "--json")
        _until(lambda: _storing(site))
        time.sleep(0.8)
        server.kill()
        time.sleep(5)
        server.start()
        out, err = child.communicate(timeout=120)
        assert child.returncode == 0, (out, err)
        assert site.points()[0]["complete"]
        assert site.drd("drill", "shop", "--json").json["result"] == "passed"
        site.assert_clean()


def test_s3_away_and_not_back_ends_at_the_plans_timeout(short_tmp: Path) -> None:
    (short_tmp / "etc").mkdir()
    (short_tmp / "s3").mkdir()
    with s3_server(short_tmp / "s3") as server:
        server.create_bucket("away")
        with tcp_proxy("127.0.0.1", server.port) as proxy:
            endpoint = server.repository("away", "p", endpoint=proxy.endpoint)
            site = Site(short_tmp / "site", repository=endpoint)
            light_repository.begin_in_bucket(server, endpoint, PASSWORD)
            site.plan(conf_body(short_tmp) + "backup: {timeout: 12s}\n", s3=s3_access(site, server))
            site.slow_down(short_tmp / "etc")
            child = site.start("backup", "shop", "--json")
            _until(lambda: proxy.forwarded > 5_000_000)
            proxy.stall()
            out, err = child.communicate(timeout=60)
        assert child.returncode == 1, (out, err)
        assert site.runs()[0]["state"] == "failed"
        assert not site.points()
        site.assert_clean()


def _storing(site: Site) -> bool:
    """Whether a restic of this site is storing something."""
    words = [line.split() for line in site.processes().values()]
    return any(w[0].endswith("restic") and "backup" in w for w in words)


def _until(condition, seconds: float = 40) -> None:  # type: ignore[no-untyped-def]
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.02)


def test_plan_new_writes_a_plan_that_passes(short_tmp: Path, own_postgres: PostgresServer) -> None:
    fill(own_postgres, "orders", rows=10)
    site = Site(short_tmp / "site")
    (short_tmp / "etc").mkdir()
    out = site.base / "plans/fresh.yaml"
    site.drd(
        "plan", "new", "--name", "fresh", "--postgres", own_postgres.dsn("orders"),
        "--files", str(short_tmp / "etc"), "--repository", str(short_tmp / "repo"),
        "--output", str(out),
    )  # fmt: skip
    assert out.exists()
    assert site.drd("plan", "check", "fresh", "--json").json["ok"]
