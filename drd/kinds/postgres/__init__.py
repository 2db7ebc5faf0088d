"""PostgreSQL: a whole database, with the roles and settings that it needs."""
