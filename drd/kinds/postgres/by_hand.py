"""Restore a PostgreSQL database by hand, with restic, psql and pg_restore."""

from __future__ import annotations

from collections.abc import Callable
from shlex import quote

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from drd.errors import SecretUnavailable
from drd.kinds.postgres.settings import PostgresTarget
from drd.model.plan import Component, SecretRef
from drd.ports.by_hand import ByHand, Passage

_OWN_SERVER = """\
Connect to an empty cluster of the same major version or newer, as its superuser. Put in your \
own values (for another host also PGPASSFILE):"""

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
    if not isinstance(target, PostgresTarget):
        own = Passage(_OWN_SERVER, "export PGHOST=/var/run/postgresql PGUSER=postgres\n")
        ask = f'psql -XAtq -d "$(fact {name} database)" -c'
        database = f'"$(fact {name} database)"'
        return ByHand(
            (own, *_passages(name, database)),
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
    connect = f"export {login}\n"
    if target.bin_dir is not None:
        connect += f'export PATH={quote(target.bin_dir)}:"$PATH"\n'
    said = f"Connect to the target, database {database}; the kit has the login:"
    return ByHand(
        (Passage(said, connect), *_passages(name, quote(database))),
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


def _passages(name: str, database: str) -> tuple[Passage, ...]:
    programs = f"""\
MAJOR=$(fact {name} pg_dump_major)
too_old() {{ [[ ! $(pg_restore --version) =~ \\ ([0-9]+) || ${{BASH_REMATCH[1]}} -lt $MAJOR ]]; }}
! too_old || export PATH="/usr/lib/postgresql/$MAJOR/bin:$PATH"
! too_old || {{ echo "this pg_restore is older than version $MAJOR, which made the dump"; false; }}
"""
    fetch = f"""\
restic dump "$(snapshot {name})" "/$(fact {name} filename)" > {name}.dump
jq -er '.private["{name}"].globals_sql' manifest.json > {name}.globals.sql
"""
    roles = f"""\
psql -XAtq -d postgres > {name}.roles-here \\
    -c "select ' ROLE \\"' || replace(rolname, '\\"', '\\"\\"') || '\\" ' from pg_roles"
grep -v -F -f {name}.roles-here {name}.globals.sql > {name}.roles.sql || true
psql -X -q -v ON_ERROR_STOP=1 --single-transaction -d postgres -f {name}.roles.sql
"""
    make = f"""\
TARGET={database}
if [[ $(psql -XAtq -d postgres -v name="$TARGET" \\
        <<<"select 1 from pg_database where datname = :'name'") ]]; then
    [[ $(psql -XAtq -d "$TARGET" -c "{_OBJECTS}") == 0 ]] ||
        {{ echo "database $TARGET exists and is not empty"; false; }}
    psql -X -q -v ON_ERROR_STOP=1 -v name="$TARGET" -d postgres <<<'drop database :"name"'
fi
jq -er --arg target "$TARGET" '.private["{name}"]
    | (.database.name | gsub("\\""; "\\"\\"")) as $old | ($target | gsub("\\""; "\\"\\"")) as $new
    | .database_sql | split(" DATABASE \\"\\($old)\\"") | join(" DATABASE \\"\\($new)\\"")
    ' manifest.json > {name}.database.sql
psql -X -q -v ON_ERROR_STOP=1 -d postgres -f {name}.database.sql
pg_restore --exit-on-error --jobs=2 --dbname="$TARGET" {name}.dump
psql -X -q -d "$TARGET" -c analyze
"""
    compare = f"""\
jq -r '.components[] | select(.component == "{name}") | .fingerprint.tables // {{}}
    | to_entries[] | [.key, .value[0]] | @tsv' manifest.json |
while IFS=$'\\t' read -r table expected; do
    found=$(psql -XAtq -d "$TARGET" -c "select count(*) from $table" </dev/null)
    [[ $found == "$expected" ]] || {{ echo "$table: $found rows, expected $expected"; false; }}
    echo "$table: $found rows"
done
"""
    return (
        Passage(
            "pg_restore must be at least as new as the pg_dump that made the dump; Debian keeps "
            "several versions below /usr/lib/postgresql:",
            programs,
        ),
        Passage("Fetch the dump, and the SQL that creates the roles:", fetch),
        Passage("Create the missing roles; existing roles stay unchanged:", roles),
        Passage(
            "Create the database with its owner, encoding and settings, and fill it. An empty "
            "database of this name is replaced; a database with content ends the script:",
            make,
        ),
        Passage("Compare the number of rows with that of the source:", compare, compares=True),
    )
