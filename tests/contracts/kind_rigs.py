"""The kinds that pass the contract suite of `drd.testing`, each with something real to protect.

A kind joins by one entry in `RIGS`: a factory that gets the request (for fixtures such as
`postgres`) and a directory of the test's own, and returns a `KindRig`.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from drd.kinds.command.kind import CommandKind
from drd.kinds.command.settings import CommandSettings, CommandTarget
from drd.kinds.files.kind import FilesKind
from drd.kinds.files.settings import FilesSettings, FilesTarget
from drd.kinds.http.kind import HttpKind
from drd.kinds.http.settings import HttpSettings, HttpTarget
from drd.kinds.mariadb.kind import MariadbKind
from drd.kinds.mariadb.physical.kind import ServerKind
from drd.kinds.mariadb.physical.settings import ServerSettings, ServerTarget
from drd.kinds.mariadb.settings import MariadbSettings, MariadbTarget
from drd.kinds.postgres.kind import PostgresKind
from drd.kinds.postgres.physical.kind import ClusterKind
from drd.kinds.postgres.physical.settings import ClusterSettings, ClusterTarget
from drd.kinds.postgres.settings import PostgresSettings, PostgresTarget
from drd.kinds.redis.kind import RedisKind, ValkeyKind
from drd.kinds.redis.settings import RedisSettings, RedisTarget, ValkeySettings
from drd.kinds.sqlite.kind import SqliteKind
from drd.kinds.sqlite.settings import SqliteSettings, SqliteTarget
from drd.model.plan import Component
from drd.testing.kinds import KindRig
from tests.extension_support import EXAMPLES, example
from tests.servers import MariadbServer, PostgresServer
from tests.servers.child import ServerError
from tests.servers.redis import RedisServer, fill
from tests.servers.rest_api import TOKEN, RestApi, documents


class SqliteRig(KindRig):
    def __init__(self, directory: Path) -> None:
        self.kind = SqliteKind()
        self._source = directory / "live.db"
        self._target = directory / "target" / "new.db"
        self._target.parent.mkdir()
        self.component = self._component(self._source)
        with closing(sqlite3.connect(self._source)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, amount REAL)")
            connection.executemany(
                "INSERT INTO orders (amount) VALUES (?)", [(n / 7,) for n in range(500)]
            )
            connection.execute('CREATE TABLE "odd ""name""" (x)')
            connection.commit()

    @staticmethod
    def _component(path: Path) -> Component:
        settings = SqliteSettings.model_validate(
            {"kind": "sqlite", "path": str(path), "fingerprint": "digest"}
        )
        return Component("ledger", "sqlite", settings)

    def unreadable(self) -> Component:
        return self._component(self._source.with_name("nowhere.db"))

    def target(self) -> SqliteTarget:
        return SqliteTarget(path=str(self._target))

    def beside(self) -> str:
        return "beside.db"

    def fill_target(self) -> None:
        with closing(sqlite3.connect(self._target)) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS theirs (x)")
            connection.commit()

    def lose_source(self) -> None:
        for path in self._source.parent.glob("live.db*"):
            path.unlink()

    def damage_landing(self, landing: Path) -> None:
        file = landing / "ledger.sqlite"
        data = bytearray(file.read_bytes())
        data[4096:8192] = b"\xff" * 4096
        file.write_bytes(data)

    def left_beside_target(self) -> list[str]:
        known = {f"new.db{suffix}" for suffix in ("", "-wal", "-shm")}
        return sorted(p.name for p in self._target.parent.iterdir() if p.name not in known)

    def query(self) -> tuple[str, Any]:
        return "select count(*) from orders", 500


class FilesRig(KindRig):
    def __init__(self, directory: Path) -> None:
        self.kind = FilesKind()
        self._source = directory / "etc"
        self._target = directory / "target" / "new"
        self._target.parent.mkdir()
        self.component = self._component(self._source)
        (self._source / "app" / "empty").mkdir(parents=True)
        (self._source / "app" / "api.toml").write_text("port = 1\n")
        (self._source / "app" / "link").symlink_to("api.toml")
        (self._source / "app" / "secret").write_text("s3cret")
        (self._source / "app" / "secret").chmod(0o600)
        os.link(self._source / "app" / "secret", self._source / "same")

    @staticmethod
    def _component(path: Path) -> Component:
        settings = FilesSettings.model_validate({"kind": "files", "paths": [str(path)]})
        return Component("gateway", "files", settings)

    def unreadable(self) -> Component:
        return self._component(self._source.with_name("nowhere"))

    def target(self) -> FilesTarget:
        return FilesTarget(path=str(self._target))

    def beside(self) -> str:
        return "beside"

    def fill_target(self) -> None:
        self._target.mkdir(exist_ok=True)
        (self._target / "theirs").write_text("x")

    def lose_source(self) -> None:
        shutil.rmtree(self._source)

    def damage_landing(self, landing: Path) -> None:
        shutil.rmtree(landing / str(self._source).lstrip("/"))

    def left_beside_target(self) -> list[str]:
        return sorted(p.name for p in self._target.parent.iterdir() if p.name != "new")

    def query(self) -> None:
        return None


class PostgresRig(KindRig):
    """A database of its own in the server that all tests share."""

    def __init__(self, server: PostgresServer, request: pytest.FixtureRequest) -> None:
        self.kind = PostgresKind()
        self._server = server
        self._source, self._target = (f"{role}_{uuid4().hex[:8]}" for role in ("rig", "new"))
        self.component = self._component(self._source)
        server.execute(f"CREATE DATABASE {self._source}")
        request.addfinalizer(self._drop)
        server.execute(
            "CREATE TABLE orders AS SELECT n AS id, n / 7.0::float8 AS amount"
            ' FROM generate_series(1, 500) n; CREATE TABLE "odd ""name""" (x int)',
            self._source,
        )

    def _component(self, database: str) -> Component:
        settings = {"kind": "postgres", "dsn": self._server.dsn(database), "fingerprint": "digest"}
        return Component("ledger", "postgres", PostgresSettings.model_validate(settings))

    def _drop(self) -> None:
        for name in (self._source, self._target, self.beside(), *self.left_beside_target()):
            self._server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def unreadable(self) -> Component:
        return self._component("nowhere")

    def target(self) -> PostgresTarget:
        return PostgresTarget.model_validate({"dsn": self._server.dsn(self._target)})

    def beside(self) -> str:
        return f"{self._target}_beside"

    def fill_target(self) -> None:
        if (self._target,) not in self._server.execute("SELECT datname FROM pg_database"):
            self._server.execute(f"CREATE DATABASE {self._target}")
        self._server.execute("CREATE TABLE theirs (x int)", self._target)

    def lose_source(self) -> None:
        self._server.execute(f"DROP DATABASE {self._source} WITH (FORCE)")

    def damage_landing(self, landing: Path) -> None:
        file = landing / "ledger.dump"
        file.write_bytes(file.read_bytes()[:-2000])

    def left_beside_target(self) -> list[str]:
        mine = "SELECT datname FROM pg_database WHERE datname ~ '^drd_run1_.*ledger$'"
        return sorted(name for (name,) in self._server.execute(mine))

    def query(self) -> tuple[str, Any]:
        return "select count(*) from orders", 500


class PostgresClusterRig(KindRig):
    """The whole server that all tests share, with a database of its own in it."""

    def __init__(
        self, directory: Path, server: PostgresServer, request: pytest.FixtureRequest
    ) -> None:
        self.kind = ClusterKind()
        self._server = server
        self._source = f"rig_{uuid4().hex[:8]}"
        self._target = directory / "target" / "new"
        self._target.parent.mkdir()
        self.component = self._component(server.dsn(self._source))
        server.execute(f"CREATE DATABASE {self._source}")
        request.addfinalizer(self._drop)
        server.execute(
            "CREATE TABLE orders AS SELECT n AS id, n / 7.0::float8 AS amount"
            ' FROM generate_series(1, 500) n; CREATE TABLE "odd ""name""" (x int)',
            self._source,
        )

    @staticmethod
    def _component(dsn: str) -> Component:
        settings = {"kind": "postgres-cluster", "dsn": dsn, "fingerprint": "digest"}
        return Component("server", "postgres-cluster", ClusterSettings.model_validate(settings))

    def _drop(self) -> None:
        with suppress(ServerError):  # it still runs
            self._server.start()
        self._server.execute(f"DROP DATABASE IF EXISTS {self._source} WITH (FORCE)")

    def unreadable(self) -> Component:
        return self._component("postgresql://postgres@127.0.0.1:9/nowhere")

    def target(self) -> ClusterTarget:
        return ClusterTarget.model_validate({"data_dir": str(self._target)})

    def beside(self) -> str:
        raise NotImplementedError

    def fill_target(self) -> None:
        self._target.mkdir(exist_ok=True)
        (self._target / "theirs").write_text("x")

    def lose_source(self) -> None:
        self._server.stop()

    def damage_landing(self, landing: Path) -> None:
        tables = (p for p in landing.rglob("data/base/*/*") if p.name.isdecimal())
        file = max(tables, key=lambda p: p.stat().st_size)
        with file.open("r+b") as damaged:
            damaged.seek(100)
            damaged.write(b"\xff" * 100)

    def left_beside_target(self) -> list[str]:
        return sorted(p.name for p in self._target.parent.iterdir() if p.name != "new")

    def query(self) -> tuple[str, Any]:
        return "select count(*) from orders", 500


class MariadbRig(KindRig):
    """A database of its own in the server of MariaDB or MySQL that all tests share."""

    def __init__(self, server: MariadbServer, request: pytest.FixtureRequest) -> None:
        self.kind = MariadbKind()
        self._server = server
        self._source, self._target = (f"{role}_{uuid4().hex[:8]}" for role in ("rig", "new"))
        self.component = self._component(self._source)
        server.execute(f"CREATE DATABASE {self._source}")
        request.addfinalizer(self._drop)
        server.execute(
            "CREATE TABLE orders (id INT PRIMARY KEY, amount DOUBLE)",
            "INSERT INTO orders WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s "
            "WHERE n < 500) SELECT n, n / 7 FROM s",
            'CREATE TABLE `odd "``name` (x INT)',
            "CREATE VIEW large AS SELECT id FROM orders WHERE amount > 50",
            database=self._source,
        )

    def _component(self, database: str) -> Component:
        settings = {"kind": "mariadb", "dsn": self._server.dsn(database), "fingerprint": "digest"}
        return Component("ledger", "mariadb", MariadbSettings.model_validate(settings))

    def _drop(self) -> None:
        left = ("drd_run1_done_ledger", *self.left_beside_target())
        for name in (self._source, self._target, self.beside(), *left):
            self._server.execute(f"DROP DATABASE IF EXISTS {name}")

    def unreadable(self) -> Component:
        return self._component("nowhere")

    def target(self) -> MariadbTarget:
        return MariadbTarget.model_validate({"dsn": self._server.dsn(self._target)})

    def beside(self) -> str:
        return f"{self._target}_beside"

    def fill_target(self) -> None:
        self._server.execute(f"CREATE DATABASE IF NOT EXISTS {self._target}")
        self._server.execute("CREATE TABLE theirs (x INT)", database=self._target)

    def lose_source(self) -> None:
        self._server.execute(f"DROP DATABASE {self._source}")

    def damage_landing(self, landing: Path) -> None:
        file = landing / "ledger.sql"
        file.write_bytes(file.read_bytes()[:-200])

    def left_beside_target(self) -> list[str]:
        mine = (
            "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE "
            "'drd\\_run1\\_%ledger'"
        )
        return sorted(name for (name,) in self._server.execute(mine))

    def query(self) -> tuple[str, Any]:
        return "select count(*) from orders", 500


class MysqlRig(MariadbRig):
    """The same in MySQL: while a run has not closed its target, an empty database is its mark,
    because databases have no comments."""

    def left_beside_target(self) -> list[str]:
        return [name for name in super().left_beside_target() if name != "drd_run1_done_ledger"]


class MariadbServerRig(KindRig):
    """The whole server that all tests share, with a database of its own in it."""

    def __init__(
        self, directory: Path, server: MariadbServer, request: pytest.FixtureRequest
    ) -> None:
        self.kind = ServerKind()
        self._server = server
        self._source = f"rig_{uuid4().hex[:8]}"
        self._target = directory / "target" / "new"
        self._target.parent.mkdir()
        if server.user is not None:  # that of the server which will run there
            os.chown(self._target.parent, server.user.uid, server.user.gid)
        self.component = self._component(self._source)
        server.execute(f"CREATE DATABASE {self._source}")
        request.addfinalizer(self._drop)
        server.execute(
            "CREATE TABLE orders (id INT PRIMARY KEY, amount DOUBLE)",
            "INSERT INTO orders SELECT seq, seq / 7 FROM seq_1_to_500",
            'CREATE TABLE `odd "name` (x INT) ENGINE=MyISAM',
            database=self._source,
        )

    def _component(self, database: str) -> Component:
        settings = {
            "kind": "mariadb-server",
            "dsn": self._server.dsn(database),
            "fingerprint": "digest",
        }
        return Component("server", "mariadb-server", ServerSettings.model_validate(settings))

    def _drop(self) -> None:
        self._server.start()
        self._server.execute(f"DROP DATABASE IF EXISTS {self._source}")

    def unreadable(self) -> Component:
        return self._component("nowhere")

    def target(self) -> ServerTarget:
        return ServerTarget.model_validate({"data_dir": str(self._target)})

    def beside(self) -> str:
        raise NotImplementedError

    def fill_target(self) -> None:
        self._target.mkdir(exist_ok=True)
        (self._target / "theirs").write_text("x")

    def lose_source(self) -> None:
        self._server.stop()

    def damage_landing(self, landing: Path) -> None:
        (file,) = landing.rglob("innodb_index_stats.ibd")
        with file.open("r+b") as damaged:
            damaged.seek(3 * 16384 + 200)
            damaged.write(b"\xff" * 100)

    def left_beside_target(self) -> list[str]:
        return sorted(p.name for p in self._target.parent.iterdir() if p.name != "new")

    def query(self) -> tuple[str, Any]:
        return "select count(*) from orders", 500


class NotesRig(KindRig):
    """The example of a package of its own (tests/extensions/drd-notes)."""

    def __init__(self, directory: Path) -> None:
        here = str(EXAMPLES / "drd-notes")
        if here not in sys.path:
            sys.path.append(here)
        self._module: Any = import_module("drd_notes")
        self.kind = self._module.SPEC.open()
        self._source = directory / "notes.txt"
        self._target = directory / "target" / "new.txt"
        self._target.parent.mkdir()
        self.component = self._component(self._source)
        self._source.write_text("buy milk\ncall home\n")

    def _component(self, path: Path) -> Component:
        settings = self._module.NotesSettings(kind="notes", path=str(path))
        return Component("todo", "notes", settings)

    def unreadable(self) -> Component:
        return self._component(self._source.with_name("nowhere.txt"))

    def target(self) -> object:
        return self._module.NotesTarget(path=str(self._target))

    def beside(self) -> str:
        return "beside.txt"

    def fill_target(self) -> None:
        self._target.write_text("theirs\n")

    def lose_source(self) -> None:
        self._source.unlink()

    def damage_landing(self, landing: Path) -> None:
        (landing / "todo.notes").write_text("buy")

    def left_beside_target(self) -> list[str]:
        return sorted(p.name for p in self._target.parent.iterdir() if p != self._target)

    def query(self) -> None:
        return None


class CardsRig(KindRig):
    """The example of a kind that is a directory (tests/extensions/drd-cards)."""

    def __init__(self, directory: Path) -> None:
        self._module = example("drd-cards", "drd_cards")
        self.kind = self._module.SPEC.open()
        self._source = directory / "cards"
        self._target = directory / "target" / "new"
        self._target.parent.mkdir()
        self.component = self._component(self._source)
        self._source.mkdir()
        (self._source / "anna.txt").write_text("Anna\nOslo\n")
        (self._source / "ben.txt").write_text("Ben\n")

    def _component(self, path: Path) -> Component:
        return Component(
            "friends", "cards", self._module.CardsSettings(kind="cards", path=str(path))
        )

    def unreadable(self) -> Component:
        return self._component(self._source.with_name("nowhere"))

    def target(self) -> object:
        return self._module.CardsTarget(path=str(self._target))

    def beside(self) -> str:
        return "beside"

    def fill_target(self) -> None:
        self._target.mkdir(exist_ok=True)
        (self._target / "theirs.txt").write_text("theirs\n")

    def lose_source(self) -> None:
        shutil.rmtree(self._source)

    def damage_landing(self, landing: Path) -> None:
        tar = landing / "friends.tar"
        tar.write_bytes(b"x" * tar.stat().st_size)

    def left_beside_target(self) -> list[str]:
        return sorted(p.name for p in self._target.parent.iterdir() if p != self._target)

    def query(self) -> None:
        return None


class CommandRig(KindRig):
    """A SQLite database of which drd knows only the commands."""

    def __init__(self, directory: Path) -> None:
        self.kind = CommandKind()
        self._source = directory / "live"
        self._target = directory / "target" / "new"
        self._target.parent.mkdir()
        self._source.mkdir()
        self.component = self._component(self._source)
        with closing(sqlite3.connect(self._source / "db")) as connection:
            connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, amount REAL)")
            connection.executemany("INSERT INTO orders (amount) VALUES (?)", [(1.5,)] * 500)
            connection.commit()

    @staticmethod
    def _component(path: Path) -> Component:
        counted = "select 'orders' || char(9) || count(*) from orders"
        settings = {
            "kind": "command",
            "dump": ["sqlite3", "-readonly", "${path}/db", ".dump"],
            "restore": ["sqlite3", "-safe", "-bail", "db"],
            "path": str(path),
            "count": ["sqlite3", "-readonly", "${path}/db", counted],
            "query": ["sqlite3", "-readonly", "-separator", "\t", "${path}/db", "${query}"],
            "ends_with": "COMMIT;",
        }
        return Component("ledger", "command", CommandSettings.model_validate(settings))

    def unreadable(self) -> Component:
        return self._component(self._source.with_name("nowhere"))

    def target(self) -> CommandTarget:
        return CommandTarget(path=str(self._target))

    def beside(self) -> str:
        return "beside"

    def fill_target(self) -> None:
        self._target.mkdir(exist_ok=True)
        (self._target / "theirs").write_text("x")

    def lose_source(self) -> None:
        shutil.rmtree(self._source)

    def damage_landing(self, landing: Path) -> None:
        file = landing / "ledger.dump"
        file.write_bytes(b"x" * file.stat().st_size)

    def left_beside_target(self) -> list[str]:
        return sorted(p.name for p in self._target.parent.iterdir() if p != self._target)

    def query(self) -> tuple[str, Any]:
        return "select count(*) from orders", 500


class HttpRig(KindRig):
    """An API with services and settings, and another one of its kind."""

    def __init__(self, directory: Path, request: pytest.FixtureRequest) -> None:
        self.kind = HttpKind()
        self._kept = directory.parent / "kept"
        self._token = directory / "token"
        self._token.write_text(f"{TOKEN}\n")
        self._source, self._target = RestApi(), RestApi()
        request.addfinalizer(self._source.close)
        request.addfinalizer(self._target.close)
        self._source.fill()
        self.component = self._component(self._source.url)

    def _api(self, url: str) -> dict[str, Any]:
        return {"url": url, "token": {"file": str(self._token)}}

    def _component(self, url: str) -> Component:
        settings = {"kind": "http", **self._api(url), "documents": documents()}
        return Component("gateway", "http", HttpSettings.model_validate(settings))

    def unreadable(self) -> Component:
        return self._component("http://127.0.0.1:9")

    def target(self) -> HttpTarget:
        return HttpTarget.model_validate(self._api(self._target.url))

    def beside(self) -> str:
        raise NotImplementedError

    def fill_target(self) -> None:
        self._target.add("theirs", port=1)
        self._target.settings = {"theme": "theirs"}

    def lose_source(self) -> None:
        self._source.clear()

    def damage_landing(self, landing: Path) -> None:
        file = landing / "gateway.json"
        file.write_text(file.read_text().replace("dark", "dirk"))

    def left_beside_target(self) -> list[str]:
        return sorted(p.name for p in self._kept.iterdir()) if self._kept.exists() else []

    def query(self) -> None:
        return None


class RedisRig(KindRig):
    """A server with everything that it can hold; it saves its file in a directory here."""

    settings: type[RedisSettings] | type[ValkeySettings] = RedisSettings
    more: tuple[str, ...] = ()
    names: tuple[str, ...] = ("dump.rdb", "users.acl")

    def __init__(self, directory: Path, request: pytest.FixtureRequest) -> None:
        self.kind = RedisKind() if self.settings is RedisSettings else ValkeyKind()
        self._server = RedisServer(directory / "live", self.kind.product, *self.more)
        request.addfinalizer(self._server.kill)
        fill(self._server)
        self._target = directory / "target"
        self._target.mkdir()
        self.component = self._component(self._server.url)

    def _component(self, url: str) -> Component:
        settings = {"kind": self.kind.product, "url": url, "dir": str(self._server.directory)}
        return Component("sessions", self.kind.product, self.settings.model_validate(settings))

    def unreadable(self) -> Component:
        return self._component("unix:///nowhere/s")

    def target(self) -> RedisTarget:
        return RedisTarget(path=str(self._target))

    def beside(self) -> str:
        return "beside.rdb"

    def fill_target(self) -> None:
        (self._target / "dump.rdb").write_bytes(b"theirs")

    def lose_source(self) -> None:
        self._server.kill()
        shutil.rmtree(self._server.directory)

    def damage_landing(self, landing: Path) -> None:
        file = landing / "sessions.rdb"
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)

    def left_beside_target(self) -> list[str]:
        known = {*self.names, self.beside(), f"{self.beside()}.acl"}
        return sorted(p.name for p in self._target.iterdir() if p.name not in known)

    def query(self) -> tuple[str, Any]:
        return "-n 3 XLEN stream", 2


class ValkeyRig(RedisRig):
    settings = ValkeySettings


class RedisReplicaRig(RedisRig):
    """The same over the connection, of a server with append-only files."""

    more = ("--appendonly", "yes")
    names = ("dump.rdb", "users.acl", "appendonlydir")

    def _component(self, url: str) -> Component:
        settings = {"kind": "redis", "url": url, "dir": "/", "method": "replica"}
        return Component("sessions", "redis", RedisSettings.model_validate(settings))

    def fill_target(self) -> None:
        (self._target / "appendonlydir").mkdir(exist_ok=True)
        (self._target / "appendonlydir" / "theirs").write_text("x")


class CommandServiceRig(CommandRig):
    """The same database as a service that only its own command can load, at an address."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._target.mkdir()
        self._kept = directory.parent / "kept"

    @staticmethod
    def _component(path: Path) -> Component:
        counted = "select 'tables' || char(9) || count(*) from sqlite_master where name = 'orders'"
        settings = {
            "kind": "command",
            "dump": ["sqlite3", "-readonly", "${address}", ".dump"],
            "restore": ["sh", "-c", 'rm -f "$1" && sqlite3 -bail "$1"', "sh", "${address}"],
            "path": str(path),
            "address": str(path / "db"),
            "serve": {
                "command": ["sleep", "600"],
                "address": "${path}/db",
                "ready": ["true"],
                "first": True,
            },
            "count": ["sqlite3", "${address}", counted],
            "query": ["sqlite3", "-separator", "\t", "${address}", "${query}"],
        }
        return Component("ledger", "command", CommandSettings.model_validate(settings))

    def target(self) -> CommandTarget:
        return CommandTarget(address=str(self._target / "db"))

    def left_beside_target(self) -> list[str]:
        return sorted(p.name for p in self._kept.iterdir()) if self._kept.exists() else []

    def fill_target(self) -> None:
        with closing(sqlite3.connect(self._target / "db")) as connection:
            connection.execute("DROP TABLE IF EXISTS orders")
            connection.execute("CREATE VIEW orders AS SELECT 1 AS theirs")
            connection.commit()


Factory = Callable[[pytest.FixtureRequest, Path], KindRig]

RIGS: dict[str, Factory] = {
    "sqlite": lambda _, directory: SqliteRig(directory),
    "notes": lambda _, directory: NotesRig(directory),
    "cards": lambda _, directory: CardsRig(directory),
    "http": lambda request, directory: HttpRig(directory, request),
    "files": lambda _, directory: FilesRig(directory),
    "redis": lambda request, directory: RedisRig(directory, request),
    "redis over the connection": lambda request, directory: RedisReplicaRig(directory, request),
    "valkey": lambda request, directory: ValkeyRig(directory, request),
    "command": lambda _, directory: CommandRig(directory),
    "command service": lambda _, directory: CommandServiceRig(directory),
    "mariadb": lambda request, _: MariadbRig(request.getfixturevalue("mariadb"), request),
    "mariadb of MySQL": lambda request, _: MysqlRig(request.getfixturevalue("mysql"), request),
    "mariadb-server": lambda request, directory: MariadbServerRig(
        directory, request.getfixturevalue("mariadb"), request
    ),
    "postgres": lambda request, _: PostgresRig(request.getfixturevalue("postgres"), request),
    "postgres-cluster": lambda request, directory: PostgresClusterRig(
        directory, request.getfixturevalue("postgres"), request
    ),
}
