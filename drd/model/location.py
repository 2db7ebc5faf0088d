"""Parse a repository's URL, without contacting the place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from drd.model.malformed import Malformed
from drd.model.schemes import forms, scheme_of

_BUCKET = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{1,254}")
# Wider than AWS's own rule: older buckets and other servers allow capitals and underscores.


@dataclass(frozen=True, slots=True)
class S3Location:
    """A bucket behind an endpoint. `prefix` has no slash at either end and may be empty."""

    endpoint: str
    bucket: str
    prefix: str = ""

    @property
    def secure(self) -> bool:
        return self.endpoint.startswith("https://")

    @property
    def host(self) -> str:
        return urlsplit(self.endpoint).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.endpoint).port or (443 if self.secure else 80)

    @property
    def url(self) -> str:
        """The normal spelling of this place, as restic takes it."""
        return "s3:" + "/".join(p for p in (self.endpoint, self.bucket, self.prefix) if p)


def is_s3(url: str) -> bool:
    """Return whether the repository is in a bucket."""
    return url.startswith("s3:")


def parse_s3(url: str) -> S3Location:
    """Parse `s3:https://host[:port]/bucket[/prefix]`; without a scheme it is https. Raises
    ValueError for a missing bucket, a secret in the URL, or a query.
    """
    rest = url.removeprefix("s3:")
    if rest.startswith("//"):
        _refuse_bucket_as_host(rest)
    if not rest.startswith(("http://", "https://")):
        rest = "https://" + rest.removeprefix("//")
    parts = urlsplit(rest)
    if "@" in parts.netloc:
        raise Malformed(
            "the URL contains a user or password", "write keys into `s3:`, as references"
        )
    if parts.query or parts.fragment:
        raise Malformed(
            "the URL has a query or fragment, which restic does not support",
            "remove the ? or # and everything after it",
        )
    if not parts.hostname:
        raise Malformed("the URL has no host", "write s3:https://host/bucket/prefix")
    _ = parts.port  # raises ValueError when it is no number
    bucket, _, prefix = parts.path.strip("/").partition("/")
    if not bucket:
        raise Malformed("the URL has no bucket", "write s3:https://host/bucket/prefix")
    if not _BUCKET.fullmatch(bucket):
        raise Malformed(
            f"{bucket!r} is not a valid name of a bucket",
            "write 2 to 255 letters, digits, dots and hyphens; the first is a letter or a digit",
        )
    return S3Location(f"{parts.scheme}://{parts.netloc}", bucket, prefix.strip("/"))


def _refuse_bucket_as_host(rest: str) -> None:
    """Refuse `s3://bucket/prefix`: restic takes the first word for the server, other tools take it
    for the bucket. A host name with a dot or a port leaves no doubt.
    """
    host, _, path = rest.removeprefix("//").partition("/")
    if host and not re.search(r"[.:@]", host):
        path = path.strip("/")
        there = f"{host}/{path}" if path else host
        raise Malformed(
            f"s3://{host} does not say whether {host} is a bucket or a server",
            f"for the bucket {host} at Amazon write s3:https://s3.amazonaws.com/{there}, or with "
            f"another provider s3:https://SERVER/{there}; for a server called {host} write "
            f"s3:https://{there if path else f'{host}/BUCKET'}",
        )


def is_local(url: str) -> bool:
    """Return whether the repository is a directory."""
    return url.startswith("/")


NAMED_PLACE = re.compile(r"command:[a-z0-9-]{1,40}|pgbackrest:[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


_NAMES = {
    "command": "command:NAME, with 1 to 40 small letters, digits and hyphens",
    "pgbackrest": "pgbackrest:STANZA, with at most 63 letters, digits and `_.-`",
}


def is_named_place(url: str) -> bool:
    """Return whether the URL only names a place, which the plan says how to reach."""
    return NAMED_PLACE.fullmatch(url) is not None


def normal_url(url: str) -> str:
    """Return the normal spelling of a URL, by which records about it are found. Raises ValueError
    for anything else than an S3 URL, an absolute path or an address of another scheme.
    """
    if is_named_place(url):
        return url
    if is_s3(url):
        return parse_s3(url).url
    scheme = scheme_of(url)
    if scheme is not None:
        return scheme.normal(url)
    if (name := _NAMES.get(url.partition(":")[0])) is not None:
        raise Malformed(f"{url!r} is not a valid name of a place", f"write {name}")
    if not is_local(url):
        raise Malformed(
            f"{url!r} is not a valid URL of a repository",
            f"write s3:https://host/bucket/prefix, an absolute path, or {forms()}",
        )
    return "/" + url.strip("/")
