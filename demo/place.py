"""The demo's one short directory, with drd's configuration and the secrets in it."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from demo.data import DATABASE
from tests.servers import PostgresServer, S3Server

BUCKET = "acme-dr"

SETTINGS = """\
state: sqlite:///state/drd.db
plans: plans
work_dir: work
cache_dir: cache
"""


def address(server: PostgresServer) -> str:
    """Return how psql finds the orders database; the password is in PGPASSFILE."""
    return f"host={server.socket_dir} port={server.port} user={server.superuser} dbname={DATABASE}"


def write_secret(file: Path, secret: str) -> None:
    file.touch(mode=0o600)
    file.write_text(secret + "\n")


class Place:
    """Paths below `home`, which other users may pass through (sandbox servers of root must)."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.settings = home / "drd.yaml"
        self.plan = home / "plans/orders-api.yaml"
        self.credentials = home / "credentials"
        self.sessions = home / "api/sessions.db"
        self.configuration = home / "api/etc"
        self.before = home / "before"
        self.standby = home / "standby"

    @property
    def restored_configuration(self) -> Path:
        """A restored tree keeps its absolute paths below the target's directory."""
        return self.standby / "root" / self.configuration.relative_to("/")

    def make(self) -> None:
        for directory in ("api", "plans", "before", "standby", "work", "s3", "pg", "pg2"):
            (self.home / directory).mkdir()
        self.credentials.mkdir(mode=0o700)

    def write_plan(self, s3: S3Server, live: PostgresServer, standby: PostgresServer) -> None:
        """drd.yaml, the plan, and the secrets that it refers to, each in a file of mode 0600."""
        self.settings.write_text(SETTINGS)
        template = Path(__file__).with_name("plan.yaml").read_text()
        repository = s3.repository(BUCKET, "orders-api")
        self.plan.write_text(
            template.replace("@HOME@", str(self.home)).replace("@REPOSITORY@", repository)
        )
        for name, secret in {
            "orders-db-dsn": live.dsn(DATABASE),
            "standby-dsn": standby.dsn(DATABASE),
            "orders-restic": secrets.token_urlsafe(24),
            "orders-s3-id": s3.access_key,
            "orders-s3-key": s3.secret_key,
        }.items():
            write_secret(self.credentials / name, secret)

    def variables(self) -> dict[str, str]:
        """Return the variables that a shell needs for `drd` to find this place, as a shell reads
        them.
        """
        return {
            "DRD_CONFIG": str(self.settings),
            "CREDENTIALS_DIRECTORY": str(self.credentials),
            "PATH": f"{Path(sys.executable).parent}:$PATH",
        }

    def environment(self) -> Mapping[str, str]:
        """Return our environment, without variables that would redirect drd or PostgreSQL's
        tools.
        """
        ours = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "AWS_", "RESTIC_"))}
        drd = {
            k: v.replace("$PATH", ours.get("PATH", os.defpath)) for k, v in self.variables().items()
        }
        return {**ours, **drd}

    def write_passwords(self, *servers: PostgresServer) -> Mapping[str, str]:
        """Write a file with the servers' passwords; return the variable for psql and pg_dump that
        names it.
        """
        file = self.home / "pgpass"
        file.touch(mode=0o600)
        file.write_text("".join(f"*:{s.port}:*:*:{s.password}\n" for s in servers))
        return {"PGPASSFILE": str(file)}
