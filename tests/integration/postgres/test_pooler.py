"""A pooler in transaction mode is refused; one in session mode is said."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from drd.errors import SourceError
from drd.ports import Workplace
from tests.conftest import _run_directory
from tests.postgres_support import KIND, back_up, component
from tests.servers import PostgresServer, short_directory
from tests.servers.child import Child
from tests.servers.postgres import _unprivileged_user

pytestmark = pytest.mark.skipif(
    shutil.which("pgbouncer", path="/usr/sbin:/usr/bin") is None,
    reason="pgbouncer is not installed",
)


@contextmanager
def pgbouncer(server: PostgresServer, mode: str, *more: str) -> Iterator[str]:
    """A pgbouncer before the server; its dsn for the database `postgres`."""
    with short_directory(_run_directory()) as directory:
        (directory / "users").write_text('"postgres" ""\n')
        settings = [
            "[databases]",
            f"* = host={server.socket_dir} port={server.port}",
            "[pgbouncer]",
            "listen_addr =",
            "listen_port = 6432",
            f"unix_socket_dir = {directory}",
            "auth_type = trust",
            f"auth_file = {directory}/users",
            f"pool_mode = {mode}",
            *more,
        ]
        (directory / "ini").write_text("\n".join(settings) + "\n")
        user = _unprivileged_user()
        if user is not None:
            os.chown(directory, user.uid, user.gid)
        child = Child(["/usr/sbin/pgbouncer", str(directory / "ini")], directory / "log", user=user)
        dsn = f"host={directory} port=6432 user=postgres dbname=postgres"
        child.wait_until(lambda: _answers(dsn), 20)
        try:
            yield dsn
        finally:
            child.end(signal.SIGINT, 5)


def _answers(dsn: str) -> bool:
    try:
        psycopg.connect(dsn, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.mark.parametrize("more", [[], ["server_round_robin = 1"], ["default_pool_size = 1"]])
@pytest.mark.parametrize("warm", [0, 4])
def test_transaction_mode_is_refused_naming_the_remedy(
    source_server: PostgresServer, place: Workplace, more: list[str], warm: int
) -> None:
    with pgbouncer(source_server, "transaction", *more) as dsn:
        busy = [psycopg.connect(dsn) for _ in range(warm if not more else 0)]
        for connection in busy:
            connection.execute("select 1")
        for connection in busy:
            connection.commit()
        source = KIND.source(component(dsn), place)
        with pytest.raises(SourceError, match="pooler in transaction mode") as caught:
            source.probe()
        assert "server's own host and port" in caught.value.hint
        finding = next(f for f in source.doctor() if f.name == "orders-db: own session")
        assert finding.failed
        assert finding.remedy == caught.value.hint
        for connection in busy:
            connection.close()


def test_session_mode_works_and_is_noted(
    source_server: PostgresServer, place: Workplace, short_tmp: Path
) -> None:
    with pgbouncer(source_server, "session") as dsn:
        (note,) = KIND.source(component(dsn), place).probe().notes
        assert "session mode" in note
        backup = back_up(component(dsn), place, short_tmp / "dump")
        assert backup.snapshot.facts["server_major"] == 17


def test_a_direct_connection_gets_no_note(source_server: PostgresServer, place: Workplace) -> None:
    assert KIND.source(component(source_server.dsn()), place).probe().notes == ()
