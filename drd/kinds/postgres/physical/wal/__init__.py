"""The WAL of a PostgreSQL server: received, stored and replayed."""
