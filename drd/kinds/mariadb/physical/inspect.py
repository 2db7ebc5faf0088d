"""Ask a restored server, whichever of its databases a question is about."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from drd.errors import NotSupported, SourceError
from drd.kinds.held import Held
from drd.kinds.mariadb.connection import Address, ServerError, connect, words
from drd.kinds.mariadb.inspect import KEY_TEXT, MariadbInspector
from drd.kinds.mariadb.physical import contents
from drd.model.snapshot import DatabaseFingerprint, Fingerprint
from drd.ports import Inspector

Reach = Callable[[str], Address]
"""Gives the address of a database by its name."""

Opened = Held[Reach]
"""The server, open for questions; the addresses of its databases are valid until it is closed."""


class ServerInspector(Inspector):
    """`place` is what a person calls the server, `default` the database of questions that name
    none. `shown` are the variables by which a command reaches it."""

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
        socket = self._shown.get("MYSQL_UNIX_PORT", "")
        return (socket.rpartition("/")[0],) if socket else ()

    @property
    def key_text(self) -> str:
        return KEY_TEXT

    def kept(self) -> AbstractContextManager[None]:
        return self._opened.kept()

    def database(self, name: str) -> ServerInspector:
        return ServerInspector(
            self._opened, self._place, name, {**self._shown, "MYSQL_DATABASE": name}
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
        if like.mode == "off":
            return DatabaseFingerprint("off")
        with self._opened() as reach, connect(reach(contents.SYSTEM)) as connection:
            try:
                return contents.everything(
                    connection, contents.names(connection), mode=like.mode, budget_s=budget_s
                )
            except ServerError as error:
                raise SourceError(
                    f"cannot describe the server: {words(error)}", hint="check the server's log."
                ) from error


@contextmanager
def _asking(address: Address) -> Iterator[MariadbInspector]:
    one = MariadbInspector(address)
    try:
        yield one
    finally:
        one.close()
