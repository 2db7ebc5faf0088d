"""PostgreSQL as it comes with Debian, started as a child and thrown away."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg

from tests.servers.child import LOOPBACK, Child, ServerError, User, free_ports, tied_to_us


@contextlib.contextmanager
def left_as_found(server: PostgresServer) -> Iterator[None]:
    """Databases, tablespaces and roles that the body makes are gone afterwards."""
    before, spaces = (_databases(server), _roles(server)), _tablespaces(server)
    try:
        yield
    finally:
        now = _databases(server), _roles(server)
        for name in now[0] - before[0]:
            server.execute(f"DROP DATABASE {_quoted(name)} WITH (FORCE)")
        for name in _tablespaces(server) - spaces:
            server.execute(f"DROP TABLESPACE {_quoted(name)}")
        made = [_quoted(name) for name in now[1] - before[1]]
        for database in before[0] & now[0] if made else ():
            server.execute(f"DROP OWNED BY {', '.join(made)} CASCADE", database)
        for name in made:
            server.execute(f"DROP ROLE {name}")


def _databases(server: PostgresServer) -> set[str]:
    sql = "SELECT datname FROM pg_database WHERE datname <> 'template0'"
    return {name for (name,) in server.execute(sql)}


def _tablespaces(server: PostgresServer) -> set[str]:
    return {name for (name,) in server.execute("SELECT spcname FROM pg_tablespace")}


def _roles(server: PostgresServer) -> set[str]:
    return {name for (name,) in server.execute("SELECT rolname FROM pg_roles")}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class PostgresServer:
    """A PostgreSQL server on a Unix socket, and with `tcp` on loopback, without fsync.

    Root cannot run PostgreSQL: then it runs as `postgres` or `nobody`, who has to get through to
    `directory` (`short_directory` sees to it).
    """

    superuser = "postgres"

    def __init__(
        self,
        directory: Path,
        *,
        major: int | None = None,
        tcp: bool = False,
        password: str | None = None,
    ) -> None:
        self.bin_dir = _postgres_bin_dir(major)
        self.major = int(self.bin_dir.parent.name)
        self.port = free_ports(1)[0]
        self.host = LOOPBACK if tcp else None
        self.password = password
        self.directory = directory.resolve()
        self.data_dir = self.directory / "data"
        self.socket_dir = self.directory
        self._user = _unprivileged_user()
        self._child: Child | None = None
        if len(f"{self.socket_dir}/.s.PGSQL.{self.port}".encode()) > 107:
            raise ServerError(f"the path of a socket in {directory} is too long")

    @property
    def pid(self) -> int:
        """The postmaster's process id. Raises ServerError while it is stopped."""
        if self._child is None:
            raise ServerError("the PostgreSQL server is stopped")
        return self._child.pid

    def dsn(
        self,
        database: str = "postgres",
        user: str | None = None,
        *,
        host: str | None = None,
        port: int | None = None,
    ) -> str:
        """A libpq URI with the password in it, if there is one; by default through the socket."""
        owner = quote(user or self.superuser, safe="")
        login = f"{owner}:{quote(self.password, safe='')}" if self.password else owner
        where = {"host": host or str(self.socket_dir), "port": port or self.port}
        return f"postgresql://{login}@/{quote(database, safe='')}?{urlencode(where, safe='/')}"

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run SQL as the superuser; the rows of its last statement. Several are one transaction."""
        with psycopg.connect(self.dsn(database), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(sql.encode())
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start it, after initdb if `directory` is empty, and return when it answers."""
        if self._child is not None:
            raise ServerError("the PostgreSQL server is already running")
        if not self.data_dir.exists():
            self._initdb()
        child = Child(
            [str(self.bin_dir / "postgres"), "-D", str(self.data_dir), *self._settings()],
            self.directory / "postgres.log",
            death_signal="QUIT",  # its immediate shutdown, which takes its children along
            user=self._user,
        )
        child.wait_until(self._answers, 30)
        self._child = child

    def stop(self, mode: str = "fast") -> None:
        """Stop it in pg_ctl's mode `smart`, `fast` or `immediate`; what hangs 30 s is killed."""
        modes = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
        self._end(modes[mode], 30)

    def kill(self) -> None:
        """Kill the postmaster with SIGKILL; its backends notice, and we wait until they are
        gone."""
        self._end(signal.SIGKILL, 10)

    def use_small_segments(self) -> None:
        """Begin its WAL again with segments of 1 MB, and start it again."""
        self.stop()
        program = str(self.bin_dir / "pg_resetwal")
        self.as_user([program, "--wal-segsize=1", "-f", "-D", str(self.data_dir)])
        self.start()

    def _end(self, signal_number: int, grace_s: float) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end(signal_number, grace_s)

    def _initdb(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if self._user is not None:
            os.chown(self.directory, self._user.uid, self._user.gid)
        run = os.environ.get("DRD_TEST_RUN")
        if run is not None and self.password is None:
            self._copy(self._template(Path(run)))
        else:
            with self._password_file() as file:
                self._initialise(self.data_dir, file)

    def _template(self, run: Path) -> Path:
        """A cluster that nothing has used, made once in a run of the tests."""
        home = run / f"postgres-{self.major}"
        if not home.exists():
            new = Path(tempfile.mkdtemp(prefix="postgres-", dir=run))
            if self._user is not None:
                os.chown(new, self._user.uid, self._user.gid)
            self._initialise(new / "data", None)
            with contextlib.suppress(OSError):  # another process was quicker
                new.rename(home)
        return home / "data"

    def _copy(self, template: Path) -> None:
        """A cluster of its own, as initdb makes it: with another identifier."""
        self.as_user(["cp", "-a", "--reflink=auto", str(template), str(self.data_dir)])
        with (self.data_dir / "global/pg_control").open("r+b") as file:
            file.write(os.urandom(7))  # the identifier, without the byte that has its sign
        self.as_user([str(self.bin_dir / "pg_resetwal"), "-f", "-D", str(self.data_dir)])

    def _initialise(self, data: Path, password_file: str | None) -> None:
        argv = [
            str(self.bin_dir / "initdb"), "-D", str(data), "-U", self.superuser,
            "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
        ]  # fmt: skip
        if password_file is None:
            argv.append("--auth=trust")
        else:
            argv += ["--auth=scram-sha-256", f"--pwfile={password_file}"]
        self.as_user(argv)

    def as_user(self, argv: Sequence[str]) -> None:
        """Run a command to its end, as the user who runs the server."""
        done = subprocess.run(
            tied_to_us(argv, user=self._user),
            check=False,
            capture_output=True,
            text=True,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )
        if done.returncode != 0:
            raise ServerError(f"{Path(argv[0]).name}: exit {done.returncode}\n{done.stderr}")

    @contextlib.contextmanager
    def _password_file(self) -> Iterator[str | None]:
        if self.password is None:
            yield None
            return
        with tempfile.NamedTemporaryFile("w", dir=self.directory) as file:
            file.write(self.password)
            file.flush()
            if self._user is not None:
                os.chown(file.name, self._user.uid, self._user.gid)
            yield file.name

    def _settings(self) -> list[str]:
        settings = {
            "listen_addresses": self.host or "",
            "port": self.port,
            "unix_socket_directories": self.socket_dir,
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "shared_buffers": "64MB",
        }
        return [f"--{name}={value}" for name, value in settings.items()]

    def _answers(self) -> bool:
        try:
            return bool(self.execute("select 1"))
        except psycopg.OperationalError:
            return False


def _postgres_bin_dir(major: int | None) -> Path:
    """Debian's directory of that major version, by default of the newest."""
    found = {
        int(initdb.parent.parent.name): initdb.parent
        for initdb in Path("/usr/lib/postgresql").glob("*/bin/initdb")
    }
    if major is None and found:
        major = max(found)
    if major not in found:
        raise ServerError(f"there is no PostgreSQL {major or ''}\nHINT: apt-get install postgresql")
    return found[major]


def _unprivileged_user() -> User | None:
    """Somebody for root to be; None when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return User(entry.pw_uid, entry.pw_gid)
    raise ServerError("neither the user postgres nor nobody exists")


@contextlib.contextmanager
def postgres_server(
    directory: Path,
    *,
    major: int | None = None,
    tcp: bool = False,
    password: str | None = None,
) -> Iterator[PostgresServer]:
    """A started PostgreSQL server with all its files in `directory`.

    Anybody may log in as anybody (trust), unless `password` is given: then it is the superuser's,
    and every login needs one (scram-sha-256).
    """
    server = PostgresServer(directory, major=major, tcp=tcp, password=password)
    server.start()
    try:
        yield server
    finally:
        server.stop("immediate")
