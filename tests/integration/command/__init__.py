"""Components that commands of a plan dump and restore."""
