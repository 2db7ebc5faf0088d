"""Check with one request each whether thousands of repositories are still there.

Needs no restic. All places on a server that have the same keys share one client: a client for each
would take more memory than the daemon. Keys are read once, and again when the server refuses them.
Requests are signed once an hour, because signing is most of the work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drd.errors import DrdError, RepositoryMissing, RepositoryUnreachable
from drd.model.controls import BucketEncryption
from drd.model.location import S3Location, is_s3, parse_s3
from drd.model.plan import S3Access, SecretRef
from drd.repositories.local import LocalPlace
from drd.repositories.s3_access import S3Keys

if TYPE_CHECKING:
    from drd.repositories.s3 import S3Place

Resolve = Callable[[SecretRef], str]

SIGNED_S = 3600.0
MARGIN_S = 600.0
"""How many seconds a signed request is used; it stays valid for the same time longer."""

_Key = tuple[str, S3Access]


def bucket_encryption(url: str, access: S3Access, resolve: Resolve) -> BucketEncryption:
    """Find out how a bucket encrypts. Raises ControlUnknown if the bucket does not say it, and
    DrdError."""
    return _place(parse_s3(url), lambda: _keys(access, resolve)).encryption()


def _place(location: S3Location, keys: Callable[[], S3Keys], client: Any = None) -> S3Place:
    from drd.repositories.s3 import S3Place  # boto3: only for those who have a bucket

    return S3Place(location, keys, client)


def _keys(access: S3Access, resolve: Resolve) -> S3Keys:
    def of(ref: SecretRef | None) -> str | None:
        return None if ref is None else resolve(ref)

    return S3Keys(
        access_key=of(access.access_key),
        secret_key=of(access.secret_key),
        session_token=of(access.session_token),
        region=access.region,
        ca_cert=access.ca_cert,
        bucket_lookup=access.bucket_lookup,
    )


class Prober:
    """Safe in several threads."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._lock = threading.Lock()
        self._clients: dict[_Key, Any] = {}
        self._sessions: dict[_Key, Any] = {}
        self._signed: dict[str, tuple[str, float]] = {}

    def probe(self, url: str, access: S3Access) -> str | None:
        """Implements `Place.probe`. Raises DrdError."""
        if not is_s3(url):
            return LocalPlace(Path(url)).probe()
        location = parse_s3(url)
        key = (location.endpoint, access)
        place = _place(location, lambda: self._keys(access), self._cached_client(key))
        try:
            digest = self._probe_signed(url, place, key) or place.probe()
        except (RepositoryMissing, RepositoryUnreachable):
            self._keep(key, place)
            raise
        except DrdError:
            self._drop(key)
            raise
        self._keep(key, place)
        return digest

    def _keys(self, access: S3Access) -> S3Keys:
        return _keys(access, self._resolve)

    def _probe_signed(self, url: str, place: S3Place, key: _Key) -> str | None:
        """Return the digest, read with a request that was signed before; None for any other
        answer."""
        with self._lock:
            signed, until = self._signed.get(url, ("", 0.0))
            if key not in self._sessions:
                self._sessions[key] = place.session()
            session = self._sessions[key]
        if time.monotonic() >= until:
            signed = place.signed_probe(SIGNED_S + MARGIN_S)
            with self._lock:
                self._signed[url] = (signed, time.monotonic() + SIGNED_S)
        digest = place.probe_signed(signed, session)
        if digest is None:
            with self._lock:
                self._signed.pop(url, None)
        return digest

    def _cached_client(self, key: _Key) -> Any:
        with self._lock:
            return self._clients.get(key)

    def _keep(self, key: _Key, place: S3Place) -> None:
        with self._lock:
            self._clients.setdefault(key, place.client)

    def _drop(self, key: _Key) -> None:
        with self._lock:
            self._clients.pop(key, None)
            self._sessions.pop(key, None)
