"""Run by Alembic, within a connection and a transaction that the catalogue opened. The transaction
spans all migrations, on SQLite as well: its DDL can be rolled back as long as the driver does not
commit by itself, and drd's driver does not.
"""

from alembic import context

from drd.catalogue import (  # noqa: F401 (they fill the metadata)
    daemon_tables,
    record_tables,
    summary_tables,
)
from drd.catalogue.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
