"""The keys of a plan about a Redis or Valkey server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from drd.fields import (
    AbsolutePath,
    Contradiction,
    DatabaseFingerprintField,
    DatabaseFingerprintSettings,
    Duration,
    Secret,
    Settings,
)
from drd.kinds.inside import IN, InContainer
from drd.kinds.redis.address import wrong_url

_URL = "write redis://HOST:PORT, rediss://HOST:PORT or unix:///PATH/OF/THE/SOCKET."
_DIR = "The data directory of the server on this host (`CONFIG GET dir`)."


class ServerSettings(Settings):
    """A server that keeps its data in memory."""

    unsaid: ClassVar = {"inside": (None,)}

    url: str = Field(
        description="The address of the server, without a password: `redis://HOST:PORT`, "
        "`rediss://HOST:PORT` (TLS), or `unix:///PATH/OF/THE/SOCKET`.",
    )
    user: str | None = Field(
        None,
        min_length=1,
        description="The user of the server's ACLs as whom drd logs in. Default: `default`.",
    )
    password: Secret | None = Field(None, description="The password of this user.")
    ca_cert: AbsolutePath | None = Field(
        None,
        description="File of the CA certificates (PEM) by which drd checks the certificate of the "
        "server, for `rediss:`.",
    )
    client_cert: AbsolutePath | None = Field(
        None, description="Certificate (PEM) with which drd logs in, for `rediss:`."
    )
    client_key: AbsolutePath | None = Field(None, description="Key (PEM) of `client_cert`.")
    dir: AbsolutePath | None = Field(
        None,
        description=f"{_DIR} With `dir`, drd lets the server save (BGSAVE), copies the file, and "
        "can recover in place. Without `dir`, drd receives the data over the connection, as a "
        "replica does.",
    )
    method: Literal["auto", "save", "replica"] = Field(
        "auto",
        description="`save`: BGSAVE and a copy of the file in `dir`. `replica`: over the "
        "connection, with redis-cli. `auto`: `save` if `dir` is given.",
    )
    timeout: Duration = Field(
        3600.0, description="Time limit for the server to save, or to send its data."
    )
    bin_dir: AbsolutePath | None = Field(
        None, description="Directory of the programs: the server for drills, and redis-cli."
    )
    fingerprint: DatabaseFingerprintField = DatabaseFingerprintSettings()
    inside: InContainer | None = IN

    @property
    def saves(self) -> bool:
        """Whether the server writes the file that drd copies."""
        if self.inside is not None:
            return False  # the file is in the container
        return self.dir is not None if self.method == "auto" else self.method == "save"

    def contradictions(self) -> Iterator[Contradiction]:
        if wrong := wrong_url(self.url):
            yield Contradiction(("url",), wrong, _URL)
        elif not self.url.startswith("rediss:"):
            for key in ("ca_cert", "client_cert", "client_key"):
                if getattr(self, key) is not None:
                    hint = "write rediss: in `url`, or leave out this key."
                    yield Contradiction((key,), "is only for rediss: (TLS)", hint, of_key=True)
        if (self.client_cert is None) != (self.client_key is None):
            hint = "give both `client_cert` and `client_key`, or neither."
            yield Contradiction(("client_cert",), "certificate and key go together", hint)
        if self.user is not None and self.password is None:
            hint = "add `password`: a reference to a secret, such as {credential: NAME}."
            yield Contradiction(("user",), "there is a user without a password", hint)
        if self.method == "save" and self.dir is None:
            hint = "add `dir`: the data directory of the server on this host."
            yield Contradiction(("method",), "`save` needs `dir`", hint)
        if self.inside is not None:
            yield from self._with_container()
        if self.fingerprint.mode == "digest":
            hint = "use `fingerprint: counts`: drd counts keys, and does not compare values."
            yield Contradiction(("fingerprint",), "`digest` is not supported for this kind", hint)

    def _with_container(self) -> Iterator[Contradiction]:
        if self.method == "save":
            hint = "leave out `method`: drd then receives the data with redis-cli in the container."
            yield Contradiction(("method",), "`save` does not work with `in`", hint)
        if self.url.startswith("rediss:"):
            hint = "write redis: or unix: as it is valid in the container, or leave out `in`."
            yield Contradiction(("url",), "rediss: (TLS) does not work with `in`", hint)


class RedisSettings(ServerSettings):
    """All data of a Redis server: every database, functions and users of the ACLs."""

    kind: Literal["redis"]


class ValkeySettings(ServerSettings):
    """All data of a Valkey server: every database, functions and users of the ACLs."""

    kind: Literal["valkey"]


class RedisTarget(Settings):
    """Where a redis or valkey component is restored to: files for a server that is stopped."""

    path: AbsolutePath = Field(
        description="The data directory of the server (its `dir`). It has to exist, and belong to "
        "the user that runs the server."
    )
    appendonly: bool | None = Field(
        None,
        description="Whether the server has `appendonly yes`. Such a server reads only its "
        "append-only files and ignores dump.rdb: drd then writes the append-only files as well. "
        "Default: as the source had it at the backup.",
    )
    url: str | None = Field(
        None,
        description="The address of the server after the recovery, for checks `sql` and for "
        "`${COMPONENT.url}` in steps. drd logs in as it does at the source. The runbook has to "
        "start the server.",
    )

    def contradictions(self) -> Iterator[Contradiction]:
        if self.url is not None and (wrong := wrong_url(self.url)):
            yield Contradiction(("url",), wrong, _URL)
