"""Find the place where the logs of a plan are stored: it is beside the repository of the backups.
Pure.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from drd.model.location import is_s3, normal_url, parse_s3

SUFFIX = "-wal"
"""The end of the name of this repository, for binary logs as well."""


def place_of_logs(url: str) -> str | None:
    """Return the URL of the repository for logs beside the repository `url`; None if this
    repository is a whole bucket or server, because nothing can be beside it. Raises ValueError for
    a URL that is wrong."""
    place = normal_url(url).rstrip("/")
    return f"{place}{SUFFIX}" if _path(place) else None


def _path(place: str) -> str:
    """Return the path of the repository in its bucket, on its server or below the root; empty if
    there is no path.
    """
    if is_s3(place):
        return parse_s3(place).prefix
    _, colon, rest = place.partition(":")
    if not colon or "://" in place:
        return urlsplit(rest or place).path.strip("/")
    return rest.partition(":")[2].strip("/")
