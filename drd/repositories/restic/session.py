"""The options, environment and secrets that all restic calls for one repository share."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from drd.errors import SecretUnavailable
from drd.model.location import is_local, is_s3, parse_s3
from drd.model.plan import RepositorySpec, SecretRef
from drd.model.schemes import scheme_of
from drd.process import Command, find_tool, rights
from drd.process.private import root_directory
from drd.repositories.local import LocalPlace
from drd.repositories.place import RepositoryPlace
from drd.repositories.restic.errors import MORE_TIME
from drd.repositories.restic.key_hint import KeyHint
from drd.repositories.restic.reach import Reach, reach
from drd.repositories.restic.remote_place import ResticPlace
from drd.repositories.s3_access import S3Keys

CACHE_BYTES = 16 << 20
"""Bytes that must be free on the disk of the cache."""


class Session:
    """Builds restic commands. Secrets are read at the first command and kept in memory."""

    def __init__(
        self,
        spec: RepositorySpec,
        *,
        cache_dir: Path,
        resolve: Callable[[SecretRef], str],
        program: str | None,
    ) -> None:
        self.spec = spec
        self.place = self._place()
        self._cache_dir = cache_dir / "restic"
        self.lasting = True
        """Whether the cache may be kept for later calls."""
        self._resolve = resolve
        self._program = program
        self._lock = threading.RLock()
        self.hint = KeyHint(self)
        self._keys: S3Keys | None = None
        self._reach: Reach | None = None
        self._password: str | None = None

    def _place(self) -> RepositoryPlace:
        scheme = scheme_of(self.spec.url)
        if scheme is not None:
            return ResticPlace(self, scheme)
        if not is_s3(self.spec.url):
            return LocalPlace(Path(self.spec.url))
        from drd.repositories.s3 import S3Place  # boto3: only for those who have a bucket

        return S3Place(parse_s3(self.spec.url), self.keys)

    @property
    def program(self) -> str:
        """The path of restic. Raises ToolMissing."""
        if self._program is not None:
            path = Path(self._program)
            return find_tool(path.name, package="restic", bin_dir=path.parent)
        return find_tool("restic", package="restic")

    def command(
        self,
        words: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        deadline_s: float | None = None,
        retry_lock_s: int = 0,
    ) -> Command:
        """restic with `words` on this repository. Raises SecretUnavailable, ToolMissing."""
        reach = self.reach()
        return Command(
            [self.program, *self.common(retry_lock_s), *self.s3_words(), *reach.words, *words],
            env={**self.environment(), **self.access(), **reach.env, **(env or {})},
            deadline_s=deadline_s,
            name="restic",
            more_time=MORE_TIME,
            files=reach.files,
            has_helpers=not self.place.by_file,
        )

    def reach(self) -> Reach:
        """Return what restic needs, besides the password, to reach a repository that is neither in
        a bucket nor in a directory.
        """
        with self._lock:
            if self._reach is None:
                self._reach = reach(self.spec, self.secret)
            return self._reach

    def common(self, retry_lock_s: int) -> list[str]:
        """Options of every call."""
        wait = ["--retry-lock", f"{retry_lock_s}s"] if retry_lock_s else []
        return [*self._cache(), *wait]

    def _cache(self) -> list[str]:
        """Return the cache directory; None when its disk is almost full, because restic would try
        for minutes to write there.
        """
        if rights.taken() and not self.lasting:
            return ["--no-cache"]
        place = self.memory()
        try:
            disk = os.statvfs(place.parent)
        except OSError:  # not there yet
            return ["--cache-dir", str(place)]
        full = disk.f_bavail * disk.f_frsize < CACHE_BYTES
        return ["--no-cache"] if full else ["--cache-dir", str(place)]

    def memory(self) -> Path:
        """Return the directory for notes about repositories; it may be removed at any time. A path
        in another user's cache could lead anywhere, so root does not write there.
        """
        return root_directory() / "cache" if rights.taken() else self._cache_dir

    def of_another(self) -> bool:
        """Return whether the cache lies in another user's directory, and root has given up its
        rights."""
        if not rights.taken() or not is_local(self.spec.url):
            return False
        place = Path(self.spec.url)
        return place.is_dir() and place.stat().st_uid != 0

    def s3_words(self) -> list[str]:
        """Return the options that reach the bucket, if the repository is in a bucket."""
        if not is_s3(self.spec.url):
            return []
        words = ["-o", f"s3.bucket-lookup={self.spec.s3.bucket_lookup}"]
        if self.spec.s3.region:
            words += ["-o", f"s3.region={self.spec.s3.region}"]
        if self.spec.s3.ca_cert:
            words += ["--cacert", self.spec.s3.ca_cert]
        return words

    def environment(self) -> dict[str, str]:
        """Return the environment. It contains secrets; they are never in argv, where every user of
        the host could read them.

        TZ: restic reads `--time` in the zone of its process. Two status lines a second are enough.
        """
        return {
            "RESTIC_REPOSITORY": self.spec.url,
            "RESTIC_PASSWORD": self.password(),
            "RESTIC_PROGRESS_FPS": "2",
            "TZ": "UTC",
            **self.hint.environment("RESTIC_KEY_HINT"),
        }

    def password(self) -> str:
        """Return the password; never empty, because restic would then ask on a terminal or open a
        repository without a password.
        """
        with self._lock:
            if self._password is None:
                self._password = self.secret(self.spec.password, "password")
            return self._password

    def keys(self) -> S3Keys:
        """Return the keys of the bucket; without keys, the chain of defaults applies (the
        instance's role).
        """
        with self._lock:
            if self._keys is None:
                s3 = self.spec.s3
                self._keys = S3Keys(
                    access_key=self._optional(s3.access_key, "access_key"),
                    secret_key=self._optional(s3.secret_key, "secret_key"),
                    session_token=self._optional(s3.session_token, "session_token"),
                    region=s3.region,
                    ca_cert=s3.ca_cert,
                    bucket_lookup=s3.bucket_lookup,
                )
            return self._keys

    def access(self) -> dict[str, str]:
        """Return the variables that give restic access to the bucket, if the repository is in a
        bucket."""
        if not is_s3(self.spec.url):
            return {}
        keys = self.keys()
        if keys.access_key is None:
            # restic reads the same variables of our environment as boto3.
            return {k: v for k, v in os.environ.items() if k.startswith("AWS_")}
        variables = {
            "AWS_ACCESS_KEY_ID": keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys.secret_key,
            "AWS_SESSION_TOKEN": keys.session_token,
            "AWS_DEFAULT_REGION": keys.region,
        }
        return {name: value for name, value in variables.items() if value}

    def _optional(self, ref: SecretRef | None, what: str) -> str | None:
        return None if ref is None else self.secret(ref, what)

    def secret(self, ref: SecretRef, what: str) -> str:
        """Return a secret of the repository, which is never empty."""
        value = self._resolve(ref)
        if not value:
            raise SecretUnavailable(
                f"{what} of repository {self.spec.name} is empty",
                hint=f"write the secret to {ref.describe()}, which the plan names.",
            )
        return value
