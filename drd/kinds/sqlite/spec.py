"""What makes the kind `sqlite` known."""

from drd.kinds.sqlite.settings import SqliteSettings, SqliteTarget
from drd.ports.kinds import KindSpec

SPEC = KindSpec("sqlite", SqliteSettings, SqliteTarget, holds="tables", comparison="rows")
