"""The known state of a repository: its identity, its listing, and what is missing in it."""
