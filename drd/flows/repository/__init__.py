"""What drd knows of a repository: its identity, its listing, its password, what is missing in
it."""
