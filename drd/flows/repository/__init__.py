"""The known state of a repository: its identity, its listing, what it lacks."""
