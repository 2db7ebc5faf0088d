"""drd's tests. `servers` starts the real servers that they run against."""
