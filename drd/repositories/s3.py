"""A repository's place in an S3 bucket, accessed through boto3.

restic retries for minutes when a key is refused or a bucket is missing, and reports little. So drd
asks the bucket first, once and with short time limits.
"""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any, Literal, NamedTuple, TypeVar

from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError

from drd.errors import DrdError, RepositoryError
from drd.model.clock import SERVER_SKEW_S, SYNCHRONISE
from drd.model.controls import BucketEncryption
from drd.model.finding import Finding
from drd.model.finding_codes import PROTECTION
from drd.model.location import S3Location
from drd.model.units import format_duration
from drd.repositories import s3_encryption, s3_protection
from drd.repositories import s3_errors as trouble
from drd.repositories import s3_requests as requests
from drd.repositories.place import (
    CONTENTS,
    LARGEST_ANSWER,
    LARGEST_CONFIG,
    MOST_OBJECTS,
    Kept,
    StoredObject,
    config_lost,
    digest_of,
    is_id,
    lock_names,
)
from drd.repositories.s3_access import S3Keys
from drd.repositories.s3_client import new_client, trusted_by

_ASKED_ONE_BY_ONE = 4
"""Above this number of snapshots one listing is cheaper than single requests."""

MOST_PAGES = 1000
LISTING_S = 120.0
"""Limits of one listing: a page has a thousand objects."""
_building = threading.Lock()


class ListedObject(NamedTuple):
    """An object in a bucket, as a listing describes it. `name` is its name without the prefix."""

    name: str
    written: datetime
    size: int


T = TypeVar("T")


class S3Place:
    """A bucket and a prefix. `keys` is called at the first request, so that secrets are
    read late.
    """

    by_file = True

    def __init__(
        self, location: S3Location, keys: Callable[[], S3Keys], client: Any = None
    ) -> None:
        """Use the `client` of another place of `client_of`, instead of making a new one."""
        self.location = location
        self.url = location.url
        self._keys = keys
        self._client = client

    @property
    def client(self) -> Any:
        """The client, which any place with the same server and keys can share. Safe in threads."""
        return self._connected()

    def preflight(self, *, writing: bool = True) -> None:  # noqa: ARG002 - only a write tells
        """Check that the bucket exists and the key may list it: HEAD alone does not prove the
        secret on every server.
        """
        self._ask("head_bucket")
        self._ask("list_objects_v2", Prefix=self._below(""), MaxKeys=1)

    def probe(self) -> str | None:
        config = self.read("config", LARGEST_CONFIG)
        return None if config is None else digest_of(config)

    def read(self, name: str, most: int) -> bytes | None:
        """Uses GET: HEAD does not distinguish a missing bucket from a missing object."""
        return self._content(name, most, ["NoSuchKey"])

    def signed_probe(self, valid_s: float) -> str:
        """Return an address that lets anyone read the `config` for so many seconds. Raises as
        `probe`.
        """
        wanted = {"Bucket": self.location.bucket, "Key": self._below("config")}
        try:
            return str(
                self._connected().generate_presigned_url(
                    "get_object", Params=wanted, ExpiresIn=round(valid_s)
                )
            )
        except (BotoCoreError, ValueError) as error:
            raise trouble.translated(error, self.location) from error

    def session(self) -> Any:
        """Return a session that sends signed requests; any place on the server can share it."""
        trusted = trusted_by(self._keys()) if self.location.secure else None
        return requests.session(self.location.endpoint, trusted)

    def probe_signed(self, address: str, session: Any) -> str | None:
        """Return the digest of the `config` at the address; None for any other answer, which
        `probe` explains. Raises RepositoryUnreachable when there is no answer in time.
        """
        request = AWSRequest(method="GET", url=address, stream_output=True).prepare()
        try:
            answer = requests.in_time(
                lambda: requests.send(session, request), self.location.endpoint, LARGEST_CONFIG
            )
        except (BotoCoreError, requests.TooLarge):
            return None
        return digest_of(answer.content) if answer.status_code == 200 else None

    def try_to_make(self) -> bool:
        return False  # only a write tells, and it would make the repository

    def read_only(self) -> bool:
        """Always False: only a write reveals it, and restic fails at once when a write
        is denied.
        """
        return False

    def clock_ahead_s(self) -> float | None:
        """Return the difference from the `Date` of the server, which it sends even when it refuses
        the request because of its time.
        """
        try:
            answer = self._asking(lambda client: client.head_bucket(Bucket=self.location.bucket))
        except ClientError as error:
            answer = error.response
        except DrdError:
            return None
        server = _time_of(answer)
        return None if server is None else (datetime.now(UTC) - server).total_seconds()

    def free_bytes(self) -> int | None:
        return None

    def missing(self, snapshots: Sequence[str]) -> list[str]:
        def is_there(name: str) -> bool:
            asked = self._ask("list_objects_v2", Prefix=self._below(f"snapshots/{name}"), MaxKeys=1)
            return bool(asked.get("Contents"))

        if len(snapshots) <= _ASKED_ONE_BY_ONE:
            return [s for s in snapshots if not is_there(s)]
        listed = self._listed_snapshots()
        return [s for s in snapshots if s not in listed]

    def _listed_snapshots(self) -> set[str]:
        return {name for name, *_ in self._objects("snapshots/")}

    def lock_files(self) -> Mapping[str, float]:
        # restic itself allows a thousand locks at most, which is one page.
        answer = self._ask("list_objects_v2", Prefix=self._below("locks/"))
        # By the server's clock, which dates them; if it is unknown, by ours.
        now = _time_of(answer) or datetime.now(UTC)
        return {
            name: (now - written).total_seconds() if written else 0.0
            for name, written, _ in _entries(answer)
        }

    def _objects(self, below: str) -> Iterator[tuple[str, datetime | None, int]]:
        """Yield all objects `below` the prefix, in the form of `_entries`."""
        for page in self._pages(below):
            yield from _entries(page)

    def _pages(self, below: str) -> Iterator[Mapping[str, Any]]:
        """Yield a listing, page after page. Raises RepositoryError if it does not end."""
        more: dict[str, Any] = {}
        until = time.monotonic() + LISTING_S
        for _ in range(MOST_PAGES):
            page = self._ask("list_objects_v2", Prefix=self._below(below), **more)
            yield page
            if not page.get("IsTruncated"):
                return
            token = page.get("NextContinuationToken")
            if not token or token == more.get("ContinuationToken") or time.monotonic() > until:
                break
            more = {"ContinuationToken": token}
        raise RepositoryError(
            f"{self.location.endpoint} sends an endless listing of {below} in bucket "
            f"{self.location.bucket}",
            hint="check the S3 server's log: this answer does not follow the S3 protocol.",
        )

    def listing(self, begin: str, most: int) -> tuple[list[ListedObject], bool]:
        """Return the first `most` objects whose names, without the prefix, begin with `begin`, and
        whether there are more. Raises the same errors as `probe`."""
        prefix = self._below("")
        listed: list[ListedObject] = []
        for page in self._pages(begin):
            for entry in page.get("Contents", []):
                if len(listed) == most:
                    return listed, True
                key, (written, size) = str(entry.get("Key", "")), _state(entry)
                if key.startswith(prefix + begin) and written is not None:
                    listed.append(ListedObject(key[len(prefix) :], written, size))
        return listed, False

    def piece(self, name: str, begin: int, count: int) -> bytes | None:
        """Return at most `count` bytes of an object, which are at most `LARGEST_ANSWER`; None if
        the object is not there, or if the server must first restore it from an archive."""
        return self._content(name, count, ["NoSuchKey", "InvalidObjectState"], begin)

    def _content(
        self, name: str, most: int, gone: Collection[str], begin: int | None = None
    ) -> bytes | None:
        """Return at most `most` bytes of an object, from `begin` on if given; None if the server
        refuses with one of the codes `gone`."""
        part = {} if begin is None else {"Range": f"bytes={begin}-{begin + most - 1}"}

        def content(client: Any) -> bytes:
            answer = client.get_object(Bucket=self.location.bucket, Key=self._below(name), **part)
            if begin and not str(answer.get("ContentRange", "")).startswith(f"bytes {begin}-"):
                raise RepositoryError(
                    f"{self.location.endpoint} does not send the part of an object that drd "
                    "asked for",
                    hint="check the S3 server's log: this answer does not follow the S3 protocol.",
                )
            with answer["Body"] as body:
                return bytes(body.read(most))

        try:
            return self._asking(content, most)
        except ClientError as error:
            if trouble.code_of(error) in gone:
                return None
            raise trouble.translated(error, self.location) from error

    def locks(self) -> frozenset[str]:
        return lock_names(self.lock_files())

    def objects(self, below: Kept) -> Mapping[str, StoredObject]:
        named = (
            (name, StoredObject(size, 0.0 if written is None else written.timestamp()))
            for name, written, size in self._objects(f"{below}/")
            if is_id(name)
        )
        return dict(islice(named, MOST_OBJECTS))

    def unfinished_keys(self) -> list[str]:
        if self._names("config"):
            return []
        names = self._names("keys/")
        if names and any(self._names(f"{name}/") for name in CONTENTS):
            raise config_lost(self.url)
        return names

    def put_mark(self, name: str) -> None:
        self._ask("put_object", Key=self._below(f"locks/{name}"), Body=b"")

    def remove(self, below: Literal["keys", "locks"], names: Iterable[str]) -> None:
        for name in names:
            self._ask("delete_object", Key=self._below(f"{below}/{name}"))

    def _names(self, below: str) -> list[str]:
        """The last parts of the names of the first thousand objects there."""
        return [n for n, *_ in _entries(self._ask("list_objects_v2", Prefix=self._below(below)))]

    def removal(self, name: str) -> str:
        """Return a command without a version: where the bucket keeps versions, or locks them, a
        delete marker hides the object in every listing.
        """
        return self._by_hand("rm", name)

    def list_command(self, below: Kept) -> str:
        return self._by_hand("ls", f"{below}/")

    def _by_hand(self, verb: str, name: str) -> str:
        place = self.location
        address = f"s3://{place.bucket}/{self._below(name)}"
        return shlex.join(["aws", "--endpoint-url", place.endpoint, "s3", verb, address])

    def findings(self, protection: str | None) -> list[Finding]:
        findings = [self._clock_finding()]
        if protection == "object-lock":
            findings.append(self._object_lock_finding())
        elif protection == "versioning":
            findings.append(self._versioning_finding())
        elif protection not in (None, "none"):
            detail = (
                f"the plan has `protection: {protection}`, but drd cannot check this: buckets "
                "do not report this protection"
            )
            findings.append(Finding(PROTECTION, "warning", "", detail))
        return findings

    def encryption(self) -> BucketEncryption:
        """Find out how the bucket encrypts. Raises ControlUnknown if the bucket does not say it."""
        bucket = self.location.bucket
        try:
            answer = self._asking(lambda client: client.get_bucket_encryption(Bucket=bucket))
        except ClientError as error:
            return s3_encryption.of_error(error, self.location)
        return s3_encryption.of_answer(answer, bucket)

    def _below(self, name: str) -> str:
        return f"{self.location.prefix}/{name}" if self.location.prefix else name

    def _ask(self, operation: str, **arguments: Any) -> Mapping[str, Any]:
        """Send one request; translate failures into our errors, with a remedy."""

        def asked(client: Any) -> Mapping[str, Any]:
            answer: Mapping[str, Any] = getattr(client, operation)(
                Bucket=self.location.bucket, **arguments
            )
            return answer

        try:
            return self._asking(asked)
        except ClientError as error:
            raise trouble.translated(error, self.location) from error

    def _asking(self, work: Callable[[Any], T], most: int = LARGEST_ANSWER) -> T:
        """Call `work` with the client, within the time limit. Raises ClientError when the server
        refuses; translates any other failure into our errors.
        """
        client = self._connected()
        try:
            return requests.in_time(lambda: work(client), self.location.endpoint, most)
        except (ClientError, DrdError):
            raise
        except Exception as error:
            raise trouble.translated(error, self.location) from error

    def _connected(self) -> Any:
        with _building:  # creating a client is not safe in several threads, using one is
            if self._client is None:
                self._client = new_client(self.location, self._keys())
            return self._client

    def _clock_finding(self) -> Finding:
        server = _time_of(self._ask("head_bucket"))
        if server is None:
            return Finding(
                "repository-clock",
                "ok",
                "",
                "drd cannot compare the clocks: the server does not report its time",
            )
        skew = (datetime.now(UTC) - server).total_seconds()
        if abs(skew) < SERVER_SKEW_S:
            return Finding(
                "repository-clock", "ok", "", "this host and the server agree on the time"
            )
        way = "ahead of" if skew > 0 else "behind"
        detail = (
            f"the clock of this host is {format_duration(abs(skew))} {way} the clock of the server"
        )
        return Finding("repository-clock", "warning", "", detail, SYNCHRONISE)

    def _object_lock_finding(self) -> Finding:
        bucket = self.location.bucket
        try:
            answer = self._asking(lambda c: c.get_object_lock_configuration(Bucket=bucket))
        except (ClientError, RepositoryError) as error:
            return s3_protection.finding_of_error(error, self.location.bucket)
        return s3_protection.finding_of_lock(
            answer.get("ObjectLockConfiguration") or {}, self.location.bucket
        )

    def _versioning_finding(self) -> Finding:
        state = self._ask("get_bucket_versioning").get("Status")
        return s3_protection.finding_of_versioning(state, self.location.bucket)


def _time_of(answer: Mapping[str, Any]) -> datetime | None:
    """Return the server's time; None if the answer contains no valid one."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        time = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
    return time if time.tzinfo is not None else None


def _entries(page: Mapping[str, Any]) -> Iterator[tuple[str, datetime | None, int]]:
    """Of each object on a page of a listing: the last part of its name, when it was written, its
    size.
    """
    for entry in page.get("Contents", []):
        yield str(entry.get("Key", "")).rpartition("/")[2], *_state(entry)


def _state(entry: Mapping[str, Any]) -> tuple[datetime | None, int]:
    """Return when a listed object was written, and its size."""
    written, size = entry.get("LastModified"), entry.get("Size")
    dated = isinstance(written, datetime) and written.tzinfo is not None
    return written if dated else None, size if isinstance(size, int) else 0
