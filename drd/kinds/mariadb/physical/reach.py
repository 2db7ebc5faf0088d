"""Connect to a server whose files this kind copies: MariaDB only."""

from __future__ import annotations

from drd.errors import NotSupported
from drd.kinds.mariadb.address import Address
from drd.kinds.mariadb.connection import Connection
from drd.kinds.mariadb.connection import connect as connect_to_any
from drd.kinds.mariadb.flavour import MARIADB


def connect(address: Address, *, database: bool = True) -> Connection:
    """Connect as for any server. Raises NotSupported also for a server that is not MariaDB."""
    connection = connect_to_any(address, database=database)
    if connection.flavour is MARIADB:
        return connection
    connection.close()
    raise NotSupported(
        f"{address.named} is {connection.flavour.name} {connection.version[:60]}: kind "
        "mariadb-server copies files with mariadb-backup, and reads the binary log with "
        "mariadb-binlog, which both work with MariaDB only",
        hint="use kind mariadb: it dumps the databases of such a server one by one.",
    )
