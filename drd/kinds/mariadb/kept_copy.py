"""A database that a run has set aside: find, exchange and drop it by the names that carry the run's
mark."""

from __future__ import annotations

from drd.kinds.mariadb.address import address_of
from drd.kinds.mariadb.connection import Connection, connect
from drd.kinds.mariadb.publication import Publication
from drd.kinds.mariadb.restore import as_target_error
from drd.model.plan import SecretRef
from drd.ports import Aside
from drd.process import Container

_SIZE = """
SELECT SUM(DATA_LENGTH + INDEX_LENGTH) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s"""


class KeptDatabase:
    """Implements the port `KeptCopies`."""

    def __init__(
        self,
        component: str,
        dsn: SecretRef,
        run: str,
        database: str | None = None,
        inside: Container | None = None,
    ) -> None:
        """`database` replaces the one that the dsn names; `inside` is the server's container."""
        self._inside = inside
        self._database = database
        self._component = component
        self._dsn = dsn
        self._run = run
        self._admin: Connection | None = None

    def _names(self) -> tuple[Connection, Publication]:
        if self._admin is None:
            self._admin = connect(address_of(self._dsn, self._inside), database=False)
        final = self._database or self._admin.address.database
        return self._admin, Publication(self._admin, final, self._component, self._run)

    def held(self) -> list[Aside]:
        asides = []
        with as_target_error(f"cannot search for the kept copy of {self._component}"):
            admin, names = self._names()
            place = f"database {names.final}"
            for kept, former in ((names.aside, True), (names.after, False)):
                if names.has(kept):
                    size = admin.value(_SIZE, [kept])
                    asides.append(
                        Aside(
                            self._component,
                            place,
                            f"database {kept}",
                            int(size) if size is not None else None,
                            former,
                        )
                    )
        return asides

    def require_exchangeable(self, *, back: bool) -> None:
        with as_target_error(f"cannot search for the kept copy of {self._component}"):
            self._names()[1].require_exchangeable(back=back)

    def swap(self, *, back: bool) -> None:
        with as_target_error(
            f"cannot exchange the present database of {self._component} and its kept copy (run the "
            "same command again to continue)"
        ):
            self._names()[1].swap(back=back)

    def discard(self) -> None:
        with as_target_error(f"cannot drop the kept copy of {self._component}"):
            self._names()[1].discard()

    def close(self) -> None:
        if self._admin is not None:
            self._admin.close()
            self._admin = None
