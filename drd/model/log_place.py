"""Where the logs of a plan are stored: beside the repository of its backups. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from drd.model.location import is_s3, normal_url, parse_s3

SUFFIX = "-wal"


def place_of_logs(url: str) -> str | None:
    """Return the URL of the repository of logs beside a repository; None if that is a whole bucket
    or server, so that there is no place beside it. Raises ValueError for a URL that is wrong."""
    place = normal_url(url).rstrip("/")
    return f"{place}{SUFFIX}" if _path(place) else None


def _path(place: str) -> str:
    """Return what is below the bucket, the server or the root."""
    if is_s3(place):
        return parse_s3(place).prefix
    _, colon, rest = place.partition(":")
    if not colon or "://" in place:
        return urlsplit(rest or place).path.strip("/")
    return rest.partition(":")[2].strip("/")
