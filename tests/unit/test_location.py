"""Reading the URL of a repository."""

from __future__ import annotations

import pytest

from drd.model.location import S3Location, is_s3, normal_url, parse_s3


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("s3:https://s3.example.com/b1/p/q", S3Location("https://s3.example.com", "b1", "p/q")),
        ("s3:https://s3.example.com/b1/", S3Location("https://s3.example.com", "b1", "")),
        ("s3:http://127.0.0.1:8333/b1/p", S3Location("http://127.0.0.1:8333", "b1", "p")),
        ("s3:s3.example.com/b1/p", S3Location("https://s3.example.com", "b1", "p")),
        ("s3://s3.example.com/b1", S3Location("https://s3.example.com", "b1")),
    ],
)
def test_an_s3_url_is_endpoint_bucket_and_prefix(url: str, location: S3Location) -> None:
    assert is_s3(url)
    assert parse_s3(url) == location
    assert parse_s3(location.url) == location


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("s3:https://s3.example.com", "no bucket"),
        ("s3:https://s3.example.com/", "no bucket"),
        ("s3:https:///bucket", "no host"),
        ("s3:///bucket", "no host"),
        ("s3:https://me:secret@s3.example.com/b1", "user or password"),
        ("s3:https://s3.example.com/b1?x=1", "query"),
        ("s3:https://s3.example.com/-b", "name of a bucket"),
        ("s3:https://s3.example.com/b", "name of a bucket"),
        ("s3:https://s3.example.com/" + "b" * 256, "name of a bucket"),
        ("s3:https://s3.example.com/b1#x", "fragment"),
        ("s3:https://me@s3.example.com/b1", "user or password"),
        ("s3:https://s3.example.com:nine/b1", "port|Port"),
    ],
)
def test_a_url_that_cannot_be_is_refused_with_what_is_wrong(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        parse_s3(url)
    assert "secret" not in str(caught.value)


def test_ports_follow_the_scheme() -> None:
    assert parse_s3("s3:https://h/b1").port == 443
    assert parse_s3("s3:http://h/b1").port == 80
    assert parse_s3("s3:http://h:8333/b1").port == 8333
    assert parse_s3("s3:https://h:443/b1").secure
    assert not parse_s3("s3:http://h:443/b1").secure
    assert parse_s3("s3:https://S3.example.com:9/b1").host == "s3.example.com"
    assert parse_s3("s3:https://h/" + "b" * 255).bucket == "b" * 255
    assert not is_s3("/srv/s3:x")


def test_one_place_has_one_spelling() -> None:
    assert normal_url("s3:s3.example.com/b1/p/") == "s3:https://s3.example.com/b1/p"
    assert normal_url("/srv/backup/") == "/srv/backup"
    assert normal_url("//srv/backup//") == "/srv/backup"
    assert normal_url("s3:http://h/b1//p//") == "s3:http://h/b1/p"


@pytest.mark.parametrize("url", ["backup", "./backup", "swift:container:/backup", ""])
def test_anything_else_is_not_a_place_for_a_repository(url: str) -> None:
    with pytest.raises(ValueError, match="is not a valid URL of a repository"):
        normal_url(url)
