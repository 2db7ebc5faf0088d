"""Restore a PostgreSQL database by hand, with restic, psql and pg_restore."""

from __future__ import annotations

from collections.abc import Callable
from shlex import quote

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from drd.errors import SecretUnavailable
from drd.kinds.inside import by_hand_in
from drd.kinds.postgres.settings import PostgresTarget
from drd.model.plan import Component, SecretRef
from drd.ports.by_hand import SAME_ROWS, ByHand, Passage
from drd.process import container_of

_OWN_SERVER = """\
Connect to an empty cluster of the same major version or newer, as a superuser. These commands use \
the server of this host. If you are root, they first create a superuser root and remove it when \
this bash ends, because a fresh Debian lets only the system user postgres log in. To use another \
server, first set PGHOST, PGPORT, PGUSER and PGPASSFILE:"""

_OWN_LOGIN = """\
export PGHOST="${PGHOST:-/var/run/postgresql}" PGUSER="${PGUSER:-$(id -un)}"
PG_AS="env PGHOST=${PGHOST@Q} ${PGPORT:+PGPORT=$PGPORT }PGUSER=${PGUSER@Q}" # for later shells
"""
_OWN_POSTGRES = (
    '"runuser -u postgres -- env PGHOST=${PGHOST@Q} ${PGPORT:+PGPORT=$PGPORT }PGUSER=postgres"'
)

_WHOLE = "-X -q -v ON_ERROR_STOP=1"

_OBJECTS = """\
select count(*) from pg_class c join pg_namespace n on n.oid = relnamespace \
where nspname !~ '^pg_' and nspname <> 'information_schema'"""


def by_hand(
    component: Component,
    target: object | None,
    *,
    place: str,
    resolve: Callable[[SecretRef], str],
) -> ByHand:
    name = component.name
    in_container = target if isinstance(target, PostgresTarget) else component.settings
    container = container_of(in_container)
    if not isinstance(target, PostgresTarget) or container is not None:
        login = _OWN_LOGIN + _superuser("$EUID == 0 && $PGUSER == root", _OWN_POSTGRES)
        own = Passage(_OWN_SERVER, login, always=True)
        inner = () if container is None else (by_hand_in(container, name),)
        ask = f'psql -XAtq -d "$(fact {name} database)" -c'
        database = f'"$(fact {name} database)"'
        return ByHand(
            (*inner, own, *_ways(component, database)),
            ask=ask,
            change=f"psql {_WHOLE} -d {database} -c",
            feed=f"psql {_WHOLE} -d {database} -f -",
            values={"host": '"$PGHOST"', "database": database, "user": '"$PGUSER"'},
            environment=f"PGDATABASE={database}",
        )
    file = f"{place}/pg_service.conf"
    login = f'PGSERVICEFILE="$KIT/{file}" PGSERVICE={name}'
    parts = _parts(resolve(target.dsn))
    database = parts.get("dbname") or parts.get("user") or "postgres"
    connect = f"""\
export {login}
PG_AS="env PGSERVICEFILE=${{PGSERVICEFILE@Q}} PGSERVICE={name}" # for later shells
"""
    if target.bin_dir is not None:
        connect += f'export PATH={quote(target.bin_dir)}:"$PATH"\n'
    said = f"Connect to the target, database {database}; the kit has the login:"
    if parts.get("host", "/").startswith("/") and parts.get("user", "root") == "root":
        given = [key for key in ("host", "port") if key in parts]
        place_words = [f"--{key}={parts[key]}" for key in given]
        there = " ".join(f"PG{key.upper()}={quote(parts[key])}" for key in given)
        as_postgres = quote(f"runuser -u postgres -- env {there} PGUSER=postgres")
        connect += _superuser("$EUID == 0", as_postgres, *place_words)
    passages = _ways(component, quote(database), chosen=target.bin_dir is not None)
    return ByHand(
        (Passage(said, connect, always=True), *passages),
        files={file: service_file(name, parts)},
        ask=f"{login} psql -XAtq -d {quote(database)} -c",
        change=f"{login} psql {_WHOLE} -d {quote(database)} -c",
        feed=f"{login} psql {_WHOLE} -d {quote(database)} -f -",
        values={
            value: quote(parts[key])
            for value, key in (("host", "host"), ("port", "port"), ("user", "user"))
            if key in parts
        }
        | {"database": quote(database)},
        environment=f"{login} PGDATABASE={quote(database)}",
    )


def _superuser(condition: str, as_postgres: str, *server: str) -> str:
    """Return the commands that create a superuser root where the server knows none, and remove it
    when the shell ends. What it then owns, such as extensions, goes to postgres. `as_postgres` is a
    word of bash: what precedes a command in a later shell, when root is no superuser any more.
    """
    words = ("env", "-u", "PGSERVICE", "-u", "PGSERVICEFILE", "PGUSER=postgres")
    create = " ".join(map(quote, [*words, "createuser", *server, "--superuser", "root"]))
    remove = " ".join(
        map(quote, [*words, "sh", "-ec", _REMOVE.format(" ".join(map(quote, server)))])
    )
    after = quote(f"su postgres -c {quote(remove)} || true; ")  # what is left to do comes next
    return f"""\
if [[ {condition} ]] &&
    [[ $(psql -XAtq -d postgres -c 'show is_superuser' 2>/dev/null </dev/null) != on ]]; then
    su postgres -c {quote(create)}
    PG_AS={as_postgres}
    AT_END={after}"${{AT_END:-}}"
    trap 'eval "$AT_END"' EXIT
fi
"""


_REMOVE = """\
cd /
psql {0} -XAtq -d postgres -c "select datname from pg_database where datallowconn" |
while IFS= read -r name; do
    PGDATABASE="$name" psql {0} -XAq -c "reassign owned by root to postgres" </dev/null
done
dropuser {0} root"""


def _parts(dsn: str) -> dict[str, str]:
    """Return the keywords of a libpq connection string. Raises SecretUnavailable, without repeating
    it.
    """
    try:
        return {k: str(v) for k, v in conninfo_to_dict(dsn).items() if v is not None}
    except ProgrammingError:
        raise SecretUnavailable(
            "libpq cannot read the connection string",
            hint="write a URI (postgresql://…) or key=value pairs.",
        ) from None


def service_file(name: str, parts: dict[str, str]) -> bytes:
    """Return a service file, from which libpq reads a login."""
    lines = [f"{key}={value}" for key, value in sorted(parts.items()) if key != "service"]
    return "\n".join([f"[{name}]", *lines, ""]).encode()


def _harmless(file: str) -> str:
    """Return the commands that end the script if psql would take anything in the file, which comes
    from the repository, for a command of its own: psql runs programs.
    """
    return f"""\
! grep -n '\\\\' {file} ||
    {{ echo "{file} has a backslash, with which psql can run programs: check this line"; false; }}
"""


def _placed(name: str) -> str:
    """Return the commands that find out whether the server lacks a tablespace that the dump uses:
    then all tables go to the default one."""
    return f"""\
PLACED=()
pg_restore --schema-only --file=- {name}.dump |
    sed -n "s/^SET default_tablespace = \\(.*[^']\\);$/\\1/p" | sort -u > {name}.tablespaces
psql -XAtq -d postgres > {name}.tablespaces-here \\
    -c 'select quote_ident(spcname) from pg_tablespace'
if grep -v -x -F -f {name}.tablespaces-here {name}.tablespaces; then
    echo "This server lacks the tablespaces above: all tables go to the default tablespace."
    PLACED=(--no-tablespaces)
fi
"""


def _ways(component: Component, database: str, *, chosen: bool = False) -> tuple[Passage, ...]:
    if component.adopted:
        return _adopted_passages(component.name, database)
    return _passages(component.name, database, chosen=chosen)


def _adopted_passages(name: str, database: str) -> tuple[Passage, ...]:
    """The way back from a dump that another tool has made: it brings no roles."""
    fetch = f"""\
restic dump "$(snapshot {name})" "/$(fact {name} filename)" > {name}.dump
for BIN in $(printf '%s\\n' /usr/lib/postgresql/*/bin | sort -V); do
    "$BIN/pg_restore" --list {name}.dump > {name}.list 2>/dev/null || continue
    export PATH="$BIN:$PATH"
    break
done
pg_restore --list {name}.dump > {name}.list
"""
    make = f"""\
[[ -n $EXISTS ]] || createdb --template=template0 "$TARGET"
{_placed(name)}pg_restore --exit-on-error --no-owner --no-acl "${{PLACED[@]}}" \\
    --jobs=2 --dbname="$TARGET" {name}.dump
psql -X -q -d "$TARGET" -c analyze
"""
    return (
        Passage(
            "Fetch the dump, and choose the oldest installed pg_restore that can read it. If "
            "none of the installed versions can, install a newer pg_restore:",
            fetch,
        ),
        _empty(database),
        Passage(
            "Fill an empty database. The dump does not contain roles: all objects will belong "
            "to the user who restores them, and other users do not get rights:",
            make,
            makes=_DROP,
            there=_has_objects(database),
        ),
    )


def _passages(name: str, database: str, *, chosen: bool = False) -> tuple[Passage, ...]:
    return (
        _programs(name, chosen=chosen),
        _empty(database),
        _fetched(name),
        _roles(name),
        _filled(name),
        _compared(name, database),
    )


def _programs(name: str, *, chosen: bool) -> Passage:
    """`chosen`: the target names its programs, which are left only if they are too old."""
    use = "! too_old || " if chosen else ""
    programs = f"""\
MAJOR=$(fact {name} pg_dump_major)
[[ $MAJOR =~ ^[0-9]{{1,3}}$ ]] # else the shell would evaluate it
too_old() {{ [[ ! $(pg_restore --version) =~ \\ ([0-9]+) || ${{BASH_REMATCH[1]}} -lt $MAJOR ]]; }}
SAME=/usr/lib/postgresql/$MAJOR/bin
{use}[[ ! -x $SAME/pg_restore ]] || export PATH="$SAME:$PATH"
! too_old || {{ echo "this pg_restore is older than version $MAJOR, which made the dump"; false; }}
"""
    return Passage(
        "pg_restore must be at least as new as the pg_dump that made the dump, and may be too "
        "new for an older server. Debian keeps several versions below /usr/lib/postgresql; the "
        "version of that pg_dump is best:",
        programs,
    )


def _fetched(name: str) -> Passage:
    fetch = f"""\
restic dump "$(snapshot {name})" "/$(fact {name} filename)" > {name}.dump
jq -er '.private["{name}"].globals_sql' manifest.json > {name}.globals.sql
{_harmless(f"{name}.globals.sql")}"""
    return Passage("Fetch the dump, and the SQL that creates the roles:", fetch)


def _roles(name: str) -> Passage:
    roles = f"""\
psql -XAtq -d postgres > {name}.roles-here \\
    -c "select ' ROLE \\"' || replace(rolname, '\\"', '\\"\\"') || '\\" ' from pg_roles"
grep -v -F -f {name}.roles-here {name}.globals.sql > {name}.roles.sql || true
psql -X -q -v ON_ERROR_STOP=1 --single-transaction -d postgres -f {name}.roles.sql
"""
    return Passage("Create the missing roles; existing roles stay unchanged:", roles)


_DROP = "$PG_AS dropdb --if-exists -- ${TARGET@Q}"


def _empty(database: str) -> Passage:
    check = f"""\
TARGET={database}
[[ $TARGET != *=* && $TARGET != *://* ]] # a name, not the address of a server
EXISTS=$(psql -XAtq -d postgres -v name="$TARGET" \\
    <<<"select 1 from pg_database where datname = :'name'")
[[ -z $EXISTS || $(psql -XAtq -d "$TARGET" -c "{_OBJECTS}") == 0 ]] ||
    {{ echo "database $TARGET exists and is not empty"; false; }}
"""
    return Passage("No database of this name may exist, unless it is empty:", check)


def _has_objects(database: str) -> str:
    return f"""[[ $(psql -XAtq -d {database} -c "{_OBJECTS}" 2> /dev/null) =~ ^[1-9] ]]"""


def _filled(name: str) -> Passage:
    make = f"""\
[[ -z $EXISTS ]] ||
    psql -X -q -v ON_ERROR_STOP=1 -v name="$TARGET" -d postgres <<<'drop database :"name"'
jq -er --arg target "$TARGET" '.private["{name}"]
    | (.database.name | gsub("\\""; "\\"\\"")) as $old | ($target | gsub("\\""; "\\"\\"")) as $new
    | .database_sql | split(" DATABASE \\"\\($old)\\"") | join(" DATABASE \\"\\($new)\\"")
    ' manifest.json > {name}.database.sql
{_harmless(f"{name}.database.sql")}psql -X -q -v ON_ERROR_STOP=1 -d postgres -f {name}.database.sql
{_placed(name)}pg_restore --exit-on-error "${{PLACED[@]}}" --jobs=2 --dbname="$TARGET" {name}.dump
psql -X -q -d "$TARGET" -c analyze
"""
    return Passage(
        "Create the database with the owner, encoding and settings that it had at the backup, "
        "and restore the dump into it. If an empty database of this name exists, these commands "
        "replace it:",
        make,
        makes=_DROP,
    )


def _compared(name: str, database: str) -> Passage:
    compare = f"""\
jq -r '.components[] | select(.component == "{name}") | .fingerprint
    | (.derived // []) as $derived | .tables // {{}} | to_entries[]
    | select(.key | IN($derived[]) | not) | [.key, .value[0]] | @tsv' manifest.json |
while IFS=$'\\t' read -r table expected; do
    found=$(psql -XAtq -d "$TARGET" -c "select count(*) from $table" </dev/null)
{SAME_ROWS}done
"""
    return Passage(
        "For each table, compare the number of rows with the number at the backup. "
        "Materialised views are left out, because the restore computed them again:",
        compare,
        compares=True,
        there=_has_objects(database),
    )
