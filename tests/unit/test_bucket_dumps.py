"""A bucket whose names and answers somebody else chooses."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

from drd.config.dump_places import DumpsBucket
from drd.errors import NotSupported, RepositoryError
from drd.model.dump_names import series_of
from drd.model.location import parse_s3
from drd.ports.dumps import FoundDump
from drd.repositories.adopted.bucket_dumps import BucketDumps
from drd.repositories.adopted.dump_sources import Dump
from drd.repositories.adopted.dumps import search_dumps
from drd.repositories.s3 import S3Place
from drd.repositories.s3_access import S3Keys

AT = datetime.now(UTC) - timedelta(days=1)
SQL = b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nINSERT INTO orders VALUES(1);\nCOMMIT;\n"


class Client:
    """Answers a listing with names, and each request for an object with the same bytes."""

    def __init__(self, names: Mapping[str, object], body: bytes, part: str = "") -> None:
        self.names, self.body, self.part = names, body, part
        self.asked: list[str] = []

    def list_objects_v2(self, **_: object) -> Mapping[str, Any]:
        rows = [{"Key": k, "LastModified": AT, "Size": size} for k, size in self.names.items()]
        return {"Contents": [*rows, {"Key": "acme/undated.db", "Size": 1}]}

    def get_object(self, **given: str) -> Mapping[str, Any]:
        self.asked.append(given["Key"])
        return {"Body": io.BytesIO(self.body), "ContentRange": self.part}


@contextmanager
def bucket(client: Client) -> Iterator[BucketDumps]:
    location = parse_s3("s3:https://s3.example.com/dumps/acme")
    with TemporaryDirectory() as into:
        yield BucketDumps(S3Place(location, S3Keys, client), Path(into))


def test_only_names_that_can_lead_nowhere_else_are_fetched() -> None:
    bad = [
        "../up-1.sql", "a/../../b-1.sql", "/etc/cron.d/x-1.sql", "a//b-1.sql", "--option-1.sql",
        "x\n-1.sql", "x\x1b[31m-1.sql", "$(id)-1.sql", "é-1.sql", "n" * 900,
    ]  # fmt: skip
    names = {f"acme/{name}": len(SQL) for name in [*bad, "shop-1.sql", ".hidden", "a/b/c/d/e.sql"]}
    other = {"elsewhere/x-1.sql": len(SQL), "acme/many-1.sql": "many", "acme/folder/": 0}
    client = Client({**names, **other}, SQL)
    with bucket(client) as source:
        seen = search_dumps(source)
    assert [series.names.pattern for series in seen.series] == ["shop-1.sql"]
    assert sorted(seen.unsafe) == sorted(bad)
    assert [dump.name for dump in seen.empty] == ["many-1.sql"]
    assert set(client.asked) == {"acme/shop-1.sql"}


def test_an_object_that_has_fewer_bytes_than_listed_or_another_part_is_told() -> None:
    with bucket(Client({"acme/shop-1.sql": 9999}, b"")) as source:
        seen = search_dumps(source)
    assert "lists it with 9,999 bytes, but gives only 0" in seen.refused["shop-1.sql"]
    begun = Client({}, SQL, part="bytes 0-99/100")
    with bucket(begun) as source, pytest.raises(RepositoryError) as caught:
        source.fetched(Dump("shop-1.sql", AT, 2 * len(SQL)))
    assert "does not send the part of an object" in caught.value.message


def test_drd_fetches_dumps_for_some_minutes_and_up_to_a_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = Client({}, SQL)
    with bucket(client) as source:
        dump = Dump("shop-1.sql", AT, len(SQL))
        fetched = source.fetched(dump)
        assert (fetched.path.read_bytes(), fetched.whole) == (SQL, True)
        assert source.beginning(dump) == fetched.path
        assert client.asked == ["acme/shop-1.sql"]
        monkeypatch.setattr(source, "_left", 10)
        with pytest.raises(NotSupported, match="it has fetched enough of this bucket"):
            source.fetched(Dump("shop-2.sql", AT, 1 << 30))
        monkeypatch.setattr(source, "_until", 0.0)
        with pytest.raises(NotSupported, match="it reads dumps of a bucket for 5m at most"):
            source.beginning(Dump("shop-3.sql", AT, 100))
    assert not fetched.path.exists()


def test_the_page_has_the_commands_that_a_new_plan_has() -> None:
    page = Path("docs/adopted.md").read_text().partition("### Dumps in a bucket")[2]
    shown = yaml.safe_load(page.split("```")[1].removeprefix("yaml"))["command"]
    series = series_of(["shop-2026-11-28.dump"])["shop-2026-11-28.dump"]
    dump = FoundDump("shop", "", (), ())
    place = DumpsBucket(parse_s3("s3:https://s3.example.com/acme-backups/shop"), "us-east-1")
    written = "\n".join(place.commands("shop", series, dump, []))
    assert yaml.safe_load(written) == shown


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("s3:https://s3.amazonaws.com/acme", "provider=AWS,region=eu-west-1,"),
        (
            "s3:https://oss-eu.aliyuncs.com/acme",
            'provider=Alibaba,endpoint="https://oss-eu.aliyuncs.com",region=eu-west-1,',
        ),
    ],
)
def test_rclone_gets_the_server_as_it_calls_it(url: str, settings: str) -> None:
    series = series_of(["sub/shop-2026-11-28.dump"])["sub/shop-2026-11-28.dump"]
    lines = DumpsBucket(parse_s3(url), "eu-west-1").commands(
        "shop", series, FoundDump("shop", "", (), ()), []
    )
    written = yaml.safe_load("\n".join(lines))
    assert written["restore"][-1] == f":s3,{settings}list_url_encode=true:acme/${{copy}}"
    assert " --max-depth 2 --recursive " in written["list"][4]
