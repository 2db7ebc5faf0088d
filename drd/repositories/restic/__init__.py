"""restic, and the library resticpy around it: the only home of both.

How restic is called:

- Short questions (version, init, cat config, snapshots, stats, list locks, unlock) go through
resticpy, which knows restic's options and parses its answers. resticpy itself would keep the
repository and password in module globals, read its environment from the whole process, wait
without a deadline and start restic outside of our process groups; so its one function that
starts a process is replaced by our `ResticRunner` (`library`), and its globals stay untouched.
- backup, restore, dump, forget of several ids, prune and check go through the door directly:
resticpy has no streams, or drops their output.
"""

from drd.repositories.restic.repository import ResticRepository

__all__ = ["ResticRepository"]
