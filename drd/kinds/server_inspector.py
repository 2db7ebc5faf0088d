"""Query the databases of a restored server, for checks and steps. This module has what is the same
for every server with databases."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from drd.errors import NotSupported
from drd.kinds.databases import Mode
from drd.kinds.held import Held
from drd.model.snapshot import DatabaseFingerprint, Fingerprint
from drd.ports import Inspector

A = TypeVar("A")
_S = TypeVar("_S", bound="DatabasesInspector[Any]")


class OpenInspector(Protocol):
    """Queries one database over a connection that stays open until `close`."""

    def scalar(self, query: str, *, timeout_s: float = 60.0) -> Any: ...

    def execute(self, statements: str, *, timeout_s: float) -> int: ...

    def close(self) -> None: ...


class DatabasesInspector(Inspector, Generic[A]):
    """Queries the databases of a restored server. `opened` opens the server for queries, and gives
    a function that returns the address of a database by its name. An address is valid until the
    server is closed. `place` is the name of the server for people, `default` the database that
    answers if a question does not name one. `shown` are the environment variables by which a
    command reaches the server."""

    names_database: ClassVar[str]
    """The environment variable that names the database."""

    def __init__(
        self,
        opened: Held[Callable[[str], A]],
        place: str,
        default: str,
        shown: Mapping[str, str] | None = None,
    ) -> None:
        self._opened = opened
        self._place = place
        self._default = default
        self._shown = dict(shown or {})

    @abstractmethod
    def _connected(self, address: A) -> OpenInspector:
        """Return an inspector of one database."""

    @abstractmethod
    def _described(self, reach: Callable[[str], A], mode: Mode, budget_s: float) -> Fingerprint:
        """Return a fingerprint of all databases."""

    @property
    def location(self) -> str:
        return self._place

    @property
    def environment(self) -> Mapping[str, str]:
        return self._shown

    @property
    def places(self) -> Sequence[str]:
        return ()

    def kept(self) -> AbstractContextManager[None]:
        return self._opened.kept()

    def database(self: _S, name: str) -> _S:
        shown = {**self._shown, self.names_database: name}
        return type(self)(self._opened, self._place, name, shown)

    def scalar(self, query: str, *, timeout_s: float = 60.0) -> Any:
        with self._asking() as one:
            return one.scalar(query, timeout_s=timeout_s)

    def execute(self, statements: str, *, timeout_s: float) -> int:
        with self._asking() as one:
            return one.execute(statements, timeout_s=timeout_s)

    def fingerprint(self, like: Fingerprint, budget_s: float) -> Fingerprint:
        if not isinstance(like, DatabaseFingerprint):
            raise NotSupported("drd cannot compare a server with a tree of files")
        if like.mode == "off":
            return DatabaseFingerprint("off")
        with self._opened() as reach:
            return self._described(reach, like.mode, budget_s)

    @contextmanager
    def _asking(self) -> Iterator[OpenInspector]:
        """Open an inspector of the default database for one question."""
        with self._opened() as reach:
            one = self._connected(reach(self._default))
            try:
                yield one
            finally:
                one.close()
