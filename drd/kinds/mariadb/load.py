"""Load a dump into a database, with a login of its own that has rights in this database alone.

A dump is untrusted input: whoever can write to the repository decides what it contains. The client
runs no commands (`--sandbox` or `--skip-system-command`, `--binary-mode`) and sends no files of
this host. The login may only create and fill tables: no views, triggers, procedures or events, no
settings of the server, no other database.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGKILL

from drd import log, process
from drd.kinds.mariadb.address import OPTIONS, Address, write_options
from drd.kinds.mariadb.connection import Connection, ServerError
from drd.kinds.mariadb.flavour import Flavour
from drd.kinds.mariadb.quoting import account, db_pattern, literal
from drd.kinds.mariadb.refusals import printed
from drd.kinds.mariadb.tools import VARIABLES, Program
from drd.log import masked
from drd.ports import Workplace
from drd.process import LIST, Command, Completed, ended, inside

_RIGHTS = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, LOCK TABLES, "
    "CREATE TEMPORARY TABLES"
)
ENDS = b"-- Dump completed"
"""The beginning of the last line of a complete dump."""
_TAIL = 4096
_STATEMENT = "--------------"
"""The client of MariaDB prints this line before and after the statement that failed."""


def is_whole(dump: Path) -> bool:
    """Return whether mariadb-dump has written the dump to its end."""
    with dump.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        lines = file.read().rstrip().rsplit(b"\n", 1)
    return lines[-1].startswith(ENDS)


@contextmanager
def loader(admin: Connection, name: str, database: str) -> Iterator[Address]:
    """Create a login for the load, and yield its address. The login is dropped at the end. Raises
    ServerError."""
    host = str(admin.value("SELECT SUBSTRING_INDEX(USER(), '@', -1)"))
    name = name[: admin.flavour.longest_user]
    # The last characters satisfy rules of a server: a small and a large letter, a digit, a sign.
    who, password = account(name, host), f"{secrets.token_urlsafe(24)}aA1-"
    log.mask(password)
    admin.execute(f"DROP USER IF EXISTS {who}")
    admin.execute(f"CREATE USER {who} IDENTIFIED BY {literal(password)}")
    try:
        admin.execute(f"GRANT {_RIGHTS} ON {db_pattern(database)}.* TO {who}")
        with suppress(ServerError):  # a right that older servers do not know
            admin.execute(f"GRANT DELETE HISTORY ON {db_pattern(database)}.* TO {who}")
        yield admin.address.to_database(database).as_user(name, password)
    finally:
        with suppress(ServerError):
            admin.execute(f"DROP USER IF EXISTS {who}")


def refusal(done: Completed) -> str:
    """Return the error of the server that the client printed, without the statement before it and
    without values in it: they are data of people."""
    if said := printed(done.stderr):
        return masked(said)
    return ended(done.exit_code) if _STATEMENT in done.stderr else done.failure


def load(
    client: Program,
    dump: Path,
    address: Address,
    place: Workplace,
    flavour: Flavour,
    *,
    own: bool,
    on_tick: Callable[[], None],
) -> Completed:
    """Let the program mariadb or mysql load the dump, behind the fence if the server is
    drd's `own`."""
    fenced = own and place.sandbox is not None
    user = place.run_as if fenced else None
    server = Path(address.parts.socket).parent
    # Behind the fence the client sees only the directory of the server.
    file = (server if fenced else place.directory) / OPTIONS
    options = write_options(address, file, flavour=flavour, user=user)
    argv = [
        client.path, f"--defaults-file={LIST if client.inside else options}",
        *flavour.load_options, "--binary-mode", "--batch",
        "--local-infile=0", "--skip-named-commands", "--max-allowed-packet=1G",
        f"--database={address.database}",
    ]  # fmt: skip
    command = Command(
        argv,
        user=user,
        cwd=Path("/"),
        drop_capabilities=True,
        death_signal=SIGKILL,
        fence=place.fence(place.directory.name, [server]) if fenced else None,
        name=flavour.client,
    )
    if client.inside is not None:
        command = Command(argv, name=flavour.client)
        command = inside(command, client.inside, feed=dump, listed=options, forget=VARIABLES)
        try:
            return process.start(command).pump(on_tick=on_tick)
        finally:
            options.unlink(missing_ok=True)
    given = os.open(dump, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        child = process.start(command, stdin=given)
    finally:
        os.close(given)
    try:
        return child.pump(on_tick=on_tick)
    finally:
        options.unlink(missing_ok=True)
