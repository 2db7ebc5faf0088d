"""Servers of the other kinds, filled for the measurements: what a plan says of them, and what the
scripts get."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers import MariadbServer, PostgresServer
from tests.servers.redis import RedisServer

_TABLES = 4
_ROWS_PER_MB = 6_600  # of mariadb-dump
_KEYS_PER_MB = 9_500  # of an RDB file

RTA_OF_DRILL, RTA_OF_RECOVER = "RTA of a drill", "RTA of recover"

_SUM = (
    '  - {name: a sum, kind: sql, component: it, query: "select sum(customer) from part2", '
    'expect: "> 0"}\n'
)

_FILL_MARIADB = """
insert into {table}
select seq, seq % 50021 * 7919 % 50000, elt(1 + seq % 3, 'new', 'paid', 'shipped'),
       concat(md5(seq), ' leave it with the neighbour ', md5(concat('m{table}', seq))),
       now() - interval seq second
  from seq_1_to_{rows}
"""

_FILL_REDIS = """
for i = 1, tonumber(ARGV[1]) do
  redis.call('set', ARGV[2] .. i, redis.sha1hex('a' .. i) .. redis.sha1hex('b' .. i), 'EX', 864000)
end
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A filled server. `component` and `target` are the keys of the plan, `checks` its lines.
    `environment` is for the script `kind_SCRIPT.sh`. `target_path` is removed before each
    recovery; if it has an `owner`, there is an empty directory of this user then. `allowed` has the
    targets that differ from the usual one, as multiples of the script's time."""

    kind: str
    script: str
    component: str
    target: str
    checks: str
    environment: Mapping[str, str]
    target_path: Path | None = None
    owner: str = ""
    drop: tuple[MariadbServer, str] | None = None
    tables: Mapping[str, int] = field(default_factory=dict)
    allowed: Mapping[str, float] = field(default_factory=dict)


def _server_user(name: str) -> str:
    return name if os.geteuid() == 0 else ""


@contextmanager
def _mariadb_server(home: Path, megabytes: float) -> Iterator[tuple[MariadbServer, dict[str, int]]]:
    """Start a server with a filled database `shop`; yield it with the rows of each table."""
    home.mkdir()
    home.chmod(0o755)
    server = MariadbServer(home)
    server.start()
    try:
        rows = max(100, int(megabytes * _ROWS_PER_MB) // _TABLES)
        server.execute("create database shop")
        tables = [f"part{n}" for n in range(1, _TABLES + 1)]
        for table in tables:
            server.execute(
                f"create table {table} (id bigint primary key, customer int not null, status text "
                "not null, note text not null, created_at datetime not null, key (customer))",
                _FILL_MARIADB.format(table=table, rows=rows),
                database="shop",
            )
        yield server, dict.fromkeys(tables, rows)
    finally:
        server.stop()


@contextmanager
def mariadb(home: Path, megabytes: float) -> Iterator[Case]:
    with _mariadb_server(home, megabytes) as (server, tables):
        yield Case(
            "mariadb",
            "mariadb",
            f'dsn: "{server.dsn("shop")}"',
            f'dsn: "{server.dsn("back")}"',
            _SUM,
            {"SOCKET": str(server.socket), "SERVER_USER": _server_user("nobody")},
            drop=(server, "back"),
            tables=tables,
        )


@contextmanager
def mariadb_server(home: Path, megabytes: float) -> Iterator[Case]:
    with _mariadb_server(home, megabytes) as (server, tables):
        target = home.with_name(f"{home.name}.back")
        yield Case(
            "mariadb-server",
            "mariadb_server",
            f'dsn: "{server.dsn("shop")}"',
            f'data_dir: "{target}"',
            _SUM,
            {"SOCKET": str(server.socket), "SERVER_USER": _server_user("nobody")},
            target_path=target,
            owner=_server_user("nobody"),
            tables=tables,
            allowed={RTA_OF_RECOVER: 1.0},
        )


@contextmanager
def _of_keys(product: str, home: Path, megabytes: float) -> Iterator[Case]:
    server = RedisServer(home, product)
    try:
        keys = max(100, int(megabytes * _KEYS_PER_MB))
        for start in range(0, keys, 100_000):
            count = min(100_000, keys - start)
            server.ask("EVAL", _FILL_REDIS, "0", str(count), f"session:{start}:")
        target = home.with_name(f"{home.name}.back")
        target.mkdir()
        yield Case(
            product,
            "redis",
            f'url: "{server.url}", dir: "{home}"',
            f'path: "{target}"',
            "",
            {
                "PRODUCT": product,
                "SOCKET": str(server.socket),
                "DATA": str(home),
                "KEYS": str(keys),
                "SERVER_USER": _server_user("nobody"),
            },
            target_path=target / "dump.rdb",
        )
    finally:
        server.kill()


@contextmanager
def redis(home: Path, megabytes: float) -> Iterator[Case]:
    with _of_keys("redis", home, megabytes) as case:
        yield case


@contextmanager
def valkey(home: Path, megabytes: float) -> Iterator[Case]:
    with _of_keys("valkey", home, megabytes) as case:
        yield case


def cluster(server: PostgresServer, tables: Mapping[str, int], target: Path) -> Case:
    """The whole server that the workshop has filled."""
    return Case(
        "postgres-cluster",
        "postgres_cluster",
        f'dsn: "host={server.socket_dir} port={server.port} user={server.superuser} '
        'dbname=postgres", checkpoint: fast',
        f'data_dir: "{target}"',
        '  - {name: a sum, kind: sql, component: it, database: shop, query: "select sum(customer) '
        'from part2", expect: "> 0"}\n',
        {
            "BIN": str(server.bin_dir),
            "PGHOST": str(server.socket_dir),
            "PGPORT": str(server.port),
            "PGUSER": server.superuser,
            "SERVER_USER": _server_user("postgres"),
        },
        target_path=target,
        tables=tables,
        allowed={RTA_OF_DRILL: 0.95, RTA_OF_RECOVER: 0.95},
    )
