"""Parse a repository's URL, without contacting the place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from drd.model.malformed import Malformed

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
            f"{bucket!r} is not a possible name of a bucket",
            "write 2 to 255 letters, digits, dots and hyphens; the first is a letter or a digit",
        )
    return S3Location(f"{parts.scheme}://{parts.netloc}", bucket, prefix.strip("/"))


def normal_url(url: str) -> str:
    """Return the normal spelling of a URL, by which records for it are found again. Raises
    ValueError for anything but an S3 URL or an absolute path.
    """
    if is_s3(url):
        return parse_s3(url).url
    if not url.startswith("/"):
        raise Malformed(
            f"{url!r} is not a possible URL of a repository",
            "write s3:https://host/bucket/prefix or an absolute path",
        )
    return "/" + url.strip("/")
