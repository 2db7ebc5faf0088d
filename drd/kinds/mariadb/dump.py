"""Call mariadb-dump or mysqldump: it dumps tables and sequences only, and drd stores the code
separately."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from drd.kinds.mariadb.fingerprint import Tables
from drd.kinds.mariadb.flavour import MARIADB, Flavour
from drd.kinds.mariadb.tools import Program


def without_views(database: str, tables: Tables, flavour: Flavour = MARIADB) -> list[str]:
    """Return the lines of an option file that leave out views: there can be thousands."""
    views = [name for name, kind in tables.others.items() if kind == "view"]
    ignored = [f"ignore-table={_option_value(f'{database}.{name}')}" for name in views]
    return [f"[{flavour.dump}]", *ignored]


def _option_value(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def words(
    tool: Program,
    options: str,
    database: str,
    only: Iterable[str] = (),
    *,
    history: bool,
    flavour: Flavour = MARIADB,
) -> Sequence[str]:
    """Return the command that dumps a database (of its tables `only` these, if any are given) with
    the option file. With `history`, system-versioned tables are dumped with their history."""
    argv = [
        tool.path, f"--defaults-file={options}", "--single-transaction", "--quick",
        # It says then when it has its snapshot.
        "--verbose",
        "--no-tablespaces", "--skip-triggers", "--skip-dump-date", "--hex-blob",
        "--max-allowed-packet=1G", *flavour.dump_options,
        # With a lock of its table, no row gets into a table that takes numbers from a sequence.
        "--skip-add-locks",
    ]  # fmt: skip
    if history:
        argv += flavour.history_options
    return [*argv, "--", database, *only]
