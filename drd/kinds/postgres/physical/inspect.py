"""Ask a restored server, whichever of its databases a question is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

from drd.errors import NotSupported
from drd.kinds.held import Held
from drd.kinds.postgres.address import Address
from drd.kinds.postgres.connection import connect
from drd.kinds.postgres.inspect import PostgresInspector
from drd.kinds.postgres.physical import contents
from drd.model.snapshot import DatabaseFingerprint, Fingerprint
from drd.ports import Inspector

Opened = Held[contents.Reach]
"""The server, open for questions; the addresses of its databases are valid until it is closed."""


class ClusterInspector(Inspector):
    """Asks a restored server. `place` is the name of the server for people, `default` the database
    that answers if a question does not name one. `shown` are the environment variables by which a
    command reaches the server."""

    def __init__(
        self, opened: Opened, place: str, default: str, shown: Mapping[str, str] | None = None
    ) -> None:
        self._opened = opened
        self._place = place
        self._default = default
        self._shown = dict(shown or {})

    @property
    def location(self) -> str:
        return self._place

    @property
    def environment(self) -> Mapping[str, str]:
        return self._shown

    @property
    def places(self) -> Sequence[str]:
        return ()

    @property
    def sockets(self) -> Sequence[str]:
        host = self._shown.get("PGHOST", "")
        return (host,) if host.startswith("/") else ()

    def kept(self) -> AbstractContextManager[None]:
        return self._opened.kept()

    def database(self, name: str) -> ClusterInspector:
        return ClusterInspector(
            self._opened, self._place, name, {**self._shown, "PGDATABASE": name}
        )

    def scalar(self, query: str, *, timeout_s: float = 60.0) -> Any:
        with self._opened() as reach, _asking(reach(self._default)) as one:
            return one.scalar(query, timeout_s=timeout_s)

    def execute(self, statements: str, *, timeout_s: float) -> int:
        with self._opened() as reach, _asking(reach(self._default)) as one:
            return one.execute(statements, timeout_s=timeout_s)

    def fingerprint(self, like: Fingerprint, budget_s: float) -> Fingerprint:
        if not isinstance(like, DatabaseFingerprint):
            raise NotSupported("a server cannot be compared with a tree of files")
        with self._opened() as reach:
            if like.mode == "off":
                return DatabaseFingerprint("off")
            with closing(connect(reach(self._default))) as connection:
                databases = contents.names(connection)
            return contents.fingerprint(
                reach, databases, mode=like.mode, budget_s=budget_s, properties={}
            )


@contextmanager
def _asking(address: Address) -> Iterator[PostgresInspector]:
    one = PostgresInspector(address)
    try:
        yield one
    finally:
        one.close()
