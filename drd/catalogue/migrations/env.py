"""Run by Alembic, within a connection and transaction that the catalogue opened."""

from alembic import context

from drd.catalogue.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite's DDL is transactional as long as the driver does not commit on its own, and ours
    # does not: a migration that fails leaves nothing behind.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
