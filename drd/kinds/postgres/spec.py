"""What makes the kind `postgres` known."""

from drd.kinds.postgres.settings import PostgresSettings, PostgresTarget
from drd.ports.kinds import KindSpec

SPEC = KindSpec("postgres", PostgresSettings, PostgresTarget, holds="tables", comparison="rows")
