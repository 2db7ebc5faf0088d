"""Examine what a backup of a whole server needs: rights in the server, its files, and that all of
its tables are in files that mariadb-backup copies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from drd.errors import SourceError
from drd.kinds.mariadb import users
from drd.kinds.mariadb.connection import Connection, ServerError, words
from drd.kinds.mariadb.physical import contents
from drd.kinds.mariadb.physical.confined import links_in, require_own
from drd.kinds.mariadb.physical.manifest import FILE_PATH
from drd.kinds.mariadb.physical.readable import unreadable
from drd.kinds.mariadb.quoting import literal
from drd.model.finding import Finding
from drd.model.text import escaped, some

NEEDED = ("RELOAD", "PROCESS", "BINLOG MONITOR", "SELECT", "SHOW VIEW", "SHOW DATABASES")
"""The rights on the whole server that a backup needs."""

_GRANTS = "run the script that `drd doctor PLAN --grants` prints."
_OTHER_KIND = "back up these databases with components of kind mariadb (docs/mariadb.md)."

_PLACES = (
    "innodb_data_home_dir", "innodb_log_group_home_dir", "innodb_undo_directory",
    "aria_log_dir_path",
)  # fmt: skip
"""Variables of the server that can lead out of its data directory."""

_OUTSIDE = """
SELECT FILENAME FROM information_schema.INNODB_SYS_TABLESPACES
 WHERE FILENAME LIKE '/%' LIMIT 20"""
_KEYS = """
SELECT PLUGIN_NAME FROM information_schema.PLUGINS
 WHERE PLUGIN_TYPE = 'ENCRYPTION' AND PLUGIN_STATUS = 'ACTIVE'"""

_ENGINES = """
SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME), ENGINE FROM information_schema.TABLES
 WHERE TABLE_SCHEMA NOT IN ('information_schema', 'performance_schema', 'sys')
   AND ENGINE IS NOT NULL AND ENGINE NOT IN ({known}) LIMIT 20"""

_BACKTICKS = """
SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) FROM information_schema.TABLES
 WHERE CONCAT(TABLE_SCHEMA, TABLE_NAME) LIKE '%`%' LIMIT 20"""


def setting(connection: Connection, name: str) -> str:
    """Return a variable of the server; empty if it is not set."""
    return str(connection.value(f"SELECT @@GLOBAL.{name}") or "")


def data_dir_of(connection: Connection) -> str:
    return os.path.normpath(setting(connection, "datadir"))


def examine(connection: Connection, component: str, named: str | None) -> Iterator[Finding]:
    """Yield a finding for each thing that a backup needs. `named` is the data directory that the
    plan names."""
    try:
        rights = _rights(connection, component)
        yield rights
        if rights.failed:
            return  # the others cannot be asked
        directory = data_dir_of(connection)
        yield _files(connection, component, directory)
        if named is not None and os.path.realpath(named) != os.path.realpath(directory):
            yield Finding(
                "data-dir", "warning", component,
                f"the plan says data_dir {named}, but the server works in {escaped(directory)}: a "
                "recovery in place would replace the directory in the plan",
                "correct `data_dir` of the component.",
            )  # fmt: skip
        yield from _left_out(connection, component, directory)
    except ServerError as error:
        text = f"drd cannot examine the server: {words(error)}"
        yield Finding("rights", "error", component, text, _GRANTS)


def _rights(connection: Connection, component: str) -> Finding:
    held = users.held(connection, contents.SYSTEM)
    lacking = [] if "ALL PRIVILEGES" in held else [r for r in NEEDED if r not in held]
    if lacking:
        text = f"the login does not have {', '.join(lacking)} on the whole server"
        return Finding("rights", "error", component, text, _GRANTS)
    return Finding("rights", "ok", component, "the login may copy and read the whole server")


def _files(connection: Connection, component: str, directory: str) -> Finding:
    """Check that mariadb-backup may read the files. Their server must be on this host."""
    first = setting(connection, "innodb_data_file_path").partition(":")[0]
    if not _is_here(Path(directory, first)):
        text = (
            f"the data directory {escaped(directory)} of the server is not on this host, and "
            "mariadb-backup reads the files of the server"
        )
        remedy = (
            "run drd on the host of the server (in a container: where drd sees this directory by "
            "the same name); or back up its databases with components of kind mariadb."
        )
        return Finding("files", "error", component, text, remedy)
    refused = unreadable(directory)
    if refused is not None:
        return Finding("files", "error", component, refused.text, refused.remedy)
    try:
        require_own(connection, directory)
    except SourceError as error:
        return Finding("files", "error", component, error.message, error.hint)
    return Finding("files", "ok", component, f"drd may read the files in {escaped(directory)}")


def _is_here(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:
        return True  # behind a directory that drd may not enter


def _left_out(connection: Connection, component: str, directory: str) -> Iterator[Finding]:
    outside = [
        f"{name} = {value}"
        for name in _PLACES
        if (value := setting(connection, name)) and _leads_out(value, directory)
    ]
    outside += [str(file) for (file,) in connection.rows(_OUTSIDE)]
    outside += links_in(directory)
    path = setting(connection, "innodb_data_file_path")
    if FILE_PATH.fullmatch(path) is None:
        outside.append(f"innodb_data_file_path = {path}")
    if outside:
        yield Finding(
            "outside", "error", component,
            f"the server has files outside of its data directory: {_some(outside)}",
            f"move the files into the data directory, or {_OTHER_KIND}",
        )  # fmt: skip
    if keys := [str(name) for (name,) in connection.rows(_KEYS)]:
        yield Finding(
            "encrypted", "error", component,
            f"the server can encrypt its tables (plugin {_some(keys)}), and drd does not have the "
            "keys, without which nothing of a copy of files can be read",
            f"{_OTHER_KIND}",
        )  # fmt: skip
    if quoted := [str(name) for (name,) in connection.rows(_BACKTICKS)]:
        yield Finding(
            "names", "error", component,
            f"mariadb-backup does not copy tables with a backtick in their name: {_some(quoted)}",
            f"rename the tables, or {_OTHER_KIND}",
        )  # fmt: skip
    known = ", ".join(map(literal, (*contents.COPIED, *contents.EMPTY, "SEQUENCE")))
    strange = connection.rows(_ENGINES.format(known=known))
    if strange:
        named = _some([f"{table} ({engine})" for table, engine in strange])
        yield Finding(
            "engines", "error", component,
            f"tables have storage engines whose files drd does not copy: {named}",
            f"change their engine (ALTER TABLE NAME ENGINE=InnoDB), or {_OTHER_KIND}",
        )  # fmt: skip


def _leads_out(value: str, directory: str) -> bool:
    there = os.path.realpath(os.path.join(directory, value))  # noqa: PTH118 - of the server
    return there != os.path.realpath(directory)


def _some(names: list[str]) -> str:
    return some([escaped(name) for name in names])
