"""The daemon's API for people and programs on its host: HTTP and JSON over a Unix socket.

The kernel identifies the caller (`caller`), one table holds the rights (`rights`), requests hold
names, declared options and bounded text (`requests`), answers are the documents of the command line
(`documents`). The form is versioned, and documented in docs/api.md."""
