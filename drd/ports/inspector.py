"""What drd asks of a restored component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from drd.errors import NotSupported
from drd.model.snapshot import Fingerprint


class Inspector(Protocol):
    """Answers questions about a restored component."""

    @property
    def location(self) -> str:
        """Return where the component is: a path, or a connection string without a password."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that a command needs to reach it (PGHOST, PGDATABASE, …, or DRD_PATH)."""

    @property
    def places(self) -> Sequence[str]:
        """The files and directories of the restored component, which a fenced command may read and
        change. The default is what `DRD_PATH` in `environment` names."""
        path = self.environment.get("DRD_PATH")
        return (path,) if path else ()

    @property
    def sockets(self) -> Sequence[str]:
        """The directories of sockets by which a fenced command reaches the component."""
        return ()

    @property
    def not_proven(self) -> Mapping[str, str]:
        """What a comparison of this place does not prove, by part, with the reason: checks that
        compare record this in the evidence. Empty by default."""
        return {}

    @property
    def key_text(self) -> str:
        """The SQL type of a column for text that can be a primary key."""
        return "text"

    def kept(self) -> AbstractContextManager[None]:
        """Keep resources that a question has opened, such as a server on restored files, open for
        the next questions, until the end of the block. By default there are no such resources."""
        return nullcontext()

    def scalar(self, query: str, *, timeout_s: float = 60.0) -> Any:
        """Return the single value of a query (int, float, Decimal, str, datetime, None). The query
        can only read.

        Raises NotSupported for kinds without queries, SourceUnreachable when the component cannot
        be asked, DeadlineExceeded after `timeout_s`, and a plain SourceError with the database's
        own words when the query fails or returns more than one value.
        """
        raise NotSupported(
            f"{self.location} cannot be queried", hint="use a check of another kind, or `command`."
        )

    def database(self, name: str) -> Inspector:
        """`Ability.DATABASES`: return an inspector of the database of this name. Raises
        NotSupported for a component that is a single database, or no database."""
        raise NotSupported(
            f"{self.location} does not have several databases",
            hint="leave out `database` of the check.",
        )

    def execute(self, statements: str, *, timeout_s: float) -> int:
        """Execute statements in one transaction, and return how many rows they changed. Raises the
        same errors as `scalar`; then nothing has changed."""
        raise NotSupported(
            f"{self.location} does not accept SQL", hint="use a step of kind `command`."
        )

    def fingerprint(self, like: Fingerprint, budget_s: float) -> Fingerprint:
        """Return a fingerprint of the present state, of the same kind as `like`, for a comparison
        with `like`. Tables or files that `like` does not name are included as well.
        """
