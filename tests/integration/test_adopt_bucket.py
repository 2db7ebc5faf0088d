"""`drd plan new --adopt` of dumps that somebody else's script has put into a bucket."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from drd.cli import plan_adopt_bucket
from drd.repositories.adopted import bucket_dumps
from tests import light_repository
from tests.integration.test_adopt_dumps import archive, drilled, plan_new
from tests.integration.test_adopted import Site
from tests.repository_support import new_bucket
from tests.servers import PostgresServer, S3Server


@pytest.fixture
def site(tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A host whose administrator has the keys of the bucket in the environment."""
    use_keys(monkeypatch, s3.access_key, s3.secret_key)
    made = Site(tmp_path)
    yield made
    made.close()


class Bucket:
    def __init__(self, server: S3Server) -> None:
        self.name = new_bucket(server)
        self._client = server.client()

    def put(self, key: str, data: bytes) -> None:
        self._client.put_object(Bucket=self.name, Key=key, Body=data)

    def delete(self, key: str) -> None:
        self._client.delete_object(Bucket=self.name, Key=key)


@pytest.fixture
def bucket(s3: S3Server) -> Bucket:
    return Bucket(s3)


def use_keys(monkeypatch: pytest.MonkeyPatch, key: str, secret: str) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)


def forget_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")


def adopt(site: Site, place: str, name: str) -> int:
    return plan_new(site, place, "--name", name)


def database(site: Site, rows: int) -> bytes:
    path = site.base / "made.db"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as made:
        made.execute("create table orders (id integer primary key, created_at text)")
        made.executemany("insert into orders values (?, '2026-11-25')", [(n,) for n in range(rows)])
        made.commit()
    return path.read_bytes()


def give_keys(site: Site, s3: S3Server, monkeypatch: pytest.MonkeyPatch, *plans: str) -> None:
    """Write the credentials that `plan new` asked for, and forget those of the administrator."""
    folder = site.base / "credentials"
    folder.mkdir(mode=0o700)
    for plan in plans:
        for what, value in (("id", s3.access_key), ("key", s3.secret_key)):
            (folder / f"{plan}-s3-{what}").write_text(value)
            (folder / f"{plan}-s3-{what}").chmod(0o600)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    forget_keys(monkeypatch)


def test_dumps_in_a_bucket_become_plans_that_drill_as_they_are_written(
    site: Site,
    s3: S3Server,
    bucket: Bucket,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for day in (1, 2, 3):
        bucket.put(f"nightly/shop-2026-11-2{day}.db", database(site, day))
    archive(site, "conf.tar.gz", "--gzip", "etc")
    bucket.put("nightly/sub/conf-20261121.tgz", (site.base / "dumps/conf.tar.gz").read_bytes())
    bucket.put("nightly/shop-2026-11-24.db", database(site, 4)[:5000])
    bucket.put("nightly/empty-1.dump", b"")
    bucket.put("nightly/notes.txt", b"call home\n")
    hostile = "shop-2026-11-25.db\nshop-2026-11-26.db", "a b-1.db", "sub/.hidden-1.db"
    for name in hostile:
        bucket.put(f"nightly/{name}", database(site, 9))

    place = s3.repository(bucket.name, "nightly")
    assert adopt(site, place, "shop") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Seen: 4 copies, the newest from" in said
    assert "1 table: orders" in said
    assert "shop-2026-11-24.db is cut off: the SQLite file has only 5,000 of" in said
    assert f"drd plan new --adopt '{place}/sub/conf-*.tgz'" in said
    assert "empty-1.dump: 0 bytes. This is not a copy" in said
    assert "'a b-1.db'" in said
    assert r"'shop-2026-11-25.db\nshop-2026-11-26.db': drd does not use these files" in said
    assert ".hidden" not in said
    assert "shop-s3-id (the access key id of the bucket)" in said
    assert "apt-get install" not in said
    assert adopt(site, f"{place}/sub/conf-*.tgz", "conf") == 0
    assert "1 copy, the newest from" in " ".join(capsys.readouterr().out.split())
    (site.base / "bin").mkdir()
    (site.base / "bin/tar").symlink_to("/usr/bin/tar")
    (site.base / "bin/gzip").symlink_to("/usr/bin/gzip")
    with monkeypatch.context() as bare:
        bare.setenv("PATH", f"{site.base}/bin")
        assert adopt(site, f"{place}/sub/conf-20261121.tgz", "again") == 0
    said = capsys.readouterr().out
    assert "  1. install what the plan runs: apt-get install rclone jq" in said

    written = (site.base / "plans/shop.yaml").read_text()
    assert s3.secret_key not in written
    bucket.delete("nightly/shop-2026-11-24.db")
    bucket.put("nightly/shop-test-2026-11-29.db", database(site, 9))
    bucket.put("nightly/sub/shop-2026-11-29.db", database(site, 9))
    give_keys(site, s3, monkeypatch, "shop", "conf")
    evidence = drilled(site, "shop")
    assert [c.name for c in evidence.checks if c.verdict == "passed"] == [
        "the table is restored",
        "orders has rows",
    ]
    assert evidence.result == "passed"
    plan = site.app.plans.load("shop")
    assert len(site.app.catalogue.points.of_plan("shop")) == 3
    assert plan.components["shop"].kind == "sqlite"
    evidence = drilled(site, "conf")
    assert evidence.result == "passed", evidence.checks
    listed = plan.primary.adopted
    assert listed is not None
    keys = {"RCLONE_S3_ACCESS_KEY_ID": s3.access_key, "RCLONE_S3_SECRET_ACCESS_KEY": s3.secret_key}
    rows = subprocess.run(
        listed.command.list, env={"PATH": "/usr/bin:/bin", **keys}, check=True, capture_output=True
    )
    assert sorted(json.loads(row)["name"] for row in rows.stdout.splitlines()) == [
        f"shop-2026-11-2{day}.db" for day in (1, 2, 3)
    ]
    assert rows.stderr == b""


def test_a_dump_that_is_too_large_to_fetch_is_recognised_by_its_beginning(
    site: Site,
    s3: S3Server,
    bucket: Bucket,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    postgres: PostgresServer,
) -> None:
    postgres.execute("create database adopted_bucket")
    postgres.execute(
        "create table orders as select n as id, now() as made_at, repeat(md5(n::text), 9) as x "
        "from generate_series(1, 5000) n",
        "adopted_bucket",
    )
    dump = subprocess.check_output(
        [postgres.bin_dir / "pg_dump", "-Fc", postgres.dsn("adopted_bucket")]
    )
    bucket.put("big.dump", dump)
    bucket.put("big.db", database(site, 3000))
    bucket.put("big.tar", b"x" * 257 + b"ustar\0" + b"y" * 9000)
    monkeypatch.setattr(bucket_dumps, "LARGEST", 4096)
    monkeypatch.setattr(bucket_dumps, "_BEGINNING", 8192)
    assert len(dump) > 2 * 8192
    place = s3.repository(bucket.name)
    assert adopt(site, f"{place}/big.dump", "shop") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "1 table: orders" in said
    assert "the newest dump is large, so drd read only its beginning" in said
    text = (site.base / "plans/shop.yaml").read_text()
    assert "dsn: postgresql:///adopted_bucket" in text
    assert "there are rows" in text
    assert 'max("made_at") from orders' in text
    assert adopt(site, f"{place}/big.tar", "tar") == 2
    assert "a tar archive that is too large for drd to fetch" in capsys.readouterr().err
    assert adopt(site, f"{place}/big.db", "lite") == 0
    assert "drd did not read the tables of this file" in " ".join(capsys.readouterr().out.split())
    give_keys(site, s3, monkeypatch, "shop")
    assert drilled(site, "shop").result == "passed"


def test_a_bucket_without_dumps_is_refused_with_what_it_has(
    site: Site, s3: S3Server, bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adopt(site, s3.repository(bucket.name), "x") == 2
    said = capsys.readouterr().err
    assert f"there is no object in {s3.repository(bucket.name)}\n" in said
    bucket.put("full.sql", b"-- PostgreSQL database dump\n")
    for name in ("photos/cat.jpg", "notes.txt", "conf-1.tar"):
        bucket.put(name, b"call home\n")
    assert adopt(site, s3.repository(bucket.name), "x") == 2
    said = capsys.readouterr().err
    assert f"{s3.repository(bucket.name)} does not contain a dump that drd can adopt" in said
    assert "full.sql: full.sql is cut off: a dump of PostgreSQL ends with the line" in said
    assert "drd does not recognise a dump in these files" in said
    assert "notes.txt" in said
    assert adopt(site, s3.repository(f"{bucket.name}-gone"), "x") != 0
    assert f"{bucket.name}-gone" in capsys.readouterr().err
    assert list((site.base / "plans").iterdir()) == []


def test_keys_that_the_bucket_refuses_and_a_server_that_is_not_there_are_told(
    site: Site,
    s3: S3Server,
    bucket: Bucket,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket.put("shop-1.db", database(site, 1))
    for key, secret in (("drd-test", "wrong"), ("alpha", s3.limited["alpha"])):
        use_keys(monkeypatch, key, secret)
        assert adopt(site, s3.repository(bucket.name), "x") == 1
        said = capsys.readouterr().err
        assert "the keys of the bucket from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in said
        assert (
            f"does not accept the access key, or the key may not use bucket {bucket.name}" in said
        )
        assert secret not in said
    forget_keys(monkeypatch)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    assert adopt(site, s3.repository(bucket.name), "x") == 2
    said = capsys.readouterr().err
    assert "there is no access key for" in said
    assert "HINT: This command reads the keys of the bucket from AWS_ACCESS_KEY_ID" in said
    use_keys(monkeypatch, "x", "x")
    assert adopt(site, "s3:http://127.0.0.1:1/acme/shop", "x") == 1
    assert "connection refused" in capsys.readouterr().err
    assert list((site.base / "plans").iterdir()) == []


def test_an_address_may_be_that_of_a_bucket_alone_and_a_repository_of_restic_needs_its_password(
    site: Site,
    s3: S3Server,
    bucket: Bucket,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for day in (1, 2, 3, 4):
        bucket.put(f"a/shop-2026-11-2{day}.db", database(site, day))
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    assert adopt(site, f"s3://{bucket.name}/a", "shop") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Seen: 4 copies" in said
    assert f"{s3.repository(bucket.name, 'a')}/shop-*-*-*.db" in said
    monkeypatch.setattr(plan_adopt_bucket, "MOST_KEYS", 2)
    monkeypatch.setattr(bucket_dumps, "MOST_KEYS", 2)
    assert adopt(site, f"s3://{bucket.name}/a/shop-*", "some") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Seen: 2 copies" in said
    assert "drd looked only at the first 2 objects" in said
    for option in ("--host", "--tag"):
        assert plan_new(site, f"s3://{bucket.name}/a", option, "web1") == 2
        assert f"{option} works only for copies made by restic" in capsys.readouterr().err

    restic = s3.repository(bucket.name, "restic")
    light_repository.begin_in_bucket(s3, restic, "x")
    assert adopt(site, restic, "x") == 2
    assert "--adopt REPOSITORY needs the password of this repository" in capsys.readouterr().err
