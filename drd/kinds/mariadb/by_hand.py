"""Restore a database of MariaDB or MySQL by hand, with restic and mariadb or mysql."""

from __future__ import annotations

from collections.abc import Callable
from shlex import quote

from drd.errors import SecretUnavailable
from drd.kinds.inside import by_hand_in
from drd.kinds.mariadb import dsn
from drd.kinds.mariadb.address import Address
from drd.kinds.mariadb.inspect import KEY_TEXT
from drd.kinds.mariadb.settings import MariadbTarget
from drd.model.plan import Component, SecretRef
from drd.ports.by_hand import SAME_ROWS, ByHand, Passage
from drd.process import container_of

_OWN_SERVER = """\
Connect to a server of the same product (MariaDB or MySQL), of the same series or newer, as an \
administrator. If the backup is of MySQL, first install the program mysql from MySQL's packages: \
the commands then use it, and not mariadb. These commands use the server of this host, as root \
through its socket. To use another server, first write its login into a file of mode 0600 \
([client], user, password, host) and set LOGIN to --defaults-extra-file=FILE:"""
_OWN_LOGIN = 'LOGIN="${LOGIN:---user=root}"\n'
_RUN_SQL = """\
run_sql() { # COMPONENT LOGIN OPTIONS…: run SQL with the client of the product of the backup
    local component=$1 login=$2
    shift 2
    if [[ $(fact "$component" product 2>/dev/null) == mysql ]]; then
        mysql "$login" --batch --skip-system-command "$@"
    else
        mariadb "$login" --batch --sandbox "$@"
    fi
}
"""


def by_hand(
    component: Component,
    target: object | None,
    *,
    place: str,
    resolve: Callable[[SecretRef], str],
) -> ByHand:
    name = component.name
    placed = target if isinstance(target, MariadbTarget) else component.settings
    container = container_of(placed)
    inner = () if container is None else (by_hand_in(container, name),)
    if not isinstance(target, MariadbTarget) or container is not None:
        database = f'"$(fact {name} database)"'
        words = f'run_sql {name} "$LOGIN" --database={database}'
        login = _RUN_SQL + _OWN_LOGIN
        return ByHand(
            (*inner, Passage(_OWN_SERVER, login, always=True), *_passages(name, database)),
            ask=f"{words} --skip-column-names -e",
            change=f"{words} -e",
            feed=words,
            values={"database": database},
            environment=f"MYSQL_DATABASE={database}",
            key_text=KEY_TEXT,
        )
    try:
        parts = dsn.parse(resolve(target.dsn))
    except ValueError as error:
        raise SecretUnavailable(f"the dsn of the target {error}", hint=f"{dsn.FORM}.") from None
    file = f"{place}/mariadb.cnf"
    login = f'LOGIN=--defaults-extra-file="$KIT/{file}"\n'
    if target.bin_dir is not None:
        login += f'export PATH={quote(target.bin_dir)}:"$PATH"\n'
    database = quote(parts.database)
    words = f'run_sql {name} --defaults-extra-file="$KIT/{file}" --database={database}'
    said = (
        f"Connect to the target, database {parts.database}; the kit has the login. If the backup "
        "is of MySQL, first install the program mysql from MySQL's packages: the commands then use "
        "it, and not mariadb:"
    )
    if not parts.user:
        parts = parts._replace(user="root")
    where = (
        {"host": parts.host, "port": str(parts.port)} if parts.host else {"socket": parts.socket}
    )
    return ByHand(
        (Passage(said, _RUN_SQL + login, always=True), *_passages(name, database)),
        files={file: Address(parts).options(None).encode()},
        ask=f"{words} --skip-column-names -e",
        change=f"{words} -e",
        feed=words,
        values={key: quote(v) for key, v in {**where, "user": parts.user}.items()}
        | {"database": database},
        environment=f"MYSQL_DATABASE={database}",
        key_text=KEY_TEXT,
    )


def _passages(name: str, database: str) -> tuple[Passage, ...]:
    return (
        _empty(name, database),
        _fetched(name),
        _filled(name),
        _code(name),
        _compared(name, database),
    )


def _fetched(name: str) -> Passage:
    fetch = f"""\
restic dump "$(snapshot {name})" "/$(fact {name} filename)" > {name}.sql
tail -n 1 {name}.sql | grep -q '^-- Dump completed' # else the dump is cut off
for part in database_sql users_sql objects_sql; do
    jq -er '.private["{name}"].'$part manifest.json > {name}.$part
done
"""
    return Passage("Fetch the dump of the tables, and the SQL of everything else:", fetch)


def _empty(name: str, database: str) -> Passage:
    check = f"""\
TARGET={database}
[[ $TARGET != *[\\`\\'\\\\]* ]] || # the next commands could not quote it
    {{ echo "a database cannot have the name ${{TARGET@Q}} here:" \\
        "give another name in a target"; false; }}
found=$(run_sql {name} "$LOGIN" --skip-column-names -e "select
    (select count(*) from information_schema.tables where table_schema = '$TARGET') +
    (select count(*) from information_schema.routines where routine_schema = '$TARGET') +
    (select count(*) from information_schema.events where event_schema = '$TARGET')")
[[ $found == 0 ]] || {{ echo "database $TARGET exists and is not empty"; false; }}
CLIENT=mariadb DROP="drop database if exists \\`$TARGET\\`"
[[ $(fact {name} product 2>/dev/null) != mysql ]] || CLIENT=mysql
"""
    return Passage("No database of this name may exist, unless it is empty:", check)


def _filled(name: str) -> Passage:
    make = f"""\
run_sql {name} "$LOGIN" -e "$DROP"
run_sql {name} "$LOGIN" --binary-mode < <(jq -er --arg target "$TARGET" '
    .private["{name}"].database_sql | sub("^CREATE DATABASE `(``|[^`])+`";
    "CREATE DATABASE `\\($target)`")' manifest.json)
OWN=$(fact {name} database)
quoted() {{ sed 's/[][\\\\/.*^$&]/\\\\&/g'; }} # for the commands of sed
pattern() {{ sed 's/[\\\\_%]/\\\\&/g'; }} # as GRANT writes a name
FROM=$(quoted <<< "${{OWN//\\`/\\`\\`}}") TO=$(quoted <<< "$TARGET")
FROM_ALL=$(pattern <<< "${{OWN//\\`/\\`\\`}}" | quoted) TO_ALL=$(pattern <<< "$TARGET" | quoted)
LC_ALL=C sed "/^  \\`/s/val(\\`$FROM\\`\\./val(\\`$TO\\`./g" {name}.sql | # sequences, too
    run_sql {name} "$LOGIN" --binary-mode --local-infile=0 --database="$TARGET"
"""
    return Passage(
        "Create the database with the character set that it had at the backup, and load the "
        "tables:",
        make,
        makes="$CLIENT ${LOGIN@Q} -e ${DROP@Q}",
    )


def _code(name: str) -> Passage:
    code = f"""\
LC_ALL=C sed -e "s/ ON \\([A-Z ]*\\)\\`$FROM\\`\\./ ON \\1\\`$TO\\`./" \\
    -e "s/ ON \\`$FROM_ALL\\`\\.\\*/ ON \\`$TO_ALL\\`.*/" {name}.users_sql > {name}.users_here
make_users() {{
    run_sql {name} "$LOGIN" --binary-mode --force < {name}.users_here
}}
make_users 2>/dev/null || true # a view over another view needs the users of that one
LC_ALL=C sed "/^CREATE .*VIEW /s/\\`$FROM\\`\\./\\`$TO\\`./g" \\
    {name}.objects_sql > {name}.objects_here
COLLATION=
for KEPT in $(sed -n 's/^ALTER DATABASE COLLATE `\\([A-Za-z0-9_]*\\)` [$]drd[$]$/\\1/p' \\
    {name}.objects_here | sort -u); do
    COLLATION=$(fact {name} collation)
    [[ $COLLATION =~ ^[A-Za-z0-9_]+$ ]] # the next commands do not quote it
    ! run_sql {name} "$LOGIN" -e "set collation_connection = $KEPT" </dev/null || continue
    echo "this server does not have collation $KEPT: the texts in code that had it get $COLLATION"
    sed -i "s/^\\(ALTER DATABASE COLLATE\\) \\`$KEPT\\` /\\1 \\`$COLLATION\\` /" {name}.objects_here
done
run_sql {name} "$LOGIN" --binary-mode --database="$TARGET" < {name}.objects_here || {{
    [[ -z $COLLATION ]] || # else the database could keep that of an object
        run_sql {name} "$LOGIN" --database="$TARGET" -e "alter database collate $COLLATION"
    false
}}
make_users
"""
    return Passage(
        "Create the views, procedures, functions, triggers and events, and the missing users and "
        "their rights in the database. Existing users keep their logins. An error about a user "
        "does not stop the commands: read it. If the database has another name now, the commands "
        "replace its name in views and rights, but not inside procedures, functions, triggers and "
        "events:",
        code,
    )


def _compared(name: str, database: str) -> Passage:
    compare = f"""\
jq -r '.components[] | select(.component == "{name}") | .fingerprint.tables // {{}}
    | to_entries[] | [.key, .value[0]] | @tsv' manifest.json |
while IFS=$'\\t' read -r table expected; do
    found=$(run_sql {name} "$LOGIN" --skip-column-names --database="$TARGET" \\
        -e "select count(*) from \\`${{table//\\`/\\`\\`}}\\`" </dev/null)
{SAME_ROWS}done
"""
    return Passage(
        "For each table, compare the number of rows with the number at the backup:",
        compare,
        compares=True,
        there=f"""[[ $(run_sql {name} "$LOGIN" --database={database} --skip-column-names \\
        -e 'show tables' 2> /dev/null) != '' ]]""",
    )
