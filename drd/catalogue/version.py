"""The version of the tables that this code reads and writes."""

import os

HEAD = max(
    name[1:5]
    for name in os.listdir(os.path.join(os.path.dirname(__file__), "migrations", "versions"))  # noqa: PTH118, PTH120, PTH208 (drd status has no time for pathlib)
    if name[0] == "v"
)
"""The newest revision in `migrations/versions`. Revisions are numbers of four digits."""
