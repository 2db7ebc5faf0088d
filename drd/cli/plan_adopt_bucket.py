"""`drd plan new --adopt s3:https://HOST/BUCKET/PREFIX`: a starting plan for dumps in a bucket."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from drd.cli.plan_adopt_dumps import AdoptedDumps, adopted_dumps, first_pattern, require_dumps
from drd.config.dump_places import DumpsBucket
from drd.errors import (
    RepositoryError,
    RepositoryMissing,
    RepositoryUnreachable,
    SecretUnavailable,
    UsageError,
)
from drd.model.location import S3Location, parse_s3
from drd.model.malformed import Malformed
from drd.model.text import counted
from drd.repositories.adopted.bucket_dumps import MOST_KEYS, BucketDumps, has, is_restic
from drd.repositories.adopted.dumps import room, search_dumps
from drd.repositories.s3 import S3Place
from drd.repositories.s3_access import S3Keys

_NAME_OF_BUCKET = re.compile(r"s3://(?=[^/.:@]+(?:/|\Z))")
_KEYS = (
    "This command reads the keys of the bucket from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
    "and its region from AWS_DEFAULT_REGION."
)
_AMAZON = "https://s3.amazonaws.com"


def adopted_bucket(given: str, name: str | None) -> AdoptedDumps | None:
    """Search a bucket for dumps; None if it has a repository of restic. Raises UsageError, and
    RepositoryError if the bucket does not answer or refuses the keys."""
    location, wanted = _location(given)
    place = S3Place(location, S3Keys)
    try:
        if is_restic(place):
            return None
    except SecretUnavailable as error:
        raise SecretUnavailable(error.message, hint=_KEYS) from error
    except (RepositoryUnreachable, RepositoryMissing):
        raise
    except RepositoryError as error:
        error.hint = f"{error.hint} {_KEYS}"
        raise
    if wanted == "*" and location.prefix:
        place, wanted = _object(place)
    fixed = re.split(r"[*?[]", wanted)[0]
    with TemporaryDirectory(prefix="drd-", dir=room()) as into:
        bucket = BucketDumps(place, Path(into), fixed)
        seen = search_dumps(bucket, wanted)
    if bucket.is_empty:
        raise UsageError(
            f"there is no object in {place.url}",
            hint="correct the bucket or the prefix, or find out why the other tool has not written "
            "a dump there.",
        )
    require_dumps(seen)
    region = os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    made = adopted_dumps(seen, wanted, DumpsBucket(place.location, region), name)
    if bucket.more:
        made.left_out.append(_more(place.url))
    return made


def _location(given: str) -> tuple[S3Location, str]:
    """Return the bucket, and the pattern of names in it."""
    server = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    of_bucket = f"s3:{(server or _AMAZON).rstrip('/')}/"  # as other tools take s3://BUCKET
    try:
        location = parse_s3(_NAME_OF_BUCKET.sub(lambda _: of_bucket, given))
    except ValueError as error:
        malformed = Malformed.of(error)
        raise UsageError(f"--adopt: {malformed.fact}", hint=malformed.remedy) from None
    if not location.prefix.isprintable() or "${" in location.prefix:
        raise UsageError(
            f"--adopt: drd does not use the prefix {location.prefix!a}",
            hint="write a prefix without control characters and without `${`",
        )
    parts = location.prefix.split("/")
    first = first_pattern(parts)
    if first is None:
        return location, "*"
    return replace(location, prefix="/".join(parts[:first])), "/".join(parts[first:])


def _object(place: S3Place) -> tuple[S3Place, str]:
    """Return where to search if the person gave the address of one object."""
    path = PurePosixPath(place.location.prefix)
    prefix = "" if path.parent == PurePosixPath(".") else str(path.parent)
    above = S3Place(replace(place.location, prefix=prefix), S3Keys, place.client)
    return (above, path.name) if has(above, path.name) else (place, "*")


def _more(url: str) -> str:
    return (
        f"drd looked only at the first {counted(MOST_KEYS, 'object')} of {url}. The "
        "command `list` of the plan lists all dumps of its series. To look at others, choose them "
        f"by the beginning of their names, for example --adopt '{url}/shop-*'"
    )
