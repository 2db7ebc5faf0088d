"""Check whether drd can receive the binary log of a server."""

from __future__ import annotations

from collections.abc import Iterator

from drd.kinds.mariadb import users
from drd.kinds.mariadb.connection import Connection
from drd.kinds.mariadb.physical import contents
from drd.model.finding import Finding
from drd.model.text import escaped
from drd.model.units import format_duration

NEEDED = ("REPLICATION SLAVE", "BINLOG MONITOR")
"""The rights on the whole server that the receiver needs."""

_ASKED = "SELECT @@GLOBAL.log_bin, @@GLOBAL.binlog_format, @@GLOBAL.log_slave_updates"
_KEPT = "SHOW GLOBAL VARIABLES LIKE 'binlog_expire_logs_seconds'"
_REPLICATES = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Slave%'"
_LEAST_S = 3600.0


def needs(connection: Connection, component: str) -> Iterator[Finding]:
    """Yield findings about rights and settings without which drd cannot receive the binary log.
    Raises ServerError."""
    held = users.held(connection, contents.SYSTEM)
    lacking = [] if "ALL PRIVILEGES" in held else [r for r in NEEDED if r not in held]
    if lacking:
        who = str(connection.value("SELECT CURRENT_USER()"))
        yield Finding(
            "rights", "error", component,
            f"the login does not have {', '.join(lacking)} on the whole server, which drd needs "
            "to receive the binary log",
            f"run as an administrator: GRANT {', '.join(NEEDED)} ON *.* TO {_account(who)};",
        )  # fmt: skip
        return
    row = connection.one(_ASKED)
    assert row is not None
    logs, form, updates = row
    if not int(logs):
        yield Finding(
            "binlog", "error", component, "the server has no binary log (log_bin is OFF)",
            "write `log_bin` and `binlog_format = ROW` below [mariadbd] into the configuration of "
            "the server, then restart it; or remove `binlog` from the component.",
        )  # fmt: skip
        return
    yield from _of_log(connection, component, str(form), replicates=not int(updates))


def _of_log(
    connection: Connection, component: str, form: str, *, replicates: bool
) -> Iterator[Finding]:
    if form.upper() != "ROW":
        yield Finding(
            "binlog-format", "error", component,
            f"binlog_format of the server is {escaped(form)}: such a log contains statements, and "
            "a statement can have another result when it is replayed",
            "run as an administrator: SET GLOBAL binlog_format = 'ROW'; and write the same into "
            "the configuration of the server. Open sessions keep the old format: end them.",
        )  # fmt: skip
    status = connection.one("SHOW MASTER STATUS")
    if status is not None and (left_out := [str(v) for v in status[2:4] if v]):
        yield Finding(
            "binlog-filter", "error", component,
            f"the server does not log all databases (binlog_do_db, binlog_ignore_db: "
            f"{escaped(', '.join(left_out))}), so drd cannot recover the changes of the other "
            "databases",
            "remove these settings from the configuration of the server, then restart it.",
        )  # fmt: skip
    if replicates and int(connection.value(_REPLICATES) or 0):
        yield Finding(
            "binlog-replica", "error", component,
            "the server is a replica, and does not write replicated changes to its binary log "
            "(log_slave_updates is OFF)",
            "write `log_slave_updates` below [mariadbd] into the configuration of the server, then "
            "restart it; or write the address of the primary into `dsn`.",
        )  # fmt: skip
    kept = connection.one(_KEPT)
    kept_s = float(kept[1]) if kept is not None else 0.0
    if 0 < kept_s < _LEAST_S:
        yield Finding(
            "binlog-expires", "warning", component,
            f"the server removes its binary logs after {format_duration(kept_s)} "
            "(binlog_expire_logs_seconds): if drd is down for longer, the stored log gets a gap",
            "run as an administrator: SET GLOBAL binlog_expire_logs_seconds = 259200; and write "
            "the same into the configuration of the server.",
        )  # fmt: skip
    else:
        how = f"after {format_duration(kept_s)}" if kept_s else "never by itself"
        text = f"the server removes its binary logs {how} (binlog_expire_logs_seconds)"
        yield Finding("binlog-expires", "ok", component, text)


def _account(who: str) -> str:
    user, _, host = who.rpartition("@")
    return f"'{escaped(user)}'@'{escaped(host)}'"
