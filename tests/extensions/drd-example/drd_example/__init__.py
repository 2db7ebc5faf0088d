"""A package that adds to drd."""
