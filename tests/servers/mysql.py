"""MySQL, which Debian 13 does not have, started as a child and thrown away."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.servers.mariadb import MariadbServer, which


class MysqlServer(MariadbServer):
    """A MySQL server on a Unix socket, and with `tcp` on loopback."""

    needed = ("mysqld", "mysql", "mysqldump")
    made_with = (
        "--mysqlx=OFF",
        "--auto-generate-certs=OFF",
        "--caching-sha2-password-auto-generate-rsa-keys=OFF",
    )
    template = "mysql-template"
    hint = "install MySQL's own programs: https://dev.mysql.com/downloads/"

    @classmethod
    def missing(cls) -> list[str]:
        """MySQL's programs that this host does not have; MariaDB has some of the same names."""
        return [name for name in cls.needed if not _is_of_mysql(which(name))]

    def install(self, new: Path) -> list[str]:
        return [
            str(which("mysqld")), "--no-defaults", "--initialize-insecure",
            f"--datadir={new / 'data'}", f"--tmpdir={new}", *self.made_with,
            "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0",
        ]  # fmt: skip


def _is_of_mysql(path: str | None) -> bool:
    if path is None:
        return False
    done = subprocess.run(
        [path, "--no-defaults", "--version"], check=False, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    return done.returncode == 0 and "MariaDB" not in done.stdout
