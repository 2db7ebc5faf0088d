"""SQLite: one database file, copied consistently under its writers."""
