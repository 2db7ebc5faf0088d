"""Query the databases of a restored MariaDB server, for checks and steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from drd.errors import SourceError
from drd.kinds.databases import Mode
from drd.kinds.mariadb.address import Address
from drd.kinds.mariadb.connection import ServerError, connect, words
from drd.kinds.mariadb.inspect import KEY_TEXT, MariadbInspector
from drd.kinds.mariadb.physical import contents
from drd.kinds.server_inspector import DatabasesInspector
from drd.model.snapshot import Fingerprint

Reach = Callable[[str], Address]
"""Returns the address of a database by its name."""


class ServerInspector(DatabasesInspector[Address]):
    """Sends the queries of checks and steps to a restored MariaDB server."""

    names_database = "MYSQL_DATABASE"

    @property
    def sockets(self) -> Sequence[str]:
        socket = self._shown.get("MYSQL_UNIX_PORT", "")
        return (socket.rpartition("/")[0],) if socket else ()

    @property
    def key_text(self) -> str:
        return KEY_TEXT

    def _connected(self, address: Address) -> MariadbInspector:
        return MariadbInspector(address)

    def _described(self, reach: Reach, mode: Mode, budget_s: float) -> Fingerprint:
        with connect(reach(contents.SYSTEM)) as connection:
            try:
                return contents.everything(
                    connection, contents.names(connection), mode=mode, budget_s=budget_s
                )
            except ServerError as error:
                raise SourceError(
                    f"cannot describe the server: {words(error)}", hint="check the server's log."
                ) from error
