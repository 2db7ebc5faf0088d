"""Which version of the tables this code reads and writes."""

HEAD = "0006"
"""The newest revision in `migrations/versions`; revisions are numbers of four digits."""
