"""What the daemon answers to people and programs on its host: HTTP and JSON over a Unix socket.

The kernel says who asks (`caller`), one table says who may what (`rights`), requests hold names,
declared options and bounded text (`requests`), answers are the documents of the command line
(`documents`). The form is versioned, and documented in docs/api.md.
"""
