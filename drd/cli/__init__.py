"""The command line: one module a verb group, every heavy import inside the command."""
