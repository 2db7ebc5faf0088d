"""MariaDB as it comes with Debian, started as a child and thrown away."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pymysql

from tests.servers.child import LOOPBACK, Child, ServerError, User, free_ports, tied_to_us


class MariadbServer:
    """A MariaDB server on a Unix socket, and with `tcp` on loopback. Its administrator is root,
    without a password. Root cannot run MariaDB: then it runs as nobody, who has to get through to
    `directory`. `options` come after all others."""

    needed: tuple[str, ...] = ("mariadbd", "mariadb-install-db", "mariadb", "mariadb-dump")
    made_with: tuple[str, ...] = ("--innodb-log-file-size=16M", "--innodb-undo-tablespaces=0")
    template = "mariadb-template"
    hint = "apt-get install --no-install-recommends mariadb-server-core mariadb-client"

    def __init__(self, directory: Path, *, tcp: bool = False, options: Sequence[str] = ()) -> None:
        if missing := self.missing():
            raise ServerError(f"{', '.join(missing)} missing\nHINT: {self.hint}")
        self.directory = directory.resolve()
        self.socket = self.directory / "s"
        self.port = free_ports(1)[0]
        self._tcp = tcp
        self._options = options
        self.user = _unprivileged_user()
        self._child: Child | None = None

    @classmethod
    def missing(cls) -> list[str]:
        """The programs that this host does not have."""
        return [name for name in cls.needed if which(name) is None]

    def dsn(
        self, database: str, user: str = "root", password: str = "", *, tcp: bool = False
    ) -> str:
        """An address, with the password in it if there is one."""
        login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        name = quote(database, safe="")
        if tcp:
            return f"mariadb://{login}@{LOOPBACK}:{self.port}/{name}"
        return f"mariadb://{login}@/{name}?{urlencode({'socket': str(self.socket)}, safe='/')}"

    def execute(self, *statements: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run statements as root; the rows of the last one."""
        connection = pymysql.connect(
            unix_socket=str(self.socket), user="root", database=database, autocommit=True,
            charset="utf8mb4", connect_timeout=5,
        )  # fmt: skip
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def start(self) -> None:
        """Start it, and return when it answers. Does nothing while it runs."""
        if self._child is not None:
            return
        data = self.directory / "data"
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.user is not None:
            os.chown(self.directory, self.user.uid, self.user.gid)
        if not data.exists():
            self._as_user(["cp", "-a", "--reflink=auto", str(self._template()), str(data)])
        argv = [
            str(which(self.needed[0])), "--no-defaults", f"--datadir={data}",
            f"--socket={self.socket}", f"--pid-file={self.directory / 'pid'}",
            f"--tmpdir={self.directory}", *self.made_with, "--innodb-flush-log-at-trx-commit=0",
            "--innodb-doublewrite=0", "--innodb-buffer-pool-size=64M", "--skip-log-bin",
            "--event-scheduler=OFF", "--lc-messages=en_US", "--local-infile=1",
        ]  # fmt: skip
        argv += [f"--port={self.port}", f"--bind-address={LOOPBACK}"] if self._tcp else [
            "--skip-networking"]  # fmt: skip
        argv += self._options
        child = Child(argv, self.directory / "mariadb.log", user=self.user)
        child.wait_until(self._answers, 120)
        self._child = child

    def stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end(signal.SIGKILL, 10)

    def _template(self) -> Path:
        """The files of a server that nothing has used, made once in a run of the tests."""
        run = Path(os.environ.get("DRD_TEST_RUN") or self.directory)
        home = run / self.template
        if not home.exists():
            new = Path(tempfile.mkdtemp(prefix="mariadb-", dir=run))
            if self.user is not None:
                os.chown(new, self.user.uid, self.user.gid)
            self._as_user(self.install(new))
            with contextlib.suppress(OSError):  # another process was quicker
                new.rename(home)
        return home / "data"

    def install(self, new: Path) -> list[str]:
        """The command that makes the files of a new server in `new / "data"`."""
        return [
            str(which("mariadb-install-db")), "--no-defaults", f"--datadir={new / 'data'}",
            "--auth-root-authentication-method=normal", "--skip-test-db",
            "--skip-name-resolve", f"--tmpdir={new}", *self.made_with,
        ]  # fmt: skip

    def _as_user(self, argv: list[str]) -> None:
        done = subprocess.run(
            tied_to_us(argv, user=self.user), check=False, capture_output=True, text=True,
            cwd=self.directory, stdin=subprocess.DEVNULL, timeout=240,
        )  # fmt: skip
        if done.returncode != 0:
            raise ServerError(f"{Path(argv[0]).name}: exit {done.returncode}\n{done.stderr}")

    def _answers(self) -> bool:
        try:
            return bool(self.execute("select 1"))
        except pymysql.err.OperationalError:
            return False


def which(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin")


def _unprivileged_user() -> User | None:
    """Somebody for root to be; None when we are not root."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return User(entry.pw_uid, entry.pw_gid)


@contextlib.contextmanager
def mariadb_server(
    directory: Path, *, tcp: bool = False, options: Sequence[str] = ()
) -> Iterator[MariadbServer]:
    """A started MariaDB server with all its files in `directory`."""
    server = MariadbServer(directory, tcp=tcp, options=options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
