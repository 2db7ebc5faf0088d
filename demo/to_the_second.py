"""The act about point in time: orders keep arriving, a bad statement removes all of them, and drd
recovers the server with each order that was placed before this statement.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from demo.data import DATABASE
from demo.narration import DemoFailed, Shell, chapter, good, say, timed
from demo.place import SETTINGS, Place, write_secret
from tests.servers import PostgresServer, postgres_server

PLAN = "orders-server"
OLDEST = 17
"""The first version of PostgreSQL of which drd backs up whole servers."""

_WAIT_S = 300.0
_BAD = "truncate orders cascade"
_ORDER = """
insert into orders (customer_id, extra)
values (1 + %(n)s * 7919 %% 20000, jsonb_build_object('channel', 'web', 'number', %(n)s::int))
returning id
"""
_ITEM = """
insert into order_items (order_id, line, product_id, quantity, price) values (%s, 1, 7, 2, 9.90)
"""
_STATE = "select count(*), max(id), md5(string_agg(o::text, chr(10) order by id)) from orders o"
_NOW = """
select now, extract(epoch from now - (select max(created_at) from orders))
  from (select clock_timestamp() as now) as n
"""
_ALLOW = "alter system set max_slot_wal_keep_size = '1GB'"


@dataclass(frozen=True)
class Orders:
    """What is in the table of the orders."""

    count: int
    newest: int
    digest: str


class ToTheSecond:
    """`home` gets a drd.yaml and a state of its own: its daemon starts no run of the first plan."""

    def __init__(self, place: Place, repository: str, server: PostgresServer) -> None:
        self.home = place.home / "server"
        self.spare_dir = place.home / "spare"
        self.server = server
        for directory in (self.home / "plans", self.home / "work", self.spare_dir):
            directory.mkdir(parents=True)
        owner = server.data_dir.stat()  # PostgreSQL's user, where the demo runs as root
        os.chown(self.spare_dir, owner.st_uid, owner.st_gid)
        (self.home / "drd.yaml").write_text(SETTINGS)
        self.plan = self.home / f"plans/{PLAN}.yaml"
        template = Path(__file__).with_name("server.yaml").read_text()
        self.plan.write_text(
            template.replace("@HOME@", str(place.home)).replace("@REPOSITORY@", repository)
        )
        write_secret(place.credentials / "server-dsn", server.dsn(DATABASE))
        environment = {**place.environment(), "DRD_CONFIG": str(self.home / "drd.yaml")}
        self.shell = Shell(environment, self.home)

    def play(self, stack: ExitStack) -> PostgresServer:
        """Return the recovered server, which ends with the stack."""
        chapter("To the last second: a plan for the whole server, with its WAL")
        say("drd also stores what the server writes, every 5 seconds:")
        self.shell.show("sed", "-n", "/^components/,/^$/p", str(self.plan))
        self.shell.show("drd", "plan", "check", PLAN)
        self.server.execute(_ALLOW)
        self.server.execute("select pg_reload_conf()")
        with self.shell.background("drd", "daemon"):
            with timed("the daemon copies the server, and stores the WAL"):
                self._until(self._reachable, "the first copy of the server")
            with _orders_arrive(self.server) as placed:
                self._until(lambda: placed() >= 20, "twenty orders")
                before, at = self._destroy()
                after = placed()
                self._until(lambda: placed() > after, "an order after the statement")
            rest = datetime.now(UTC)
            with timed("the daemon stores the rest"):
                self._until(lambda: (self._reachable() or at) > rest, "the WAL after the statement")
        self.shell.show("drd", "points", PLAN)
        chapter("The recovery: everything before the bad statement")
        moment = at.isoformat().replace("+00:00", "Z")
        to = ("recover", PLAN, "--target", "spare")
        self.shell.show("drd", *to, "--before", moment, "--lost-at", moment, "--yes")
        recovered = stack.enter_context(
            postgres_server(self.spare_dir, password=self.server.password)
        )
        self._compare(before, recovered)
        return recovered

    def _destroy(self) -> tuple[Orders, datetime]:
        """Execute the bad statement; return the orders that it removes, and the time. The lock
        keeps other orders from arriving between that time and the statement."""
        with psycopg.connect(self.server.dsn(DATABASE)) as connection:
            connection.execute("lock table orders in access exclusive mode")
            before = _orders(connection)
            row = connection.execute(_NOW).fetchone()
            assert row is not None
            connection.execute(_BAD)
        at, newest_s = row[0].astimezone(UTC), float(row[1])
        say(
            "",
            "Orders keep arriving. Then somebody mistakes this server for the test server:",
            "",
            f"{at:%H:%M:%S.%f}  {_BAD};",
            "",
            f"{before.count:,} orders are gone. The newest of them, {before.newest}, was placed",
            f"{newest_s:.1f} s before. New orders arrive meanwhile, in the empty table.",
        )
        return before, at

    def _compare(self, before: Orders, recovered: PostgresServer) -> None:
        """Raises DemoFailed if the orders differ."""
        say("", "Are all orders there, up to the last one? Asked of the recovered server:", "")
        with psycopg.connect(recovered.dsn(DATABASE)) as connection:
            after = _orders(connection)
        for name, old, new in (
            ("orders", f"{before.count:,}", f"{after.count:,}"),
            ("the newest order", before.newest, after.newest),
            ("md5 of all orders", before.digest[:16], after.digest[:16]),
        ):
            say(f"{name:<20} {new!s:>18}  {good('equal') if old == new else 'DIFFERENT'}")
        if before != after:
            raise DemoFailed(f"the recovered orders differ: {after}, expected {before}")

    def _reachable(self) -> datetime | None:
        """Return the last time to which the server can be recovered now."""
        told = self.shell.output(f"drd points {PLAN} --json 2>/dev/null || true")
        logs = json.loads(told).get("logs") if told else None
        reachable = logs[0]["reachable"] if logs else []
        return datetime.fromisoformat(reachable[-1]["to"]) if reachable else None

    @staticmethod
    def _until(done: Callable[[], object], what: str) -> None:
        limit = time.monotonic() + _WAIT_S
        while not done():
            if time.monotonic() > limit:
                raise DemoFailed(f"waited {_WAIT_S:.0f} s for {what}")
            time.sleep(0.2)


def _orders(connection: psycopg.Connection) -> Orders:
    row = connection.execute(_STATE).fetchone()
    assert row is not None
    return Orders(*row)


@contextmanager
def _orders_arrive(server: PostgresServer) -> Iterator[Callable[[], int]]:
    """Place an order every tenth of a second; gives the number of orders so far."""
    placed = 0
    over = threading.Event()
    failures: list[BaseException] = []

    def place() -> None:
        nonlocal placed
        try:
            with psycopg.connect(server.dsn(DATABASE)) as connection:
                while not over.wait(0.1):
                    # The order first: whoever has locked that table waits for no item of an order.
                    row = connection.execute(_ORDER, {"n": placed}).fetchone()
                    connection.execute(_ITEM, row)
                    connection.commit()
                    placed += 1
        except psycopg.Error as error:
            failures.append(error)

    def so_far() -> int:
        if failures:
            raise DemoFailed(f"no more orders arrive: {failures[0]}")
        return placed

    customers = threading.Thread(target=place, daemon=True)
    customers.start()
    try:
        yield so_far
    finally:
        over.set()
        customers.join()
