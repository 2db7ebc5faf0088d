"""A database that was replaced waits beside the new one, closed to applications, and comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
import pytest

from drd.errors import TargetError
from drd.kinds.postgres.kept_copy import KeptDatabase
from drd.kinds.postgres.settings import PostgresTarget
from drd.ports import RestoreOptions, Workplace
from tests.integration.postgres.test_target import backup, databases, orders  # noqa: F401
from tests.postgres_support import KIND, NAME, Backup, component, restore_components
from tests.servers import PostgresServer

BEFORE, AFTER = f"drd_r7c1e_before_{NAME}", f"drd_r7c1e_after_{NAME}"


def settings(server: PostgresServer, user: str | None = None) -> PostgresTarget:
    return PostgresTarget.model_validate({"dsn": server.dsn("shop", user)})


def restore(
    server: PostgresServer, place: Workplace, saved: Backup, user: str | None = None
) -> None:
    what = component(server.dsn("shop"))
    target = KIND.target(
        what, settings(server, user), place, RestoreOptions(no_owner=user is not None, keep=True)
    )
    assert [f.text for f in target.preflight(saved.snapshot, overwrite=True) if f.failed] == []
    restore_components(target, saved, overwrite=True)
    target.close()


def kept(server: PostgresServer, user: str | None = None) -> KeptDatabase:
    return KIND.kept(component(server.dsn("shop")), settings(server, user), None, "r7c1e")


def theirs(server: PostgresServer, database: str = "shop") -> list[tuple[int]]:
    return server.execute("SELECT x FROM theirs", database)


@pytest.fixture
def filled(target_server: PostgresServer) -> PostgresServer:
    target_server.execute("CREATE DATABASE shop")
    target_server.execute("CREATE TABLE theirs (x int); INSERT INTO theirs VALUES (7)", "shop")
    return target_server


@contextmanager
def busy(server: PostgresServer) -> Iterator[None]:
    """Four applications that connect again whenever they are thrown out."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            with suppress(psycopg.Error), psycopg.connect(server.dsn("shop")) as connection:
                while not over.wait(0.01):
                    connection.execute("SELECT 1")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_the_former_database_is_kept_closed_and_comes_back_under_load(
    filled: PostgresServer,
    place: Workplace,
    backup: Backup,  # noqa: F811
) -> None:
    with busy(filled):
        restore(filled, place, backup)
        assert orders(filled) == 20000
        with pytest.raises(psycopg.OperationalError, match="not currently accepting"):
            theirs(filled, BEFORE)
        (aside,) = kept(filled).held()
        assert (aside.kept, aside.former) == (f"database {BEFORE}", True)
        assert (aside.bytes or 0) > 1_000_000
        for _ in range(2):
            kept(filled).swap(back=True)
            assert theirs(filled) == [(7,)]
        assert databases(filled) == {"shop", AFTER}
        kept(filled).swap(back=False)
        assert orders(filled) == 20000
        assert databases(filled) == {"shop", BEFORE}
    for _ in range(2):
        kept(filled).discard()
    assert databases(filled) == {"shop"}
    assert kept(filled).held() == []


def test_the_kept_database_is_restored_even_if_the_name_is_free(
    filled: PostgresServer,
    place: Workplace,
    backup: Backup,  # noqa: F811
) -> None:
    restore(filled, place, backup)
    filled.execute("DROP DATABASE shop")
    kept(filled).swap(back=True)
    assert theirs(filled) == [(7,)]


def test_an_empty_database_is_not_worth_keeping(
    target_server: PostgresServer,
    place: Workplace,
    backup: Backup,  # noqa: F811
) -> None:
    target_server.execute("CREATE DATABASE shop")
    restore(target_server, place, backup)
    assert databases(target_server) == {"shop"}


def test_a_role_that_may_only_create_databases_does_it_with_its_own(
    target_server: PostgresServer,
    place: Workplace,
    backup: Backup,  # noqa: F811
) -> None:
    target_server.execute("CREATE ROLE maker LOGIN CREATEDB")
    target_server.execute("CREATE DATABASE shop OWNER maker")
    target_server.execute("CREATE TABLE theirs (x int); INSERT INTO theirs VALUES (7)", "shop")
    restore(target_server, place, backup, "maker")
    kept(target_server, "maker").swap(back=True)
    assert theirs(target_server) == [(7,)]
    kept(target_server, "maker").discard()
    assert databases(target_server) == {"shop"}


def test_a_database_of_somebody_elses_is_refused_before_anything_is_restored(
    filled: PostgresServer,
    place: Workplace,
    backup: Backup,  # noqa: F811
) -> None:
    filled.execute("CREATE ROLE maker LOGIN CREATEDB")
    target = KIND.target(
        component(filled.dsn("shop")),
        settings(filled, "maker"),
        place,
        RestoreOptions(no_owner=True, keep=True),
    )
    (bad,) = [f for f in target.preflight(backup.snapshot, overwrite=True) if f.failed]
    assert bad.text == "user maker may not rename database shop, which belongs to postgres"
    assert 'ALTER DATABASE "shop" OWNER TO "maker"' in bad.remedy
    target.close()
    with pytest.raises(TargetError):
        kept(filled, "nobody_known").held()
    assert theirs(filled) == [(7,)]
