"""The migrations of Alembic: how the tables were changed, one file for each version."""
