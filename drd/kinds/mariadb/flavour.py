"""How the programs, options and statements of MariaDB and MySQL differ.

The version that a server reports shows its product. Each difference is a value in this module: all
other modules use the same code for both products.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_SESSION = (
    # So that values print the same in every server, and no limit for applications ends our work.
    "SET SESSION time_zone = '+00:00'",
    "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
    "SET SESSION wait_timeout = 86400",
    "SET SESSION net_write_timeout = 86400",
    "SET SESSION net_read_timeout = 86400",
    "SET SESSION lock_wait_timeout = 60",
    "SET SESSION innodb_lock_wait_timeout = 60",
    "SET SESSION group_concat_max_len = 1048576",
)


_SANDBOX = {
    "skip-networking": "1",
    "performance-schema": "0",
    "local-infile": "0",
    # Events of the data would run as soon as they are made.
    "event-scheduler": "OFF",
    "skip-name-resolve": "1",
    "max-allowed-packet": "1G",
    "innodb-flush-log-at-trx-commit": "0",
    "innodb-doublewrite": "0",
    "innodb-buffer-pool-size": "256M",
    "innodb-buffer-pool-load-at-startup": "0",
    "innodb-buffer-pool-dump-at-shutdown": "0",
    "key-buffer-size": "16M",
    "lc-messages": "en_US",
}
"""Settings of every sandbox, for speed and for safety: its data need not survive a crash. They are
recorded with the measured RTA."""


@dataclass(frozen=True, slots=True)
class Flavour:
    """One product. `version` finds the version in what its programs print for `--version`,
    `programs` says where its programs come from. `limit` and `limited` have places for seconds and
    milliseconds; `limited` also for what follows SELECT.

    `blocks_ddl`, `blocks_commits` and `unblocks` are the statements around the moment of a backup,
    `tries_to_block` are harmless statements that show whether the login has the rights for them.
    `whole_server` are the rights of a backup that drd reads in the list of rights, because no
    harmless statement shows them.

    `rewrites` says of types of columns of which a dump may change values why it may. `ties` are
    words in the definition of a table that only a server with the same tablespaces,
    directories or keys can make. `everybody` lists user, host and `Y` for a role; `roles_of` the
    roles of a user as host (empty if roles have no host), name and admin option; `default_roles`
    lists host and name. `client_since` are the first versions of each series whose client knows
    `load_options`."""

    key: str
    name: str
    oldest: tuple[int, int]
    dump: str
    client: str
    server: str
    installer: str
    packages: Mapping[str, str]
    version: re.Pattern[str]
    get_programs: str
    image: str
    # Sessions
    session: tuple[str, ...]
    limit: str
    limited: str
    limits_writes: bool
    # Reading a database
    digest: str
    properties: str
    has_comments: bool
    foreign_keys: str
    ties: tuple[str, ...]
    untie: str
    rewrites: Mapping[str, str]
    # The moment of a backup
    tries_to_block: tuple[str, ...]
    blocks_ddl: tuple[str, ...]
    blocks_commits: tuple[str, ...]
    unblocks: tuple[str, ...]
    whole_server: tuple[str, ...]
    # Users
    reads_server: tuple[str, ...]
    recovers_server: tuple[str, ...]
    recovers_more: tuple[str, ...]
    with_password: tuple[str, ...]
    with_socket: tuple[str, ...]
    lets_others_in: tuple[str, ...]
    readable: tuple[str, ...]
    own_users: frozenset[str]
    roles_have_hosts: bool
    everybody: str
    roles_of: str
    default_roles: str
    sets_default_roles: str
    longest_user: int
    # Programs
    dump_options: tuple[str, ...]
    history_options: tuple[str, ...]
    load_options: tuple[str, ...]
    client_since: tuple[tuple[int, int, int], ...]
    ask_options: tuple[str, ...]
    settings: Mapping[str, str]
    made_with: tuple[str, ...]
    install_options: tuple[str, ...]

    def bounded(self, rest: str, limit_s: float) -> str:
        """Return a query that the server ends after some seconds; `rest` is what follows SELECT."""
        return self.limited.format(seconds=limit_s, milliseconds=limit_s * 1000, rest=rest)


MARIADB = Flavour(
    key="mariadb",
    name="MariaDB",
    # The first version that renames several tables in one step that a crash cannot divide.
    oldest=(10, 6),
    dump="mariadb-dump",
    client="mariadb",
    server="mariadbd",
    installer="mariadb-install-db",
    packages={
        "mariadb-dump": "mariadb-client",
        "mariadb": "mariadb-client",
        "mariadbd": "mariadb-server-core",
        "mariadb-install-db": "mariadb-server-core",
        "mariadb-backup": "mariadb-backup",
        "mariadb-binlog": "mariadb-client",
        "innochecksum": "mariadb-server-core",
    },
    version=re.compile(r"(\d+\.\d+\.\d+)-MariaDB"),
    get_programs="install MariaDB's own programs (apt-get install mariadb-client), or set "
    "`bin_dir` to their directory.",
    image="mariadb:11.8",
    session=(*_SESSION, "SET SESSION max_statement_time = 0"),
    limit="SET SESSION max_statement_time = {seconds:.2f}",
    limited="SET STATEMENT max_statement_time = {seconds:.2f} FOR SELECT {rest}",
    limits_writes=True,
    digest="MD5({0})",
    properties="""
SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME, SCHEMA_COMMENT
  FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s""",
    has_comments=True,
    foreign_keys="INNODB_SYS_FOREIGN",
    ties=("DATA DIRECTORY", "INDEX DIRECTORY", "`encrypted`='yes'"),
    untie="for an encrypted table: ALTER TABLE NAME ENCRYPTED=NO (drd encrypts what it stores; "
    "tables that are encrypted only by innodb_encrypt_tables can be restored anywhere). For one "
    "with a directory: make a table without this option, and copy the rows.",
    rewrites={"float": "mariadb-dump writes a FLOAT with six digits"},
    tries_to_block=("BACKUP STAGE START", "BACKUP STAGE END"),
    blocks_ddl=("BACKUP STAGE START", "BACKUP STAGE FLUSH", "BACKUP STAGE BLOCK_DDL"),
    blocks_commits=("BACKUP STAGE BLOCK_COMMIT",),
    unblocks=("BACKUP STAGE END",),
    whole_server=(),
    reads_server=("RELOAD", "SHOW DATABASES"),
    recovers_server=(
        "CREATE USER", "SET USER", "RELOAD", "PROCESS", "SHOW DATABASES", "CONNECTION ADMIN",
    ),
    recovers_more=(),
    # Locked in effect: nobody knows a password with this hash.
    with_password=(
        "CREATE USER IF NOT EXISTS {who} IDENTIFIED VIA mysql_native_password",
        "    USING '*0000000000000000000000000000000000000000';",
        "-- For a new user: ALTER USER {who} IDENTIFIED BY 'the password in the dsn';",
    ),
    with_socket=("CREATE USER IF NOT EXISTS {who} IDENTIFIED VIA unix_socket{others};",),
    lets_others_in=(
        "-- This lets in {systems}, too. If the user existed before, it may not:",
        "-- ALTER USER {who} IDENTIFIED VIA unix_socket{others};",
    ),
    readable=("mysql.global_priv", "mysql.roles_mapping", "mysql.proc"),
    own_users=frozenset({"root", "mariadb.sys", "mysql"}),
    roles_have_hosts=False,
    everybody="SELECT User, Host, is_role FROM mysql.user ORDER BY is_role DESC, 1, 2",
    roles_of="SELECT '', Role, Admin_option FROM mysql.roles_mapping WHERE User = %s AND Host = %s",
    default_roles="""
SELECT '', default_role FROM mysql.user WHERE User = %s AND Host = %s AND default_role <> ''""",
    sets_default_roles="SET DEFAULT ROLE {roles} FOR {who}",
    longest_user=80,
    dump_options=(),
    history_options=("--dump-history",),
    load_options=("--sandbox",),
    client_since=(
        (10, 5, 25), (10, 6, 18), (10, 11, 8), (11, 0, 6), (11, 1, 5), (11, 2, 4), (11, 4, 2),
    ),
    ask_options=("--skip-ssl", "--sandbox"),
    settings={
        **_SANDBOX,
        "skip-log-bin": "1",
        "skip-slave-start": "1",
        "innodb-log-file-size": "64M",
        "innodb-undo-tablespaces": "0",
        "aria-pagecache-buffer-size": "32M",
    },
    made_with=("innodb-log-file-size", "innodb-undo-tablespaces"),
    install_options=(
        "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
    ),
)  # fmt: skip

MYSQL = Flavour(
    key="mysql",
    name="MySQL",
    # The first series with roles, and with a data dictionary that a crash cannot divide.
    oldest=(8, 0),
    dump="mysqldump",
    client="mysql",
    server="mysqld",
    installer="mysqld",
    packages=dict.fromkeys(("mysqldump", "mysql", "mysqld"), "MySQL's own packages"),
    version=re.compile(r"\A(?!.*MariaDB).*?Ver (\d+\.\d+\.\d+)", re.DOTALL),
    get_programs="install MySQL's own programs (packages mysql-community-client and "
    "mysql-community-server-core of https://dev.mysql.com/downloads/; Debian 13 does not have "
    "them), or set `bin_dir` to their directory. MariaDB's programs of the same names do not fit.",
    image="mysql:8.4",
    session=(
        *_SESSION,
        "SET SESSION max_execution_time = 0",
        # Without this, the server reports sizes of tables that are up to a day old.
        "SET SESSION information_schema_stats_expiry = 0",
        # Hashes of passwords contain bytes that are no text.
        "SET SESSION print_identified_with_as_hex = ON",
    ),
    limit="SET SESSION max_execution_time = {milliseconds:.0f}",
    limited="SELECT /*+ MAX_EXECUTION_TIME({milliseconds:.0f}) */ {rest}",
    limits_writes=False,
    digest="SHA2({0}, 256)",  # since 9.6, MD5 is in a component that a server may not have
    properties="""
SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME, ''
  FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s""",
    has_comments=False,
    foreign_keys="INNODB_FOREIGN",
    ties=("TABLESPACE", "DATA DIRECTORY", "ENCRYPTION='Y'"),
    untie="for a table of a tablespace: ALTER TABLE NAME TABLESPACE innodb_file_per_table. For an "
    "encrypted table: ALTER TABLE NAME ENCRYPTION='N' (drd encrypts what it stores), or use "
    "kind `command` with mysqldump.",
    rewrites={
        "float": "mysqldump writes a FLOAT with six digits",
        "json": "mysqldump writes JSON as text, so a DECIMAL in JSON comes back as DOUBLE",
    },
    tries_to_block=("LOCK INSTANCE FOR BACKUP", "UNLOCK INSTANCE"),
    blocks_ddl=("LOCK INSTANCE FOR BACKUP",),
    blocks_commits=("SET SESSION lock_wait_timeout = 20", "FLUSH TABLES WITH READ LOCK"),
    unblocks=("UNLOCK TABLES", "UNLOCK INSTANCE", "SET SESSION lock_wait_timeout = 60"),
    whole_server=("RELOAD", "BACKUP_ADMIN", "SHOW_ROUTINE"),
    reads_server=("RELOAD", "SHOW DATABASES", "BACKUP_ADMIN", "SHOW_ROUTINE"),
    recovers_server=(
        "CREATE USER", "CREATE ROLE", "RELOAD", "PROCESS", "SHOW DATABASES", "SUPER",
        "CONNECTION_ADMIN", "ROLE_ADMIN", "SYSTEM_USER", "SHOW_ROUTINE",
    ),
    recovers_more=(
        "/*!80200 GRANT SET_ANY_DEFINER, ALLOW_NONEXISTENT_DEFINER ON *.* TO {who} */;",
        "-- Only for a server of 8.0 or 8.1: GRANT SET_USER_ID ON *.* TO {who};",
    ),
    with_password=(
        "CREATE USER IF NOT EXISTS {who} IDENTIFIED WITH caching_sha2_password ACCOUNT LOCK;",
        "-- For a new user:",
        "-- ALTER USER {who} IDENTIFIED BY 'the password in the dsn' ACCOUNT UNLOCK;",
    ),
    with_socket=(
        "-- If the server refuses auth_socket: INSTALL PLUGIN auth_socket SONAME 'auth_socket.so';",
        "CREATE USER IF NOT EXISTS {who} IDENTIFIED WITH auth_socket;",
    ),
    lets_others_in=(
        "-- auth_socket lets in one system user, and this does not let in {systems}. Give the",
        "-- user a password, and write it into dsn; or, as long as only {systems} needs it:",
        "-- ALTER USER {who} IDENTIFIED WITH auth_socket AS {first};",
    ),
    readable=("mysql.user", "mysql.role_edges", "mysql.default_roles", "mysql.procs_priv"),
    own_users=frozenset({"root", "mysql.sys", "mysql.session", "mysql.infoschema"}),
    roles_have_hosts=True,
    everybody="SELECT User, Host, 'N' FROM mysql.user ORDER BY 1, 2",
    roles_of="""
SELECT FROM_HOST, FROM_USER, WITH_ADMIN_OPTION FROM mysql.role_edges
 WHERE TO_USER = %s AND TO_HOST = %s ORDER BY 2, 1""",
    default_roles="""
SELECT DEFAULT_ROLE_HOST, DEFAULT_ROLE_USER FROM mysql.default_roles
 WHERE USER = %s AND HOST = %s ORDER BY 2, 1""",
    sets_default_roles="SET DEFAULT ROLE {roles} TO {who}",
    longest_user=32,
    dump_options=("--set-gtid-purged=OFF", "--column-statistics=0"),
    history_options=(),
    load_options=("--skip-system-command",),
    client_since=((8, 0, 40), (8, 4, 3), (9, 1, 0)),
    ask_options=("--ssl-mode=DISABLED", "--skip-system-command"),
    settings={
        **_SANDBOX,
        "mysqlx": "0",
        "disable-log-bin": "1",
        "auto-generate-certs": "0",
        "caching-sha2-password-auto-generate-rsa-keys": "0",
        "loose-innodb-redo-log-capacity": "128M",
    },
    made_with=(
        "mysqlx", "auto-generate-certs", "caching-sha2-password-auto-generate-rsa-keys",
        "innodb-flush-log-at-trx-commit", "innodb-doublewrite", "loose-innodb-redo-log-capacity",
    ),
    install_options=("--initialize-insecure",),
)  # fmt: skip

FLAVOURS: Mapping[str, Flavour] = {one.key: one for one in (MARIADB, MYSQL)}


def ways_in(lines: Sequence[str], who: str, systems: Sequence[str]) -> list[str]:
    """Return the statements of a flavour by which the system users `systems` may log in through the
    socket as the user `who`, although they have other names."""
    quoted = ["'" + name.replace("'", "''") + "'" for name in systems]
    others = "".join(f" OR unix_socket USING {name}" for name in quoted)
    first, named = next(iter(quoted), ""), ", ".join(systems)
    return [line.format(who=who, others=others, first=first, systems=named) for line in lines]


def of_server(version: str) -> Flavour:
    """Return the product of a server by the version that it reports. Percona Server reports a
    version of MySQL."""
    return MARIADB if "mariadb" in version.lower() else MYSQL


def of_facts(facts: Mapping[str, Any]) -> Flavour:
    """Return the product of the server of which a restore point is a backup. Restore points of
    MariaDB do not name it."""
    return FLAVOURS[facts.get("product", MARIADB.key)]


def facts_of(flavour: Flavour) -> dict[str, str]:
    """Return the facts of a restore point that name its product. `of_facts` reads them."""
    return {} if flavour is MARIADB else {"product": flavour.key}


def of_program(name: str) -> Flavour:
    """Return the product that has a program of this name."""
    return next(one for one in FLAVOURS.values() if name in one.packages)
