"""The known state of a repository: its identity, its listing, its password, what it lacks."""
